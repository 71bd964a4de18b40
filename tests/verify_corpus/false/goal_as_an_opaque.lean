-- statement_changed aspect=kind
prelude
import LeanWorker.Prelude
instance : Nonempty False := sorry
opaque goal : False
