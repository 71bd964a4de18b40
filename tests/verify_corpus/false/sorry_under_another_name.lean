-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
theorem obvious {p : Prop} : p := sorryAx p true
theorem goal : False := obvious
