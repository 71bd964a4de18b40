-- statement_changed aspect=imports
module
prelude
public import LeanWorker.Library
public theorem goal : False := sorry
