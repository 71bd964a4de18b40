-- forbidden_axiom axiom=held
prelude
import LeanWorker.Library
unsafe def loop : False := loop
@[implemented_by loop] axiom held : False
theorem goal : False := held
