-- statement_changed aspect=type
prelude
import LeanWorker.Library
local instance (priority := 10000) : LT Nat := ⟨fun _ _ => True⟩
theorem goal (n : Nat) : n < 2 * n := True.intro
