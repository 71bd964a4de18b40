-- statement_changed declaration=Held aspect=type
prelude
import LeanWorker.Library
structure Held where
  proof : False
axiom held : Held
theorem goal : False := held.proof
