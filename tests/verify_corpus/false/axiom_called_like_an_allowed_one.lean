-- forbidden_axiom axiom=«Classical.choice»
prelude
import LeanWorker.Prelude
axiom «Classical.choice» : False
theorem goal : False := «Classical.choice»
