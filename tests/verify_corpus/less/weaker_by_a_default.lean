-- statement_changed aspect=type
prelude
import LeanWorker.Library
theorem goal (n : Nat) (h : 0 < n := by decide) : n < 2 * n := sorry
