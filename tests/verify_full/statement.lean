import Lean
theorem goal : False := sorry
