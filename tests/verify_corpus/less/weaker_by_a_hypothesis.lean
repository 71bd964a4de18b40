-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
theorem goal (n : Nat) (h : n < 2 * n) : n < 2 * n := h
