-- statement_changed aspect=kind
prelude
import LeanWorker.Library
instance : Nonempty False := sorry
opaque goal : False
