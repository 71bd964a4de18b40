-- statement_changed aspect=universe
prelude
import LeanWorker.Library
set_option autoImplicit true
theorem goal {Nat : Type u} [LT Nat] [HMul Nat Nat Nat] [OfNat Nat 2] (all : ∀ a b : Nat, a < b) (n : Nat) : n < 2 * n := all _ _
