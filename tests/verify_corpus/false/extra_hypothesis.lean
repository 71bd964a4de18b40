-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
theorem goal (h : False) : False := h
