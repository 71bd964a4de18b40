-- forbidden_axiom axiom=cheat
prelude
import LeanWorker.Prelude
axiom cheat : False
theorem goal : False := cheat
