module

prelude
public import LeanWorker.Prelude.Floats
/-! Characters, texts, slices of texts, and values as texts. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w

/-! ## Characters -/

namespace Char
protected def lt (a b : Char) : Prop := a.val < b.val
protected def le (a b : Char) : Prop := a.val ≤ b.val
instance instLT : LT Char := ⟨Char.lt⟩
instance instLE : LE Char := ⟨Char.le⟩
instance instDecidableLt (a b : Char) : Decidable (a < b) := UInt32.decLt a.val b.val
instance instDecidableLe (a b : Char) : Decidable (a ≤ b) := UInt32.decLe a.val b.val
instance instInhabited : Inhabited Char := ⟨'A'⟩
@[inline] def isWhitespace (c : Char) : Bool := c = ' ' || c = '\t' || c = '\r' || c = '\n'
@[inline] def isUpper (c : Char) : Bool := c.val ≥ 'A'.val && c.val ≤ 'Z'.val
@[inline] def isLower (c : Char) : Bool := c.val ≥ 'a'.val && c.val ≤ 'z'.val
@[inline] def isAlpha (c : Char) : Bool := c.isUpper || c.isLower
@[inline] def isDigit (c : Char) : Bool := c.val ≥ '0'.val && c.val ≤ '9'.val
@[inline] def isAlphanum (c : Char) : Bool := c.isAlpha || c.isDigit
@[inline] def isHexDigit (c : Char) : Bool := c.isDigit || (c.val ≥ 'a'.val && c.val ≤ 'f'.val) || (c.val ≥ 'A'.val && c.val ≤ 'F'.val)
@[inline] def toLower (c : Char) : Char := if c.isUpper then Char.ofNat (c.toNat + 32) else c
@[inline] def toUpper (c : Char) : Char := if c.isLower then Char.ofNat (c.toNat - 32) else c
@[inline] def toUInt8 (c : Char) : UInt8 := c.val.toUInt8
@[inline] def utf8Size (c : Char) : Nat := if c.toNat ≤ 0x7f then 1 else if c.toNat ≤ 0x7ff then 2 else if c.toNat ≤ 0xffff then 3 else 4
end Char

/-! ## Texts -/

instance String.instInhabitedPosRaw : Inhabited String.Pos.Raw := ⟨⟨0⟩⟩
instance instDecidableEqRaw : DecidableEq String.Pos.Raw := fun ⟨a⟩ ⟨b⟩ =>
  match decEq a b with
  | isTrue h => isTrue (h ▸ rfl)
  | isFalse n => isFalse fun h => n (congrArg String.Pos.Raw.byteIdx h)
namespace String
@[extern "lean_string_data"] opaque toList (s : @& String) : List Char
@[extern "lean_string_push"] def push : String → Char → String
  | s, c => s.append (String.ofList [c])
def singleton (c : Char) : String := "".push c
@[inline] def isEmpty (s : String) : Bool := s.utf8ByteSize == 0
end String
def List.asString (s : List Char) : String := String.ofList s
@[inline] def Char.toString (c : Char) : String := String.singleton c

namespace List
inductive Lex {α : Type u} (r : α → α → Prop) : (as bs : List α) → Prop
  | nil {a as} : Lex r [] (a :: as)
  | rel {a₁ as₁ a₂ as₂} (h : r a₁ a₂) : Lex r (a₁ :: as₁) (a₂ :: as₂)
  | cons {a as₁ as₂} (h : Lex r as₁ as₂) : Lex r (a :: as₁) (a :: as₂)
protected abbrev lt {α : Type u} [LT α] : List α → List α → Prop := Lex (· < ·)
instance instLT {α : Type u} [LT α] : LT (List α) := ⟨List.lt⟩
protected abbrev le {α : Type u} [LT α] (as bs : List α) : Prop := ¬ bs < as
instance instLE {α : Type u} [LT α] : LE (List α) := ⟨List.le⟩
instance decidableLex [DecidableEq α] (r : α → α → Prop) [h : DecidableRel r] : (l₁ l₂ : List α) → Decidable (Lex r l₁ l₂)
  | [], [] => isFalse fun h => nomatch h
  | [], _ :: _ => isTrue Lex.nil
  | _ :: _, [] => isFalse fun h => nomatch h
  | a :: as, b :: bs =>
    match h a b with
    | isTrue h₁ => isTrue (Lex.rel h₁)
    | isFalse h₁ =>
      if h₂ : a = b then
        match decidableLex r as bs with
        | isTrue h₃ => isTrue (h₂ ▸ Lex.cons h₃)
        | isFalse h₃ => isFalse fun h => match h with
          | Lex.rel h => h₁ h
          | Lex.cons h => h₃ h
      else isFalse fun h => match h with
        | Lex.rel h => h₁ h
        | Lex.cons _ => h₂ rfl
instance decidableLT [DecidableEq α] [LT α] [DecidableLT α] (l₁ l₂ : List α) : Decidable (l₁ < l₂) := decidableLex (· < ·) l₁ l₂
instance decidableLE [DecidableEq α] [LT α] [DecidableLT α] (l₁ l₂ : List α) : Decidable (l₁ ≤ l₂) :=
  inferInstanceAs (Decidable (Not (l₂ < l₁)))
end List

namespace String
instance instLT : LT String := ⟨fun s₁ s₂ => s₁.toList < s₂.toList⟩
@[extern "lean_string_dec_lt"] instance decidableLT (s₁ s₂ : @& String) : Decidable (s₁ < s₂) := List.decidableLT s₁.toList s₂.toList
protected def le (a b : String) : Prop := ¬ b < a
instance instLE : LE String := ⟨String.le⟩
instance decLE (s₁ s₂ : String) : Decidable (s₁ ≤ s₂) := inferInstanceAs (Decidable (Not (s₂ < s₁)))
instance LeanWorker.Prelude.maxString : Max String := maxOfLe
instance LeanWorker.Prelude.minString : Min String := minOfLe
def join (l : List String) : String := l.foldl (fun r s => r ++ s) ""
def intercalate (s : String) : List String → String
  | [] => ""
  | a :: as => go a s as
where
  go (acc : String) (s : String) : List String → String
  | a :: as => go (acc ++ s ++ a) s as
  | [] => acc

end String

/-! ## Slices and patterns

A slice is a part of a text, as in the library, so that native code can take it. A pattern is a text, a slice, a character
or a predicate on characters; the library's classes of patterns are finer, but read the same. -/

namespace String
structure Pos (s : String) where
  offset : Pos.Raw
structure Slice where
  str : String
  startInclusive : str.Pos
  endExclusive : str.Pos
@[inline] def toSlice (s : String) : Slice := ⟨s, ⟨⟨0⟩⟩, ⟨s.rawEndPos⟩⟩
instance instCoeSlice : Coe String Slice := ⟨toSlice⟩
instance instInhabitedSlice : Inhabited Slice := ⟨"".toSlice⟩
@[extern "lean_string_utf8_extract"] opaque Pos.Raw.extract : (@& String) → (@& Pos.Raw) → (@& Pos.Raw) → String
namespace Slice
@[inline] def copy (s : Slice) : String := Pos.Raw.extract s.str s.startInclusive.offset s.endExclusive.offset
@[inline] def toString (s : Slice) : String := s.copy
@[inline] def chars' (s : Slice) : List Char := s.copy.toList
end Slice
end String

namespace LeanWorker.Prelude
class Pattern (ρ : Type) where
  /-- What is left of the characters after the pattern at their start. -/
  strip : ρ → List Char → Option (List Char)
def stripPrefix : List Char → List Char → Option (List Char)
  | [], rest => some rest
  | _, [] => none
  | a :: as, b :: bs => if a = b then stripPrefix as bs else none
instance : Pattern String := ⟨fun s cs => stripPrefix s.toList cs⟩
instance : Pattern String.Slice := ⟨fun s cs => stripPrefix s.copy.toList cs⟩
instance : Pattern Char := ⟨fun c cs => match cs with
  | d :: rest => if c = d then some rest else none
  | [] => none⟩
instance : Pattern (Char → Bool) := ⟨fun p cs => match cs with
  | d :: rest => if p d then some rest else none
  | [] => none⟩
/-- The characters before the first match and those after it. -/
def breakAt [Pattern ρ] (pat : ρ) : List Char → List Char → Option (List Char × List Char)
  | acc, [] => match Pattern.strip pat [] with
    | some rest => some (acc.reverse, rest)
    | none => none
  | acc, c :: cs => match Pattern.strip pat (c :: cs) with
    | some rest => some (acc.reverse, rest)
    | none => breakAt pat (c :: acc) cs
def splitBy [Pattern ρ] (pat : ρ) : Nat → List Char → List String
  | 0, cs => [String.ofList cs]
  | n+1, cs => match breakAt pat [] cs with
    | some (before, after) => String.ofList before :: splitBy pat n after
    | none => [String.ofList cs]
def replaceAll [Pattern ρ] (pat : ρ) (by' : String) : Nat → List Char → String → String
  | 0, cs, acc => acc ++ String.ofList cs
  | n+1, cs, acc => match breakAt pat [] cs with
    | some (before, after) =>
      if after.length = cs.length then acc ++ String.ofList cs
      else replaceAll pat by' n after (acc ++ String.ofList before ++ by')
    | none => acc ++ String.ofList cs
def stripWhile [Pattern ρ] (pat : ρ) : Nat → List Char → List Char
  | 0, cs => cs
  | n+1, cs => match Pattern.strip pat cs with
    | some rest => if rest.length = cs.length then cs else stripWhile pat n rest
    | none => cs
end LeanWorker.Prelude
