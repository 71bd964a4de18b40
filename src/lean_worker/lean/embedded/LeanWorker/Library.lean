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

A definition gives way to the library's own compiled form if there is one under its symbol, with the library's
parameters. Whatever has a body here is therefore either declared as in the full library, or `@[inline]`, or has a name
in `LeanWorker.Prelude`, which the library does not use. The shapes of types are the library's as well: native code reads
the fields of an object by their places.

Nothing here makes `False` provable. What has no body is `opaque`, for which Lean asks for a value of the type, wherever
there is one; the axioms are those of the full library and a few whose types are inhabited in it. -/
