-- statement_changed aspect=type
prelude
import LeanWorker.Library
local macro_rules | `($_ < $_) => `(True)
theorem goal (n : Nat) : n < 2 * n := True.intro
