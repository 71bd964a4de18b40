-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
theorem goal : False := aux 3
where
  aux (_ : Nat) : False := sorry
