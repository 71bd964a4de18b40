-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
macro "done_it" : term => `(sorry)
theorem goal : False := done_it
