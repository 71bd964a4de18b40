-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
theorem goal : False := sorry
