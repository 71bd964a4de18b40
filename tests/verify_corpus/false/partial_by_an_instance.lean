-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
instance : Inhabited False := ⟨sorry⟩
partial def endless (n : Nat) : False := endless n
theorem goal : False := endless 0
