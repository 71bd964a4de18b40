-- statement_changed aspect=missing declaration=goal
prelude
import LeanWorker.Library
variable (h : False)
include h in
private theorem goal : False := h
