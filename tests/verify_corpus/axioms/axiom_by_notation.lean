-- forbidden_axiom axiom=trusted
prelude
import LeanWorker.Library
local notation "Claim" => False
axiom trusted : Claim
theorem goal : False := trusted
