module

prelude
public import LeanWorker.Prelude.Monads
/-! Lists, arrays, options and pairs: element access, loops and the usual functions. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w u₁ u₂ u₃

/-! ## Comparison -/

instance instBEqProd [BEq α] [BEq β] : BEq (α × β) where beq := fun (a₁, b₁) (a₂, b₂) => a₁ == a₂ && b₁ == b₂
instance instDecidableEqProd [DecidableEq α] [DecidableEq β] : DecidableEq (α × β)
  | (a, b), (a', b') =>
    match decEq a a', decEq b b' with
    | isTrue h₁, isTrue h₂ => isTrue (h₁ ▸ h₂ ▸ rfl)
    | isFalse n, _ => isFalse fun h => n (congrArg Prod.fst h)
    | _, isFalse n => isFalse fun h => n (congrArg Prod.snd h)
instance instDecidableEqPUnit : DecidableEq PUnit := fun ⟨⟩ ⟨⟩ => isTrue rfl
instance instBEqOption [BEq α] : BEq (Option α) where
  beq
    | none, none => true
    | some a, some b => a == b
    | _, _ => false
instance Option.instDecidableEq [DecidableEq α] : DecidableEq (Option α)
  | none, none => isTrue rfl
  | some a, some b => match decEq a b with
    | isTrue h => isTrue (h ▸ rfl)
    | isFalse n => isFalse fun h => n (congrArg (fun o => o.getD a) h)
  | none, some _ => isFalse fun h => nomatch h
  | some _, none => isFalse fun h => nomatch h

/-! ## Element access -/

class GetElem (coll : Type u) (idx : Type v) (elem : outParam (Type w)) (valid : outParam (coll → idx → Prop)) where
  getElem (xs : coll) (i : idx) (h : valid xs i) : elem
export GetElem (getElem)
class GetElem? (coll : Type u) (idx : Type v) (elem : outParam (Type w)) (valid : outParam (coll → idx → Prop))
    extends GetElem coll idx elem valid where
  getElem? : coll → idx → Option elem
  getElem! [Inhabited elem] (xs : coll) (i : idx) : elem := match getElem? xs i with
    | some e => e
    | none => default
export GetElem? (getElem? getElem!)
@[inline] def decidableGetElem? [GetElem coll idx elem valid] (xs : coll) (i : idx) [Decidable (valid xs i)] : Option elem :=
  if h : valid xs i then some xs[i] else none
/-- Prints `message` and ends the process: a worker runs with LEAN_ABORT_ON_PANIC. -/
@[extern "lean_panic_fn"] def panicCore {α : Sort u} [Inhabited α] (msg : String) : α := default
@[noinline, never_extract] def panic {α : Sort u} [Inhabited α] (msg : String) : α := panicCore msg
@[noinline, never_extract, inline] def mkPanicMessage (modName : String) (line col : Nat) (msg : String) : String :=
  "PANIC at " ++ modName ++ ":" ++ Nat.reprFast line ++ ":" ++ Nat.reprFast col ++ ": " ++ msg
@[never_extract, inline] def mkPanicMessageWithDecl (modName declName : String) (line col : Nat) (msg : String) : String :=
  "PANIC at " ++ declName ++ " " ++ modName ++ ":" ++ Nat.reprFast line ++ ":" ++ Nat.reprFast col ++ ": " ++ msg
@[never_extract, inline] def panicWithPos {α : Sort u} [Inhabited α] (modName : String) (line col : Nat) (msg : String) : α :=
  panic (mkPanicMessage modName line col msg)
@[never_extract, inline] def panicWithPosWithDecl {α : Sort u} [Inhabited α] (modName declName : String) (line col : Nat)
    (msg : String) : α := panic (mkPanicMessageWithDecl modName declName line col msg)
@[never_extract, inline] def outOfBounds [Inhabited α] : α := panic! "index out of bounds"

/-! ## Options -/

namespace Option
@[inline] def isSome : Option α → Bool
  | some _ => true
  | none => false
@[inline] def isNone : Option α → Bool
  | some _ => false
  | none => true
@[inline] protected def elim : Option α → β → (α → β) → β
  | some x, _, f => f x
  | none, y, _ => y
@[inline] def get {α : Type u} : (o : Option α) → isSome o = true → α
  | some x, _ => x
@[inline] def get! {α : Type u} [Inhabited α] : Option α → α
  | some x => x
  | none => panic! "value is none"
@[always_inline, inline] protected def filter (p : α → Bool) : Option α → Option α
  | some a => if p a then some a else none
  | none => none
@[always_inline, inline] protected def all (p : α → Bool) : Option α → Bool
  | some a => p a
  | none => true
@[always_inline, inline] protected def any (p : α → Bool) : Option α → Bool
  | some a => p a
  | none => false
@[inline] def join (x : Option (Option α)) : Option α := x.bind id
@[inline] def toList : Option α → List α
  | none => .nil
  | some a => .cons a .nil
@[inline] def toArray (o : Option α) : Array α := match o with
  | none => .empty
  | some a => Array.empty.push a
@[inline] def getDM [Monad m] (x : Option α) (y : m α) : m α := match x with
  | some a => pure a
  | none => y
@[inline] def getM [Alternative m] : Option α → m α
  | none => failure
  | some a => pure a
@[inline] protected def mapM [Applicative m] (f : α → m β) : Option α → m (Option β)
  | none => pure none
  | some x => some <$> f x
@[inline] def toExcept (e : ε) : Option α → Except ε α
  | some a => .ok a
  | none => .error e
instance instMembership : Membership α (Option α) := ⟨fun b a => b = some a⟩
end Option

/-! ## Lists -/

namespace List
variable {α : Type u} {β : Type v} {γ : Type w}

inductive Mem (a : α) : List α → Prop where
  | head (as : List α) : Mem a (a :: as)
  | tail (b : α) {as : List α} : Mem a as → Mem a (b :: as)
instance instMembership : Membership α (List α) := ⟨fun l a => Mem a l⟩
theorem mem_nil_absurd (a : α) (h : a ∈ ([] : List α)) : False := nomatch h
theorem mem_cons_self' {a : α} {l : List α} : a ∈ a :: l := Mem.head l
theorem mem_cons_of_mem (y : α) {a : α} {l : List α} (h : a ∈ l) : a ∈ y :: l := Mem.tail y h

def get : (as : List α) → Fin as.length → α
  | nil, ⟨i, h⟩ => absurd h (Nat.not_lt_zero i)
  | cons a _, ⟨0, _⟩ => a
  | cons _ as, ⟨Nat.succ i, h⟩ => get as ⟨i, Nat.le_of_succ_le_succ h⟩
instance instGetElemNatLtLength : GetElem (List α) Nat α fun as i => i < as.length where
  getElem as i h := as.get ⟨i, h⟩
def getInternal? : List α → Nat → Option α
  | a :: _, 0 => some a
  | _ :: as, n+1 => getInternal? as n
  | [], _ => none
instance instGetElem?NatLtLength : GetElem? (List α) Nat α fun as i => i < as.length where
  getElem? as i := getInternal? as i
  getElem! as i := match getInternal? as i with
    | some a => a
    | none => outOfBounds
def getD (as : List α) (i : Nat) (fallback : α) : α := (as[i]?).getD fallback
def head : (as : List α) → as ≠ [] → α
  | a :: _, _ => a
def head? : List α → Option α
  | [] => none
  | a :: _ => some a
def headD : (as : List α) → (fallback : α) → α
  | [], a => a
  | a :: _, _ => a
def head! [Inhabited α] : List α → α
  | [] => panic! "empty list"
  | a :: _ => a
def tail : List α → List α
  | [] => []
  | _ :: as => as
def tail? : List α → Option (List α)
  | [] => none
  | _ :: as => some as
def tail! : List α → List α
  | [] => panic! "empty list"
  | _ :: as => as
def getLast : (as : List α) → as ≠ [] → α
  | [a], _ => a
  | _ :: b :: as, _ => getLast (b :: as) (fun h => nomatch h)
def getLast? : List α → Option α
  | [] => none
  | a :: as => some (getLast (a :: as) fun h => nomatch h)
def getLastD : (as : List α) → (fallback : α) → α
  | [], a => a
  | a :: as, _ => getLast (a :: as) fun h => nomatch h
def getLast! [Inhabited α] : List α → α
  | [] => panic! "empty list"
  | a :: as => getLast (a :: as) fun h => nomatch h
def isEmpty : List α → Bool
  | [] => true
  | _ :: _ => false
@[specialize] def map (f : α → β) : (l : List α) → List β
  | [] => []
  | a :: as => f a :: map f as
def filter (p : α → Bool) : (l : List α) → List α
  | [] => []
  | a :: as => match p a with
    | true => a :: filter p as
    | false => filter p as
@[specialize] def filterMap (f : α → Option β) : List α → List β
  | [] => []
  | a :: l => match f a with
    | none => filterMap f l
    | some b => b :: filterMap f l
@[specialize] def foldr (f : α → β → β) (init : β) : (l : List α) → β
  | [] => init
  | a :: l => f a (foldr f init l)
def reverseAux : List α → List α → List α
  | [], r => r
  | a :: l, r => reverseAux l (a :: r)
def reverse (as : List α) : List α := reverseAux as []
def flatten : List (List α) → List α
  | [] => []
  | l :: L => l ++ flatten L
@[inline] def flatMap {α : Type u} {β : Type v} (b : α → List β) (as : List α) : List β := flatten (map b as)
def replicate : (n : Nat) → (a : α) → List α
  | 0, _ => []
  | n+1, a => a :: replicate n a
def take : (n : Nat) → (xs : List α) → List α
  | 0, _ => []
  | _+1, [] => []
  | n+1, a :: as => a :: take n as
def drop : (n : Nat) → (xs : List α) → List α
  | 0, xs => xs
  | _+1, [] => []
  | n+1, _ :: as => drop n as
def takeWhile (p : α → Bool) : (xs : List α) → List α
  | [] => []
  | a :: as => match p a with
    | true => a :: takeWhile p as
    | false => []
def dropWhile (p : α → Bool) : List α → List α
  | [] => []
  | a :: l => match p a with
    | true => dropWhile p l
    | false => a :: l
def dropLast : List α → List α
  | [] => []
  | [_] => []
  | a :: as => a :: dropLast as
@[inline] def splitAt (n : Nat) (l : List α) : List α × List α := (l.take n, l.drop n)
@[inline] def span (p : α → Bool) (as : List α) : List α × List α := (as.takeWhile p, as.dropWhile p)
@[inline] def partition (p : α → Bool) (as : List α) : List α × List α := (as.filter p, as.filter fun a => !p a)
def all : List α → (α → Bool) → Bool
  | [], _ => true
  | h :: t, p => p h && all t p
def any : (l : List α) → (p : α → Bool) → Bool
  | [], _ => false
  | h :: t, p => p h || any t p
def or (bs : List Bool) : Bool := bs.any id
def and (bs : List Bool) : Bool := bs.all id
def elem [BEq α] (a : α) : (l : List α) → Bool
  | [] => false
  | b :: bs => match a == b with
    | true => true
    | false => elem a bs
@[inline] def contains [BEq α] (as : List α) (a : α) : Bool := elem a as
def find? (p : α → Bool) : List α → Option α
  | [] => none
  | a :: as => match p a with
    | true => some a
    | false => find? p as
def findSome? (f : α → Option β) : List α → Option β
  | [] => none
  | a :: as => match f a with
    | some b => some b
    | none => findSome? f as
@[inline] def findIdx (p : α → Bool) (l : List α) : Nat := go l 0
where
  @[specialize] go : List α → Nat → Nat
  | [], n => n
  | a :: l, n => bif p a then n else go l (n + 1)
def findIdx? (p : α → Bool) (l : List α) : Option Nat := go l 0
where
  go : List α → Nat → Option Nat
  | [], _ => none
  | a :: l, i => if p a then some i else go l (i + 1)
def idxOf [BEq α] (a : α) : List α → Nat := findIdx (· == a)
def idxOf? [BEq α] (a : α) : List α → Option Nat := findIdx? (· == a)
@[inline] def countP (p : α → Bool) (l : List α) : Nat := go l 0
where
  @[specialize] go : List α → Nat → Nat
  | [], acc => acc
  | x :: xs, acc => bif p x then go xs (acc + 1) else go xs acc
@[inline] def count [BEq α] (a : α) : List α → Nat := countP (· == a)
@[specialize] def zipWith (f : α → β → γ) : (xs : List α) → (ys : List β) → List γ
  | x :: xs, y :: ys => f x y :: zipWith f xs ys
  | _, _ => []
def zip : List α → List β → List (Prod α β) := zipWith Prod.mk
def unzip : (l : List (α × β)) → List α × List β
  | [] => ([], [])
  | (a, b) :: t => match unzip t with
    | (as, bs) => (a :: as, b :: bs)
def zipIdx : (l : List α) → (n : Nat := 0) → List (α × Nat)
  | [], _ => []
  | x :: xs, n => (x, n) :: zipIdx xs (n + 1)
def range (n : Nat) : List Nat := loop n []
where
  loop : Nat → List Nat → List Nat
  | 0, acc => acc
  | n+1, acc => loop n (n :: acc)
def range' : (start len : Nat) → (step : Nat := 1) → List Nat
  | _, 0, _ => []
  | s, n+1, step => s :: range' (s+step) n step
def set : (l : List α) → (n : Nat) → (a : α) → List α
  | cons _ as, 0, b => cons b as
  | cons a as, Nat.succ n, b => cons a (set as n b)
  | nil, _, _ => nil
def modifyHead (f : α → α) : List α → List α
  | [] => []
  | a :: l => f a :: l
def eraseIdx : (l : List α) → (i : Nat) → List α
  | [], _ => []
  | _ :: as, 0 => as
  | a :: as, n+1 => a :: eraseIdx as n
protected def erase [BEq α] : List α → α → List α
  | [], _ => []
  | a :: as, b => match a == b with
    | true => as
    | false => a :: List.erase as b
def eraseP (p : α → Bool) : List α → List α
  | [] => []
  | a :: l => bif p a then l else a :: eraseP p l
def replace [BEq α] : (l : List α) → (a b : α) → List α
  | [], _, _ => []
  | a :: as, b, c => match b == a with
    | true => c :: as
    | false => a :: replace as b c
@[inline] def insert [BEq α] (a : α) (l : List α) : List α := if l.elem a then l else a :: l
def insertIdx (xs : List α) (i : Nat) (a : α) : List α := xs.take i ++ a :: xs.drop i
def intersperse (sep : α) : (l : List α) → List α
  | [] => []
  | [x] => [x]
  | x :: xs => x :: sep :: intersperse sep xs
@[inline] def intercalate (sep : List α) (xs : List (List α)) : List α := flatten (intersperse sep xs)
def lookup [BEq α] : α → List (α × β) → Option β
  | _, [] => none
  | a, (k, b) :: as => match a == k with
    | true => some b
    | false => lookup a as
def isPrefixOf [BEq α] : List α → List α → Bool
  | [], _ => true
  | _, [] => false
  | a :: as, b :: bs => a == b && isPrefixOf as bs
def isSuffixOf [BEq α] (l₁ l₂ : List α) : Bool := isPrefixOf l₁.reverse l₂.reverse
protected def beq [BEq α] : List α → List α → Bool
  | [], [] => true
  | a :: as, b :: bs => a == b && List.beq as bs
  | _, _ => false
instance instBEq [BEq α] : BEq (List α) := ⟨List.beq⟩
@[inline] def eraseDups [BEq α] (as : List α) : List α := loop as []
where
  loop : List α → List α → List α
  | [], bs => bs.reverse
  | a :: as, bs => match bs.elem a with
    | true => loop as bs
    | false => loop as (a :: bs)
def sum [Add α] [Zero α] : List α → α := foldr (· + ·) 0
def max? [Max α] : List α → Option α
  | [] => none
  | a :: as => some <| as.foldl max a
def min? [Min α] : List α → Option α
  | [] => none
  | a :: as => some <| as.foldl min a
def rotateLeft (xs : List α) (i : Nat := 1) : List α :=
  if xs.length ≤ 1 then xs else let i := i % xs.length; xs.drop i ++ xs.take i
@[inline] def iterate (f : α → α) (a : α) : (n : Nat) → List α
  | 0 => []
  | n+1 => a :: iterate f (f a) n
def merge (xs ys : List α) (le : α → α → Bool) : List α := go (xs.length + ys.length) xs ys
where
  go : Nat → List α → List α → List α
  | 0, xs, _ => xs
  | _, [], ys => ys
  | _, xs, [] => xs
  | n+1, x :: xs, y :: ys => if le x y then x :: go n xs (y :: ys) else y :: go n (x :: xs) ys
def mergeSortGo (le : α → α → Bool) : Nat → List α → List α
  | _, [] => []
  | _, [x] => [x]
  | 0, xs => xs
  | n+1, xs => let h := (xs.length + 1) / 2; merge (mergeSortGo le n (xs.take h)) (mergeSortGo le n (xs.drop h)) le
@[inline] def mergeSort (xs : List α) (le : α → α → Bool := by exact fun a b => a ≤ b) : List α := mergeSortGo le xs.length xs
@[specialize] def splitBy (R : α → α → Bool) : List α → List (List α)
  | [] => []
  | a :: as => loop as a [] []
where
  @[specialize] loop : List α → α → List α → List (List α) → List (List α)
  | a :: as, ag, g, gs => match R ag a with
    | true => loop as a (ag :: g) gs
    | false => loop as a [] ((ag :: g).reverse :: gs)
  | [], ag, g, gs => ((ag :: g).reverse :: gs).reverse

/-! Loops in a monad. -/

@[specialize] protected def forM {m : Type u → Type v} [Monad m] {α : Type w} (as : List α) (f : α → m PUnit) : m PUnit :=
  match as with
  | [] => pure ⟨⟩
  | a :: as => do f a; List.forM as f
@[specialize] def mapM' {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : α → m β) : List α → m (List β)
  | [] => pure []
  | a :: l => do return (← f a) :: (← mapM' f l)
@[inline] def mapM {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : α → m β) (as : List α) : m (List β) :=
  loop as []
where
  @[specialize] loop : List α → List β → m (List β)
  | [], bs => pure bs.reverse
  | a :: as, bs => do loop as ((← f a) :: bs)
@[specialize] protected def foldlM {m : Type u → Type v} [Monad m] {s : Type u} {α : Type w} (f : s → α → m s) (init : s) :
    List α → m s
  | [] => pure init
  | a :: as => do List.foldlM f (← f init a) as
@[inline] def foldrM {m : Type u → Type v} [Monad m] {s : Type u} {α : Type w} (f : α → s → m s) (init : s) (l : List α) : m s :=
  l.reverse.foldlM (fun s a => f a s) init
@[inline] def filterM {m : Type → Type v} [Monad m] {α : Type} (p : α → m Bool) (as : List α) : m (List α) := do
  return (← as.foldlM (fun acc a => do return if (← p a) then a :: acc else acc) []).reverse
@[inline] def filterMapM {m : Type u → Type v} [Monad m] {α : Type w} {β : Type u} (f : α → m (Option β)) (as : List α) :
    m (List β) := do
  return (← as.foldlM (fun (acc : List β) a => do return match ← f a with | some b => b :: acc | none => acc) []).reverse
def anyM {m : Type → Type u} [Monad m] {α : Type v} (p : α → m Bool) : (l : List α) → m Bool
  | [] => pure false
  | a :: as => do match (← p a) with
    | true => pure true
    | false => anyM p as
def allM {m : Type → Type u} [Monad m] {α : Type v} (p : α → m Bool) : (l : List α) → m Bool
  | [] => pure true
  | a :: as => do match (← p a) with
    | true => allM p as
    | false => pure false
instance instForMOfMonad {m : Type u → Type v} [Monad m] {α : Type w} : ForM m (List α) α := ⟨List.forM⟩
instance instFunctor : Functor List where
  map := List.map
def toArrayAux : List α → Array α → Array α
  | nil, r => r
  | cons a as, r => toArrayAux as (r.push a)
@[inline, match_pattern] def toArray (xs : List α) : Array α := Array.mk xs
end List
