module

prelude
public import LeanWorker.Prelude.Arrays
/-! Arithmetic of integers, words, and bounded numbers. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w

/-! ## Natural numbers -/

class NatCast (R : Type u) where
  natCast : Nat → R
@[coe, reducible, match_pattern] protected def Nat.cast {R : Type u} [NatCast R] : Nat → R := NatCast.natCast
instance instCoeTailNatOfNatCast {R : Type u} [NatCast R] : CoeTail Nat R := ⟨Nat.cast⟩
instance instCoeHTCTNatOfNatCast {R : Type u} [NatCast R] : CoeHTCT Nat R := ⟨Nat.cast⟩
instance instNatCastNat : NatCast Nat := ⟨id⟩
instance Nat.instDvd : Dvd Nat := ⟨fun a b => ∃ c, b = a * c⟩
def Nat.gcdLoop' : Nat → Nat → Nat → Nat
  | 0, _, n => n
  | fuel+1, m, n => if m = 0 then n else Nat.gcdLoop' fuel (n % m) m
@[extern "lean_nat_gcd"] def Nat.gcd (m n : @& Nat) : Nat := Nat.gcdLoop' (m + 1) m n
def Nat.lcm (m n : Nat) : Nat := m * n / Nat.gcd m n
@[extern "lean_nat_log2"] def Nat.log2 (n : @& Nat) : Nat := go n n
where
  go : Nat → Nat → Nat
  | 0, _ => 0
  | fuel+1, n => if 2 ≤ n then go fuel (n / 2) + 1 else 0
def Nat.bitwiseLoop' (f : Bool → Bool → Bool) : Nat → Nat → Nat → Nat
  | 0, _, _ => 0
  | fuel+1, n, m =>
    if n = 0 then (if f false true then m else 0)
    else if m = 0 then (if f true false then n else 0)
    else
      let r := Nat.bitwiseLoop' f fuel (n / 2) (m / 2)
      if f (decide (n % 2 = 1)) (decide (m % 2 = 1)) then r + r + 1 else r + r
@[inline] def Nat.bitwise (f : Bool → Bool → Bool) (n m : Nat) : Nat := Nat.bitwiseLoop' f (n + m) n m
@[extern "lean_nat_land"] def Nat.land (n m : @& Nat) : Nat := Nat.bitwiseLoop' and (n + m) n m
@[extern "lean_nat_lor"] def Nat.lor (n m : @& Nat) : Nat := Nat.bitwiseLoop' or (n + m) n m
@[extern "lean_nat_lxor"] def Nat.xor (n m : @& Nat) : Nat := Nat.bitwiseLoop' bne (n + m) n m
@[extern "lean_nat_shiftl"] def Nat.shiftLeft : (n m : @& Nat) → Nat
  | n, 0 => n
  | n, m+1 => Nat.shiftLeft (2 * n) m
@[extern "lean_nat_shiftr"] def Nat.shiftRight : (n m : @& Nat) → Nat
  | n, 0 => n
  | n, m+1 => Nat.shiftRight n m / 2
instance Nat.instAndOp : AndOp Nat := ⟨Nat.land⟩
instance Nat.instOrOp : OrOp Nat := ⟨Nat.lor⟩
instance Nat.instXorOp : XorOp Nat := ⟨Nat.xor⟩
instance Nat.instShiftLeft : ShiftLeft Nat := ⟨Nat.shiftLeft⟩
instance Nat.instShiftRight : ShiftRight Nat := ⟨Nat.shiftRight⟩
def Nat.testBit (m n : Nat) : Bool := (m >>> n) &&& 1 != 0
def Nat.isPowerOfTwo (n : Nat) : Prop := ∃ k : Nat, n = 2 ^ k
@[inline] def Nat.blt (n m : Nat) : Bool := Nat.ble n.succ m
@[inline] def Bool.xor (a b : Bool) : Bool := a != b
export Bool (xor)
@[extern "lean_bool_to_uint64"] def Bool.toUInt64 (b : Bool) : UInt64 := if b then 1 else 0
@[inline] def Bool.toNat (b : Bool) : Nat := cond b 1 0

/-! ## Integers -/

set_option genCtorIdx false in
inductive Int : Type where
  | ofNat : Nat → Int
  | negSucc : Nat → Int
attribute [extern "lean_nat_to_int"] Int.ofNat
attribute [extern "lean_int_neg_succ_of_nat"] Int.negSucc
noncomputable abbrev Int.ctorIdx (i : Int) : Nat := i.casesOn (fun _ => 0) fun _ => 1
class IntCast (R : Type u) where
  intCast : Int → R
@[coe, reducible, match_pattern] protected def Int.cast {R : Type u} [IntCast R] : Int → R := IntCast.intCast
instance instCoeTailIntOfIntCast {R : Type u} [IntCast R] : CoeTail Int R := ⟨Int.cast⟩
instance instCoeHTCTIntOfIntCast {R : Type u} [IntCast R] : CoeHTCT Int R := ⟨Int.cast⟩
instance instNatCastInt : NatCast Int := ⟨Int.ofNat⟩
instance instIntCastInt : IntCast Int := ⟨id⟩
instance instOfNat : OfNat Int n := ⟨Int.ofNat n⟩
namespace Int
instance instInhabited : Inhabited Int := ⟨ofNat 0⟩
@[match_pattern] def negOfNat : Nat → Int
  | 0 => 0
  | .succ m => negSucc m
@[extern "lean_int_neg"] protected def neg (n : @& Int) : Int :=
  match n with
  | ofNat n => negOfNat n
  | negSucc n => ofNat (n + 1)
@[default_instance mid] instance instNegInt : Neg Int := ⟨Int.neg⟩
def subNatNat (m n : Nat) : Int :=
  match n - m with
  | 0 => ofNat (m - n)
  | .succ k => negSucc k
@[extern "lean_int_add"] protected def add (m n : @& Int) : Int :=
  match m, n with
  | ofNat m, ofNat n => ofNat (m + n)
  | ofNat m, negSucc n => subNatNat m (n + 1)
  | negSucc m, ofNat n => subNatNat n (m + 1)
  | negSucc m, negSucc n => negSucc (m + n + 1)
instance instAdd : Add Int := ⟨Int.add⟩
@[extern "lean_int_mul"] protected def mul (m n : @& Int) : Int :=
  match m, n with
  | ofNat m, ofNat n => ofNat (m * n)
  | ofNat m, negSucc n => negOfNat (m * (n + 1))
  | negSucc m, ofNat n => negOfNat ((m + 1) * n)
  | negSucc m, negSucc n => ofNat ((m + 1) * (n + 1))
instance instMul : Mul Int := ⟨Int.mul⟩
@[extern "lean_int_sub"] protected def sub (m n : @& Int) : Int := m + -n
instance instSub : Sub Int := ⟨Int.sub⟩
inductive NonNeg : Int → Prop where
  | mk (n : Nat) : NonNeg (ofNat n)
protected def le (a b : Int) : Prop := NonNeg (b - a)
instance instLEInt : LE Int := ⟨Int.le⟩
protected def lt (a b : Int) : Prop := (a + 1) ≤ b
instance instLTInt : LT Int := ⟨Int.lt⟩
theorem ofNat_congr' {m n : Nat} (h : m = n) : ofNat m = ofNat n := h ▸ rfl
@[extern "lean_int_dec_eq"] protected def decEq (a b : @& Int) : Decidable (a = b) :=
  match a, b with
  | ofNat a, ofNat b => match decEq a b with
    | isTrue h => isTrue (h ▸ rfl)
    | isFalse h => isFalse fun e => h (congrArg (fun | ofNat n => n | negSucc _ => a) e)
  | ofNat _, negSucc _ => isFalse fun h => nomatch h
  | negSucc _, ofNat _ => isFalse fun h => nomatch h
  | negSucc a, negSucc b => match decEq a b with
    | isTrue h => isTrue (h ▸ rfl)
    | isFalse h => isFalse fun e => h (congrArg (fun | ofNat _ => a | negSucc n => n) e)
instance instDecidableEq : DecidableEq Int := Int.decEq
@[extern "lean_int_dec_nonneg"] def decNonneg (m : @& Int) : Decidable (NonNeg m) :=
  match m with
  | ofNat m => isTrue (.mk m)
  | negSucc _ => isFalse fun h => nomatch h
@[extern "lean_int_dec_le"] instance decLe (a b : @& Int) : Decidable (a ≤ b) := decNonneg (b - a)
@[extern "lean_int_dec_lt"] instance decLt (a b : @& Int) : Decidable (a < b) := decNonneg (b - (a + 1))
@[extern "lean_nat_abs"] def natAbs (m : @& Int) : Nat :=
  match m with
  | ofNat m => m
  | negSucc m => m.succ
def toNat : Int → Nat
  | ofNat n => n
  | negSucc _ => 0
def toNat? : Int → Option Nat
  | ofNat n => some n
  | negSucc _ => none
def sign : Int → Int
  | ofNat (_+1) => 1
  | ofNat 0 => 0
  | negSucc _ => -1
@[extern "lean_int_ediv"] def ediv : (@& Int) → (@& Int) → Int
  | ofNat m, ofNat n => ofNat (m / n)
  | ofNat m, negSucc n => -ofNat (m / (n + 1))
  | negSucc _, 0 => 0
  | negSucc m, ofNat (.succ n) => negSucc (m / (n + 1))
  | negSucc m, negSucc n => ofNat (m / (n + 1) + 1)
@[extern "lean_int_emod"] def emod : (@& Int) → (@& Int) → Int
  | ofNat m, n => ofNat (m % natAbs n)
  | negSucc m, n => subNatNat (natAbs n) (.succ (m % natAbs n))
instance instDiv : Div Int := ⟨Int.ediv⟩
instance instMod : Mod Int := ⟨Int.emod⟩
@[extern "lean_int_div"] def tdiv : (@& Int) → (@& Int) → Int
  | ofNat m, ofNat n => ofNat (m / n)
  | ofNat m, negSucc n => -ofNat (m / (n + 1))
  | negSucc m, ofNat n => -ofNat ((m + 1) / n)
  | negSucc m, negSucc n => ofNat ((m + 1) / (n + 1))
@[extern "lean_int_mod"] def tmod : (@& Int) → (@& Int) → Int
  | ofNat m, ofNat n => ofNat (m % n)
  | ofNat m, negSucc n => ofNat (m % (n + 1))
  | negSucc m, ofNat n => -ofNat ((m + 1) % n)
  | negSucc m, negSucc n => -ofNat ((m + 1) % (n + 1))
def fdiv : Int → Int → Int
  | 0, _ => 0
  | ofNat m, ofNat n => ofNat (m / n)
  | ofNat (.succ m), negSucc n => negSucc (m / (n + 1))
  | negSucc _, 0 => 0
  | negSucc m, ofNat (.succ n) => negSucc (m / (n + 1))
  | negSucc m, negSucc n => ofNat ((m + 1) / (n + 1))
def fmod : Int → Int → Int
  | 0, _ => 0
  | ofNat m, ofNat n => ofNat (m % n)
  | ofNat (.succ m), negSucc n => subNatNat (m % (n + 1)) n
  | negSucc m, ofNat n => subNatNat n (.succ (m % n))
  | negSucc m, negSucc n => -ofNat ((m + 1) % (n + 1))
protected def pow (m : Int) : Nat → Int
  | 0 => 1
  | n+1 => Int.pow m n * m
instance instNatPow : NatPow Int := ⟨Int.pow⟩
instance instMin : Min Int := minOfLe
instance instMax : Max Int := maxOfLe
instance instDvd : Dvd Int := ⟨fun a b => ∃ c, b = a * c⟩
def gcd (m n : Int) : Nat := m.natAbs.gcd n.natAbs
end Int

/-! ## Bounded numbers -/


class NeZero {R : Type u} [Zero R] (n : R) : Prop where
  out : n ≠ 0
theorem Nat.pos_of_ne_zero : {n : Nat} → n ≠ 0 → 0 < n
  | 0, h => absurd rfl h
  | n+1, _ => Nat.zero_lt_succ n
instance Nat.instNeZeroSucc {n : Nat} : NeZero (n + 1) := ⟨fun h => nomatch h⟩
namespace Fin
protected def ofNat (n : Nat) [NeZero n] (a : Nat) : Fin n := Fin.Internal.ofNat n (Nat.pos_of_ne_zero NeZero.out) a
theorem pos' {n : Nat} (a : Fin n) : 0 < n := Nat.lt_of_le_of_lt (Nat.zero_le _) a.isLt
instance instOfNat {n : Nat} [NeZero n] {i : Nat} : OfNat (Fin n) i := ⟨Fin.ofNat n i⟩
instance instInhabited {n : Nat} [NeZero n] : Inhabited (Fin n) := ⟨0⟩
protected def add : Fin n → Fin n → Fin n
  | ⟨a, h⟩, ⟨b, _⟩ => ⟨(a + b) % n, Nat.mod_lt _ (Nat.lt_of_le_of_lt (Nat.zero_le _) h)⟩
protected def mul : Fin n → Fin n → Fin n
  | ⟨a, h⟩, ⟨b, _⟩ => ⟨(a * b) % n, Nat.mod_lt _ (Nat.lt_of_le_of_lt (Nat.zero_le _) h)⟩
protected def sub : Fin n → Fin n → Fin n
  | ⟨a, h⟩, ⟨b, _⟩ => ⟨((n - b) + a) % n, Nat.mod_lt _ (Nat.lt_of_le_of_lt (Nat.zero_le _) h)⟩
instance instAdd : Add (Fin n) := ⟨Fin.add⟩
instance instMul : Mul (Fin n) := ⟨Fin.mul⟩
instance instSub : Sub (Fin n) := ⟨Fin.sub⟩
def last (n : Nat) : Fin (n + 1) := ⟨n, Nat.lt_succ_self n⟩
@[inline] def castSucc : Fin n → Fin (n + 1)
  | ⟨i, h⟩ => ⟨i, Nat.le_step h⟩
def succ : Fin n → Fin (n + 1)
  | ⟨i, h⟩ => ⟨i+1, Nat.succ_le_succ h⟩
@[inline] def toNat (i : Fin n) : Nat := i.val
def elim0 {α : Sort u} : Fin 0 → α
  | ⟨_, h⟩ => absurd h (Nat.not_lt_zero _)
end Fin
instance Fin.coeToNat {n : Nat} : CoeOut (Fin n) Nat := ⟨Fin.val⟩

/-! ## Words -/

namespace UInt8
@[extern "lean_uint8_add"] protected def add (a b : UInt8) : UInt8 := .ofNat (a.toNat + b.toNat)
@[extern "lean_uint8_sub"] protected def sub (a b : UInt8) : UInt8 := .ofNat (UInt8.size - b.toNat + a.toNat)
@[extern "lean_uint8_mul"] protected def mul (a b : UInt8) : UInt8 := .ofNat (a.toNat * b.toNat)
@[extern "lean_uint8_div"] protected def div (a b : UInt8) : UInt8 := .ofNat (a.toNat / b.toNat)
@[extern "lean_uint8_mod"] protected def mod (a b : UInt8) : UInt8 := .ofNat (a.toNat % b.toNat)
@[extern "lean_uint8_land"] protected def land (a b : UInt8) : UInt8 := .ofNat (a.toNat &&& b.toNat)
@[extern "lean_uint8_lor"] protected def lor (a b : UInt8) : UInt8 := .ofNat (a.toNat ||| b.toNat)
@[extern "lean_uint8_xor"] protected def xor (a b : UInt8) : UInt8 := .ofNat (a.toNat ^^^ b.toNat)
@[extern "lean_uint8_shift_left"] protected def shiftLeft (a b : UInt8) : UInt8 := .ofNat (a.toNat <<< (b.toNat % 8))
@[extern "lean_uint8_shift_right"] protected def shiftRight (a b : UInt8) : UInt8 := .ofNat (a.toNat >>> (b.toNat % 8))
@[extern "lean_uint8_complement"] protected def complement (a : UInt8) : UInt8 := .ofNat (UInt8.size - 1 - a.toNat)
@[extern "lean_uint8_neg"] protected def neg (a : UInt8) : UInt8 := .ofNat (UInt8.size - a.toNat)
@[extern "lean_uint8_log2"] protected def log2 (a : UInt8) : UInt8 := .ofNat a.toNat.log2
end UInt8
instance instAddUInt8 : Add UInt8 := ⟨UInt8.add⟩
instance instSubUInt8 : Sub UInt8 := ⟨UInt8.sub⟩
instance instMulUInt8 : Mul UInt8 := ⟨UInt8.mul⟩
instance instDivUInt8 : Div UInt8 := ⟨UInt8.div⟩
instance instModUInt8 : Mod UInt8 := ⟨UInt8.mod⟩
instance instAndOpUInt8 : AndOp UInt8 := ⟨UInt8.land⟩
instance instOrOpUInt8 : OrOp UInt8 := ⟨UInt8.lor⟩
instance instXorOpUInt8 : XorOp UInt8 := ⟨UInt8.xor⟩
instance instShiftLeftUInt8 : ShiftLeft UInt8 := ⟨UInt8.shiftLeft⟩
instance instShiftRightUInt8 : ShiftRight UInt8 := ⟨UInt8.shiftRight⟩
instance instComplementUInt8 : Complement UInt8 := ⟨UInt8.complement⟩
instance UInt8.instNeg : Neg UInt8 := ⟨UInt8.neg⟩
instance instMaxUInt8 : Max UInt8 := maxOfLe
instance instMinUInt8 : Min UInt8 := minOfLe
@[extern "lean_uint8_of_nat"] def Nat.toUInt8 (n : @& Nat) : UInt8 := .ofNat n

namespace UInt16
@[extern "lean_uint16_add"] protected def add (a b : UInt16) : UInt16 := .ofNat (a.toNat + b.toNat)
@[extern "lean_uint16_sub"] protected def sub (a b : UInt16) : UInt16 := .ofNat (UInt16.size - b.toNat + a.toNat)
@[extern "lean_uint16_mul"] protected def mul (a b : UInt16) : UInt16 := .ofNat (a.toNat * b.toNat)
@[extern "lean_uint16_div"] protected def div (a b : UInt16) : UInt16 := .ofNat (a.toNat / b.toNat)
@[extern "lean_uint16_mod"] protected def mod (a b : UInt16) : UInt16 := .ofNat (a.toNat % b.toNat)
@[extern "lean_uint16_land"] protected def land (a b : UInt16) : UInt16 := .ofNat (a.toNat &&& b.toNat)
@[extern "lean_uint16_lor"] protected def lor (a b : UInt16) : UInt16 := .ofNat (a.toNat ||| b.toNat)
@[extern "lean_uint16_xor"] protected def xor (a b : UInt16) : UInt16 := .ofNat (a.toNat ^^^ b.toNat)
@[extern "lean_uint16_shift_left"] protected def shiftLeft (a b : UInt16) : UInt16 := .ofNat (a.toNat <<< (b.toNat % 16))
@[extern "lean_uint16_shift_right"] protected def shiftRight (a b : UInt16) : UInt16 := .ofNat (a.toNat >>> (b.toNat % 16))
@[extern "lean_uint16_complement"] protected def complement (a : UInt16) : UInt16 := .ofNat (UInt16.size - 1 - a.toNat)
@[extern "lean_uint16_neg"] protected def neg (a : UInt16) : UInt16 := .ofNat (UInt16.size - a.toNat)
@[extern "lean_uint16_log2"] protected def log2 (a : UInt16) : UInt16 := .ofNat a.toNat.log2
end UInt16
instance instAddUInt16 : Add UInt16 := ⟨UInt16.add⟩
instance instSubUInt16 : Sub UInt16 := ⟨UInt16.sub⟩
instance instMulUInt16 : Mul UInt16 := ⟨UInt16.mul⟩
instance instDivUInt16 : Div UInt16 := ⟨UInt16.div⟩
instance instModUInt16 : Mod UInt16 := ⟨UInt16.mod⟩
instance instAndOpUInt16 : AndOp UInt16 := ⟨UInt16.land⟩
instance instOrOpUInt16 : OrOp UInt16 := ⟨UInt16.lor⟩
instance instXorOpUInt16 : XorOp UInt16 := ⟨UInt16.xor⟩
instance instShiftLeftUInt16 : ShiftLeft UInt16 := ⟨UInt16.shiftLeft⟩
instance instShiftRightUInt16 : ShiftRight UInt16 := ⟨UInt16.shiftRight⟩
instance instComplementUInt16 : Complement UInt16 := ⟨UInt16.complement⟩
instance UInt16.instNeg : Neg UInt16 := ⟨UInt16.neg⟩
instance instMaxUInt16 : Max UInt16 := maxOfLe
instance instMinUInt16 : Min UInt16 := minOfLe
@[extern "lean_uint16_of_nat"] def Nat.toUInt16 (n : @& Nat) : UInt16 := .ofNat n

namespace UInt32
@[extern "lean_uint32_add"] protected def add (a b : UInt32) : UInt32 := .ofNat (a.toNat + b.toNat)
@[extern "lean_uint32_sub"] protected def sub (a b : UInt32) : UInt32 := .ofNat (UInt32.size - b.toNat + a.toNat)
@[extern "lean_uint32_mul"] protected def mul (a b : UInt32) : UInt32 := .ofNat (a.toNat * b.toNat)
@[extern "lean_uint32_div"] protected def div (a b : UInt32) : UInt32 := .ofNat (a.toNat / b.toNat)
@[extern "lean_uint32_mod"] protected def mod (a b : UInt32) : UInt32 := .ofNat (a.toNat % b.toNat)
@[extern "lean_uint32_land"] protected def land (a b : UInt32) : UInt32 := .ofNat (a.toNat &&& b.toNat)
@[extern "lean_uint32_lor"] protected def lor (a b : UInt32) : UInt32 := .ofNat (a.toNat ||| b.toNat)
@[extern "lean_uint32_xor"] protected def xor (a b : UInt32) : UInt32 := .ofNat (a.toNat ^^^ b.toNat)
@[extern "lean_uint32_shift_left"] protected def shiftLeft (a b : UInt32) : UInt32 := .ofNat (a.toNat <<< (b.toNat % 32))
@[extern "lean_uint32_shift_right"] protected def shiftRight (a b : UInt32) : UInt32 := .ofNat (a.toNat >>> (b.toNat % 32))
@[extern "lean_uint32_complement"] protected def complement (a : UInt32) : UInt32 := .ofNat (UInt32.size - 1 - a.toNat)
@[extern "lean_uint32_neg"] protected def neg (a : UInt32) : UInt32 := .ofNat (UInt32.size - a.toNat)
@[extern "lean_uint32_log2"] protected def log2 (a : UInt32) : UInt32 := .ofNat a.toNat.log2
end UInt32
instance instAddUInt32 : Add UInt32 := ⟨UInt32.add⟩
instance instSubUInt32 : Sub UInt32 := ⟨UInt32.sub⟩
instance instMulUInt32 : Mul UInt32 := ⟨UInt32.mul⟩
instance instDivUInt32 : Div UInt32 := ⟨UInt32.div⟩
instance instModUInt32 : Mod UInt32 := ⟨UInt32.mod⟩
instance instAndOpUInt32 : AndOp UInt32 := ⟨UInt32.land⟩
instance instOrOpUInt32 : OrOp UInt32 := ⟨UInt32.lor⟩
instance instXorOpUInt32 : XorOp UInt32 := ⟨UInt32.xor⟩
instance instShiftLeftUInt32 : ShiftLeft UInt32 := ⟨UInt32.shiftLeft⟩
instance instShiftRightUInt32 : ShiftRight UInt32 := ⟨UInt32.shiftRight⟩
instance instComplementUInt32 : Complement UInt32 := ⟨UInt32.complement⟩
instance UInt32.instNeg : Neg UInt32 := ⟨UInt32.neg⟩
instance instMaxUInt32 : Max UInt32 := maxOfLe
instance instMinUInt32 : Min UInt32 := minOfLe
@[extern "lean_uint32_of_nat"] def Nat.toUInt32 (n : @& Nat) : UInt32 := .ofNat n

namespace UInt64
@[extern "lean_uint64_add"] protected def add (a b : UInt64) : UInt64 := .ofNat (a.toNat + b.toNat)
@[extern "lean_uint64_sub"] protected def sub (a b : UInt64) : UInt64 := .ofNat (UInt64.size - b.toNat + a.toNat)
@[extern "lean_uint64_mul"] protected def mul (a b : UInt64) : UInt64 := .ofNat (a.toNat * b.toNat)
@[extern "lean_uint64_div"] protected def div (a b : UInt64) : UInt64 := .ofNat (a.toNat / b.toNat)
@[extern "lean_uint64_mod"] protected def mod (a b : UInt64) : UInt64 := .ofNat (a.toNat % b.toNat)
@[extern "lean_uint64_land"] protected def land (a b : UInt64) : UInt64 := .ofNat (a.toNat &&& b.toNat)
@[extern "lean_uint64_lor"] protected def lor (a b : UInt64) : UInt64 := .ofNat (a.toNat ||| b.toNat)
@[extern "lean_uint64_xor"] protected def xor (a b : UInt64) : UInt64 := .ofNat (a.toNat ^^^ b.toNat)
@[extern "lean_uint64_shift_left"] protected def shiftLeft (a b : UInt64) : UInt64 := .ofNat (a.toNat <<< (b.toNat % 64))
@[extern "lean_uint64_shift_right"] protected def shiftRight (a b : UInt64) : UInt64 := .ofNat (a.toNat >>> (b.toNat % 64))
@[extern "lean_uint64_complement"] protected def complement (a : UInt64) : UInt64 := .ofNat (UInt64.size - 1 - a.toNat)
@[extern "lean_uint64_neg"] protected def neg (a : UInt64) : UInt64 := .ofNat (UInt64.size - a.toNat)
@[extern "lean_uint64_log2"] protected def log2 (a : UInt64) : UInt64 := .ofNat a.toNat.log2
end UInt64
instance instAddUInt64 : Add UInt64 := ⟨UInt64.add⟩
instance instSubUInt64 : Sub UInt64 := ⟨UInt64.sub⟩
instance instMulUInt64 : Mul UInt64 := ⟨UInt64.mul⟩
instance instDivUInt64 : Div UInt64 := ⟨UInt64.div⟩
instance instModUInt64 : Mod UInt64 := ⟨UInt64.mod⟩
instance instAndOpUInt64 : AndOp UInt64 := ⟨UInt64.land⟩
instance instOrOpUInt64 : OrOp UInt64 := ⟨UInt64.lor⟩
instance instXorOpUInt64 : XorOp UInt64 := ⟨UInt64.xor⟩
instance instShiftLeftUInt64 : ShiftLeft UInt64 := ⟨UInt64.shiftLeft⟩
instance instShiftRightUInt64 : ShiftRight UInt64 := ⟨UInt64.shiftRight⟩
instance instComplementUInt64 : Complement UInt64 := ⟨UInt64.complement⟩
instance UInt64.instNeg : Neg UInt64 := ⟨UInt64.neg⟩
instance instMaxUInt64 : Max UInt64 := maxOfLe
instance instMinUInt64 : Min UInt64 := minOfLe
@[extern "lean_uint64_of_nat"] def Nat.toUInt64 (n : @& Nat) : UInt64 := .ofNat n

namespace USize
@[extern "lean_usize_add"] protected def add (a b : USize) : USize := .ofNat (a.toNat + b.toNat)
@[extern "lean_usize_sub"] protected def sub (a b : USize) : USize := .ofNat (USize.size - b.toNat + a.toNat)
@[extern "lean_usize_mul"] protected def mul (a b : USize) : USize := .ofNat (a.toNat * b.toNat)
@[extern "lean_usize_div"] protected def div (a b : USize) : USize := .ofNat (a.toNat / b.toNat)
@[extern "lean_usize_mod"] protected def mod (a b : USize) : USize := .ofNat (a.toNat % b.toNat)
@[extern "lean_usize_land"] protected def land (a b : USize) : USize := .ofNat (a.toNat &&& b.toNat)
@[extern "lean_usize_lor"] protected def lor (a b : USize) : USize := .ofNat (a.toNat ||| b.toNat)
@[extern "lean_usize_xor"] protected def xor (a b : USize) : USize := .ofNat (a.toNat ^^^ b.toNat)
@[extern "lean_usize_shift_left"] protected def shiftLeft (a b : USize) : USize := .ofNat (a.toNat <<< (b.toNat % System.Platform.numBits))
@[extern "lean_usize_shift_right"] protected def shiftRight (a b : USize) : USize := .ofNat (a.toNat >>> (b.toNat % System.Platform.numBits))
@[extern "lean_usize_complement"] protected def complement (a : USize) : USize := .ofNat (USize.size - 1 - a.toNat)
@[extern "lean_usize_neg"] protected def neg (a : USize) : USize := .ofNat (USize.size - a.toNat)
@[extern "lean_usize_log2"] protected def log2 (a : USize) : USize := .ofNat a.toNat.log2
end USize
instance instAddUSize : Add USize := ⟨USize.add⟩
instance instSubUSize : Sub USize := ⟨USize.sub⟩
instance instMulUSize : Mul USize := ⟨USize.mul⟩
instance instDivUSize : Div USize := ⟨USize.div⟩
instance instModUSize : Mod USize := ⟨USize.mod⟩
instance instAndOpUSize : AndOp USize := ⟨USize.land⟩
instance instOrOpUSize : OrOp USize := ⟨USize.lor⟩
instance instXorOpUSize : XorOp USize := ⟨USize.xor⟩
instance instShiftLeftUSize : ShiftLeft USize := ⟨USize.shiftLeft⟩
instance instShiftRightUSize : ShiftRight USize := ⟨USize.shiftRight⟩
instance instComplementUSize : Complement USize := ⟨USize.complement⟩
instance USize.instNeg : Neg USize := ⟨USize.neg⟩
instance instMaxUSize : Max USize := maxOfLe
instance instMinUSize : Min USize := minOfLe
@[extern "lean_usize_of_nat"] def Nat.toUSize (n : @& Nat) : USize := .ofNat n

@[extern "lean_uint8_to_uint16"] def UInt8.toUInt16 (a : UInt8) : UInt16 := .ofNat a.toNat
@[extern "lean_uint8_to_uint32"] def UInt8.toUInt32 (a : UInt8) : UInt32 := .ofNat a.toNat
@[extern "lean_uint8_to_uint64"] def UInt8.toUInt64 (a : UInt8) : UInt64 := .ofNat a.toNat
@[extern "lean_uint16_to_uint8"] def UInt16.toUInt8 (a : UInt16) : UInt8 := .ofNat a.toNat
@[extern "lean_uint16_to_uint32"] def UInt16.toUInt32 (a : UInt16) : UInt32 := .ofNat a.toNat
@[extern "lean_uint16_to_uint64"] def UInt16.toUInt64 (a : UInt16) : UInt64 := .ofNat a.toNat
@[extern "lean_uint32_to_uint8"] def UInt32.toUInt8 (a : UInt32) : UInt8 := .ofNat a.toNat
@[extern "lean_uint32_to_uint16"] def UInt32.toUInt16 (a : UInt32) : UInt16 := .ofNat a.toNat
@[extern "lean_uint32_to_uint64"] def UInt32.toUInt64 (a : UInt32) : UInt64 := .ofNat a.toNat
@[extern "lean_uint64_to_uint8"] def UInt64.toUInt8 (a : UInt64) : UInt8 := .ofNat a.toNat
@[extern "lean_uint64_to_uint16"] def UInt64.toUInt16 (a : UInt64) : UInt16 := .ofNat a.toNat
@[extern "lean_uint64_to_uint32"] def UInt64.toUInt32 (a : UInt64) : UInt32 := .ofNat a.toNat
@[extern "lean_uint64_to_usize"] def UInt64.toUSize (a : UInt64) : USize := .ofNat a.toNat
@[extern "lean_usize_to_uint64"] def USize.toUInt64 (a : USize) : UInt64 := .ofNat a.toNat
