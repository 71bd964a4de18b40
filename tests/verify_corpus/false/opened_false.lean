-- forbidden_axiom axiom=sorryAx
prelude
import LeanWorker.Library
namespace N
theorem False : True := True.intro
end N
open N in
theorem goal : False := sorry
