-- forbidden_axiom axiom=sorryAx declaration=instMagic
prelude
import LeanWorker.Library
class Magic (p : Prop) where
  out : p
instance (p : Prop) : Magic p := ⟨sorry⟩
theorem goal : False := Magic.out
