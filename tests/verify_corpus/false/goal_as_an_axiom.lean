-- statement_changed aspect=kind
prelude
import LeanWorker.Prelude
axiom goal : False
