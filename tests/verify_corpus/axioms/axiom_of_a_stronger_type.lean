-- forbidden_axiom axiom=trusted
prelude
import LeanWorker.Library
axiom trusted : False
theorem goal : False := trusted
