module

prelude
public import LeanWorker.Prelude.System
/-! JSON, as `Lean.Data.Json` has it, and what `deriving ToJson, FromJson` builds on. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

universe u v w

namespace Std
-- A search tree, in the layout of the library's: a node's fields are its size, key, value and the two trees below.
namespace DTreeMap.Internal
inductive Impl (α : Type u) (β : α → Type v) where
  | inner (size : Nat) (k : α) (v : β k) (l r : Impl α β)
  | leaf
end DTreeMap.Internal
structure TreeMap.Raw (α : Type u) (β : Type v) (cmp : α → α → Ordering := by exact compare) where
  inner : DTreeMap.Internal.Impl α fun _ => β
namespace TreeMap.Raw
variable {α : Type u} {β : Type v} {cmp : α → α → Ordering}
def toListOnto' : DTreeMap.Internal.Impl α (fun _ => β) → List (α × β) → List (α × β)
  | .leaf, acc => acc
  | .inner _ k v l r, acc => toListOnto' l ((k, v) :: toListOnto' r acc)
@[inline] def toList (t : Raw α β cmp) : List (α × β) := toListOnto' t.inner []
@[inline] def toArray (t : Raw α β cmp) : Array (α × β) := t.toList.toArray
@[inline] def keys (t : Raw α β cmp) : List α := t.toList.map (·.1)
@[inline] def values (t : Raw α β cmp) : List β := t.toList.map (·.2)
@[inline] def size (t : Raw α β cmp) : Nat := match t.inner with
  | .leaf => 0
  | .inner n .. => n
@[inline] def isEmpty (t : Raw α β cmp) : Bool := t.size == 0
@[inline] def foldl {δ : Type w} (f : δ → α → β → δ) (init : δ) (t : Raw α β cmp) : δ := t.toList.foldl (fun d (a, b) => f d a b) init
def find' : DTreeMap.Internal.Impl α (fun _ => β) → (α → Ordering) → Option β
  | .leaf, _ => none
  | .inner _ k v l r, c => match c k with
    | .lt => find' l c
    | .gt => find' r c
    | .eq => some v
@[inline] def get? (t : Raw α β cmp) (a : α) : Option β := find' t.inner (cmp a)
@[inline] def contains (t : Raw α β cmp) (a : α) : Bool := (t.get? a).isSome
instance {m : Type u → Type v} [Monad m] : ForIn m (Raw α β cmp) (α × β) where
  forIn t b f := forIn t.toList b f
end TreeMap.Raw
end Std

namespace Lean
structure JsonNumber where
  mantissa : Int
  exponent : Nat
  deriving DecidableEq, Hashable
namespace JsonNumber
@[extern "x"] opaque toString : JsonNumber → String
instance instToString : ToString JsonNumber := ⟨JsonNumber.toString⟩
instance instRepr : Repr JsonNumber := ⟨fun n _ => n.toString⟩
instance instInhabited : Inhabited JsonNumber := ⟨⟨0, 0⟩⟩
protected def fromNat (n : Nat) : JsonNumber := ⟨n, 0⟩
protected def fromInt (n : Int) : JsonNumber := ⟨n, 0⟩
instance instCoeNat : Coe Nat JsonNumber := ⟨JsonNumber.fromNat⟩
instance instCoeInt : Coe Int JsonNumber := ⟨JsonNumber.fromInt⟩
instance instOfNat : OfNat JsonNumber n := ⟨JsonNumber.fromNat n⟩
@[extern "x"] opaque toFloat (n : JsonNumber) : Float
@[extern "x"] opaque fromFloat? (x : Float) : Sum String JsonNumber := .inl ""
end JsonNumber

inductive Json where
  | null
  | bool (b : Bool)
  | num (n : JsonNumber)
  | str (s : String)
  | arr (elems : Array Json)
  | obj (kvPairs : Std.TreeMap.Raw String Json)
namespace Json
instance instInhabited : Inhabited Json := ⟨.null⟩
instance instInhabitedExcept' [Inhabited α] : Inhabited (Except String α) := ⟨.error ""⟩
instance instCoeNat : Coe Nat Json := ⟨fun n => .num n⟩
instance instCoeInt : Coe Int Json := ⟨fun n => .num n⟩
instance instCoeString : Coe String Json := ⟨.str⟩
instance instCoeBool : Coe Bool Json := ⟨.bool⟩
instance instOfNat : OfNat Json n := ⟨.num n⟩
@[extern "x"] opaque compress (j : Json) : String
@[extern "x"] opaque pretty (j : Json) (lineWidth : Nat := 80) : String
@[extern "x"] opaque parse (s : String) : Except String Json
instance instToString : ToString Json := ⟨fun j => j.pretty⟩
instance LeanWorker.Prelude.reprJson : Repr Json := ⟨fun j _ => j.pretty⟩
@[extern "x"] opaque mkObj (o : List (String × Json)) : Json
def isNull : Json → Bool
  | null => true
  | _ => false
def getObj? : Json → Except String (Std.TreeMap.Raw String Json)
  | obj kvs => .ok kvs
  | _ => .error "object expected"
def getArr? : Json → Except String (Array Json)
  | arr a => .ok a
  | _ => .error "array expected"
def getStr? : Json → Except String String
  | str s => .ok s
  | _ => .error "String expected"
def getNum? : Json → Except String JsonNumber
  | num n => .ok n
  | _ => .error "number expected"
def getBool? : Json → Except String Bool
  | bool b => .ok b
  | _ => .error "Bool expected"
def getNat? : Json → Except String Nat
  | num ⟨.ofNat n, 0⟩ => .ok n
  | _ => .error "Natural number expected"
def getInt? : Json → Except String Int
  | num ⟨n, 0⟩ => .ok n
  | _ => .error "Integer expected"
def getObjVal? : Json → String → Except String Json
  | obj kvs, k => match kvs.get? k with
    | some v => .ok v
    | none => .error s!"property not found: {k}"
  | _, _ => .error "object expected"
def getArrVal? : Json → Nat → Except String Json
  | arr a, i => match a[i]? with
    | some v => .ok v
    | none => .error s!"index out of bounds: {i}"
  | _, _ => .error "array expected"
def getObjValD (j : Json) (k : String) : Json := match j.getObjVal? k with
  | .ok v => v
  | .error _ => .null
@[extern "x"] opaque setObjVal! : Json → String → Json → Json
@[extern "x"] opaque mergeObj : Json → Json → Json
end Json

class ToJson (α : Type u) where
  toJson : α → Json
export ToJson (toJson)
class FromJson (α : Type u) where
  fromJson? : Json → Except String α
export FromJson (fromJson?)
instance instToJsonJson : ToJson Json := ⟨id⟩
instance instFromJsonJson : FromJson Json := ⟨.ok⟩
instance instToJsonJsonNumber : ToJson JsonNumber := ⟨.num⟩
instance instFromJsonJsonNumber : FromJson JsonNumber := ⟨Json.getNum?⟩
instance instToJsonBool : ToJson Bool := ⟨.bool⟩
instance instFromJsonBool : FromJson Bool := ⟨Json.getBool?⟩
instance instToJsonNat : ToJson Nat := ⟨fun n => .num n⟩
instance instFromJsonNat : FromJson Nat := ⟨Json.getNat?⟩
instance instToJsonInt : ToJson Int := ⟨fun n => .num n⟩
instance instFromJsonInt : FromJson Int := ⟨Json.getInt?⟩
instance instToJsonString : ToJson String := ⟨.str⟩
instance instFromJsonString : FromJson String := ⟨Json.getStr?⟩
instance instToJsonSlice : ToJson String.Slice := ⟨fun s => .str s.copy⟩
instance instToJsonUnit : ToJson Unit := ⟨fun _ => .null⟩
instance instFromJsonUnit : FromJson Unit := ⟨fun _ => .ok ()⟩
instance instToJsonFloat : ToJson Float := ⟨fun x => match JsonNumber.fromFloat? x with
  | .inl e => .str e
  | .inr n => .num n⟩
instance instFromJsonFloat : FromJson Float := ⟨fun
  | .str "Infinity" => .ok (1.0 / 0.0)
  | .str "-Infinity" => .ok (-1.0 / 0.0)
  | .str "NaN" => .ok (0.0 / 0.0)
  | .num n => .ok n.toFloat
  | _ => .error "Expected a number or a string 'Infinity', '-Infinity', 'NaN'."⟩
instance instToJsonArray [ToJson α] : ToJson (Array α) := ⟨fun a => .arr (a.map toJson)⟩
instance instFromJsonArray [FromJson α] : FromJson (Array α) := ⟨fun
  | .arr a => a.mapM fromJson?
  | j => .error s!"expected JSON array, got '{j}'"⟩
instance instToJsonList [ToJson α] : ToJson (List α) := ⟨fun l => toJson l.toArray⟩
instance instFromJsonList [FromJson α] : FromJson (List α) := ⟨fun j => do return (← (fromJson? j : Except String (Array α))).toList⟩
instance instToJsonOption [ToJson α] : ToJson (Option α) := ⟨fun
  | none => .null
  | some a => toJson a⟩
instance instFromJsonOption [FromJson α] : FromJson (Option α) := ⟨fun
  | .null => .ok none
  | j => some <$> fromJson? j⟩
instance instToJsonProd [ToJson α] [ToJson β] : ToJson (α × β) := ⟨fun (a, b) => .arr #[toJson a, toJson b]⟩
instance instFromJsonProd [FromJson α] [FromJson β] : FromJson (α × β) := ⟨fun
  | .arr ⟨[ja, jb]⟩ => do
    let a ← fromJson? ja
    let b ← fromJson? jb
    return (a, b)
  | j => .error s!"expected pair, got '{j}'"⟩
instance instToJsonUInt64 : ToJson UInt64 := ⟨fun n => .str (toString n)⟩
@[extern "x"] opaque Name.toString (n : Name) (escape : Bool := true) (isToken : String → Bool := fun _ => false) : String
instance Name.instToString : ToString Name := ⟨fun n => n.toString⟩
instance instToJsonName : ToJson Name := ⟨fun n => .str (toString n)⟩
instance instFromJsonName : FromJson Name := ⟨fun
  | .str s => .ok (if s == "[anonymous]" then .anonymous else s.toName)
  | j => .error s!"expected a `Name`, got '{j}'"⟩
namespace Json
@[inline] def getObjValAs? (j : Json) (α : Type u) [FromJson α] (k : String) : Except String α := fromJson? (j.getObjValD k)
@[inline] def getArrValAs? (j : Json) (α : Type) [FromJson α] (i : Nat) : Except String α := do fromJson? (← j.getArrVal? i)
@[inline] def setObjValAs! (j : Json) {α : Type u} [ToJson α] (k : String) (v : α) : Json := j.setObjVal! k (toJson v)
def opt [ToJson α] (k : String) : Option α → List (String × Json)
  | none => []
  | some o => [⟨k, toJson o⟩]
@[extern "x"] opaque getTag? : Json → Option String
@[extern "x"] opaque parseTagged (json : Json) (tag : String) (nFields : Nat) (fieldNames? : Option (Array Name)) :
  Except String (Array Json)
@[extern "x"] opaque parseCtorFields (json : Json) (tag : String) (nFields : Nat) (fieldNames? : Option (Array Name)) :
  Except String (Array Json)
end Json
end Lean
