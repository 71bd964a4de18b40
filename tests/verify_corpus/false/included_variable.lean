-- statement_changed aspect=type
prelude
import LeanWorker.Library
variable (h : False)
include h in
theorem goal : False := h
