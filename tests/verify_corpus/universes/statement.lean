prelude
import LeanWorker.Library
theorem goal.{u, v} {α : Type u} {β : Type v} (f : α → β) (a : α) : f a = f a := sorry
