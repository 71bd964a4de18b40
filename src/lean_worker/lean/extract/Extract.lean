import LeanWorker.Extract
open LeanWorker

def main : IO Unit := do
  let current ← IO.mkRef none
  serve [Extract.declarations current, Extract.dependencies current, Extract.modules current]
