-- statement_changed aspect=imports
prelude
import LeanWorker.Library
import LeanWorker.Library
axiom cheat : False
theorem goal : False := cheat
