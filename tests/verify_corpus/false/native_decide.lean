-- forbidden_axiom
prelude
import LeanWorker.Library
@[implemented_by Nat.succ] def same (n : Nat) : Nat := n
theorem helper : same 0 = 1 := by native_decide
theorem goal : False := absurd helper (by decide)
