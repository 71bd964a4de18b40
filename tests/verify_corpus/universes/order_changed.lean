-- statement_changed aspect=universe
prelude
import LeanWorker.Library
theorem goal.{v, u} {α : Type u} {β : Type v} (f : α → β) (a : α) : f a = f a := rfl
