-- statement_changed aspect=missing
prelude
import LeanWorker.Library
namespace Hidden
inductive Nat where
  | one
instance : LT Nat := ⟨fun _ _ => True⟩
instance : Mul Nat := ⟨fun n _ => n⟩
instance (n : _root_.Nat) : OfNat Nat n := ⟨.one⟩
theorem goal (n : Nat) : n < 2 * n := True.intro
end Hidden
open Hidden
