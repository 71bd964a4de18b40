module

prelude
public import LeanWorker.Prelude.Nat
/-! Lists, options, numbers of fixed width, characters, arrays, texts and names: the shapes that native code expects. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false

universe u v w

/-! ## Lists and options -/

inductive List (α : Type u) where
  | nil : List α
  | cons (head : α) (tail : List α) : List α

inductive Option (α : Type u) where
  | none : Option α
  | some (val : α) : Option α
export Option (none some)
attribute [unbox] Option

instance instInhabitedOption {α : Type u} : Inhabited (Option α) := ⟨none⟩
instance instInhabitedList {α : Type u} : Inhabited (List α) := ⟨List.nil⟩
instance instInhabitedBool : Inhabited Bool := ⟨false⟩
instance instInhabitedProd {α : Type u} {β : Type v} [Inhabited α] [Inhabited β] : Inhabited (Prod α β) :=
  ⟨Prod.mk default default⟩

@[macro_inline] def Option.getD {α : Type u} (opt : Option α) (dflt : α) : α :=
  match opt with
  | some x => x
  | none => dflt
@[inline] protected def Option.map {α : Type u} {β : Type v} (f : α → β) : (o : Option α) → Option β
  | some x => some (f x)
  | none => none
@[inline] protected def Option.bind {α : Type u} {β : Type v} : Option α → (α → Option β) → Option β
  | none, _ => none
  | some a, f => f a

def List.length {α : Type u} : List α → Nat
  | List.nil => 0
  | List.cons _ as => HAdd.hAdd (List.length as) 1
@[specialize] def List.foldl {α : Type u} {β : Type v} (f : α → β → α) : (init : α) → List β → α
  | a, List.nil => a
  | a, List.cons b l => List.foldl f (f a b) l
def List.concat {α : Type u} : List α → α → List α
  | List.nil, b => List.cons b List.nil
  | List.cons a as, b => List.cons a (List.concat as b)
protected def List.append {α : Type u} : (xs ys : List α) → List α
  | List.nil, bs => bs
  | List.cons a as, bs => List.cons a (List.append as bs)
instance List.instAppend {α : Type u} : Append (List α) := ⟨List.append⟩
def List.hasDecEq {α : Type u} [DecidableEq α] : (a b : List α) → Decidable (Eq a b)
  | List.nil, List.nil => isTrue rfl
  | List.cons _ _, List.nil => isFalse fun h => nomatch h
  | List.nil, List.cons _ _ => isFalse fun h => nomatch h
  | List.cons a as, List.cons b bs =>
    match decEq a b, List.hasDecEq as bs with
    | isTrue hab, isTrue habs => isTrue (congr (congrArg List.cons hab) habs)
    | _, isFalse nabs => isFalse fun h => nabs (congrArg (fun l => @List.rec α (fun _ => List α) as (fun _ t _ => t) l) h)
    | isFalse nab, _ => isFalse fun h => nab (congrArg (fun l => @List.rec α (fun _ => α) a (fun y _ _ => y) l) h)
instance instDecidableEqList {α : Type u} [DecidableEq α] : DecidableEq (List α) := List.hasDecEq

/-! ## Division: by counting down, which the kernel and native code replace by their own -/

theorem Nat.div_rec_fuel_lemma {x y fuel : Nat} (hy : LT.lt 0 y) (hle : LE.le y x) (hfuel : LT.lt x (HAdd.hAdd fuel 1)) :
    LT.lt (HSub.hSub x y) fuel :=
  Nat.lt_of_lt_of_le (Nat.sub_lt (Nat.lt_of_lt_of_le hy hle) hy) (Nat.le_of_lt_succ hfuel)
def Nat.div.go (y : Nat) (hy : LT.lt 0 y) : (fuel x : Nat) → LT.lt x fuel → Nat
  | Nat.zero, x, h => absurd h (Nat.not_lt_zero x)
  | Nat.succ fuel, x, h =>
    dite (LE.le y x) (fun hle => Nat.succ (Nat.div.go y hy fuel (HSub.hSub x y) (Nat.div_rec_fuel_lemma hy hle h))) fun _ => 0
@[extern "lean_nat_div"]
protected def Nat.div (x y : @& Nat) : Nat :=
  dite (LT.lt 0 y) (fun hy => Nat.div.go y hy (Nat.succ x) x (Nat.lt_succ_self x)) fun _ => 0
instance Nat.instDiv : Div Nat := ⟨Nat.div⟩
def Nat.modCore.go (y : Nat) (hy : LT.lt 0 y) : (fuel x : Nat) → LT.lt x fuel → Nat
  | Nat.zero, x, h => absurd h (Nat.not_lt_zero x)
  | Nat.succ fuel, x, h =>
    dite (LE.le y x) (fun hle => Nat.modCore.go y hy fuel (HSub.hSub x y) (Nat.div_rec_fuel_lemma hy hle h)) fun _ => x
def Nat.modCore (x y : Nat) : Nat :=
  dite (LT.lt 0 y) (fun hy => Nat.modCore.go y hy (Nat.succ x) x (Nat.lt_succ_self x)) fun _ => x
@[extern "lean_nat_mod"]
protected def Nat.mod : (n m : @& Nat) → Nat
  | Nat.zero, _ => 0
  | Nat.succ n, m => ite (LE.le m (Nat.succ n)) (Nat.modCore (Nat.succ n) m) (Nat.succ n)
instance Nat.instMod : Mod Nat := ⟨Nat.mod⟩

theorem Nat.lt_of_not_le : {n m : Nat} → Not (LE.le n m) → LT.lt m n
  | Nat.zero, m, h => absurd (Nat.zero_le m) h
  | Nat.succ n, Nat.zero, _ => Nat.zero_lt_succ n
  | Nat.succ n, Nat.succ m, h => Nat.succ_le_succ (@Nat.lt_of_not_le n m fun h' => h (Nat.succ_le_succ h'))
theorem Nat.modCoreGo_lt {y : Nat} (hy : LT.lt 0 y) : (fuel x : Nat) → (h : LT.lt x fuel) → LT.lt (Nat.modCore.go y hy fuel x h) y
  | Nat.zero, x, h => absurd h (Nat.not_lt_zero x)
  | Nat.succ fuel, x, h =>
    @Decidable.falseTrueCases (LE.le y x)
      (fun inst => LT.lt (@dite Nat (LE.le y x) inst
        (fun hle => Nat.modCore.go y hy fuel (HSub.hSub x y) (Nat.div_rec_fuel_lemma hy hle h)) fun _ => x) y)
      (fun hn => Nat.lt_of_not_le hn)
      (fun hle => Nat.modCoreGo_lt hy fuel (HSub.hSub x y) (Nat.div_rec_fuel_lemma hy hle h)) (Nat.decLe y x)
theorem Nat.modCore_lt {x y : Nat} (hy : LT.lt 0 y) : LT.lt (Nat.modCore x y) y :=
  @Decidable.falseTrueCases (LT.lt 0 y)
    (fun inst => LT.lt (@dite Nat (LT.lt 0 y) inst (fun hy => Nat.modCore.go y hy (Nat.succ x) x (Nat.lt_succ_self x)) fun _ => x) y)
    (fun hn => absurd hy hn) (fun hy => Nat.modCoreGo_lt hy (Nat.succ x) x (Nat.lt_succ_self x)) (Nat.decLt 0 y)
theorem Nat.mod_lt : (x : Nat) → {y : Nat} → GT.gt y 0 → LT.lt (HMod.hMod x y) y
  | Nat.zero, _, h => h
  | Nat.succ x, y, h =>
    @Decidable.falseTrueCases (LE.le y (Nat.succ x))
      (fun inst => LT.lt (@ite Nat (LE.le y (Nat.succ x)) inst (Nat.modCore (Nat.succ x) y) (Nat.succ x)) y)
      (fun hn => Nat.lt_of_not_le hn) (fun _ => Nat.modCore_lt h) (Nat.decLe y (Nat.succ x))
theorem Nat.mul_pos : {m n : Nat} → LT.lt 0 m → LT.lt 0 n → LT.lt 0 (HMul.hMul m n)
  | _, Nat.zero, _, h => absurd h (Nat.lt_irrefl 0)
  | Nat.zero, Nat.succ _, h, _ => absurd h (Nat.lt_irrefl 0)
  | Nat.succ _, Nat.succ _, _, _ => Nat.zero_lt_succ _
theorem Nat.pow_pos {p : Nat} (hp : LT.lt 0 p) : (n : Nat) → LT.lt 0 (HPow.hPow p n)
  | Nat.zero => Nat.zero_lt_succ 0
  | Nat.succ n => Nat.mul_pos (Nat.pow_pos hp n) hp

/-! ## Numbers of fixed width -/

structure Fin (n : Nat) where
  mk ::
  val : Nat
  isLt : LT.lt val n
attribute [coe] Fin.val
theorem Fin.eq_of_val_eq {n : Nat} : {i j : Fin n} → Eq i.val j.val → Eq i j
  | ⟨_, _⟩, ⟨_, _⟩, rfl => rfl
theorem Fin.val_eq_of_eq {n : Nat} {i j : Fin n} (h : Eq i j) : Eq i.val j.val := congrArg Fin.val h
instance instDecidableEqFin (n : Nat) : DecidableEq (Fin n) := fun i j =>
  match decEq i.val j.val with
  | isTrue h => isTrue (Fin.eq_of_val_eq h)
  | isFalse h => isFalse fun h' => h (Fin.val_eq_of_eq h')
instance instLTFin {n : Nat} : LT (Fin n) := ⟨fun a b => LT.lt a.val b.val⟩
instance instLEFin {n : Nat} : LE (Fin n) := ⟨fun a b => LE.le a.val b.val⟩
instance Fin.decLt {n : Nat} (a b : Fin n) : Decidable (LT.lt a b) := Nat.decLt a.val b.val
instance Fin.decLe {n : Nat} (a b : Fin n) : Decidable (LE.le a b) := Nat.decLe a.val b.val
protected def Fin.Internal.ofNat (n : Nat) (hn : LT.lt 0 n) (a : Nat) : Fin n := ⟨HMod.hMod a n, Nat.mod_lt a hn⟩

structure BitVec (w : Nat) where
  ofFin ::
  toFin : Fin (HPow.hPow 2 w)
theorem BitVec.eq_of_toFin_eq {w : Nat} : {x y : BitVec w} → Eq x.toFin y.toFin → Eq x y
  | ⟨_⟩, ⟨_⟩, rfl => rfl
def BitVec.decEq {w : Nat} (x y : BitVec w) : Decidable (Eq x y) :=
  match instDecidableEqFin _ x.toFin y.toFin with
  | isTrue h => isTrue (BitVec.eq_of_toFin_eq h)
  | isFalse h => isFalse fun h' => h (congrArg BitVec.toFin h')
instance instDecidableEqBitVec {w : Nat} : DecidableEq (BitVec w) := BitVec.decEq
@[match_pattern] protected def BitVec.ofNatLT {w : Nat} (i : Nat) (p : LT.lt i (HPow.hPow 2 w)) : BitVec w := ⟨⟨i, p⟩⟩
@[match_pattern] protected def BitVec.ofNat (n : Nat) (i : Nat) : BitVec n :=
  ⟨Fin.Internal.ofNat (HPow.hPow 2 n) (Nat.pow_pos (Nat.zero_lt_succ _) n) i⟩
protected def BitVec.toNat {w : Nat} (x : BitVec w) : Nat := x.toFin.val
instance instLTBitVec {w : Nat} : LT (BitVec w) := ⟨fun a b => LT.lt a.toNat b.toNat⟩
instance instLEBitVec {w : Nat} : LE (BitVec w) := ⟨fun a b => LE.le a.toNat b.toNat⟩
instance instDecidableLtBitVec {w : Nat} (x y : BitVec w) : Decidable (LT.lt x y) := Nat.decLt x.toNat y.toNat
instance instDecidableLeBitVec {w : Nat} (x y : BitVec w) : Decidable (LE.le x y) := Nat.decLe x.toNat y.toNat

abbrev UInt8.size : Nat := 256
structure UInt8 where
  ofBitVec ::
  toBitVec : BitVec 8
attribute [extern "lean_uint8_of_nat_mk"] UInt8.ofBitVec
attribute [extern "lean_uint8_to_nat"] UInt8.toBitVec
@[extern "lean_uint8_of_nat"]
def UInt8.ofNatLT (n : @& Nat) (h : LT.lt n UInt8.size) : UInt8 := ⟨BitVec.ofNatLT n h⟩
@[extern "lean_uint8_of_nat"]
def UInt8.ofNat (n : @& Nat) : UInt8 := ⟨BitVec.ofNat 8 n⟩
@[extern "lean_uint8_to_nat"]
def UInt8.toNat (n : UInt8) : Nat := n.toBitVec.toNat
theorem UInt8.eq_of_toBitVec_eq : {a b : UInt8} → Eq a.toBitVec b.toBitVec → Eq a b
  | ⟨_⟩, ⟨_⟩, rfl => rfl
set_option bootstrap.genMatcherCode false in
@[extern "lean_uint8_dec_eq"]
def UInt8.decEq (a b : UInt8) : Decidable (Eq a b) :=
  match BitVec.decEq a.toBitVec b.toBitVec with
  | isTrue h => isTrue (UInt8.eq_of_toBitVec_eq h)
  | isFalse h => isFalse fun h' => h (congrArg UInt8.toBitVec h')
instance instDecidableEqUInt8 : DecidableEq UInt8 := UInt8.decEq
instance instInhabitedUInt8 : Inhabited UInt8 := ⟨UInt8.ofNat 0⟩
instance instLTUInt8 : LT UInt8 := ⟨fun a b => LT.lt a.toBitVec b.toBitVec⟩
instance instLEUInt8 : LE UInt8 := ⟨fun a b => LE.le a.toBitVec b.toBitVec⟩
@[extern "lean_uint8_dec_lt"]
instance UInt8.decLt (a b : UInt8) : Decidable (LT.lt a b) := instDecidableLtBitVec a.toBitVec b.toBitVec
@[extern "lean_uint8_dec_le"]
instance UInt8.decLe (a b : UInt8) : Decidable (LE.le a b) := instDecidableLeBitVec a.toBitVec b.toBitVec
instance UInt8.instOfNat {n : Nat} : OfNat UInt8 n := ⟨UInt8.ofNat n⟩

abbrev UInt16.size : Nat := 65536
structure UInt16 where
  ofBitVec ::
  toBitVec : BitVec 16
attribute [extern "lean_uint16_of_nat_mk"] UInt16.ofBitVec
attribute [extern "lean_uint16_to_nat"] UInt16.toBitVec
@[extern "lean_uint16_of_nat"]
def UInt16.ofNatLT (n : @& Nat) (h : LT.lt n UInt16.size) : UInt16 := ⟨BitVec.ofNatLT n h⟩
@[extern "lean_uint16_of_nat"]
def UInt16.ofNat (n : @& Nat) : UInt16 := ⟨BitVec.ofNat 16 n⟩
@[extern "lean_uint16_to_nat"]
def UInt16.toNat (n : UInt16) : Nat := n.toBitVec.toNat
theorem UInt16.eq_of_toBitVec_eq : {a b : UInt16} → Eq a.toBitVec b.toBitVec → Eq a b
  | ⟨_⟩, ⟨_⟩, rfl => rfl
set_option bootstrap.genMatcherCode false in
@[extern "lean_uint16_dec_eq"]
def UInt16.decEq (a b : UInt16) : Decidable (Eq a b) :=
  match BitVec.decEq a.toBitVec b.toBitVec with
  | isTrue h => isTrue (UInt16.eq_of_toBitVec_eq h)
  | isFalse h => isFalse fun h' => h (congrArg UInt16.toBitVec h')
instance instDecidableEqUInt16 : DecidableEq UInt16 := UInt16.decEq
instance instInhabitedUInt16 : Inhabited UInt16 := ⟨UInt16.ofNat 0⟩
instance instLTUInt16 : LT UInt16 := ⟨fun a b => LT.lt a.toBitVec b.toBitVec⟩
instance instLEUInt16 : LE UInt16 := ⟨fun a b => LE.le a.toBitVec b.toBitVec⟩
@[extern "lean_uint16_dec_lt"]
instance UInt16.decLt (a b : UInt16) : Decidable (LT.lt a b) := instDecidableLtBitVec a.toBitVec b.toBitVec
@[extern "lean_uint16_dec_le"]
instance UInt16.decLe (a b : UInt16) : Decidable (LE.le a b) := instDecidableLeBitVec a.toBitVec b.toBitVec
instance UInt16.instOfNat {n : Nat} : OfNat UInt16 n := ⟨UInt16.ofNat n⟩

abbrev UInt32.size : Nat := 4294967296
structure UInt32 where
  ofBitVec ::
  toBitVec : BitVec 32
attribute [extern "lean_uint32_of_nat_mk"] UInt32.ofBitVec
attribute [extern "lean_uint32_to_nat"] UInt32.toBitVec
@[extern "lean_uint32_of_nat"]
def UInt32.ofNatLT (n : @& Nat) (h : LT.lt n UInt32.size) : UInt32 := ⟨BitVec.ofNatLT n h⟩
@[extern "lean_uint32_of_nat"]
def UInt32.ofNat (n : @& Nat) : UInt32 := ⟨BitVec.ofNat 32 n⟩
@[extern "lean_uint32_to_nat"]
def UInt32.toNat (n : UInt32) : Nat := n.toBitVec.toNat
theorem UInt32.eq_of_toBitVec_eq : {a b : UInt32} → Eq a.toBitVec b.toBitVec → Eq a b
  | ⟨_⟩, ⟨_⟩, rfl => rfl
set_option bootstrap.genMatcherCode false in
@[extern "lean_uint32_dec_eq"]
def UInt32.decEq (a b : UInt32) : Decidable (Eq a b) :=
  match BitVec.decEq a.toBitVec b.toBitVec with
  | isTrue h => isTrue (UInt32.eq_of_toBitVec_eq h)
  | isFalse h => isFalse fun h' => h (congrArg UInt32.toBitVec h')
instance instDecidableEqUInt32 : DecidableEq UInt32 := UInt32.decEq
instance instInhabitedUInt32 : Inhabited UInt32 := ⟨UInt32.ofNat 0⟩
instance instLTUInt32 : LT UInt32 := ⟨fun a b => LT.lt a.toBitVec b.toBitVec⟩
instance instLEUInt32 : LE UInt32 := ⟨fun a b => LE.le a.toBitVec b.toBitVec⟩
@[extern "lean_uint32_dec_lt"]
instance UInt32.decLt (a b : UInt32) : Decidable (LT.lt a b) := instDecidableLtBitVec a.toBitVec b.toBitVec
@[extern "lean_uint32_dec_le"]
instance UInt32.decLe (a b : UInt32) : Decidable (LE.le a b) := instDecidableLeBitVec a.toBitVec b.toBitVec
instance UInt32.instOfNat {n : Nat} : OfNat UInt32 n := ⟨UInt32.ofNat n⟩

abbrev UInt64.size : Nat := 18446744073709551616
structure UInt64 where
  ofBitVec ::
  toBitVec : BitVec 64
attribute [extern "lean_uint64_of_nat_mk"] UInt64.ofBitVec
attribute [extern "lean_uint64_to_nat"] UInt64.toBitVec
@[extern "lean_uint64_of_nat"]
def UInt64.ofNatLT (n : @& Nat) (h : LT.lt n UInt64.size) : UInt64 := ⟨BitVec.ofNatLT n h⟩
@[extern "lean_uint64_of_nat"]
def UInt64.ofNat (n : @& Nat) : UInt64 := ⟨BitVec.ofNat 64 n⟩
@[extern "lean_uint64_to_nat"]
def UInt64.toNat (n : UInt64) : Nat := n.toBitVec.toNat
theorem UInt64.eq_of_toBitVec_eq : {a b : UInt64} → Eq a.toBitVec b.toBitVec → Eq a b
  | ⟨_⟩, ⟨_⟩, rfl => rfl
set_option bootstrap.genMatcherCode false in
@[extern "lean_uint64_dec_eq"]
def UInt64.decEq (a b : UInt64) : Decidable (Eq a b) :=
  match BitVec.decEq a.toBitVec b.toBitVec with
  | isTrue h => isTrue (UInt64.eq_of_toBitVec_eq h)
  | isFalse h => isFalse fun h' => h (congrArg UInt64.toBitVec h')
instance instDecidableEqUInt64 : DecidableEq UInt64 := UInt64.decEq
instance instInhabitedUInt64 : Inhabited UInt64 := ⟨UInt64.ofNat 0⟩
instance instLTUInt64 : LT UInt64 := ⟨fun a b => LT.lt a.toBitVec b.toBitVec⟩
instance instLEUInt64 : LE UInt64 := ⟨fun a b => LE.le a.toBitVec b.toBitVec⟩
@[extern "lean_uint64_dec_lt"]
instance UInt64.decLt (a b : UInt64) : Decidable (LT.lt a b) := instDecidableLtBitVec a.toBitVec b.toBitVec
@[extern "lean_uint64_dec_le"]
instance UInt64.decLe (a b : UInt64) : Decidable (LE.le a b) := instDecidableLeBitVec a.toBitVec b.toBitVec
instance UInt64.instOfNat {n : Nat} : OfNat UInt64 n := ⟨UInt64.ofNat n⟩

@[extern "lean_system_platform_nbits"] opaque System.Platform.getNumBits : Unit → Subtype fun n : Nat => Or (Eq n 32) (Eq n 64) :=
  fun _ => ⟨64, Or.inr rfl⟩
def System.Platform.numBits : Nat := (System.Platform.getNumBits Unit.unit).val
abbrev USize.size : Nat := HPow.hPow 2 System.Platform.numBits
structure USize where
  ofBitVec ::
  toBitVec : BitVec System.Platform.numBits
attribute [extern "lean_usize_of_nat_mk"] USize.ofBitVec
attribute [extern "lean_usize_to_nat"] USize.toBitVec
@[extern "lean_usize_of_nat"]
def USize.ofNatLT (n : @& Nat) (h : LT.lt n USize.size) : USize := ⟨BitVec.ofNatLT n h⟩
@[extern "lean_usize_of_nat"]
def USize.ofNat (n : @& Nat) : USize := ⟨BitVec.ofNat System.Platform.numBits n⟩
@[extern "lean_usize_to_nat"]
def USize.toNat (n : USize) : Nat := n.toBitVec.toNat
theorem USize.eq_of_toBitVec_eq : {a b : USize} → Eq a.toBitVec b.toBitVec → Eq a b
  | ⟨_⟩, ⟨_⟩, rfl => rfl
set_option bootstrap.genMatcherCode false in
@[extern "lean_usize_dec_eq"]
def USize.decEq (a b : USize) : Decidable (Eq a b) :=
  match BitVec.decEq a.toBitVec b.toBitVec with
  | isTrue h => isTrue (USize.eq_of_toBitVec_eq h)
  | isFalse h => isFalse fun h' => h (congrArg USize.toBitVec h')
instance instDecidableEqUSize : DecidableEq USize := USize.decEq
instance instInhabitedUSize : Inhabited USize := ⟨USize.ofNat 0⟩
instance instLTUSize : LT USize := ⟨fun a b => LT.lt a.toBitVec b.toBitVec⟩
instance instLEUSize : LE USize := ⟨fun a b => LE.le a.toBitVec b.toBitVec⟩
@[extern "lean_usize_dec_lt"]
instance USize.decLt (a b : USize) : Decidable (LT.lt a b) := instDecidableLtBitVec a.toBitVec b.toBitVec
@[extern "lean_usize_dec_le"]
instance USize.decLe (a b : USize) : Decidable (LE.le a b) := instDecidableLeBitVec a.toBitVec b.toBitVec
instance USize.instOfNat {n : Nat} : OfNat USize n := ⟨USize.ofNat n⟩

/-! ## Characters -/

abbrev Nat.isValidChar (n : Nat) : Prop :=
  Or (LT.lt n 0xd800) (And (LT.lt 0xdfff n) (LT.lt n 0x110000))
abbrev UInt32.isValidChar (n : UInt32) : Prop := Nat.isValidChar n.toNat
structure Char where
  mk ::
  val : UInt32
  valid : UInt32.isValidChar val
theorem Nat.isValidChar_lt {n : Nat} (h : Nat.isValidChar n) : LT.lt n 4294967296 :=
  Or.elim h (fun h => Nat.lt_trans h (of_decide_eq_true rfl)) fun h => Nat.lt_trans h.right (of_decide_eq_true rfl)
@[extern "lean_uint32_of_nat"]
def Char.ofNatAux (n : @& Nat) (h : Nat.isValidChar n) : Char := ⟨⟨⟨⟨n, Nat.isValidChar_lt h⟩⟩⟩, h⟩
@[noinline, match_pattern] def Char.ofNat (n : Nat) : Char :=
  dite (Nat.isValidChar n) (fun h => Char.ofNatAux n h) fun _ => Char.ofNatAux 0 (Or.inl (of_decide_eq_true rfl))
theorem Char.eq_of_val_eq : {c d : Char} → Eq c.val d.val → Eq c d
  | ⟨_, _⟩, ⟨_, _⟩, rfl => rfl
instance instDecidableEqChar : DecidableEq Char := fun c d =>
  match decEq c.val d.val with
  | isTrue h => isTrue (Char.eq_of_val_eq h)
  | isFalse h => isFalse fun h' => h (congrArg Char.val h')
@[inline] def Char.toNat (c : Char) : Nat := c.val.toNat

/-! ## Arrays and texts -/

structure Array (α : Type u) where
  mk ::
  toList : List α
attribute [extern "lean_array_to_list"] Array.toList
attribute [extern "lean_array_mk"] Array.mk
@[extern "lean_mk_empty_array_with_capacity"]
def Array.mkEmpty {α : Type u} (c : @& Nat) : Array α := ⟨List.nil⟩
@[extern "lean_mk_empty_array_with_capacity"]
def Array.emptyWithCapacity {α : Type u} (c : @& Nat) : Array α := ⟨List.nil⟩
def Array.empty {α : Type u} : Array α := Array.emptyWithCapacity 0
@[extern "lean_array_get_size"]
def Array.size {α : Type u} (a : @& Array α) : Nat := a.toList.length
@[extern "lean_array_push"]
def Array.push {α : Type u} (a : Array α) (v : α) : Array α := ⟨List.concat a.toList v⟩
instance Array.instInhabited {α : Type u} : Inhabited (Array α) := ⟨Array.empty⟩
theorem Array.ext_toList {α : Type u} : {a b : Array α} → Eq a.toList b.toList → Eq a b
  | ⟨_⟩, ⟨_⟩, rfl => rfl

structure ByteArray where
  mk ::
  data : Array UInt8
attribute [extern "lean_byte_array_mk"] ByteArray.mk
attribute [extern "lean_byte_array_data"] ByteArray.data
theorem ByteArray.ext_toList : {a b : ByteArray} → Eq a.data.toList b.data.toList → Eq a b
  | ⟨⟨_⟩⟩, ⟨⟨_⟩⟩, rfl => rfl
def ByteArray.append (a b : ByteArray) : ByteArray := ⟨⟨List.append a.data.toList b.data.toList⟩⟩

def String.utf8EncodeChar (c : Char) : List UInt8 :=
  ite (LE.le c.toNat 0x7f) (List.cons (UInt8.ofNat c.toNat) List.nil)
    (ite (LE.le c.toNat 0x7ff)
      (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod (HDiv.hDiv c.toNat 64) 32) 0xc0))
        (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod c.toNat 64) 0x80)) List.nil))
      (ite (LE.le c.toNat 0xffff)
        (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod (HDiv.hDiv c.toNat 4096) 16) 0xe0))
          (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod (HDiv.hDiv c.toNat 64) 64) 0x80))
            (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod c.toNat 64) 0x80)) List.nil)))
        (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod (HDiv.hDiv c.toNat 262144) 8) 0xf0))
          (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod (HDiv.hDiv c.toNat 4096) 64) 0x80))
            (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod (HDiv.hDiv c.toNat 64) 64) 0x80))
              (List.cons (UInt8.ofNat (HAdd.hAdd (HMod.hMod c.toNat 64) 0x80)) List.nil))))))
def LeanWorker.Prelude.utf8 : List Char → List UInt8
  | List.nil => List.nil
  | List.cons c rest => List.append (String.utf8EncodeChar c) (LeanWorker.Prelude.utf8 rest)
def List.utf8Encode (l : List Char) : ByteArray := ⟨⟨LeanWorker.Prelude.utf8 l⟩⟩
theorem LeanWorker.Prelude.append_assoc {α : Type u} : (a b c : List α) →
    Eq (List.append (List.append a b) c) (List.append a (List.append b c))
  | List.nil, _, _ => rfl
  | List.cons x xs, b, c => congrArg (List.cons x) (LeanWorker.Prelude.append_assoc xs b c)
theorem LeanWorker.Prelude.utf8_append : (l m : List Char) →
    Eq (LeanWorker.Prelude.utf8 (List.append l m)) (List.append (LeanWorker.Prelude.utf8 l) (LeanWorker.Prelude.utf8 m))
  | List.nil, _ => rfl
  | List.cons c l, m =>
    Eq.trans (congrArg (List.append (String.utf8EncodeChar c)) (LeanWorker.Prelude.utf8_append l m))
      (Eq.symm (LeanWorker.Prelude.append_assoc _ _ _))

inductive ByteArray.IsValidUTF8 (b : ByteArray) : Prop where
  | intro (m : List Char) (hm : Eq b (List.utf8Encode m))
theorem ByteArray.IsValidUTF8.append {a b : ByteArray} : a.IsValidUTF8 → b.IsValidUTF8 → (ByteArray.append a b).IsValidUTF8
  | ⟨l, hl⟩, ⟨m, hm⟩ =>
    ⟨List.append l m, Eq.trans (congr (congrArg ByteArray.append hl) hm)
      (ByteArray.ext_toList (Eq.symm (LeanWorker.Prelude.utf8_append l m)))⟩

structure String where
  ofByteArray ::
  toByteArray : ByteArray
  isValidUTF8 : ByteArray.IsValidUTF8 toByteArray
attribute [extern "lean_string_to_utf8"] String.toByteArray
attribute [extern "lean_string_from_utf8_unchecked"] String.ofByteArray
@[extern "lean_string_mk"]
def String.ofList (data : List Char) : String := ⟨List.utf8Encode data, ⟨data, rfl⟩⟩
@[extern "lean_string_dec_eq"]
def String.decEq (s₁ s₂ : @& String) : Decidable (Eq s₁ s₂) :=
  match s₁, s₂ with
  | ⟨⟨⟨s₁⟩⟩, h₁⟩, ⟨⟨⟨s₂⟩⟩, h₂⟩ =>
    match List.hasDecEq s₁ s₂ with
    | isTrue h => isTrue (match s₁, s₂, h₁, h₂, h with | _, _, _, _, rfl => rfl)
    | isFalse h => isFalse fun h' => h (congrArg (fun s : String => s.toByteArray.data.toList) h')
instance instDecidableEqString : DecidableEq String := String.decEq
@[extern "lean_string_append"]
def String.append : String → (@& String) → String
  | ⟨b₁, h₁⟩, ⟨b₂, h₂⟩ => ⟨ByteArray.append b₁ b₂, h₁.append h₂⟩
instance instAppendString : Append String := ⟨String.append⟩
instance String.instInhabited : Inhabited String := ⟨""⟩
@[extern "lean_string_utf8_byte_size"]
def String.utf8ByteSize (s : @& String) : Nat := s.toByteArray.data.toList.length
structure String.Pos.Raw where
  byteIdx : Nat := 0
structure Substring.Raw where
  str : String
  startPos : String.Pos.Raw
  stopPos : String.Pos.Raw
@[extern "x"] opaque String.length (b : @& String) : Nat
@[extern "l_Nat_reprFast"] opaque Nat.reprFast (n : Nat) : String
def String.rawEndPos (s : String) : String.Pos.Raw := ⟨s.utf8ByteSize⟩
def String.toRawSubstring (s : String) : Substring.Raw := ⟨s, ⟨0⟩, s.rawEndPos⟩
def String.toRawSubstring' (s : String) : Substring.Raw := ⟨s, ⟨0⟩, s.rawEndPos⟩
