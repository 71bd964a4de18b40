-- statement_changed aspect=missing declaration=goal
prelude
import LeanWorker.Prelude
variable (h : False)
include h in
private theorem goal : False := h
