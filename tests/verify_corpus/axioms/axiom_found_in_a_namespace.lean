-- forbidden_axiom axiom=Claims.trusted
prelude
import LeanWorker.Library
def Claim : Prop := True
axiom trusted : Claim
namespace Claims
axiom trusted : False
theorem _root_.goal : False := trusted
end Claims
