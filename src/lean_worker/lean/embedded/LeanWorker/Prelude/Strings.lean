module

prelude
public import LeanWorker.Prelude.Text
/-! The functions on texts and slices, and values as texts: `toString`, `repr`, formats, hashes, orders. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w

open LeanWorker.Prelude (Pattern breakAt stripWhile replaceAll)

namespace String.Slice
@[inline] def isEmpty (s : Slice) : Bool := s.copy.isEmpty
@[inline] def length (s : Slice) : Nat := s.copy.length
@[inline] def toList (s : Slice) : List Char := s.copy.toList
@[inline] def take (s : Slice) (n : Nat) : Slice := (String.ofList (s.toList.take n)).toSlice
@[inline] def drop (s : Slice) (n : Nat) : Slice := (String.ofList (s.toList.drop n)).toSlice
@[inline] def takeEnd (s : Slice) (n : Nat) : Slice := let l := s.toList; (String.ofList (l.drop (l.length - n))).toSlice
@[inline] def dropEnd (s : Slice) (n : Nat) : Slice := let l := s.toList; (String.ofList (l.take (l.length - n))).toSlice
@[inline] def takeWhile [Pattern ρ] (s : Slice) (pat : ρ) : Slice :=
  let l := s.toList; (String.ofList (l.take (l.length - (stripWhile pat l.length l).length))).toSlice
@[inline] def dropWhile [Pattern ρ] (s : Slice) (pat : ρ) : Slice := let l := s.toList; (String.ofList (stripWhile pat l.length l)).toSlice
@[inline] def trimAsciiStart (s : Slice) : Slice := (String.ofList (s.toList.dropWhile Char.isWhitespace)).toSlice
@[inline] def trimAsciiEnd (s : Slice) : Slice := (String.ofList (s.toList.reverse.dropWhile Char.isWhitespace).reverse).toSlice
@[inline] def trimAscii (s : Slice) : Slice :=
  (String.ofList (((s.toList.dropWhile Char.isWhitespace).reverse.dropWhile Char.isWhitespace).reverse)).toSlice
@[inline] def startsWith [Pattern ρ] (s : Slice) (pat : ρ) : Bool := (Pattern.strip pat s.toList).isSome
@[inline] def contains [Pattern ρ] (s : Slice) (pat : ρ) : Bool := (breakAt pat [] s.toList).isSome
@[inline] def any [Pattern ρ] (s : Slice) (pat : ρ) : Bool := s.contains pat
@[inline] def toNat? (s : Slice) : Option Nat :=
  let l := s.toList
  if l.isEmpty || !l.all (fun c => c.isDigit || c == '_') then none
  else some (l.foldl (fun n c => if c == '_' then n else n * 10 + (c.toNat - 48)) 0)
@[inline] def isNat (s : Slice) : Bool := s.toNat?.isSome
@[inline] def toInt? (s : Slice) : Option Int := match s.toList with
  | '-' :: rest => (String.ofList rest).toSlice.toNat?.map fun n => -Int.ofNat n
  | _ => s.toNat?.map Int.ofNat
@[inline] def front? (s : Slice) : Option Char := s.toList.head?
@[inline] def back? (s : Slice) : Option Char := s.toList.getLast?
@[inline] def beq (a b : Slice) : Bool := a.copy == b.copy
instance instBEq : BEq Slice := ⟨beq⟩
instance instHAppend : HAppend String Slice String := ⟨fun s t => s ++ t.copy⟩
end String.Slice

namespace String
def toNat? (s : String) : Option Nat := s.toSlice.toNat?
def toNat! (s : String) : Nat := match s.toNat? with | some n => n | none => panic! "Nat expected"
def toInt? (s : String) : Option Int := s.toSlice.toInt?
def toInt! (s : String) : Int := match s.toInt? with | some n => n | none => panic! "Int expected"
@[inline] def isNat (s : String) : Bool := s.toNat?.isSome
@[inline] def isInt (s : String) : Bool := s.toInt?.isSome
@[inline] def take (s : String) (n : Nat) : Slice := s.toSlice.take n
@[inline] def drop (s : String) (n : Nat) : Slice := s.toSlice.drop n
@[inline] def takeEnd (s : String) (n : Nat) : Slice := s.toSlice.takeEnd n
@[inline] def dropEnd (s : String) (n : Nat) : Slice := s.toSlice.dropEnd n
@[inline] def takeRight (s : String) (n : Nat) : String := (s.takeEnd n).copy
@[inline] def dropRight (s : String) (n : Nat) : String := (s.dropEnd n).copy
@[inline] def takeWhile [Pattern ρ] (s : String) (pat : ρ) : Slice := s.toSlice.takeWhile pat
@[inline] def dropWhile [Pattern ρ] (s : String) (pat : ρ) : Slice := s.toSlice.dropWhile pat
@[inline] def trimAscii (s : String) : Slice := s.toSlice.trimAscii
@[inline] def trimAsciiStart (s : String) : Slice := s.toSlice.trimAsciiStart
@[inline] def trimAsciiEnd (s : String) : Slice := s.toSlice.trimAsciiEnd
@[inline] def trim (s : String) : String := s.trimAscii.copy
@[inline] def trimLeft (s : String) : String := s.trimAsciiStart.copy
@[inline] def trimRight (s : String) : String := s.trimAsciiEnd.copy
@[inline] def startsWith [Pattern ρ] (s : String) (pat : ρ) : Bool := (Pattern.strip pat s.toList).isSome
@[inline] def endsWith (s pat : String) : Bool := (LeanWorker.Prelude.stripPrefix pat.toList.reverse s.toList.reverse).isSome
@[inline] def isPrefixOf (p s : String) : Bool := s.startsWith p
@[inline] def contains [Pattern ρ] (s : String) (pat : ρ) : Bool := (breakAt pat [] s.toList).isSome
@[inline] def any [Pattern ρ] (s : String) (pat : ρ) : Bool := s.contains pat
@[inline] def all (s : String) (p : Char → Bool) : Bool := s.toList.all p
@[inline] def containsSubstr (s pat : String) : Bool := s.contains pat
@[inline] def map (f : Char → Char) (s : String) : String := String.ofList (s.toList.map f)
@[inline] def foldl {α : Type u} (f : α → Char → α) (init : α) (s : String) : α := s.toList.foldl f init
@[inline] def foldr {α : Type u} (f : Char → α → α) (init : α) (s : String) : α := s.toList.foldr f init
@[inline] def toUpper (s : String) : String := s.map Char.toUpper
@[inline] def toLower (s : String) : String := s.map Char.toLower
@[inline] def capitalize (s : String) : String := match s.toList with | c :: cs => String.ofList (c.toUpper :: cs) | [] => s
@[inline] def decapitalize (s : String) : String := match s.toList with | c :: cs => String.ofList (c.toLower :: cs) | [] => s
@[inline] def front (s : String) : Char := s.toList.headD default
@[inline] def back (s : String) : Char := s.toList.getLastD default
@[inline] def front? (s : String) : Option Char := s.toList.head?
@[inline] def back? (s : String) : Option Char := s.toList.getLast?
@[inline] def splitOn (s : String) (sep : String := " ") : List String :=
  if sep == "" then [s] else LeanWorker.Prelude.splitBy sep s.length s.toList
@[inline] def replace [Pattern ρ] (s : String) (pattern : ρ) (replacement : String) : String :=
  replaceAll pattern replacement s.length s.toList ""
@[inline] def pushn (s : String) (c : Char) (n : Nat) : String := n.repeat (fun s => s.push c) s
@[inline] def lineList (s : String) : List String := LeanWorker.Prelude.splitBy '\n' s.length s.toList
@[inline] def dropPrefix? (s pre : String) : Option Slice := (LeanWorker.Prelude.stripPrefix pre.toList s.toList).map (String.ofList · |>.toSlice)
@[inline] def stripPrefix (s pre : String) : String := match LeanWorker.Prelude.stripPrefix pre.toList s.toList with
  | some rest => String.ofList rest
  | none => s
@[inline] def stripSuffix (s suff : String) : String :=
  match LeanWorker.Prelude.stripPrefix suff.toList.reverse s.toList.reverse with
  | some rest => String.ofList rest.reverse
  | none => s
@[extern "x"] opaque toName (s : String) : Lean.Name
@[extern "x"] opaque quote (s : String) : String
@[inline] def mk (l : List Char) : String := String.ofList l
@[inline] def data (s : String) : List Char := s.toList
@[extern "lean_string_utf8_get"] opaque Pos.Raw.get (s : @& String) (p : @& Pos.Raw) : Char
end String
instance String.instForInCharOfMonad' {m : Type u → Type v} [Monad m] : ForIn m String Char where
  forIn s b f := forIn s.toList b f

-- What `split` and `lines` answer. The library's is a lazy iterator; this one has its parts at once.
structure Std.Iter (β : Type u) where
  internal : List β
namespace Std.Iter
@[inline] def toList (it : Std.Iter β) : List β := it.internal
@[inline] def toArray (it : Std.Iter β) : Array β := it.internal.toArray
@[inline] def map (f : α → β) (it : Std.Iter α) : Std.Iter β := ⟨it.internal.map f⟩
@[inline] def filter (f : α → Bool) (it : Std.Iter α) : Std.Iter α := ⟨it.internal.filter f⟩
@[inline] def filterMap (f : α → Option β) (it : Std.Iter α) : Std.Iter β := ⟨it.internal.filterMap f⟩
@[inline] def fold (f : β → α → β) (init : β) (it : Std.Iter α) : β := it.internal.foldl f init
@[inline] def length (it : Std.Iter α) : Nat := it.internal.length
@[inline] def any (p : α → Bool) (it : Std.Iter α) : Bool := it.internal.any p
@[inline] def all (p : α → Bool) (it : Std.Iter α) : Bool := it.internal.all p
@[inline] def take (n : Nat) (it : Std.Iter α) : Std.Iter α := ⟨it.internal.take n⟩
@[inline] def drop (n : Nat) (it : Std.Iter α) : Std.Iter α := ⟨it.internal.drop n⟩
end Std.Iter
instance LeanWorker.Prelude.forInIter {m : Type u → Type v} [Monad m] {α : Type w} : ForIn m (Std.Iter α) α where
  forIn it b f := forIn it.internal b f
@[inline] def String.split [Pattern ρ] (s : String) (pat : ρ) : Std.Iter String.Slice :=
  ⟨(LeanWorker.Prelude.splitBy pat s.length s.toList).map String.toSlice⟩
@[inline] def String.Slice.split [Pattern ρ] (s : String.Slice) (pat : ρ) : Std.Iter String.Slice := s.copy.split pat
@[inline] def String.lines (s : String) : Std.Iter String.Slice :=
  let parts := LeanWorker.Prelude.splitBy '\n' s.length s.toList
  ⟨(if parts.getLast? == some "" then parts.dropLast else parts).map String.toSlice⟩
@[inline] def String.chars (s : String) : Std.Iter Char := ⟨s.toList⟩

/-! ## Values as texts -/

def Nat.digitChar (n : Nat) : Char := "0123456789abcdefghijklmnopqrstuvwxyz".toList.getD n '*'
def Nat.toDigitsCore (base : Nat) : (fuel n : Nat) → List Char → List Char
  | 0, _, ds => ds
  | fuel+1, n, ds =>
    let d := Nat.digitChar (n % base)
    let n' := n / base
    if n' = 0 then d :: ds else Nat.toDigitsCore base fuel n' (d :: ds)
def Nat.toDigits (base : Nat) (n : Nat) : List Char := Nat.toDigitsCore base (n+1) n []
@[implemented_by Nat.reprFast] protected def Nat.repr (n : Nat) : String := String.ofList (Nat.toDigits 10 n)
protected def Int.repr : Int → String
  | .ofNat m => Nat.repr m
  | .negSucc m => "-" ++ Nat.repr (Nat.succ m)
instance LeanWorker.Prelude.toStringSlice : ToString String.Slice := ⟨String.Slice.copy⟩
instance instToStringNat : ToString Nat := ⟨fun n => Nat.repr n⟩
instance instToStringInt : ToString Int := ⟨Int.repr⟩
instance instToStringBool : ToString Bool := ⟨fun b => cond b "true" "false"⟩
instance instToStringChar : ToString Char := ⟨Char.toString⟩
instance instToStringFloat : ToString Float := ⟨Float.toString⟩
instance instToStringPUnit : ToString PUnit := ⟨fun _ => "()"⟩
instance instToStringUnit : ToString Unit := ⟨fun _ => "()"⟩
instance instToStringDecidable {p : Prop} : ToString (Decidable p) := ⟨fun h => match h with | .isTrue _ => "true" | .isFalse _ => "false"⟩
instance instToStringUInt8 : ToString UInt8 := ⟨fun n => toString n.toNat⟩
instance instToStringUInt16 : ToString UInt16 := ⟨fun n => toString n.toNat⟩
instance instToStringUInt32 : ToString UInt32 := ⟨fun n => toString n.toNat⟩
instance instToStringUInt64 : ToString UInt64 := ⟨fun n => toString n.toNat⟩
instance instToStringUSize : ToString USize := ⟨fun n => toString n.toNat⟩
instance instToStringFin (n : Nat) : ToString (Fin n) := ⟨fun f => toString f.val⟩
protected def List.toString [ToString α] : List α → String
  | [] => "[]"
  | [x] => "[" ++ toString x ++ "]"
  | x :: xs => xs.foldl (fun s x => s ++ ", " ++ toString x) ("[" ++ toString x) ++ "]"
instance instToStringList [ToString α] : ToString (List α) := ⟨List.toString⟩
instance instToStringArray [ToString α] : ToString (Array α) := ⟨fun a => "#" ++ toString a.toList⟩
def addParenHeuristic (s : String) : String :=
  if "(".isPrefixOf s || "[".isPrefixOf s || "{".isPrefixOf s || "#[".isPrefixOf s then s
  else if !s.any Char.isWhitespace then s
  else "(" ++ s ++ ")"
instance instToStringOption [ToString α] : ToString (Option α) := ⟨fun
  | none => "none"
  | some a => "(some " ++ addParenHeuristic (toString a) ++ ")"⟩
instance instToStringSum [ToString α] [ToString β] : ToString (Sum α β) := ⟨fun
  | .inl a => "(inl " ++ addParenHeuristic (toString a) ++ ")"
  | .inr b => "(inr " ++ addParenHeuristic (toString b) ++ ")"⟩
instance instToStringProd [ToString α] [ToString β] : ToString (α × β) := ⟨fun (a, b) => "(" ++ toString a ++ ", " ++ toString b ++ ")"⟩
instance instToStringExcept [ToString ε] [ToString α] : ToString (Except ε α) := ⟨fun
  | .error e => "error: " ++ toString e
  | .ok a => "ok: " ++ toString a⟩
instance instToStringSubtype {p : α → Prop} [ToString α] : ToString (Subtype p) := ⟨fun s => toString s.val⟩

/-! ## Formats -/

namespace Std
inductive Format.FlattenBehavior where
  | allOrNone
  | fill
inductive Format where
  | nil : Format
  | line : Format
  | align (force : Bool) : Format
  | text : String → Format
  | nest (indent : Int) : Format → Format
  | append : Format → Format → Format
  | group : Format → (behavior : Format.FlattenBehavior := .allOrNone) → Format
  | tag : Nat → Format → Format
namespace Format
instance : Inhabited Format := ⟨.nil⟩
instance instAppend : Append Format := ⟨Format.append⟩
instance instCoeString : Coe String Format := ⟨text⟩
@[extern "x"] opaque pretty (f : Format) (width : Nat := 120) (indent : Nat := 0) (column := 0) : String
def join (xs : List Format) : Format := xs.foldl (· ++ ·) ""
def isNil : Format → Bool
  | nil => true
  | _ => false
def defWidth := 120
def defIndent := 2
def fill (f : Format) : Format := group f (behavior := .fill)
@[inline] def bracket (l : String) (x : Format) (r : String) : Format := group (nest l.length <| l ++ x ++ r)
@[inline] def paren (f : Format) : Format := bracket "(" f ")"
@[inline] def sbracket (f : Format) : Format := bracket "[" f "]"
@[inline] def bracketFill (l : String) (x : Format) (r : String) : Format := fill (nest l.length <| l ++ x ++ r)
def nestD (f : Format) : Format := nest defIndent f
def indentD (f : Format) : Format := nestD (Format.line ++ f)
end Format
class ToFormat (α : Type u) where
  format : α → Format
export ToFormat (format)
instance : ToFormat Format := ⟨id⟩
instance : ToFormat String := ⟨Format.text⟩
instance (priority := low) [ToString α] : ToFormat α := ⟨Format.text ∘ toString⟩
def Format.joinSep {α : Type u} [ToFormat α] : List α → Format → Format
  | [], _ => nil
  | [a], _ => format a
  | a :: as, sep => as.foldl (· ++ sep ++ format ·) (format a)
end Std
export Std (Format ToFormat format)
instance instToStringFormat : ToString Std.Format := ⟨fun f => f.pretty⟩

class Repr (α : Type u) where
  reprPrec : α → Nat → Std.Format
export Repr (reprPrec)
abbrev repr [Repr α] (a : α) : Std.Format := reprPrec a 0
abbrev reprStr [Repr α] (a : α) : String := (reprPrec a 0).pretty
abbrev reprArg [Repr α] (a : α) : Std.Format := reprPrec a 1024
class ReprAtom (α : Type u) where
class ReprTuple (α : Type u) where
  reprTuple : α → List Std.Format → List Std.Format
def Repr.addAppParen (f : Std.Format) (prec : Nat) : Std.Format := if prec >= 1024 then Std.Format.paren f else f
instance instReprId [Repr α] : Repr (Id α) := inferInstanceAs (Repr α)
instance instReprNat : Repr Nat := ⟨fun n _ => Nat.repr n⟩
instance instReprString : Repr String := ⟨fun s _ => s.quote⟩
instance LeanWorker.Prelude.reprSlice : Repr String.Slice := ⟨fun s _ => s.copy.quote ++ ".toSlice"⟩
instance instReprBool : Repr Bool := ⟨fun b _ => cond b "true" "false"⟩
instance instReprInt : Repr Int := ⟨fun i prec => if i < 0 then Repr.addAppParen (Int.repr i) prec else Int.repr i⟩
@[extern "x"] opaque Char.quote (c : Char) : String
instance instReprChar : Repr Char := ⟨fun c _ => c.quote⟩
@[extern "x"] opaque Float.repr (n : Float) (prec : Nat) : Std.Format
instance instReprFloat : Repr Float := ⟨Float.repr⟩
instance instReprUnit : Repr Unit := ⟨fun _ _ => "()"⟩
instance instReprPUnit : Repr PUnit := ⟨fun _ _ => "PUnit.unit"⟩
instance instReprUInt8 : Repr UInt8 := ⟨fun n _ => n.toNat.repr⟩
instance instReprUInt16 : Repr UInt16 := ⟨fun n _ => n.toNat.repr⟩
instance instReprUInt32 : Repr UInt32 := ⟨fun n _ => n.toNat.repr⟩
instance instReprUInt64 : Repr UInt64 := ⟨fun n _ => n.toNat.repr⟩
instance instReprUSize : Repr USize := ⟨fun n _ => n.toNat.repr⟩
instance instReprFin (n : Nat) : Repr (Fin n) := ⟨fun f _ => f.val.repr⟩
instance instReprDecidable {p : Prop} : Repr (Decidable p) := ⟨fun d prec => match d with
  | .isTrue _ => Repr.addAppParen "isTrue _" prec
  | .isFalse _ => Repr.addAppParen "isFalse _" prec⟩
instance instReprOption [Repr α] : Repr (Option α) := ⟨fun o prec => match o with
  | none => "none"
  | some a => Repr.addAppParen ("some " ++ reprArg a) prec⟩
instance instReprSum [Repr α] [Repr β] : Repr (Sum α β) := ⟨fun s prec => match s with
  | .inl a => Repr.addAppParen ("Sum.inl " ++ reprArg a) prec
  | .inr b => Repr.addAppParen ("Sum.inr " ++ reprArg b) prec⟩
instance instReprExcept [Repr ε] [Repr α] : Repr (Except ε α) := ⟨fun e prec => match e with
  | .error e => Repr.addAppParen ("Except.error " ++ reprArg e) prec
  | .ok a => Repr.addAppParen ("Except.ok " ++ reprArg a) prec⟩
instance instReprTupleOfRepr [Repr α] : ReprTuple α := ⟨fun a xs => repr a :: xs⟩
instance instReprTupleProdOfRepr [Repr α] [ReprTuple β] : ReprTuple (α × β) := ⟨fun (a, b) xs => ReprTuple.reprTuple b (repr a :: xs)⟩
instance instReprProdOfReprTuple [Repr α] [ReprTuple β] : Repr (α × β) := ⟨fun (a, b) _ =>
  Std.Format.bracket "(" (Std.Format.joinSep (ReprTuple.reprTuple b [repr a]).reverse ("," ++ Std.Format.line)) ")"⟩
instance instReprSubtype {p : α → Prop} [Repr α] : Repr (Subtype p) := ⟨fun s prec => reprPrec s.val prec⟩
protected def List.repr [Repr α] (a : List α) (_ : Nat) : Std.Format := match a with
  | [] => "[]"
  | as => Std.Format.bracket "[" (Std.Format.joinSep (as.map repr) ("," ++ Std.Format.line)) "]"
instance instReprList [Repr α] : Repr (List α) := ⟨List.repr⟩
protected def Array.repr' [Repr α] (a : Array α) : Std.Format :=
  if a.size == 0 then "#[]" else Std.Format.bracketFill "#[" (Std.Format.joinSep (a.toList.map repr) ("," ++ Std.Format.line)) "]"
instance Array.instRepr [Repr α] : Repr (Array α) := ⟨fun a _ => Array.repr' a⟩
