-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
set_option autoImplicit true
theorem goal {False : Prop} (h : False) : False := h
