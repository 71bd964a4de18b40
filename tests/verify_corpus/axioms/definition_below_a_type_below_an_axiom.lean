-- statement_changed declaration=Claim aspect=value
prelude
import LeanWorker.Library
def Claim : Prop := False
structure Held where
  proof : Claim
axiom held : Held
theorem goal : False := held.proof
