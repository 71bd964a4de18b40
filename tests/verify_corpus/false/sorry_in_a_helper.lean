-- forbidden_axiom axiom=sorryAx declaration=helper
prelude
import LeanWorker.Library
theorem helper : 1 = 2 := by
  sorry
theorem goal : False := absurd helper (by decide)
