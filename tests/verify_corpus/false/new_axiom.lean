-- forbidden_axiom axiom=cheat
prelude
import LeanWorker.Library
axiom cheat : False
theorem goal : False := cheat
