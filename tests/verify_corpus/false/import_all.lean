-- statement_changed aspect=imports
module
prelude
import all LeanWorker.Library
theorem goal : False := sorry
