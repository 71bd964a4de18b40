-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
theorem obvious {p : Prop} : p := sorryAx p true
theorem goal : False := obvious
