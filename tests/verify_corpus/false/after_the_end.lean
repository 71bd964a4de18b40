-- statement_changed declaration=goal aspect=missing
prelude
import LeanWorker.Library
#exit
theorem goal : False := sorry
