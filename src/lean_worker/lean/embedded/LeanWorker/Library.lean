module

prelude
public import LeanWorker.Prelude.Facts
public import LeanWorker.Prelude.Unexpanders
/-! A library for a Lean that comes without `Init`: what an ordinary script uses, under the names of the full library.

The embedded Lean is the whole program (parser, elaborator, kernel, compiler, interpreter, runtime) but no compiled
library, so a file for it starts with `prelude` and gets everything from here. What is written against this library reads
the same in a full toolchain. docs/embedded-lean.md lists what is missing.

How native code is reached. The interpreter takes a constant without a body to the symbol made from its Lean name
(`Nat.add` → `l_Nat_add___boxed`, or `l_Nat_add` where no argument is borrowed or unboxed); it does not read the text of
`@[extern]`, which only keeps the compiler from calling the constant noncomputable. Names that the library does not
export fail when they are first called, with "Could not find native implementation".

Workers and the compiler run with `interpreter.prefer_native=false`: without it Lean would take a definition of this
library to the code that the full library's authors compiled under its name, whose parameters and helper functions are
not always the same. The shapes of types that native code gets are the library's: it reads an object's fields by place.

Nothing here makes `False` provable. What has no body is `opaque`, for which Lean asks for a value of the type; the
axioms are those of the full library. -/
