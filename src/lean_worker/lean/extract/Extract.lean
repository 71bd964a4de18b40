import LeanWorker.Extract

def main (arguments : List String) : IO Unit := LeanWorker.Extract.serveAll arguments
