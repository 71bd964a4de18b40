-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
instance : Nonempty False := sorry
opaque bad : False
theorem goal : False := bad
