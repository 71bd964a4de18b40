-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
set_option warn.sorry false
theorem goal : False := sorry
