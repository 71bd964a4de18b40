prelude
import LeanWorker.Library
theorem goal : False := sorry
