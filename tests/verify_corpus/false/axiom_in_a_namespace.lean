-- forbidden_axiom axiom=Mine.propext
prelude
import LeanWorker.Library
namespace Mine
axiom propext : False
end Mine
open Mine
theorem goal : False := Mine.propext
