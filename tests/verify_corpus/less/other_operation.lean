-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
theorem goal (n : Nat) : n ≤ 2 * n := sorry
