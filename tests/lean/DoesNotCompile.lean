prelude
import LeanWorker

def main : IO Unit := LeanWorker.serve "this is no list of commands"
