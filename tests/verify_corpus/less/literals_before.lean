-- statement_changed aspect=type
prelude
import LeanWorker.Library
local instance (priority := 10000) (n : Nat) : OfNat Nat n := ⟨n + 1⟩
theorem goal (n : Nat) : n < 2 * n := sorry
