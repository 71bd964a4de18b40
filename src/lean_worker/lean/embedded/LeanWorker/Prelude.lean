prelude
/-! The few core constants that Lean's elaborator and compiler look up by name, for a Lean that comes without `Init`.

The embedded Lean is the whole program (parser, elaborator, kernel, compiler, interpreter, runtime) but no compiled
library, so a file for it starts with `prelude` and gets everything from here. Names and shapes are those of the full
library: what is written against this file reads the same in a full toolchain.

What a reader used to a full Lean will miss. Operators (`+`, `==`, `++`, `<|`), `if`, list brackets, `s!`, `deriving` and
`for` are macros of `Init`, not of the parser, and so do not exist here: write `Nat.add a b`, `match … with`,
`List.cons`. `do` blocks, `structure`, `match`, `partial`, numerals and string literals are built in and work.

How native code is reached. The interpreter takes a constant without a body to the symbol made from its Lean name
(`Nat.add` → `l_Nat_add___boxed`, or `l_Nat_add` where no argument is borrowed or unboxed); it does not read
`@[extern]`. Only names that the library exports under such a symbol can be declared; anything else fails when it is
first called, with "Could not find native implementation".

A definition here gives way to the library's own compiled form if there is one under its symbol, with the library's
parameters. Whatever has a body here is therefore either declared exactly as in the full library, or has a name that
the library does not use; the instances are named for that reason. -/

set_option genSizeOf false
set_option linter.all false
set_option bootstrap.inductiveCheckResultingUniverse false

universe u v w

/-! ## What the compiler uses for erased terms and types -/

unsafe axiom lcErased : Type
unsafe axiom lcAny : Type
unsafe axiom lcVoid : Type
unsafe axiom lcProof {α : Prop} : α
unsafe axiom lcUnreachable {α : Sort u} : α
unsafe axiom lcCast {α : Sort u} {β : Sort v} (a : α) : β

@[reducible] def optParam (α : Sort u) (default : α) : Sort u := α
@[reducible] def outParam (α : Sort u) : Sort u := α
@[reducible] def semiOutParam (α : Sort u) : Sort u := α

/-! ## Logic, as far as `inductive`, `structure` and `match` generate theorems about themselves -/

@[inline] def id {α : Sort u} (a : α) : α := a

inductive PUnit : Sort u where
  | unit : PUnit

abbrev Unit : Type := PUnit
@[match_pattern] abbrev Unit.unit : Unit := PUnit.unit

inductive True : Prop where
  | intro : True

inductive False : Prop

def Not (a : Prop) : Prop := a → False

inductive Eq {α : Sort u} : α → α → Prop where
  | refl (a : α) : Eq a a

@[match_pattern] def rfl {α : Sort u} {a : α} : Eq a a := Eq.refl a

abbrev Eq.ndrec.{u1, u2} {α : Sort u2} {a : α} {motive : α → Sort u1} (m : motive a) {b : α} (h : Eq a b) : motive b :=
  Eq.rec (motive := fun x _ => motive x) m h

theorem Eq.symm {α : Sort u} {a b : α} (h : Eq a b) : Eq b a :=
  Eq.rec (motive := fun x _ => Eq x a) rfl h

abbrev cast {α β : Sort u} (h : Eq α β) (a : α) : β :=
  Eq.rec (motive := fun x _ => x) a h

inductive HEq : {α : Sort u} → α → {β : Sort u} → β → Prop where
  | refl (a : α) : HEq a a

theorem eq_of_heq {α : Sort u} {a a' : α} (h : HEq a a') : Eq a a' :=
  HEq.rec (motive := fun {β : Sort u} (b : β) (_ : HEq a b) => (e : Eq α β) → Eq (cast e a) b)
    (fun _ => Eq.refl a) h rfl

theorem heq_of_eq {α : Sort u} {a a' : α} (h : Eq a a') : HEq a a' :=
  Eq.rec (motive := fun x _ => HEq a x) (HEq.refl a) h

structure And (a b : Prop) : Prop where
  intro ::
  left : a
  right : b

structure Prod (α : Type u) (β : Type v) where
  fst : α
  snd : β

structure PProd (α : Sort u) (β : Sort v) where
  fst : α
  snd : β

structure PSigma {α : Sort u} (β : α → Sort v) where
  fst : α
  snd : β fst

structure PULift.{r, s} (α : Sort s) : Sort (max s r 1) where
  up ::
  down : α

/-! ## Data -/

class Inhabited (α : Sort u) where
  default : α
export Inhabited (default)

class inductive Nonempty (α : Sort u) : Prop where
  | intro (value : α) : Nonempty α

instance LeanWorker.Prelude.nonemptyOfInhabited {α : Sort u} [Inhabited α] : Nonempty α := Nonempty.intro Inhabited.default

axiom Classical.ofNonempty {α : Sort u} [Nonempty α] : α

-- No functions from constructors to numbers for the types that those functions themselves need.
set_option genCtorIdx false in
inductive Bool : Type where
  | false : Bool
  | true : Bool

@[macro_inline] def cond {α : Sort u} (c : Bool) (x y : α) : α :=
  match c with
  | Bool.true => x
  | Bool.false => y

/-- Stands for a term that failed to elaborate; without it a type error would be told as a missing constant. -/
axiom sorryAx (α : Sort u) (synthetic : Bool) : α

class inductive Decidable (p : Prop) where
  | isFalse (h : Not p) : Decidable p
  | isTrue (h : p) : Decidable p

set_option genCtorIdx false in
inductive Nat where
  | zero : Nat
  | succ (n : Nat) : Nat

class OfNat (α : Type u) (_ : Nat) where
  ofNat : α

instance instOfNatNat (n : Nat) : OfNat Nat n := ⟨n⟩

@[extern "lean_nat_dec_eq"] axiom Nat.decEq (n m : @& Nat) : Decidable (Eq n m)

-- The kernel computes with these by name; it wants their definitions.
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_add"]
protected def Nat.add : (n m : Nat) → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.succ (Nat.add n m)

@[extern "lean_nat_pred"]
def Nat.pred : Nat → Nat
  | Nat.zero => Nat.zero
  | Nat.succ n => n

set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_sub"]
protected def Nat.sub : (n m : Nat) → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.pred (Nat.sub n m)

@[extern "lean_nat_mul"] axiom Nat.mul (n m : @& Nat) : Nat
@[extern "lean_nat_div"] axiom Nat.div (n m : @& Nat) : Nat
@[extern "lean_nat_mod"] axiom Nat.mod (n m : @& Nat) : Nat
@[extern "lean_nat_dec_eq"] axiom Nat.beq (n m : @& Nat) : Bool
@[extern "lean_nat_dec_le"] axiom Nat.ble (n m : @& Nat) : Bool

inductive List (α : Type u) where
  | nil : List α
  | cons (head : α) (tail : List α) : List α

inductive Option (α : Type u) where
  | none : Option α
  | some (val : α) : Option α

inductive Except (ε : Type u) (α : Type v) where
  | error : ε → Except ε α
  | ok : α → Except ε α

axiom String : Type
instance LeanWorker.Prelude.inhabitedString : Inhabited String := ⟨""⟩
@[extern "lean_string_append"] axiom String.append (s : String) (t : @& String) : String
@[extern "lean_string_length"] axiom String.length (s : @& String) : Nat
@[extern "lean_string_dec_eq"] axiom String.decEq (s t : @& String) : Decidable (Eq s t)
@[extern "l_String_toNat_x3f"] axiom String.toNat? (s : String) : Option Nat

/-- `Nat.repr` itself is not in the library: its compiled form goes by this name, and takes its argument for good. -/
@[extern "l_Nat_reprFast"] axiom Nat.reprFast (n : Nat) : String
def Nat.repr (n : Nat) : String := Nat.reprFast n

/-! ## What `sorry` elaborates to: a term that carries its place in the file as a name -/

@[inline] def Function.const {α : Sort u} (β : Sort v) (a : α) : β → α := fun _ => a

-- What is generated for constructors asks for more of the library.
set_option genCtorIdx false in
set_option genInjectivity false in
inductive Lean.Name where
  | anonymous : Lean.Name
  | str (pre : Lean.Name) (string : String) : Lean.Name
  | num (pre : Lean.Name) (number : Nat) : Lean.Name

abbrev Lean.Name.mkStr (pre : Lean.Name) (string : String) : Lean.Name := Lean.Name.str pre string
abbrev Lean.Name.mkNum (pre : Lean.Name) (number : Nat) : Lean.Name := Lean.Name.num pre number
abbrev Lean.Name.mkStr1 (s1 : String) : Lean.Name := Lean.Name.str Lean.Name.anonymous s1
abbrev Lean.Name.mkStr2 (s1 s2 : String) : Lean.Name := Lean.Name.str (Lean.Name.mkStr1 s1) s2
abbrev Lean.Name.mkStr3 (s1 s2 s3 : String) : Lean.Name := Lean.Name.str (Lean.Name.mkStr2 s1 s2) s3

/-- Prints `message` and ends the process: a worker runs with LEAN_ABORT_ON_PANIC. -/
@[extern "lean_panic_fn"] axiom panicCore {α : Sort u} [Inhabited α] (message : String) : α
def panic {α : Sort u} [Inhabited α] (message : String) : α := panicCore message

/-! ## Monads, as far as `do` blocks elaborate to them -/

class Pure (f : Type u → Type v) where
  pure {α : Type u} : α → f α
export Pure (pure)

class Bind (m : Type u → Type v) where
  bind : {α β : Type u} → m α → (α → m β) → m β
export Bind (bind)

class Functor (f : Type u → Type v) : Type (max (u+1) v) where
  map : {α β : Type u} → (α → β) → f α → f β
  mapConst : {α β : Type u} → α → f β → f α := fun value action => map (fun _ => value) action

class Seq (f : Type u → Type v) : Type (max (u+1) v) where
  seq : {α β : Type u} → f (α → β) → (Unit → f α) → f β

class SeqLeft (f : Type u → Type v) : Type (max (u+1) v) where
  seqLeft : {α β : Type u} → f α → (Unit → f β) → f α

class SeqRight (f : Type u → Type v) : Type (max (u+1) v) where
  seqRight : {α β : Type u} → f α → (Unit → f β) → f β

class Applicative (f : Type u → Type v) extends Functor f, Pure f, Seq f, SeqLeft f, SeqRight f where
  map := fun function value => seq (pure function) fun _ => value
  seqLeft := fun first second => seq (map (fun value _ => value) first) second
  seqRight := fun first second => seq (map (fun _ value => value) first) second

class Monad (m : Type u → Type v) : Type (max (u+1) v) extends Applicative m, Bind m where
  map function action := bind action fun value => pure (function value)
  seq function action := bind function fun apply => map apply (action Unit.unit)
  seqLeft first second := bind first fun value => bind (second Unit.unit) fun _ => pure value
  seqRight first second := bind first fun _ => second Unit.unit

class MonadExcept (ε : outParam (Type u)) (m : Type v → Type w) where
  throw {α : Type v} : ε → m α
  tryCatch {α : Type v} (body : m α) (handler : ε → m α) : m α
export MonadExcept (throw tryCatch)

class MonadLift (m : semiOutParam (Type u → Type v)) (n : Type u → Type w) where
  monadLift : {α : Type u} → m α → n α

class MonadLiftT (m : Type u → Type v) (n : Type u → Type w) where
  monadLift : {α : Type u} → m α → n α
export MonadLiftT (monadLift)

/-- The name under which a `do` block lifts a `BaseIO` action into `IO`. -/
abbrev liftM := @monadLift

instance LeanWorker.Prelude.liftTrans (m n o) [MonadLift n o] [MonadLiftT m n] : MonadLiftT m o where
  monadLift action := MonadLift.monadLift (m := n) (monadLift action)

instance LeanWorker.Prelude.liftRefl (m) : MonadLiftT m m where
  monadLift action := action

/-! ## IO

The shapes decide how native code is called and have to be those of the library: the state token is erased, so that a
`BaseIO` action answers its bare value and an `IO` action a constructor object, ok or error. -/

structure Subtype {α : Sort u} (p : α → Prop) where
  val : α
  property : p val

abbrev NonemptyType : Type (u+1) := Subtype fun α : Type u => Nonempty α

axiom Void.nonemptyType (σ : Type) : NonemptyType.{0}

/-- The compiler knows the state token by this very definition and leaves it out of every object and call. With any other
one (an axiom, say) results of native functions would be read one field too far. -/
def Void (σ : Type) : Type := (Void.nonemptyType σ).val

structure ST.Out (σ : Type) (α : Type) where
  val : α
  state : Void σ

inductive EST.Out (ε : Type) (σ : Type) (α : Type) where
  | ok : α → Void σ → EST.Out ε σ α
  | error : ε → Void σ → EST.Out ε σ α

def ST (σ : Type) (α : Type) : Type := Void σ → ST.Out σ α
def EST (ε : Type) (σ : Type) (α : Type) : Type := Void σ → EST.Out ε σ α

axiom IO.RealWorld : Type
axiom IO.Error : Type
@[extern "lean_worker_never_called"] axiom IO.Error.some : IO.Error

def BaseIO (α : Type) : Type := ST IO.RealWorld α
def EIO (ε : Type) (α : Type) : Type := EST ε IO.RealWorld α
abbrev IO (α : Type) : Type := EIO IO.Error α

instance LeanWorker.Prelude.monadBaseIO : Monad BaseIO where
  pure value := fun world => ST.Out.mk value world
  bind action next := fun world =>
    match action world with
    | ST.Out.mk value world => next value world

instance LeanWorker.Prelude.monadEIO {ε : Type} : Monad (EIO ε) where
  pure value := fun world => EST.Out.ok value world
  bind action next := fun world =>
    match action world with
    | EST.Out.ok value world => next value world
    | EST.Out.error error world => EST.Out.error error world

instance LeanWorker.Prelude.monadExceptEIO {ε : Type} : MonadExcept ε (EIO ε) where
  throw error := fun world => EST.Out.error error world
  tryCatch body handler := fun world =>
    match body world with
    | EST.Out.ok value world => EST.Out.ok value world
    | EST.Out.error error world => handler error world

instance LeanWorker.Prelude.liftBaseIO {ε : Type} : MonadLift BaseIO (EIO ε) where
  monadLift action := fun world =>
    match action world with
    | ST.Out.mk value world => EST.Out.ok value world

-- `partial` asks for proof that the result type has a value; this one is never computed.
instance LeanWorker.Prelude.inhabitedIO {α : Type} : Inhabited (IO α) where
  default := throw IO.Error.some

/-! ## The world

A full Lean takes milliseconds and exit codes as `UInt32` and `UInt8`. Passed as objects those are the same words as
small `Nat`s on a 64-bit machine, which is how the interpreter passes them, so `Nat` stands for both here; literals read
the same. -/

@[extern "l_IO_sleep"] axiom IO.sleep (milliseconds : Nat) : BaseIO Unit
@[extern "lean_io_exit"] axiom IO.Process.exit {α : Type} (code : Nat) : IO α
class ToString (α : Type u) where
  toString : α → String

instance LeanWorker.Prelude.toStringString : ToString String where
  toString text := text

/-- Prints a line. In a worker it goes to stderr: the protocol has descriptors of its own. -/
@[extern "l_IO_println"] axiom IO.println {α : Type u} [ToString α] (value : α) : IO Unit

/-! ## Tasks: work on other Lean threads -/

axiom Task (α : Type) : Type
abbrev Task.Priority : Type := Nat
def Task.Priority.default : Task.Priority := 0

@[extern "l_IO_asTask"] axiom IO.asTask {α : Type} (action : IO α)
  (priority : Task.Priority := Task.Priority.default) : BaseIO (Task (Except IO.Error α))

@[extern "lean_io_wait"] axiom IO.wait {α : Type} (task : Task α) : BaseIO α
