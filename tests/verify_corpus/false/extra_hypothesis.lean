-- statement_changed aspect=type
prelude
import LeanWorker.Library
theorem goal (h : False) : False := h
