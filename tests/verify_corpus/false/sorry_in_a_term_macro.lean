-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
macro "done_it" : term => `(sorry)
theorem goal : False := done_it
