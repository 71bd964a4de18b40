-- lost
prelude
import LeanWorker.Library
#eval IO.Process.exit (α := Unit) 0
theorem goal : False := nonsense
