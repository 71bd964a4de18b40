-- statement_changed aspect=type
prelude
import LeanWorker.Library
theorem goal (n : Nat) : n ≤ 2 * n := sorry
