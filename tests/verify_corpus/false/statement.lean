prelude
import LeanWorker.Prelude
theorem goal : False := sorry
