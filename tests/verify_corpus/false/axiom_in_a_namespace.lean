-- forbidden_axiom axiom=Mine.propext
prelude
import LeanWorker.Prelude
namespace Mine
axiom propext : False
end Mine
open Mine
theorem goal : False := Mine.propext
