-- statement_changed aspect=universe
prelude
import LeanWorker.Library
theorem goal.{u, w} {α : Type u} {β : Type w} (f : α → β) (a : α) : f a = f a := rfl
