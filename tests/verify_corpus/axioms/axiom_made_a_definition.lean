-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
structure Held where
  proof : False
noncomputable def held : Held := sorry
theorem goal : False := held.proof
