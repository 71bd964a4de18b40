-- forbidden_axiom axiom=cheat
prelude
import LeanWorker.Library
axiom cheat : False
instance : Inhabited False := ⟨cheat⟩
theorem goal : False := default
