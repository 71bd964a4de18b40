prelude
import LeanWorker

def main : IO Unit := IO.println "this script never calls serve"
