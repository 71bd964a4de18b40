-- forbidden_axiom axiom=held
prelude
import LeanWorker.Library
axiom held.{u} {α : Sort u} : α
theorem goal : False := held
