-- statement_changed aspect=type
prelude
import LeanWorker.Prelude
class Absurd where
  out : False
theorem goal [Absurd] : False := Absurd.out
