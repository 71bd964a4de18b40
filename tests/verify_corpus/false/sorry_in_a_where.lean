-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
theorem goal : False := aux 3
where
  aux (_ : Nat) : False := sorry
