-- forbidden_axiom axiom=magic
prelude
import LeanWorker.Prelude
axiom magic {p : Prop} : p
theorem goal : False := magic
