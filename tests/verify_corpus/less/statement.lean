prelude
import LeanWorker.Library
theorem goal (n : Nat) : n < 2 * n := sorry
