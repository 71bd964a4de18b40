-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Prelude
set_option warn.sorry false
theorem goal : False := sorry
