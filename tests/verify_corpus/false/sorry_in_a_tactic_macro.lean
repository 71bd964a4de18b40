-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
macro "finish" : tactic => `(tactic| sorry)
theorem goal : False := by finish
