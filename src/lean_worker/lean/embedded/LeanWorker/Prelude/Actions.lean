module

prelude
public import LeanWorker.Prelude.Control
/-! Input and output, and tasks.

The shapes decide how native code is called and have to be those of the library: the state token is erased, so that a
`BaseIO` action answers its bare value and an `IO` action a constructor object, ok or error. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false
set_option autoImplicit true

universe u v w

/-! ## Actions -/

abbrev NonemptyType := Subtype fun α : Type u => Nonempty α
abbrev NonemptyType.type (type : NonemptyType.{u}) : Type u := type.val
instance LeanWorker.Prelude.inhabitedNonemptyType : Inhabited NonemptyType.{u} := ⟨⟨PUnit, ⟨⟨⟩⟩⟩⟩
theorem NonemptyType.nonempty' (type : NonemptyType.{u}) : Nonempty type.type := type.property

opaque Void.nonemptyType (σ : Type) : NonemptyType.{0}
/-- The compiler knows the state token by this very definition and leaves it out of every object and call. With any other
one (an axiom, say) results of native functions would be read one field too far. -/
def Void (σ : Type) : Type := (Void.nonemptyType σ).type
instance Void.instNonempty : Nonempty (Void σ) := (Void.nonemptyType σ).property

structure ST.Out (σ : Type) (α : Type) where
  val : α
  state : Void σ
inductive EST.Out (ε : Type) (σ : Type) (α : Type) where
  | ok : α → Void σ → EST.Out ε σ α
  | error : ε → Void σ → EST.Out ε σ α
def ST (σ : Type) (α : Type) : Type := Void σ → ST.Out σ α
def EST (ε : Type) (σ : Type) (α : Type) : Type := Void σ → EST.Out ε σ α
opaque IO.RealWorld.nonemptyType : NonemptyType.{0}
def IO.RealWorld : Type := IO.RealWorld.nonemptyType.type
def BaseIO (α : Type) : Type := ST IO.RealWorld α
def EIO (ε : Type) (α : Type) : Type := EST ε IO.RealWorld α

instance LeanWorker.Prelude.monadST {σ : Type} : Monad (ST σ) where
  pure x := fun s => .mk x s
  bind x f := fun s => match x s with
    | .mk x s => f x s
instance LeanWorker.Prelude.monadEST {ε σ : Type} : Monad (EST ε σ) where
  pure x := fun s => .ok x s
  bind x f := fun s => match x s with
    | .ok a s => f a s
    | .error e s => .error e s
instance LeanWorker.Prelude.exceptEST {ε σ : Type} : MonadExceptOf ε (EST ε σ) where
  throw e := fun s => .error e s
  tryCatch x handle := fun s => match x s with
    | .ok a s => .ok a s
    | .error e s => handle e s
instance LeanWorker.Prelude.monadBaseIO : Monad BaseIO := inferInstanceAs (Monad (ST IO.RealWorld))
instance LeanWorker.Prelude.monadEIO {ε : Type} : Monad (EIO ε) := inferInstanceAs (Monad (EST ε IO.RealWorld))
instance LeanWorker.Prelude.exceptEIO {ε : Type} : MonadExceptOf ε (EIO ε) := inferInstanceAs (MonadExceptOf ε (EST ε IO.RealWorld))
instance LeanWorker.Prelude.inhabitedEIO {ε α : Type} [Inhabited ε] : Inhabited (EIO ε α) := ⟨throw default⟩
instance LeanWorker.Prelude.liftBaseIO {ε : Type} : MonadLift BaseIO (EIO ε) where
  monadLift x := fun w => match x w with
    | .mk a w => .ok a w
instance LeanWorker.Prelude.liftST : MonadLift (ST IO.RealWorld) BaseIO := ⟨fun x => x⟩

inductive IO.Error where
  | alreadyExists (filename : Option String) (osCode : UInt32) (details : String)
  | otherError (osCode : UInt32) (details : String)
  | resourceBusy (osCode : UInt32) (details : String)
  | resourceVanished (osCode : UInt32) (details : String)
  | unsupportedOperation (osCode : UInt32) (details : String)
  | hardwareFault (osCode : UInt32) (details : String)
  | unsatisfiedConstraints (osCode : UInt32) (details : String)
  | illegalOperation (osCode : UInt32) (details : String)
  | protocolError (osCode : UInt32) (details : String)
  | timeExpired (osCode : UInt32) (details : String)
  | interrupted (filename : String) (osCode : UInt32) (details : String)
  | noFileOrDirectory (filename : String) (osCode : UInt32) (details : String)
  | invalidArgument (filename : Option String) (osCode : UInt32) (details : String)
  | permissionDenied (filename : Option String) (osCode : UInt32) (details : String)
  | resourceExhausted (filename : Option String) (osCode : UInt32) (details : String)
  | inappropriateType (filename : Option String) (osCode : UInt32) (details : String)
  | noSuchThing (filename : Option String) (osCode : UInt32) (details : String)
  | unexpectedEof
  | userError (msg : String)
@[reducible] def IO.userError (s : String) : IO.Error := .userError s
instance instInhabitedError : Inhabited IO.Error := ⟨.userError "(`Inhabited.default` for `IO.Error`)"⟩
class ToString (α : Type u) where
  toString : α → String
export ToString (toString)
instance instToStringString : ToString String := ⟨fun s => s⟩
@[instance, extern "x"] opaque IO.Error.instToString : ToString IO.Error := ⟨fun _ => ""⟩
abbrev IO : Type → Type := EIO IO.Error

/-! ## The world -/

@[extern "l_IO_sleep"] opaque IO.sleep (ms : UInt32) : BaseIO Unit
@[extern "lean_io_exit"] opaque IO.Process.exit {α : Type} : UInt8 → IO α
/-- Prints a line. In a worker it goes to stderr: the protocol has descriptors of its own. -/
@[extern "l_IO_println"] opaque IO.println {α : Type u} [ToString α] (s : α) : IO Unit

structure Task (α : Type u) : Type u where
  pure ::
  get : α
attribute [extern "lean_task_pure"] Task.pure
attribute [extern "lean_task_get_own"] Task.get
instance LeanWorker.Prelude.inhabitedTask [Inhabited α] : Inhabited (Task α) := ⟨.pure default⟩
abbrev Task.Priority := Nat
def Task.Priority.default : Task.Priority := 0
def Task.Priority.max : Task.Priority := 8
def Task.Priority.dedicated : Task.Priority := 9
@[extern "lean_io_as_task"] opaque BaseIO.asTask {α : Type} (act : BaseIO α) (prio : Task.Priority := Task.Priority.default) :
    BaseIO (Task α) := bind act fun a => pure (Task.pure a)
@[inline] def EIO.toBaseIO {ε α : Type} (act : EIO ε α) : BaseIO (Except ε α) := fun s => match act s with
  | .ok a s => .mk (.ok a) s
  | .error e s => .mk (.error e) s
@[inline] def EIO.asTask {ε α : Type} (act : EIO ε α) (prio : Task.Priority := Task.Priority.default) :
    BaseIO (Task (Except ε α)) := BaseIO.asTask act.toBaseIO prio
@[inline] def IO.asTask {α : Type} (act : IO α) (prio : Task.Priority := Task.Priority.default) :
    BaseIO (Task (Except IO.Error α)) := EIO.asTask act prio
@[extern "lean_io_wait"] opaque IO.wait {α : Type} (t : Task α) : BaseIO α := pure t.get
