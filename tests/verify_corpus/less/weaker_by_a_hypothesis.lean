-- statement_changed aspect=type
prelude
import LeanWorker.Library
theorem goal (n : Nat) (h : n < 2 * n) : n < 2 * n := h
