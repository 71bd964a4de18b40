-- statement_changed aspect=type
prelude
import LeanWorker.Library
class Absurd where
  out : False
theorem goal [Absurd] : False := Absurd.out
