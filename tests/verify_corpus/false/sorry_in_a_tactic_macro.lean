-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
macro "finish" : tactic => `(tactic| sorry)
theorem goal : False := by finish
