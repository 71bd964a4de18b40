module

prelude
public import LeanWorker.Prelude.Order
/-! Input and output beyond printing: references, streams, files, tasks. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

universe u v w

@[inline] def IO.Error.toString (e : IO.Error) : String := ToString.toString e
instance LeanWorker.Prelude.orElseEIO {ε α : Type} : OrElse (EIO ε α) := ⟨MonadExcept.orElse⟩
instance LeanWorker.Prelude.finallyEIO {ε : Type} : MonadFinally (EIO ε) where
  tryFinally' x f := fun w => match x w with
    | .ok a w => match f (some a) w with
      | .ok b w => .ok (a, b) w
      | .error e w => .error e w
    | .error e w => match f none w with
      | .ok _ w => .error e w
      | .error e w => .error e w
instance LeanWorker.Prelude.finallyBaseIO : MonadFinally BaseIO where
  tryFinally' x f := fun w => match x w with
    | .mk a w => match f (some a) w with
      | .mk b w => .mk (a, b) w
instance instCoeStringError : Coe String IO.Error := ⟨IO.userError⟩
@[inline] def EIO.catchExceptions (act : EIO ε α) (h : ε → BaseIO α) : BaseIO α := fun s => match act s with
  | .ok a s => .mk a s
  | .error e s => h e s
@[inline] def EIO.ofExcept (e : Except ε α) : EIO ε α := match e with
  | .ok a => pure a
  | .error e => throw e
@[inline] def EIO.adapt (f : ε → ε') (m : EIO ε α) : EIO ε' α := fun s => match m s with
  | .ok a s => .ok a s
  | .error e s => .error (f e) s
@[inline] def EIO.toIO (f : ε → IO.Error) (act : EIO ε α) : IO α := EIO.adapt f act
@[inline] def EIO.toIO' (act : EIO ε α) : IO (Except ε α) := act.toBaseIO
@[inline] def BaseIO.toEIO (act : BaseIO α) : EIO ε α := act
@[inline] def BaseIO.toIO (act : BaseIO α) : IO α := act
@[inline] def IO.toEIO (f : IO.Error → ε) (act : IO α) : EIO ε α := EIO.adapt f act
@[inline] def IO.ofExcept [ToString ε] (e : Except ε α) : IO α := match e with
  | .ok a => pure a
  | .error e => throw (IO.userError (toString e))
@[inline] def IO.lazyPure (fn : Unit → α) : IO α := pure (fn ())

/-! ## References -/

opaque ST.RefPointed : NonemptyType.{0}
structure ST.Ref (σ : Type) (α : Type) : Type where
  ref : ST.RefPointed.type
  h : Nonempty α
abbrev IO.Ref (α : Type) : Type := ST.Ref IO.RealWorld α
instance LeanWorker.Prelude.nonemptyRef {σ α : Type} [s : Nonempty α] : Nonempty (ST.Ref σ α) :=
  ⟨⟨Classical.choice ST.RefPointed.property, s⟩⟩
instance LeanWorker.Prelude.nonemptyST {σ α : Type} [Nonempty α] : Nonempty (ST σ α) := ⟨fun s => ⟨Classical.ofNonempty, s⟩⟩
namespace ST.Prim
@[extern "lean_st_mk_ref"] opaque mkRef {σ α} (a : α) : ST σ (ST.Ref σ α) :=
  fun s => .mk ⟨Classical.choice ST.RefPointed.property, ⟨a⟩⟩ s
@[extern "lean_st_ref_get"] opaque Ref.get {σ α} (r : @& ST.Ref σ α) : ST σ α := fun s => .mk (Classical.choice r.h) s
@[extern "lean_st_ref_set"] opaque Ref.set {σ α} (r : @& ST.Ref σ α) (a : α) : ST σ Unit
@[extern "lean_st_ref_swap"] opaque Ref.swap {σ α} (r : @& ST.Ref σ α) (a : α) : ST σ α := fun s => .mk (Classical.choice r.h) s
@[extern "lean_st_ref_take"] unsafe opaque Ref.take {σ α} (r : @& ST.Ref σ α) : ST σ α := fun s => .mk (Classical.choice r.h) s
end ST.Prim
@[inline] def IO.mkRef (a : α) : BaseIO (IO.Ref α) := ST.Prim.mkRef a
@[inline] def ST.Ref.get {m : Type → Type} [MonadLiftT (ST σ) m] (r : ST.Ref σ α) : m α := liftM <| ST.Prim.Ref.get r
@[inline] def ST.Ref.set {m : Type → Type} [MonadLiftT (ST σ) m] (r : ST.Ref σ α) (a : α) : m Unit := liftM <| ST.Prim.Ref.set r a
@[inline] def ST.Ref.swap {m : Type → Type} [MonadLiftT (ST σ) m] (r : ST.Ref σ α) (a : α) : m α := liftM <| ST.Prim.Ref.swap r a
@[inline] def ST.Ref.modify {m : Type → Type} [MonadLiftT (ST σ) m] (r : ST.Ref σ α) (f : α → α) : m Unit :=
  liftM (m := ST σ) do ST.Prim.Ref.set r (f (← ST.Prim.Ref.get r))
@[inline] def ST.Ref.modifyGet {m : Type → Type} [MonadLiftT (ST σ) m] (r : ST.Ref σ α) (f : α → β × α) : m β :=
  liftM (m := ST σ) do
    let (b, a) := f (← ST.Prim.Ref.get r)
    ST.Prim.Ref.set r a
    return b

/-! ## The world -/

namespace IO
@[extern "lean_io_process_get_pid"] opaque Process.getPID : BaseIO UInt32
@[extern "l_IO_print"] opaque print {α : Type u} [ToString α] (s : α) : IO Unit
@[extern "l_IO_eprintln"] opaque eprintln {α : Type u} [ToString α] (s : α) : IO Unit
@[extern "l_IO_eprint"] opaque eprint {α : Type u} [ToString α] (s : α) : IO Unit
@[extern "lean_io_mono_ms_now"] opaque monoMsNow : BaseIO Nat
@[extern "lean_io_mono_nanos_now"] opaque monoNanosNow : BaseIO Nat
@[extern "lean_io_getenv"] opaque getEnv (var : @& String) : BaseIO (Option String)
@[extern "x"] opaque rand (lo hi : Nat) : BaseIO Nat
@[extern "x"] opaque setRandSeed (n : Nat) : BaseIO Unit
structure FS.Stream where
  flush : IO Unit
  read : USize → IO ByteArray
  write : ByteArray → IO Unit
  getLine : IO String
  putStr : String → IO Unit
  isTty : BaseIO Bool
instance FS.instInhabitedStream : Inhabited FS.Stream := ⟨⟨default, fun _ => default, fun _ => default, default, fun _ => default, pure false⟩⟩
@[extern "lean_get_stdin"] opaque getStdin : BaseIO FS.Stream
@[extern "lean_get_stdout"] opaque getStdout : BaseIO FS.Stream
@[extern "lean_get_stderr"] opaque getStderr : BaseIO FS.Stream
@[inline] def FS.Stream.putStrLn (strm : FS.Stream) (s : String) : IO Unit := strm.putStr (s.push '\n')
@[extern "lean_io_check_canceled"] opaque checkCanceled : BaseIO Bool
end IO

namespace System
structure FilePath where
  toString : String
instance : Inhabited FilePath := ⟨⟨""⟩⟩
instance : ToString FilePath := ⟨FilePath.toString⟩
instance : Coe String FilePath := ⟨FilePath.mk⟩
instance : BEq FilePath := ⟨fun a b => a.toString == b.toString⟩
@[extern "x"] opaque FilePath.join (p sub : FilePath) : FilePath
instance FilePath.instDiv : Div FilePath := ⟨FilePath.join⟩
instance FilePath.instHDivString : HDiv FilePath String FilePath := ⟨fun p sub => FilePath.join p ⟨sub⟩⟩
@[extern "x"] opaque FilePath.pathExists (p : FilePath) : BaseIO Bool
@[extern "x"] opaque FilePath.isDir (p : FilePath) : BaseIO Bool
@[extern "x"] opaque FilePath.fileName (p : FilePath) : Option String
@[extern "x"] opaque FilePath.fileStem (p : FilePath) : Option String
@[extern "x"] opaque FilePath.extension (p : FilePath) : Option String
@[extern "x"] opaque FilePath.parent (p : FilePath) : Option FilePath
end System
namespace IO.FS
@[extern "x"] opaque readFile (fname : System.FilePath) : IO String
@[extern "x"] opaque writeFile (fname : System.FilePath) (content : String) : IO Unit
@[extern "x"] opaque lines (fname : System.FilePath) : IO (Array String)
@[extern "lean_io_remove_file"] opaque removeFile (fname : @& System.FilePath) : IO Unit
@[extern "lean_io_create_dir"] opaque createDir : @& System.FilePath → IO Unit
@[extern "x"] opaque createDirAll (p : System.FilePath) : IO Unit
end IO.FS

@[extern "lean_dbg_trace"] def dbgTrace {α : Type u} (msg : String) (f : Unit → α) : α := f ()
@[inline] def dbgTraceVal [ToString α] (a : α) : α := dbgTrace (toString a) fun _ => a

/-! ## Thunks and tasks: work on other Lean threads -/

structure Thunk (α : Type u) : Type u where
  mk ::
  fn : Unit → α
attribute [extern "lean_mk_thunk"] Thunk.mk
@[extern "lean_thunk_pure"] protected def Thunk.pure (a : α) : Thunk α := ⟨fun _ => a⟩
@[extern "lean_thunk_get_own"] protected def Thunk.get (x : @& Thunk α) : α := x.fn ()
@[inline] protected def Thunk.map (f : α → β) (x : Thunk α) : Thunk β := ⟨fun _ => f x.get⟩
instance LeanWorker.Prelude.thunkCoe : CoeTail α (Thunk α) := ⟨fun a => ⟨fun _ => a⟩⟩

@[noinline, extern "lean_task_spawn"] protected def Task.spawn {α : Type u} (fn : Unit → α) (prio := Task.Priority.default) : Task α := ⟨fn ()⟩
@[noinline, extern "lean_task_map"] protected def Task.map (f : α → β) (x : Task α) (prio : Task.Priority := .default) (sync := false) :
    Task β := ⟨f x.get⟩
@[noinline, extern "lean_task_bind"] protected def Task.bind (x : Task α) (f : α → Task β) (prio : Task.Priority := .default) (sync := false) :
    Task β := ⟨(f x.get).get⟩
@[extern "lean_io_map_task"] opaque BaseIO.mapTask (f : α → BaseIO β) (t : Task α) (prio : Task.Priority := .default) (sync := false) :
    BaseIO (Task β) := Task.pure <$> f t.get
@[inline] def IO.mapTask (f : α → IO β) (t : Task α) (prio := Task.Priority.default) (sync := false) :
    BaseIO (Task (Except IO.Error β)) := BaseIO.mapTask (fun a => (f a).toBaseIO) t prio sync
@[extern "lean_io_cancel"] opaque IO.cancel : @& Task α → BaseIO Unit

-- Scripts for earlier versions of this library gave natural numbers for milliseconds and exit codes.
instance LeanWorker.Prelude.milliseconds : Coe Nat UInt32 := ⟨UInt32.ofNat⟩
instance LeanWorker.Prelude.exitCode : Coe Nat UInt8 := ⟨UInt8.ofNat⟩
