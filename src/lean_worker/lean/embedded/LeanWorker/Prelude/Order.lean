module

prelude
public import LeanWorker.Prelude.Strings
/-! Orders and hashes, sizes and well-founded recursion. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

universe u v w

/-! ## Sizes, which termination is measured by -/

class SizeOf (α : Sort u) where
  sizeOf : α → Nat
export SizeOf (sizeOf)
protected def default.sizeOf (α : Sort u) : α → Nat := fun _ => 0
instance (priority := low) instSizeOfDefault (α : Sort u) : SizeOf α where sizeOf := default.sizeOf α
instance instSizeOfForallUnit {α : Sort u} [SizeOf α] : SizeOf (Unit → α) where sizeOf f := sizeOf (f ())
instance instSizeOfNat : SizeOf Nat where sizeOf n := n
theorem sizeOf_nat (n : Nat) : sizeOf n = n := rfl

deriving instance SizeOf for PUnit
deriving instance SizeOf for Prod, PProd, MProd
deriving instance SizeOf for Bool
deriving instance SizeOf for Subtype
deriving instance SizeOf for PSigma, Sigma, Sum, ULift, PLift
deriving instance SizeOf for List, Option, Array
deriving instance SizeOf for Except
deriving instance SizeOf for Fin, BitVec, UInt8, UInt16, UInt32, UInt64, USize, Char
deriving instance SizeOf for ByteArray
deriving instance SizeOf for String
deriving instance SizeOf for Int
deriving instance SizeOf for Decidable
deriving instance SizeOf for Substring.Raw
deriving instance SizeOf for Lean.SourceInfo, Lean.Syntax.Preresolved
noncomputable instance Lean.Name.instSizeOf : SizeOf Lean.Name :=
  ⟨fun n => Lean.Name.rec 1 (fun _ s h => 1 + h + SizeOf.sizeOf s) (fun _ i h => 1 + h + SizeOf.sizeOf i) n⟩

/-! ## Orders -/

inductive Ordering where
  | lt | eq | gt
  deriving BEq
instance instInhabitedOrdering : Inhabited Ordering := ⟨.lt⟩
namespace Ordering
@[inline] def swap : Ordering → Ordering
  | .lt => .gt
  | .eq => .eq
  | .gt => .lt
@[macro_inline] def «then» (a b : Ordering) : Ordering := match a with
  | .eq => b
  | .lt => .lt
  | .gt => .gt
@[inline] def isEq : Ordering → Bool | eq => true | _ => false
@[inline] def isNe : Ordering → Bool | eq => false | _ => true
@[inline] def isLE : Ordering → Bool | gt => false | _ => true
@[inline] def isLT : Ordering → Bool | lt => true | _ => false
@[inline] def isGT : Ordering → Bool | gt => true | _ => false
@[inline] def isGE : Ordering → Bool | lt => false | _ => true
end Ordering
deriving instance DecidableEq for Ordering
instance instReprOrdering : Repr Ordering := ⟨fun o prec => Repr.addAppParen (match o with
  | .lt => "Ordering.lt"
  | .eq => "Ordering.eq"
  | .gt => "Ordering.gt") prec⟩
@[inline] def compareOfLessAndEq {α} (x y : α) [LT α] [Decidable (x < y)] [DecidableEq α] : Ordering :=
  if x < y then .lt else if x = y then .eq else .gt
@[inline] def compareOfLessAndBEq {α} (x y : α) [LT α] [Decidable (x < y)] [BEq α] : Ordering :=
  if x < y then .lt else if x == y then .eq else .gt
class Ord (α : Type u) where
  compare : α → α → Ordering
export Ord (compare)
@[inline] def compareOn [ord : Ord β] (f : α → β) (x y : α) : Ordering := compare (f x) (f y)
@[inline] def compareLex (cmp₁ cmp₂ : α → β → Ordering) (a : α) (b : β) : Ordering := (cmp₁ a b).then (cmp₂ a b)
instance instOrdNat : Ord Nat := ⟨fun x y => compareOfLessAndEq x y⟩
instance instOrdInt : Ord Int := ⟨fun x y => compareOfLessAndEq x y⟩
instance instOrdBool : Ord Bool := ⟨fun
  | false, true => .lt
  | true, false => .gt
  | _, _ => .eq⟩
instance String.instOrd : Ord String := ⟨fun x y => compareOfLessAndEq x y⟩
instance LeanWorker.Prelude.ordUnit : Ord Unit := ⟨fun _ _ => .eq⟩
instance instOrdFin (n : Nat) : Ord (Fin n) := ⟨fun x y => compare x.val y.val⟩
instance UInt8.instOrd : Ord UInt8 := ⟨fun x y => compareOfLessAndEq x y⟩
instance UInt16.instOrd : Ord UInt16 := ⟨fun x y => compareOfLessAndEq x y⟩
instance UInt32.instOrd : Ord UInt32 := ⟨fun x y => compareOfLessAndEq x y⟩
instance UInt64.instOrd : Ord UInt64 := ⟨fun x y => compareOfLessAndEq x y⟩
instance instOrdChar : Ord Char := ⟨fun x y => compareOfLessAndEq x y⟩
instance instOrdOption [Ord α] : Ord (Option α) := ⟨fun
  | none, none => .eq
  | none, some _ => .lt
  | some _, none => .gt
  | some x, some y => compare x y⟩
instance instOrdOrdering : Ord Ordering := ⟨fun a b => compare (a.ctorIdx) (b.ctorIdx)⟩
namespace LeanWorker.Prelude
def compareLists [Ord α] : List α → List α → Ordering
  | [], [] => .eq
  | [], _ => .lt
  | _, [] => .gt
  | a :: as, b :: bs => (compare a b).then (compareLists as bs)
end LeanWorker.Prelude
instance List.instOrd [Ord α] : Ord (List α) := ⟨LeanWorker.Prelude.compareLists⟩
instance Array.instOrd [Ord α] : Ord (Array α) := ⟨fun a b => LeanWorker.Prelude.compareLists a.toList b.toList⟩
@[reducible] def lexOrd [Ord α] [Ord β] : Ord (α × β) where compare := compareLex (compareOn (·.1)) (compareOn (·.2))
@[reducible] def ltOfOrd [Ord α] : LT α where lt a b := compare a b = .lt
@[reducible] def leOfOrd [Ord α] : LE α where le a b := (compare a b).isLE = true
@[reducible] def maxOfOrd' [Ord α] : Max α where max a b := if (compare a b).isLE then b else a
@[inline] def Array.qsortOrd [Ord α] (xs : Array α) : Array α := xs.qsort fun x y => compare x y |>.isLT
@[inline, reducible] def Ord.toBEq [ord : Ord α] : BEq α where beq x y := ord.compare x y == .eq
@[inline, reducible] def Ord.on (_ : Ord β) (f : α → β) : Ord α where compare := compareOn f
@[inline, reducible] def Ord.opposite (ord : Ord α) : Ord α where compare x y := ord.compare y x
instance LeanWorker.Prelude.ltProd' [LT α] [LT β] : LT (α × β) := ⟨fun s t => s.1 < t.1 ∨ (s.1 = t.1 ∧ s.2 < t.2)⟩

/-! ## Hashes -/

instance instHashableNat : Hashable Nat := ⟨fun n => UInt64.ofNat n⟩
instance instHashableBool : Hashable Bool := ⟨fun b => if b then 11 else 13⟩
instance instHashableUnit' : Hashable Unit := ⟨fun _ => 11⟩
instance instHashableChar : Hashable Char := ⟨fun c => c.val.toUInt64⟩
instance instHashableInt : Hashable Int := ⟨fun
  | .ofNat n => UInt64.ofNat (2 * n)
  | .negSucc n => UInt64.ofNat (2 * n + 1)⟩
instance instHashableUInt8 : Hashable UInt8 := ⟨fun n => n.toUInt64⟩
instance instHashableUInt32 : Hashable UInt32 := ⟨fun n => n.toUInt64⟩
instance instHashableUInt64 : Hashable UInt64 := ⟨fun n => n⟩
instance instHashableFin : Hashable (Fin n) := ⟨fun i => i.val.toUInt64⟩
instance instHashableOption [Hashable α] : Hashable (Option α) := ⟨fun
  | none => 11
  | some a => mixHash (hash a) 13⟩
instance instHashableProd [Hashable α] [Hashable β] : Hashable (α × β) := ⟨fun (a, b) => mixHash (hash a) (hash b)⟩
instance instHashableList [Hashable α] : Hashable (List α) := ⟨fun as => as.foldl (fun r a => mixHash r (hash a)) 7⟩
instance instHashableArray [Hashable α] : Hashable (Array α) := ⟨fun as => as.foldl (fun r a => mixHash r (hash a)) 7⟩

/-! ## Well-founded recursion -/

/-- Marks a parameter of a well-founded recursion while it is checked. -/
@[reducible] def wfParam {α : Sort u} (a : α) : α := a
inductive Acc {α : Sort u} (r : α → α → Prop) : α → Prop where
  | intro (x : α) (h : (y : α) → r y x → Acc r y) : Acc r x
noncomputable abbrev Acc.ndrec.{u1, u2} {α : Sort u2} {r : α → α → Prop} {C : α → Sort u1}
    (m : (x : α) → ((y : α) → r y x → Acc r y) → ((y : α) → (a : r y x) → C y) → C x) {a : α} (n : Acc r a) : C a :=
  Acc.rec (motive := fun x _ => C x) m n
theorem Acc.inv {α : Sort u} {r : α → α → Prop} {x y : α} (h₁ : Acc r x) (h₂ : r y x) : Acc r y :=
  Acc.rec (motive := fun x _ => r y x → Acc r y) (fun _ h _ hr => h y hr) h₁ h₂
inductive WellFounded {α : Sort u} (r : α → α → Prop) : Prop where
  | intro (h : ∀ a, Acc r a) : WellFounded r
class WellFoundedRelation (α : Sort u) where
  rel : α → α → Prop
  wf : WellFounded rel
theorem WellFounded.apply {α : Sort u} {r : α → α → Prop} (wf : WellFounded r) (a : α) : Acc r a :=
  WellFounded.rec (motive := fun _ => Acc r a) (fun h => h a) wf
namespace WellFounded
variable {α : Sort u} {C : α → Sort v} {r : α → α → Prop}
noncomputable def fixF (F : (x : α) → ((y : α) → r y x → C y) → C x) (x : α) (a : Acc r x) : C x :=
  Acc.rec (motive := fun x _ => C x) (fun x _ ih => F x ih) a
theorem fixFEq' (F : (x : α) → ((y : α) → r y x → C y) → C x) (x : α) (acx : Acc r x) :
    fixF F x acx = F x (fun (y : α) (p : r y x) => fixF F y (Acc.inv acx p)) :=
  Acc.rec (motive := fun x acx => fixF F x acx = F x (fun y p => fixF F y (Acc.inv acx p))) (fun _ _ _ => rfl) acx
theorem fixF_eq (F : (x : α) → ((y : α) → r y x → C y) → C x) (x : α) (acx : Acc r x) :
    fixF F x acx = F x (fun (y : α) (p : r y x) => fixF F y (Acc.inv acx p)) := fixFEq' F x acx
noncomputable def fix (hwf : WellFounded r) (F : (x : α) → ((y : α) → r y x → C y) → C x) (x : α) : C x :=
  fixF F x (hwf.apply x)
theorem fix_eq (hwf : WellFounded r) (F : (x : α) → ((y : α) → r y x → C y) → C x) (x : α) :
    fix hwf F x = F x (fun y _ => fix hwf F y) := fixF_eq F x (hwf.apply x)
theorem induction {C : α → Prop} (hwf : WellFounded r) (a : α) (h : ∀ x, (∀ y, r y x → C y) → C x) : C a :=
  Acc.rec (motive := fun x _ => C x) (fun x _ ih => h x ih) (hwf.apply a)
end WellFounded
def InvImage {α : Sort u} {β : Sort v} (r : β → β → Prop) (f : α → β) : α → α → Prop := fun a₁ a₂ => r (f a₁) (f a₂)
theorem InvImage.accAux {α : Sort u} {β : Sort v} {r : β → β → Prop} (f : α → β) {b : β} (ac : Acc r b) :
    (x : α) → f x = b → Acc (InvImage r f) x :=
  Acc.rec (motive := fun b _ => (x : α) → f x = b → Acc (InvImage r f) x)
    (fun _ _ ih x e => Acc.intro x fun y lt => ih (f y) (e ▸ lt) y rfl) ac
theorem InvImage.wf {α : Sort u} {β : Sort v} {r : β → β → Prop} (f : α → β) (h : WellFounded r) : WellFounded (InvImage r f) :=
  ⟨fun a => InvImage.accAux f (h.apply (f a)) a rfl⟩
@[reducible] def invImage {α : Sort u} {β : Sort v} (f : α → β) (h : WellFoundedRelation β) : WellFoundedRelation α where
  rel := InvImage h.rel f
  wf := InvImage.wf f h.wf

theorem Nat.lt_or_eq_of_le {n m : Nat} (h : n ≤ m) : n < m ∨ n = m := match h with
  | .refl => Or.inr rfl
  | .step h => Or.inl (Nat.succ_le_succ h)
theorem Nat.lt_wf_aux' (n : Nat) : ∀ m, m ≤ n → Acc (fun a b : Nat => a < b) m :=
  Nat.rec (motive := fun n => ∀ m, m ≤ n → Acc (fun a b : Nat => a < b) m)
    (fun m hm => Acc.intro m fun y hy => absurd (Nat.lt_of_lt_of_le hy hm) (Nat.not_lt_zero y))
    (fun n ih m hm => Acc.intro m fun y hy => ih y (Nat.le_of_lt_succ (Nat.lt_of_lt_of_le hy hm))) n
namespace Nat
@[reducible] protected def lt_wfRel : WellFoundedRelation Nat where
  rel := (· < ·)
  wf := ⟨fun n => lt_wf_aux' n n (Nat.le_refl n)⟩
end Nat
instance instWellFoundedRelationNat' : WellFoundedRelation Nat := Nat.lt_wfRel
@[reducible] def measure {α : Sort u} (f : α → Nat) : WellFoundedRelation α := invImage f Nat.lt_wfRel
@[reducible] def sizeOfWFRel {α : Sort u} [SizeOf α] : WellFoundedRelation α := measure sizeOf
instance (priority := low) instWellFoundedRelationOfSizeOf {α : Sort u} [SizeOf α] : WellFoundedRelation α := sizeOfWFRel

namespace Prod
variable {α : Type u} {β : Type v}
protected inductive Lex (ra : α → α → Prop) (rb : β → β → Prop) : α × β → α × β → Prop where
  | left {a₁} (b₁) {a₂} (b₂) (h : ra a₁ a₂) : Prod.Lex ra rb (a₁, b₁) (a₂, b₂)
  | right (a) {b₁ b₂} (h : rb b₁ b₂) : Prod.Lex ra rb (a, b₁) (a, b₂)
theorem lex_def {ra : α → α → Prop} {rb : β → β → Prop} {p q : α × β} : Prod.Lex ra rb p q ↔ ra p.1 q.1 ∨ p.1 = q.1 ∧ rb p.2 q.2 :=
  ⟨fun h => match h with
    | .left _ _ h => Or.inl h
    | .right _ h => Or.inr ⟨rfl, h⟩,
   fun h => match p, q, h with
    | (_, b), (_, d), Or.inl h => .left b d h
    | (a, b), (c, d), Or.inr ⟨e, h⟩ => (show a = c from e) ▸ .right a h⟩
theorem lexAccAux' {ra : α → α → Prop} {rb : β → β → Prop} (hb : ∀ b, Acc rb b) {a : α} (ha : Acc ra a) (b : β) :
    Acc (Prod.Lex ra rb) (a, b) :=
  Acc.rec (motive := fun a _ => ∀ b, Acc (Prod.Lex ra rb) (a, b))
    (fun a _ iha b => Acc.rec (motive := fun b _ => Acc (Prod.Lex ra rb) (a, b))
      (fun b _ ihb => Acc.intro (a, b) fun p lt =>
        match (generalizing := false) p, lex_def.1 lt with
        | (a', b'), Or.inl h => iha a' h b'
        | (a', b'), Or.inr ⟨e, h⟩ => (show a' = a from e) ▸ ihb b' h) (hb b)) ha b
@[reducible] def lex (ha : WellFoundedRelation α) (hb : WellFoundedRelation β) : WellFoundedRelation (α × β) where
  rel := Prod.Lex ha.rel hb.rel
  wf := ⟨fun (a, b) => lexAccAux' hb.wf.apply (ha.wf.apply a) b⟩
instance instWellFoundedRelation' [ha : WellFoundedRelation α] [hb : WellFoundedRelation β] : WellFoundedRelation (α × β) := lex ha hb
protected theorem Lex.right' {a₁ : Nat} {b₁ : β} {a₂ : Nat} {b₂ : β} {rb : β → β → Prop} (h₁ : a₁ ≤ a₂) (h₂ : rb b₁ b₂) :
    Prod.Lex Nat.lt rb (a₁, b₁) (a₂, b₂) :=
  match Nat.lt_or_eq_of_le h₁ with
  | Or.inl h => .left b₁ b₂ h
  | Or.inr h => h ▸ .right a₁ h₂
end Prod

namespace PSigma
protected inductive Lex {α : Sort u} {β : α → Sort v} (r : α → α → Prop) (s : ∀ a, β a → β a → Prop) :
    PSigma β → PSigma β → Prop where
  | left : {a₁ : α} → (b₁ : β a₁) → {a₂ : α} → (b₂ : β a₂) → r a₁ a₂ → PSigma.Lex r s ⟨a₁, b₁⟩ ⟨a₂, b₂⟩
  | right : (a : α) → {b₁ b₂ : β a} → s a b₁ b₂ → PSigma.Lex r s ⟨a, b₁⟩ ⟨a, b₂⟩
end PSigma
inductive PSum (α : Sort u) (β : Sort v) where
  | inl (val : α) : PSum α β
  | inr (val : β) : PSum α β
