-- statement_changed aspect=imports
prelude
import LeanWorker.Library
import LeanWorker
axiom cheat : False
theorem goal : False := cheat
