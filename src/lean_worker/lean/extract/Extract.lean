prelude
import LeanWorker.Extract
open LeanWorker

/-- The arguments are the modules to import, once for all requests. -/
def main (arguments : List String) : IO Unit := do
  let current ← IO.mkRef none
  unless arguments.isEmpty do
    current.set (some (← Extract.openModules arguments.toArray))
  serve [Extract.declarations current, Extract.dependencies current, Extract.modules current]
