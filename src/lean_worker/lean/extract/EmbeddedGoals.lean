prelude
import LeanWorker.Goals

def main : IO Unit := LeanWorker.serve [LeanWorker.Goals.goals]
