-- statement_changed aspect=imports
prelude
inductive False : Prop where
  | intro : False
theorem goal : False := False.intro
