-- statement_changed declaration=Claim aspect=value
prelude
import LeanWorker.Library
def Claim : Prop := False
axiom trusted : Claim
theorem goal : False := trusted
