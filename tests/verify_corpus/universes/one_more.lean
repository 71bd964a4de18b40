-- statement_changed aspect=universe
prelude
import LeanWorker.Library
theorem goal.{u, v, w} (γ : Sort w) {α : Type u} {β : Type v} (f : α → β) (a : α) : f a = f a := rfl
