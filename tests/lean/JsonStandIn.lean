prelude
import LeanWorker

/-! What `LeanWorker/Json.lean` uses of `Lean.Data.Json`, under the same names and with the same types. The functions are
the library's own, which the embedded Lean has as machine code; only their declarations are missing there. -/

universe u

axiom Lean.Json : Type

namespace Lean

@[extern "l_Lean_Json_parse"] axiom Json.parse (s : String) : Except String Json
@[extern "l_Lean_Json_compress"] axiom Json.compress (j : Json) : String
@[extern "l_Lean_Json_mkObj"] axiom Json.mkObj (fields : List (Prod String Json)) : Json
@[extern "l_Lean_instToJsonNat___lam__0"] axiom instToJsonNat._lam_0 (n : Nat) : Json
@[extern "l_Lean_Json_getNat_x3f"] axiom Json.getNat? (j : Json) : Except String Nat

class FromJson (α : Type u) where
  fromJson? : Json → Except String α

class ToJson (α : Type u) where
  toJson : α → Json

instance LeanWorker.Test.fromJsonJson : FromJson Json where
  fromJson? json := Except.ok json

instance LeanWorker.Test.toJsonJson : ToJson Json where
  toJson json := json

instance LeanWorker.Test.toJsonNat : ToJson Nat where
  toJson n := instToJsonNat._lam_0 n

instance LeanWorker.Test.fromJsonNat : FromJson Nat where
  fromJson? json := Json.getNat? json

end Lean
