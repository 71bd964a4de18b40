-- forbidden_axiom axiom=«Classical.choice»
prelude
import LeanWorker.Library
axiom «Classical.choice» : False
theorem goal : False := «Classical.choice»
