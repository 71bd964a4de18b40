-- statement_changed aspect=kind
prelude
import LeanWorker.Library
axiom goal : False
