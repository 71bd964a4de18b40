-- statement_changed aspect=universe
prelude
import LeanWorker.Library
theorem goal.{u} {α : Type u} {β : Type} (f : α → β) (a : α) : f a = f a := rfl
