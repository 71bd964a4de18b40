-- forbidden_axiom axiom=magic
prelude
import LeanWorker.Library
axiom magic {p : Prop} : p
theorem goal : False := magic
