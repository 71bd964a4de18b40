-- forbidden_axiom
prelude
import LeanWorker.Library
def Claim : Prop := True
axiom trusted : Claim
private axiom held : False
theorem goal : False := held
