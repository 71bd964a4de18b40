-- lost
prelude
import LeanWorker.Prelude
#eval IO.Process.exit (α := Unit) 0
theorem goal : False := nonsense
