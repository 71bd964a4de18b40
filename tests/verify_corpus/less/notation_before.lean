-- statement_changed aspect=type
prelude
import LeanWorker.Library
local notation:50 (priority := high) a " < " b => a = a ∨ b = b
theorem goal (n : Nat) : n < 2 * n := .inl rfl
