-- statement_changed declaration=goal aspect=type
prelude
import LeanWorker.Library
local notation "False" => True
theorem goal : False := True.intro
