module

prelude
public import LeanWorker.Prelude.Lists
/-! Arrays, ranges, and loops over all of them. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w u₁ u₂ u₃

namespace Array
variable {α : Type u} {β : Type v} {γ : Type w}

@[extern "lean_array_fget"] def getInternal {α : Type u} (a : @& Array α) (i : @& Nat) (h : i < a.size) : α :=
  a.toList.get ⟨i, h⟩
@[extern "lean_array_fget_borrowed"] def getInternalBorrowed {α : Type u} (a : @& Array α) (i : @& Nat) (h : i < a.size) : α :=
  a.toList.get ⟨i, h⟩
@[inline] def getD (a : Array α) (i : Nat) (v₀ : α) : α := if h : i < a.size then a.getInternal i h else v₀
@[extern "lean_array_get"] def get!Internal {α : Type u} [Inhabited α] (a : @& Array α) (i : @& Nat) : α := a.getD i default
@[extern "lean_array_get_borrowed"] def get!InternalBorrowed {α : Type u} [Inhabited α] (a : @& Array α) (i : @& Nat) : α :=
  a.getD i default
instance instGetElemNatLtSize : GetElem (Array α) Nat α fun xs i => i < xs.size where
  getElem xs i h := xs.getInternal i h
instance instGetElem?NatLtSize : GetElem? (Array α) Nat α fun xs i => i < xs.size where
  getElem? xs i := decidableGetElem? xs i
  getElem! xs i := xs.get!Internal i
@[extern "lean_array_fset"] def set (xs : Array α) (i : @& Nat) (v : α) (h : i < xs.size := by get_elem_tactic) : Array α :=
  ⟨xs.toList.set i v⟩
@[inline] def setIfInBounds (xs : Array α) (i : Nat) (v : α) : Array α := ⟨xs.toList.set i v⟩
@[extern "lean_array_set"] def set! (xs : Array α) (i : @& Nat) (v : α) : Array α := ⟨xs.toList.set i v⟩
@[extern "lean_array_pop"] def pop (xs : Array α) : Array α := ⟨xs.toList.dropLast⟩
@[extern "lean_mk_array"] def replicate {α : Type u} (n : Nat) (v : α) : Array α := ⟨List.replicate n v⟩
@[inline] def singleton (v : α) : Array α := #[v]
def isEmpty (xs : Array α) : Bool := decide (xs.size = 0)
@[inline] def back? (xs : Array α) : Option α := xs[xs.size - 1]?
@[inline] def back! [Inhabited α] (xs : Array α) : α := xs[xs.size - 1]!
@[inline] def backD (xs : Array α) (d : α) : α := xs.getD (xs.size - 1) d
@[inline] def swapIfInBounds (xs : Array α) (i j : Nat) : Array α :=
  match xs[i]?, xs[j]? with
  | some a, some b => (xs.set! i b).set! j a
  | _, _ => xs

-- Loops go by index. The count runs down beside the index, so that they end by structure.
end Array

namespace LeanWorker.Prelude
@[specialize] def foldArray {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : β → α → m β) (xs : Array α) :
    (count i : Nat) → β → m β
  | 0, _, b => pure b
  | n+1, i, b => if h : i < xs.size then do foldArray f xs n (i+1) (← f b xs[i]) else pure b
@[specialize] def foldArrayDown {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : α → β → m β) (xs : Array α) :
    (count : Nat) → β → m β
  | 0, b => pure b
  | n+1, b => if h : n < xs.size then do foldArrayDown f xs n (← f xs[n] b) else foldArrayDown f xs n b
@[specialize] def forArray {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (xs : Array α)
    (f : α → β → m (ForInStep β)) : (count i : Nat) → β → m β
  | 0, _, b => pure b
  | n+1, i, b =>
    if h : i < xs.size then do
      match ← f xs[i] b with
      | .done b => pure b
      | .yield b => forArray xs f n (i+1) b
    else pure b
@[specialize] def forList {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : α → β → m (ForInStep β)) :
    List α → β → m β
  | [], b => pure b
  | a :: rest, b => do
    match ← f a b with
    | .done b => pure b
    | .yield b => forList f rest b
@[specialize] def forListMem {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (all : List α)
    (f : (a : α) → a ∈ all → β → m (ForInStep β)) : (rest : List α) → (∀ a, a ∈ rest → a ∈ all) → β → m β
  | [], _, b => pure b
  | a :: rest, h, b => do
    match ← f a (h a (.head rest)) b with
    | .done b => pure b
    | .yield b => forListMem all f rest (fun x hx => h x (.tail a hx)) b
end LeanWorker.Prelude

namespace Array
open LeanWorker.Prelude
variable {α : Type u} {β : Type v} {γ : Type w}

@[inline] def foldlM {α : Type u} {β : Type v} {m : Type v → Type w} [Monad m] (f : β → α → m β) (init : β) (as : Array α)
    (start := 0) (stop := as.size) : m β := foldArray f as (min stop as.size - start) start init
@[inline] def foldl {α : Type u} {β : Type v} (f : β → α → β) (init : β) (as : Array α) (start := 0) (stop := as.size) : β :=
  Id.run <| as.foldlM (pure <| f · ·) init start stop
@[inline] def foldrM {α : Type u} {β : Type v} {m : Type v → Type w} [Monad m] (f : α → β → m β) (init : β) (as : Array α)
    (start := as.size) (stop := 0) : m β := foldArrayDown f as start init
@[inline] def foldr {α : Type u} {β : Type v} (f : α → β → β) (init : β) (as : Array α) (start := as.size) (stop := 0) : β :=
  Id.run <| as.foldrM (pure <| f · ·) init start stop
@[inline] def mapM {α : Type u} {β : Type v} {m : Type v → Type w} [Monad m] (f : α → m β) (as : Array α) : m (Array β) :=
  as.foldlM (fun bs a => do return bs.push (← f a)) (mkEmpty as.size)
@[inline] def map {α : Type u} {β : Type v} (f : α → β) (as : Array α) : Array β := Id.run <| as.mapM (pure <| f ·)
instance instFunctor : Functor Array where map := map
@[inline] def mapIdxM {α : Type u} {β : Type v} {m : Type v → Type w} [Monad m] (f : Nat → α → m β) (as : Array α) : m (Array β) :=
  as.foldlM (fun bs a => do return bs.push (← f bs.size a)) (mkEmpty as.size)
@[inline] def mapIdx {α : Type u} {β : Type v} (f : Nat → α → β) (as : Array α) : Array β := Id.run <| as.mapIdxM (pure <| f · ·)
@[inline] def filter (p : α → Bool) (as : Array α) (start := 0) (stop := as.size) : Array α :=
  as.foldl (init := #[]) (start := start) (stop := stop) fun acc a => if p a then acc.push a else acc
@[inline] def filterM {m : Type → Type u} {α : Type} [Monad m] (p : α → m Bool) (as : Array α) (start := 0) (stop := as.size) :
    m (Array α) := as.foldlM (init := #[]) (start := start) (stop := stop) fun acc a => do if (← p a) then return acc.push a else return acc
@[inline] def filterMap (f : α → Option β) (as : Array α) (start := 0) (stop := as.size) : Array β :=
  as.foldl (init := #[]) (start := start) (stop := stop) fun acc a => match f a with | some b => acc.push b | none => acc
@[inline] def filterMapM {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : α → m (Option β)) (as : Array α)
    (start := 0) (stop := as.size) : m (Array β) :=
  as.foldlM (init := #[]) (start := start) (stop := stop) fun acc a => do match ← f a with | some b => return acc.push b | none => return acc
@[inline] protected def forM {α : Type u} {m : Type v → Type w} [Monad m] (f : α → m PUnit) (as : Array α) (start := 0)
    (stop := as.size) : m PUnit := as.foldlM (fun _ => f) ⟨⟩ start stop
instance instForMOfMonad {m : Type u → Type v} [Monad m] {α : Type w} : ForM m (Array α) α where
  forM xs f := Array.forM f xs
@[inline] def any (as : Array α) (p : α → Bool) (start := 0) (stop := as.size) : Bool := as.toList.any p
@[inline] def all (as : Array α) (p : α → Bool) (start := 0) (stop := as.size) : Bool := as.toList.all p
@[inline] def anyM {m : Type → Type w} [Monad m] (p : α → m Bool) (as : Array α) (start := 0) (stop := as.size) : m Bool := as.toList.anyM p
@[inline] def allM {m : Type → Type w} [Monad m] (p : α → m Bool) (as : Array α) (start := 0) (stop := as.size) : m Bool := as.toList.allM p
@[inline] def find? (p : α → Bool) (as : Array α) : Option α := as.toList.find? p
@[inline] def findSome? (f : α → Option β) (as : Array α) : Option β := as.toList.findSome? f
@[inline] def findIdx? (p : α → Bool) (as : Array α) : Option Nat := as.toList.findIdx? p
@[inline] def findIdx (p : α → Bool) (as : Array α) : Nat := as.toList.findIdx p
@[inline] def idxOf? [BEq α] (xs : Array α) (v : α) : Option Nat := xs.toList.idxOf? v
@[inline] def idxOf [BEq α] (a : α) (xs : Array α) : Nat := xs.toList.idxOf a
@[inline] def contains [BEq α] (as : Array α) (a : α) : Bool := as.toList.elem a
@[inline] def elem [BEq α] (a : α) (as : Array α) : Bool := as.toList.elem a
@[inline] def countP (p : α → Bool) (as : Array α) : Nat := as.foldl (fun n a => if p a then n + 1 else n) 0
@[inline] def count [BEq α] (a : α) (as : Array α) : Nat := as.countP (· == a)
protected def append (as bs : Array α) : Array α := bs.foldl (init := as) fun xs v => xs.push v
instance instAppend : Append (Array α) := ⟨Array.append⟩
protected def appendList (as : Array α) (bs : List α) : Array α := bs.foldl (init := as) fun xs v => xs.push v
instance instHAppendList : HAppend (Array α) (List α) (Array α) := ⟨Array.appendList⟩
@[inline] def flatten (xss : Array (Array α)) : Array α := xss.foldl (init := #[]) fun acc xs => acc ++ xs
@[inline] def flatMap (f : α → Array β) (as : Array α) : Array β := as.foldl (init := #[]) fun acc a => acc ++ f a
@[inline] def flatMapM {m : Type v → Type w} [Monad m] (f : α → m (Array β)) (as : Array α) : m (Array β) :=
  as.foldlM (init := #[]) fun acc a => do return acc ++ (← f a)
@[inline] def reverse (as : Array α) : Array α := ⟨as.toList.reverse⟩
@[inline] def toListRev (as : Array α) : List α := as.toList.reverse
@[inline] def extract (as : Array α) (start : Nat := 0) (stop : Nat := as.size) : Array α :=
  ⟨(as.toList.take stop).drop start⟩
@[inline] def take (xs : Array α) (i : Nat) : Array α := xs.extract 0 i
@[inline] def drop (xs : Array α) (i : Nat) : Array α := xs.extract i xs.size
@[inline] def takeWhile (p : α → Bool) (as : Array α) : Array α := ⟨as.toList.takeWhile p⟩
@[inline] def popWhile (p : α → Bool) (as : Array α) : Array α := ⟨(as.toList.reverse.dropWhile p).reverse⟩
@[inline] def zipWith (f : α → β → γ) (as : Array α) (bs : Array β) : Array γ := ⟨List.zipWith f as.toList bs.toList⟩
@[inline] def zip (as : Array α) (bs : Array β) : Array (α × β) := zipWith Prod.mk as bs
@[inline] def unzip (as : Array (α × β)) : Array α × Array β := (as.map (·.1), as.map (·.2))
@[inline] def zipIdx (xs : Array α) (start := 0) : Array (α × Nat) := ⟨xs.toList.zipIdx start⟩
@[inline] def partition (p : α → Bool) (as : Array α) : Array α × Array α := (as.filter p, as.filter fun a => !p a)
@[inline] def modify (xs : Array α) (i : Nat) (f : α → α) : Array α := match xs[i]? with
  | some a => xs.set! i (f a)
  | none => xs
@[inline] def range (n : Nat) : Array Nat := ⟨List.range n⟩
@[inline] def range' (start size : Nat) (step : Nat := 1) : Array Nat := ⟨List.range' start size step⟩
@[inline] def ofFn {n : Nat} (f : Fin n → α) : Array α := (List.range n).foldl (init := mkEmpty n) fun acc i =>
  if h : i < n then acc.push (f ⟨i, h⟩) else acc
@[inline] def insertIdx! (as : Array α) (i : Nat) (a : α) : Array α := ⟨as.toList.insertIdx i a⟩
@[inline] def insertIdxIfInBounds (as : Array α) (i : Nat) (a : α) : Array α :=
  if i ≤ as.size then ⟨as.toList.insertIdx i a⟩ else as
@[inline] def eraseIdx! (as : Array α) (i : Nat) : Array α := ⟨as.toList.eraseIdx i⟩
@[inline] def eraseIdxIfInBounds (as : Array α) (i : Nat) : Array α := ⟨as.toList.eraseIdx i⟩
@[inline] protected def erase [BEq α] (as : Array α) (a : α) : Array α := ⟨as.toList.erase a⟩
@[inline] def eraseReps [BEq α] (as : Array α) : Array α :=
  as.foldl (init := #[]) fun acc a => if acc.back? == some a then acc else acc.push a
@[inline] def sum [Add α] [Zero α] (as : Array α) : α := as.foldr (· + ·) 0
@[inline] def max? [Max α] (as : Array α) : Option α := as.toList.max?
@[inline] def min? [Min α] (as : Array α) : Option α := as.toList.min?
@[inline] def getMax? (as : Array α) (lt : α → α → Bool) : Option α := as.toList.foldl (init := none) fun
  | none, a => some a
  | some b, a => some (if lt b a then a else b)
@[inline] def qsort (as : Array α) (lt : α → α → Bool := by exact (· < ·)) (lo := 0) (hi := as.size - 1) : Array α :=
  let before := as.toList.take lo
  let sorted := ((as.toList.take (hi + 1)).drop lo).mergeSort fun a b => !lt b a
  ⟨before ++ sorted ++ as.toList.drop (hi + 1)⟩
@[inline] def mergeSort (xs : Array α) (le : α → α → Bool := by exact fun a b => a ≤ b) : Array α := ⟨xs.toList.mergeSort le⟩
@[inline] def insertionSort (xs : Array α) (lt : α → α → Bool := by exact (· < ·)) : Array α :=
  ⟨xs.toList.mergeSort fun a b => !lt b a⟩
@[inline] def binSearch {α : Type} (as : Array α) (k : α) (lt : α → α → Bool) (lo := 0) (hi := as.size - 1) : Option α :=
  as.find? fun a => !lt a k && !lt k a
instance instBEq [BEq α] : BEq (Array α) := ⟨fun a b => a.toList == b.toList⟩
instance instDecidableEq [DecidableEq α] : DecidableEq (Array α) := fun a b =>
  match decEq a.toList b.toList with
  | isTrue h => isTrue (ext_toList h)
  | isFalse n => isFalse fun h => n (congrArg toList h)
structure Mem (as : Array α) (a : α) : Prop where
  val : a ∈ as.toList
instance instMembership : Membership α (Array α) := ⟨Mem⟩
instance instEmptyCollection : EmptyCollection (Array α) := ⟨Array.empty⟩
end Array
instance List.instEmptyCollection {α : Type u} : EmptyCollection (List α) := ⟨List.nil⟩

open LeanWorker.Prelude in
instance LeanWorker.Prelude.forInArray {m : Type u → Type v} [Monad m] {α : Type w} : ForIn m (Array α) α where
  forIn xs b f := forArray xs f xs.size 0 b
open LeanWorker.Prelude in
instance Array.instForIn'InferInstanceMembershipOfMonad {m : Type u → Type v} [Monad m] {α : Type w} :
    ForIn' m (Array α) α Array.instMembership where
  forIn' xs b f := forListMem xs.toList (fun a h => f a ⟨h⟩) xs.toList (fun _ h => h) b
open LeanWorker.Prelude in
instance LeanWorker.Prelude.forInList {m : Type u → Type v} [Monad m] {α : Type w} : ForIn m (List α) α where
  forIn xs b f := forList f xs b
open LeanWorker.Prelude in
instance List.instForIn'InferInstanceMembershipOfMonad {m : Type u → Type v} [Monad m] {α : Type w} :
    ForIn' m (List α) α List.instMembership where
  forIn' xs b f := forListMem xs f xs (fun _ h => h) b

/-! ## Ranges and endless loops -/

structure Std.Legacy.Range where
  start : Nat := 0
  stop : Nat
  step : Nat := 1
  step_pos : 0 < step
instance Std.Legacy.Range.instMembership : Membership Nat Std.Legacy.Range where
  mem r i := r.start ≤ i ∧ i < r.stop ∧ (i - r.start) % r.step = 0
@[inline] def Std.Legacy.Range.size (r : Std.Legacy.Range) : Nat := (r.stop - r.start + r.step - 1) / r.step
namespace LeanWorker.Prelude
@[specialize] def forRange {m : Type u → Type v} [Monad m] {β : Type u} (f : Nat → β → m (ForInStep β)) (step : Nat) :
    (count i : Nat) → β → m β
  | 0, _, b => pure b
  | n+1, i, b => do
    match ← f i b with
    | .done b => pure b
    | .yield b => forRange f step n (i + step) b
instance forInRange {m : Type u → Type v} [Monad m] : ForIn m Std.Legacy.Range Nat where
  forIn r b f := forRange f r.step r.size r.start b
@[specialize] def forRangeMem {m : Type u → Type v} [Monad m] {β : Type u} (r : Std.Legacy.Range)
    (f : (i : Nat) → i ∈ r → β → m (ForInStep β)) : (count i : Nat) → β → m β
  | 0, _, b => pure b
  | n+1, i, b =>
    if h : r.start ≤ i ∧ i < r.stop ∧ (i - r.start) % r.step = 0 then do
      match ← f i h b with
      | .done b => pure b
      | .yield b => forRangeMem r f n (i + r.step) b
    else pure b
end LeanWorker.Prelude
instance Std.Legacy.Range.instForIn'NatInferInstanceMembershipOfMonad {m : Type u → Type v} [Monad m] :
    ForIn' m Std.Legacy.Range Nat Std.Legacy.Range.instMembership where
  forIn' r b f := LeanWorker.Prelude.forRangeMem r f r.size r.start b
@[inline] protected def Std.Legacy.Range.forM {m : Type u → Type v} [Monad m] (range : Std.Legacy.Range) (f : Nat → m PUnit) : m PUnit :=
  LeanWorker.Prelude.forRange (fun i _ => do f i; return .yield ⟨⟩) range.step range.size range.start ⟨⟩
instance Std.Legacy.Range.instForMNatOfMonad {m : Type u → Type v} [Monad m] : ForM m Std.Legacy.Range Nat := ⟨Std.Legacy.Range.forM⟩

inductive Lean.Loop where
  | mk
namespace LeanWorker.Prelude
@[specialize] partial def forever {m : Type u → Type v} [Monad m] {β : Type u} [Nonempty (m β)] (f : Unit → β → m (ForInStep β))
    (b : β) : m β := do
  match ← f () b with
  | .done b => pure b
  | .yield b => forever f b
instance forInLoop {m : Type u → Type v} [Monad m] : ForIn m Lean.Loop Unit where
  forIn _ b f := @forever _ _ _ ⟨pure b⟩ f b
end LeanWorker.Prelude

-- The elaborator of `do` names this matcher itself.
@[reducible] def Break.runK.match_1.{u_1, u_2} {α : Type u_1} (motive : Option α → Sort u_2) (x : Option α)
    (onSome : (a : α) → motive (some a)) (onNone : Unit → motive none) : motive x :=
  Option.casesOn (motive := motive) x (onNone ()) onSome

/-! ## Counting functions -/

@[inline] def Nat.fold {α : Type u} (n : Nat) (f : (i : Nat) → i < n → α → α) (init : α) : α := go n (Nat.le_refl n)
where
  go : (k : Nat) → k ≤ n → α
  | 0, _ => init
  | k+1, h => f k h (go k (Nat.le_of_lt h))
@[inline] def Nat.forM {m : Type → Type u} [Monad m] (n : Nat) (f : (i : Nat) → i < n → m Unit) : m Unit := go n (Nat.le_refl n)
where
  go : (k : Nat) → k ≤ n → m Unit
  | 0, _ => pure ()
  | k+1, h => do go k (Nat.le_of_lt h); f k h
@[specialize] def Nat.repeat {α : Type u} (f : α → α) : (n : Nat) → (a : α) → α
  | 0, a => a
  | n+1, a => f (Nat.repeat f n a)
@[inline] def Nat.all (n : Nat) (f : (i : Nat) → i < n → Bool) : Bool := n.fold (fun i h b => b && f i h) true
@[inline] def Nat.any (n : Nat) (f : (i : Nat) → i < n → Bool) : Bool := n.fold (fun i h b => b || f i h) false
