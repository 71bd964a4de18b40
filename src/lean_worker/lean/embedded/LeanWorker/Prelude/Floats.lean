module

prelude
public import LeanWorker.Prelude.Numbers
/-! Floating-point numbers: all of it is native code. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w

/-- The field is never looked at: native code has the number itself. -/
structure Float where
  private ofBits' ::
  private bits' : UInt64
instance LeanWorker.Prelude.nonemptyFloat : Nonempty Float := ⟨⟨0⟩⟩
@[extern "lean_float_of_bits"] opaque Float.ofBits : UInt64 → Float
instance instInhabitedFloat : Inhabited Float := ⟨Float.ofBits 0⟩
namespace Float
@[extern "lean_float_add"] opaque add : Float → Float → Float
@[extern "lean_float_sub"] opaque sub : Float → Float → Float
@[extern "lean_float_mul"] opaque mul : Float → Float → Float
@[extern "lean_float_div"] opaque div : Float → Float → Float
@[extern "lean_float_negate"] opaque neg : Float → Float
@[extern "pow"] opaque pow : Float → Float → Float
@[extern "atan2"] opaque atan2 (y x : Float) : Float
@[extern "sin"] opaque sin : Float → Float
@[extern "cos"] opaque cos : Float → Float
@[extern "tan"] opaque tan : Float → Float
@[extern "asin"] opaque asin : Float → Float
@[extern "acos"] opaque acos : Float → Float
@[extern "atan"] opaque atan : Float → Float
@[extern "sinh"] opaque sinh : Float → Float
@[extern "cosh"] opaque cosh : Float → Float
@[extern "tanh"] opaque tanh : Float → Float
@[extern "exp"] opaque exp : Float → Float
@[extern "exp2"] opaque exp2 : Float → Float
@[extern "log"] opaque log : Float → Float
@[extern "log2"] opaque log2 : Float → Float
@[extern "log10"] opaque log10 : Float → Float
@[extern "sqrt"] opaque sqrt : Float → Float
@[extern "cbrt"] opaque cbrt : Float → Float
@[extern "ceil"] opaque ceil : Float → Float
@[extern "floor"] opaque floor : Float → Float
@[extern "round"] opaque round : Float → Float
@[extern "fabs"] opaque abs : Float → Float
@[extern "lean_float_beq"] protected opaque beq (a b : Float) : Bool
@[extern "lean_float_isnan"] opaque isNaN : Float → Bool
@[extern "lean_float_isfinite"] opaque isFinite : Float → Bool
@[extern "lean_float_isinf"] opaque isInf : Float → Bool
@[extern "lean_float_of_nat"] protected opaque ofNat : (@& Nat) → Float
@[extern "lean_float_of_int"] protected opaque ofInt (n : Int) : Float
@[extern "lean_float_of_scientific"] protected opaque ofScientific (m : Nat) (s : Bool) (e : Nat) : Float
@[extern "lean_float_to_string"] protected opaque toString : Float → String
@[extern "lean_float_to_uint8"] opaque toUInt8 : Float → UInt8
@[extern "lean_float_to_uint64"] opaque toUInt64 : Float → UInt64
@[extern "lean_float_to_usize"] opaque toUSize : Float → USize
@[extern "lean_float_to_bits"] opaque toBits : Float → UInt64
structure _root_.LeanWorker.Prelude.FloatOrder where
  lt : Float → Float → Prop
  le : Float → Float → Prop
  decLt : (a b : Float) → Decidable (lt a b)
  decLe : (a b : Float) → Decidable (le a b)
opaque _root_.LeanWorker.Prelude.floatOrder : LeanWorker.Prelude.FloatOrder :=
  ⟨fun _ _ => False, fun _ _ => False, fun _ _ => isFalse id, fun _ _ => isFalse id⟩
protected def lt : Float → Float → Prop := LeanWorker.Prelude.floatOrder.lt
protected def le : Float → Float → Prop := LeanWorker.Prelude.floatOrder.le
@[extern "lean_float_decLt"] opaque decLt (a b : Float) : Decidable (Float.lt a b) := LeanWorker.Prelude.floatOrder.decLt a b
@[extern "lean_float_decLe"] opaque decLe (a b : Float) : Decidable (Float.le a b) := LeanWorker.Prelude.floatOrder.decLe a b
end Float
@[extern "lean_float_of_nat"] opaque Nat.toFloat (n : @& Nat) : Float
@[extern "x"] opaque Int.toFloat (n : Int) : Float
@[extern "lean_uint64_to_float"] opaque UInt64.toFloat (n : UInt64) : Float
instance instAddFloat : Add Float := ⟨Float.add⟩
instance instSubFloat : Sub Float := ⟨Float.sub⟩
instance instMulFloat : Mul Float := ⟨Float.mul⟩
instance instDivFloat : Div Float := ⟨Float.div⟩
instance instNegFloat : Neg Float := ⟨Float.neg⟩
instance instHomogeneousPowFloat : HomogeneousPow Float := ⟨Float.pow⟩
instance LeanWorker.Prelude.powFloat : Pow Float Float := ⟨Float.pow⟩
instance instBEqFloat : BEq Float := ⟨Float.beq⟩
instance instLTFloat : LT Float := ⟨Float.lt⟩
instance instLEFloat : LE Float := ⟨Float.le⟩
instance floatDecLt (a b : Float) : Decidable (a < b) := Float.decLt a b
instance floatDecLe (a b : Float) : Decidable (a ≤ b) := Float.decLe a b
instance instMaxFloat : Max Float := maxOfLe
instance instMinFloat : Min Float := minOfLe
instance instOfNatFloat : OfNat Float n := ⟨Float.ofNat n⟩
instance LeanWorker.Prelude.natCastFloat : NatCast Float := ⟨Float.ofNat⟩
class OfScientific (α : Type u) where
  ofScientific (mantissa : Nat) (exponentSign : Bool) (decimalExponent : Nat) : α
@[default_instance mid + 1] instance instOfScientificFloat : OfScientific Float := ⟨Float.ofScientific⟩
