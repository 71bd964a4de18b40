-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
theorem goal : False := sorry
