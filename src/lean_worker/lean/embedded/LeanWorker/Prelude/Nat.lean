module

prelude
public import LeanWorker.Prelude.Data
/-! Natural numbers. The kernel and the compiler compute with the functions below by name, and the kernel wants their
definitions to be the library's. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false

universe u v w

set_option genCtorIdx false in
inductive Nat where
  | zero : Nat
  | succ (n : Nat) : Nat

class OfNat (α : Type u) (_ : Nat) where
  ofNat : α
class NatPow (α : Type u) where
  pow : α → Nat → α
class HomogeneousPow (α : Type u) where
  pow : α → α → α

@[default_instance 100] instance instOfNatNat (n : Nat) : OfNat Nat n := ⟨n⟩
instance instInhabitedNat : Inhabited Nat := ⟨Nat.zero⟩
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_add"]
protected def Nat.add : (n m : @& Nat) → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.succ (Nat.add n m)
instance instAddNat : Add Nat := ⟨Nat.add⟩
attribute [match_pattern] Nat.add

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_mul"]
protected def Nat.mul : (n m : @& Nat) → Nat
  | _, Nat.zero => 0
  | n, Nat.succ m => Nat.add (Nat.mul n m) n
instance instMulNat : Mul Nat := ⟨Nat.mul⟩

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_pow"]
protected def Nat.pow (m : @& Nat) : (n : @& Nat) → Nat
  | Nat.zero => 1
  | Nat.succ n => Nat.mul (Nat.pow m n) m
instance instNatPowNat : NatPow Nat := ⟨Nat.pow⟩
@[default_instance 10000] instance instPowNat {α : Type u} [NatPow α] : Pow α Nat := ⟨NatPow.pow⟩

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_pred"]
def Nat.pred : (n : @& Nat) → Nat
  | Nat.zero => 0
  | Nat.succ n => n

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_sub"]
protected def Nat.sub : (n m : @& Nat) → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.pred (Nat.sub n m)
instance instSubNat : Sub Nat := ⟨Nat.sub⟩

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_dec_eq"]
def Nat.beq : (n m : @& Nat) → Bool
  | Nat.zero, Nat.zero => true
  | Nat.zero, Nat.succ _ => false
  | Nat.succ _, Nat.zero => false
  | Nat.succ n, Nat.succ m => Nat.beq n m

theorem Nat.eq_of_beq_eq_true : {n m : Nat} → Eq (Nat.beq n m) true → Eq n m
  | Nat.zero, Nat.zero, _ => rfl
  | Nat.zero, Nat.succ _, h => Bool.noConfusion h
  | Nat.succ _, Nat.zero, h => Bool.noConfusion h
  | Nat.succ n, Nat.succ m, h => congrArg Nat.succ (@Nat.eq_of_beq_eq_true n m h)
protected theorem Nat.beq_refl : (n : Nat) → Eq (Nat.beq n n) true
  | Nat.zero => rfl
  | Nat.succ n => Nat.beq_refl n
theorem noConfusion_of_Nat {α : Sort u} (f : α → Nat) {a b : α} (h : Eq a b) :
    @Bool.rec (fun _ => Prop) False True (Nat.beq (f a) (f b)) :=
  Eq.rec (motive := fun x _ => @Bool.rec (fun _ => Prop) False True (Nat.beq (f a) (f x)))
    (@Eq.rec Bool true (fun x _ => @Bool.rec (fun _ => Prop) False True x) True.intro (Nat.beq (f a) (f a)) (Eq.symm (Nat.beq_refl (f a)))) h
theorem Nat.ne_of_beq_eq_false {n m : Nat} (h : Eq (Nat.beq n m) false) : Not (Eq n m) :=
  fun e => ne_false_of_eq_true (Eq.subst (motive := fun x => Eq (Nat.beq n x) true) e (Nat.beq_refl n)) h

@[extern "lean_nat_dec_eq"]
protected def Nat.decEq (n m : @& Nat) : Decidable (Eq n m) where
  decide := Nat.beq n m
  reflects_decide :=
    Bool.rec (motive := fun b => Eq (Nat.beq n m) b → b.Reflects (Eq n m)) Nat.ne_of_beq_eq_false Nat.eq_of_beq_eq_true
      (Nat.beq n m) rfl
@[inline] instance instDecidableEqNat : DecidableEq Nat := Nat.decEq

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_dec_le"]
def Nat.ble : (n m : @& Nat) → Bool
  | Nat.zero, Nat.zero => true
  | Nat.zero, Nat.succ _ => true
  | Nat.succ _, Nat.zero => false
  | Nat.succ n, Nat.succ m => Nat.ble n m

protected inductive Nat.le (n : Nat) : Nat → Prop
  | refl : Nat.le n n
  | step {m : Nat} : Nat.le n m → Nat.le n (Nat.succ m)
protected def Nat.lt (n m : Nat) : Prop := Nat.le (Nat.succ n) m
instance instLENat : LE Nat := ⟨Nat.le⟩
instance instLTNat : LT Nat := ⟨Nat.lt⟩

theorem Nat.zero_le : (n : Nat) → LE.le 0 n
  | Nat.zero => Nat.le.refl
  | Nat.succ n => Nat.le.step (Nat.zero_le n)
theorem Nat.succ_le_succ {n m : Nat} (h : LE.le n m) : LE.le (Nat.succ n) (Nat.succ m) :=
  Nat.le.rec (motive := fun m _ => Nat.le (Nat.succ n) (Nat.succ m)) Nat.le.refl (fun _ ih => Nat.le.step ih) h
theorem Nat.zero_lt_succ (n : Nat) : LT.lt 0 (Nat.succ n) := Nat.succ_le_succ (Nat.zero_le n)
theorem Nat.le_step {n m : Nat} (h : LE.le n m) : LE.le n (Nat.succ m) := Nat.le.step h
protected theorem Nat.le_trans {n m k : Nat} (h₁ : LE.le n m) (h₂ : LE.le m k) : LE.le n k :=
  Nat.le.rec (motive := fun k _ => Nat.le n k) h₁ (fun _ ih => Nat.le.step ih) h₂
theorem Nat.le_succ (n : Nat) : LE.le n (Nat.succ n) := Nat.le.step Nat.le.refl
theorem Nat.le_succ_of_le {n m : Nat} (h : LE.le n m) : LE.le n (Nat.succ m) := Nat.le_trans h (Nat.le_succ m)
protected theorem Nat.lt_trans {n m k : Nat} (h₁ : LT.lt n m) (h₂ : LT.lt m k) : LT.lt n k :=
  Nat.le_trans (Nat.le_step h₁) h₂
protected theorem Nat.le_refl (n : Nat) : LE.le n n := Nat.le.refl
protected theorem Nat.le_of_eq {n m : Nat} (h : Eq n m) : LE.le n m :=
  Eq.rec (motive := fun x _ => LE.le n x) (Nat.le_refl n) h
theorem Nat.succ_pos (n : Nat) : LT.lt 0 (Nat.succ n) := Nat.zero_lt_succ n
theorem Nat.pred_le_pred {n m : Nat} (h : LE.le n m) : LE.le (Nat.pred n) (Nat.pred m) :=
  Nat.le.rec (motive := fun m _ => Nat.le (Nat.pred n) (Nat.pred m)) Nat.le.refl
    (fun {m} _ ih => Nat.rec (motive := fun m => Nat.le (Nat.pred n) (Nat.pred m) → Nat.le (Nat.pred n) m)
      (fun h => h) (fun _ _ h => Nat.le.step h) m ih) h
theorem Nat.le_of_succ_le_succ {n m : Nat} (h : LE.le (Nat.succ n) (Nat.succ m)) : LE.le n m := Nat.pred_le_pred h
theorem Nat.le_of_lt_succ {m n : Nat} (h : LT.lt m (Nat.succ n)) : LE.le m n := Nat.le_of_succ_le_succ h
theorem Nat.not_succ_le_zero (n : Nat) (h : LE.le (Nat.succ n) 0) : False :=
  @Nat.le.rec (Nat.succ n) (fun m _ => Nat.rec (motive := fun _ => Prop) False (fun _ _ => True) m) True.intro
    (fun _ _ => True.intro) 0 h
theorem Nat.not_lt_zero (n : Nat) : Not (LT.lt n 0) := Nat.not_succ_le_zero n
theorem Nat.not_succ_le_self : (n : Nat) → Not (LE.le (Nat.succ n) n)
  | Nat.zero => Nat.not_succ_le_zero _
  | Nat.succ n => fun h => absurd (Nat.le_of_succ_le_succ h) (Nat.not_succ_le_self n)
protected theorem Nat.lt_irrefl (n : Nat) : Not (LT.lt n n) := Nat.not_succ_le_self n
protected theorem Nat.lt_of_le_of_lt {n m k : Nat} (h₁ : LE.le n m) (h₂ : LT.lt m k) : LT.lt n k :=
  Nat.le_trans (Nat.succ_le_succ h₁) h₂
protected theorem Nat.lt_of_lt_of_le {n m k : Nat} (h₁ : LT.lt n m) (h₂ : LE.le m k) : LT.lt n k := Nat.le_trans h₁ h₂
theorem Nat.lt_succ_self (n : Nat) : LT.lt n (Nat.succ n) := Nat.le_refl _
theorem Nat.le_of_lt {n m : Nat} (h : LT.lt n m) : LE.le n m := Nat.le_of_succ_le_succ (Nat.le_step h)
theorem Nat.zero_lt_one : LT.lt 0 (1 : Nat) := Nat.zero_lt_succ 0

theorem Nat.le_of_ble_eq_true : {n m : Nat} → Eq (Nat.ble n m) true → LE.le n m
  | Nat.zero, m, _ => Nat.zero_le m
  | Nat.succ _, Nat.zero, h => Bool.noConfusion h
  | Nat.succ n, Nat.succ m, h => Nat.succ_le_succ (@Nat.le_of_ble_eq_true n m h)
theorem Nat.ble_self_eq_true : (n : Nat) → Eq (Nat.ble n n) true
  | Nat.zero => rfl
  | Nat.succ n => Nat.ble_self_eq_true n
theorem Nat.ble_succ_eq_true : {n m : Nat} → Eq (Nat.ble n m) true → Eq (Nat.ble n (Nat.succ m)) true
  | Nat.zero, _, _ => rfl
  | Nat.succ _, Nat.zero, h => Bool.noConfusion h
  | Nat.succ n, Nat.succ m, h => @Nat.ble_succ_eq_true n m h
theorem Nat.ble_eq_true_of_le {n m : Nat} (h : LE.le n m) : Eq (Nat.ble n m) true :=
  Nat.le.rec (motive := fun m _ => Eq (Nat.ble n m) true) (Nat.ble_self_eq_true n) (fun _ ih => Nat.ble_succ_eq_true ih) h
theorem Nat.not_le_of_not_ble_eq_true {n m : Nat} (h : Not (Eq (Nat.ble n m) true)) : Not (LE.le n m) :=
  fun h' => h (Nat.ble_eq_true_of_le h')

@[extern "lean_nat_dec_le"]
instance Nat.decLe (n m : @& Nat) : Decidable (LE.le n m) where
  decide := Nat.ble n m
  reflects_decide :=
    Bool.rec (motive := fun b => Eq (Nat.ble n m) b → b.Reflects (LE.le n m))
      (fun h => Nat.not_le_of_not_ble_eq_true (ne_true_of_eq_false h)) Nat.le_of_ble_eq_true (Nat.ble n m) rfl
@[extern "lean_nat_dec_lt"]
instance Nat.decLt (n m : @& Nat) : Decidable (LT.lt n m) := Nat.decLe (Nat.succ n) m

instance Nat.instMax : Max Nat := maxOfLe
instance instMinNat : Min Nat := minOfLe
protected abbrev Nat.min (n m : Nat) := Min.min n m
protected abbrev Nat.max (n m : Nat) := Max.max n m

theorem Nat.pred_le : (n : Nat) → LE.le (Nat.pred n) n
  | Nat.zero => Nat.le.refl
  | Nat.succ n => Nat.le_succ n
theorem Nat.sub_le (n : Nat) : (m : Nat) → LE.le (HSub.hSub n m) n
  | Nat.zero => Nat.le.refl
  | Nat.succ m => Nat.le_trans (Nat.pred_le (Nat.sub n m)) (Nat.sub_le n m)
theorem Nat.succ_sub_succ_eq_sub (n : Nat) : (m : Nat) → Eq (HSub.hSub (Nat.succ n) (Nat.succ m)) (HSub.hSub n m)
  | Nat.zero => rfl
  | Nat.succ m => congrArg Nat.pred (Nat.succ_sub_succ_eq_sub n m)
theorem Nat.sub_lt : {n m : Nat} → LT.lt 0 n → LT.lt 0 m → LT.lt (HSub.hSub n m) n
  | Nat.zero, _, h, _ => absurd h (Nat.lt_irrefl 0)
  | Nat.succ _, Nat.zero, _, h => absurd h (Nat.lt_irrefl 0)
  | Nat.succ n, Nat.succ m, _, _ =>
    Eq.rec (motive := fun x _ => LT.lt x (Nat.succ n)) (Nat.lt_of_le_of_lt (Nat.sub_le n m) (Nat.lt_succ_self n))
      (Eq.symm (Nat.succ_sub_succ_eq_sub n m))

/-! The numbers of constructors, which Lean defines itself for all later types. -/

@[reducible] def Bool.ctorIdx (b : Bool) : Nat := b.casesOn 0 1
@[reducible] def Nat.ctorIdx (n : Nat) : Nat := n.casesOn 0 fun _ => 1

/-! What `noConfusion` of enumerations is made of. -/

abbrev noConfusionTypeEnum {α : Sort u} (f : α → Nat) (P : Sort v) (x y : α) : Sort v :=
  (Nat.beq (f x) (f y)).casesOn (motive := fun _ => Sort v) P (P → P)
abbrev noConfusionEnum {α : Sort u} (f : α → Nat) {P : Sort v} {x y : α} (h : Eq x y) : noConfusionTypeEnum f P x y :=
  Bool.casesOn (motive := fun b => Eq (Nat.beq (f x) (f y)) b → b.casesOn (motive := fun _ => Sort v) P (P → P))
    (Nat.beq (f x) (f y)) (fun h' => False.elim (Nat.ne_of_beq_eq_false h' (congrArg f h))) (fun _ => fun x => x) rfl
