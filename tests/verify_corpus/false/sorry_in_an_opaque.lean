-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
instance : Nonempty False := sorry
opaque bad : False
theorem goal : False := bad
