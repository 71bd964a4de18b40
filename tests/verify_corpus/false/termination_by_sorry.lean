-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
def endless (n : Nat) : False := endless (n + 1)
termination_by n
decreasing_by all_goals sorry
theorem goal : False := endless 0
