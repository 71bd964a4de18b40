-- statement_changed declaration=goal aspect=missing
prelude
import LeanWorker.Library
namespace Other
axiom goal : False
end Other
export Other (goal)
