-- statement_changed declaration=goal aspect=missing
prelude
import LeanWorker.Library
/-
theorem goal : False := sorry
-/
