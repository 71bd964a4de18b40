-- statement_changed aspect=type
prelude
import LeanWorker.Library
set_option autoImplicit true
theorem goal {False : Prop} (h : False) : False := h
