-- statement_changed aspect=missing declaration=goal
prelude
import LeanWorker.Library
namespace Inner
inductive False : Prop where
  | intro
theorem goal : False := .intro
end Inner
open Inner
example : Inner.False := goal
