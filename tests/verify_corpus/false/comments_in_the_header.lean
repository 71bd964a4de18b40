-- forbidden_axiom axiom=cheat
/- import Other -/ prelude /- -/ import LeanWorker.Library -- import Another
axiom cheat : False
theorem goal : False := cheat
