-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
variable (h : False)
include h in
theorem goal : False := h
