module

prelude
public import Lean
/-! Lean's frontend on the embedded Lean: elaboration of a text, its information trees, and goals.

It stands in for the part of the full library that LeanWorker/Goals.lean uses, in the way of the module `Lean` beside it.
Structures whose values only Lean makes have the fields up to the last one that is read. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

namespace Lean

/-! ## Positions, syntax -/

def FileMap : Type := LeanWorker.nonempty.type
instance : Nonempty FileMap := LeanWorker.nonempty.property
instance : Nonempty Position := ⟨⟨0, 0⟩⟩
@[extern "_"] opaque FileMap.toPosition (fmap : FileMap) (pos : String.Pos.Raw) : Position
@[extern "_"] opaque Syntax.getTailPos? (stx : Syntax) (canonicalOnly : Bool := false) : Option String.Pos.Raw
@[extern "_"] opaque Syntax.getHeadInfo (stx : Syntax) : SourceInfo
@[extern "_"] opaque Syntax.getSubstring? (stx : Syntax) (withLeading withTrailing : Bool := true) : Option Substring.Raw
@[extern "_"] opaque Name.isAnonymous (n : Name) : Bool
@[extern "_"] opaque Name.eraseMacroScopes (n : Name) : Name
@[extern "_"] opaque _root_.Substring.Raw.toString (s : Substring.Raw) : String

/-! ## Messages -/

inductive MessageSeverity where
  | information | warning | error
def MessageData : Type := LeanWorker.nonempty.type
instance : Nonempty MessageData := LeanWorker.nonempty.property
@[extern "_"] opaque MessageData.toString (msgData : MessageData) : BaseIO String
structure Message where
  fileName : String
  pos : Position
  endPos : Option Position := none
  keepFullRange : Bool := false
  severity : MessageSeverity := .error
  isSilent : Bool := false
  caption : String := ""
  data : MessageData
def MessageLog : Type := LeanWorker.nonempty.type
instance : Nonempty MessageLog := LeanWorker.nonempty.property
@[extern "_"] opaque MessageLog.toList (log : MessageLog) : List Message

/-! ## Local contexts and goals -/

inductive LocalDeclKind where
  | default | implDetail | auxDecl
inductive LocalDecl where
  | cdecl (index : Nat) (fvarId : FVarId) (userName : Name) (type : Expr) (bi : BinderInfo) (kind : LocalDeclKind)
  | ldecl (index : Nat) (fvarId : FVarId) (userName : Name) (type : Expr) (value : Expr) (nondep : Bool) (kind : LocalDeclKind)
instance : Nonempty LocalDecl := ⟨.cdecl 0 ⟨.anonymous⟩ .anonymous Classical.ofNonempty .default .default⟩
namespace LocalDecl
@[extern "_"] opaque userName (decl : LocalDecl) : Name
@[extern "_"] opaque type (decl : LocalDecl) : Expr
@[extern "_"] opaque value? (decl : LocalDecl) (allowNondep : Bool := false) : Option Expr
@[extern "_"] opaque binderInfo (decl : LocalDecl) : BinderInfo
@[extern "_"] opaque isImplementationDetail (decl : LocalDecl) : Bool
end LocalDecl
@[extern "_"] opaque LocalContext.getFVarIds (lctx : LocalContext) : Array FVarId
structure NameSanitizerState where
  options : Options
  nameStem2Idx : LeanWorker.Artifacts := .leaf
  userName2Sanitized : LeanWorker.Artifacts := .leaf
@[extern "_"] opaque LocalContext.sanitizeNames (lctx : LocalContext) : StateM NameSanitizerState LocalContext :=
  fun state => (lctx, state)
structure MetavarDecl where
  userName : Name
  lctx : LocalContext
  type : Expr
instance : Nonempty MetavarDecl := ⟨⟨.anonymous, Classical.ofNonempty, Classical.ofNonempty⟩⟩
inductive MetavarKind where
  | natural | synthetic | syntheticOpaque

/-! ## The monad of terms -/

def Exception : Type := LeanWorker.nonempty.type
noncomputable instance : Inhabited Exception := ⟨Classical.choice LeanWorker.nonempty.property⟩
def Core.Context : Type := LeanWorker.nonempty.type
def Core.State : Type := LeanWorker.nonempty.type
def Meta.Context : Type := LeanWorker.nonempty.type
def Meta.State : Type := LeanWorker.nonempty.type
/-- A state in a reference. -/
abbrev _root_.StateRefT' (ω σ : Type) (m : Type → Type) : Type → Type := ReaderT (ST.Ref ω σ) m
def _root_.StateRefT'.run {σ α : Type} (x : StateRefT' IO.RealWorld σ IO α) (s : σ) : IO (α × σ) := do
  let ref ← IO.mkRef s
  let a ← x ref
  return (a, ← ref.get)
abbrev Core.CoreM := ReaderT Core.Context (StateRefT' IO.RealWorld Core.State (EIO Exception))
abbrev Meta.MetaM := ReaderT Meta.Context (StateRefT' IO.RealWorld Meta.State Core.CoreM)
export Meta (MetaM)
class MonadMCtx (m : Type → Type) where
  getMCtx : m MetavarContext
  modifyMCtx : (MetavarContext → MetavarContext) → m Unit
@[instance, extern "_"] opaque Meta.instMonadMCtxMetaM : MonadMCtx MetaM := ⟨throw default, fun _ => throw default⟩
@[extern "_"] opaque instantiateMVars {m : Type → Type} [Monad m] [MonadMCtx m] (e : Expr) : m Expr := pure e
@[extern "_"] opaque Meta.ppExpr (e : Expr) : MetaM Std.Format
@[extern "_"] opaque Meta.ppGoal (mvarId : MVarId) : MetaM Std.Format
@[extern "_"] opaque Meta.inferType (e : Expr) : MetaM Expr
@[extern "_"] opaque Meta.mkFreshExprMVar (type? : Option Expr) (kind : MetavarKind := .natural) (userName : Name := .anonymous) :
  MetaM Expr
@[extern "_"] opaque MVarId.getDecl (mvarId : MVarId) : MetaM MetavarDecl
@[extern "_"] opaque FVarId.getDecl (fvarId : FVarId) : MetaM LocalDecl

/-! ## Information trees -/

namespace Elab
structure ElabInfo where
  elaborator : Name
  stx : Syntax
structure TacticInfo extends ElabInfo where
  mctxBefore : MetavarContext
  goalsBefore : List MVarId
  mctxAfter : MetavarContext
  goalsAfter : List MVarId
structure TermInfo extends ElabInfo where
  lctx : LocalContext
  expectedType? : Option Expr
  expr : Expr
structure PartialTermInfo extends ElabInfo where
  lctx : LocalContext
structure CommandInfo extends ElabInfo
/-- The first four of more. The code for `_` is right for the others if it stands for two that are here. -/
inductive Info where
  | ofTacticInfo (i : TacticInfo)
  | ofTermInfo (i : TermInfo)
  | ofPartialTermInfo (i : PartialTermInfo)
  | ofCommandInfo (i : CommandInfo)
@[extern "_"] opaque Info.stx (info : Info) : Syntax
def CommandContextInfo : Type := LeanWorker.nonempty.type
structure ContextInfo where
  toCommandContextInfo : CommandContextInfo
  parentDecl? : Option Name
def PartialContextInfo : Type := LeanWorker.nonempty.type
/-- A persistent array of trees. -/
def InfoTrees : Type := LeanWorker.nonempty.type
inductive InfoTree where
  | context (i : PartialContextInfo) (t : InfoTree)
  | node (i : Info) (children : InfoTrees)
  | hole (mvarId : MVarId)
@[extern "_"] opaque PartialContextInfo.mergeIntoOuter? (inner : PartialContextInfo) (outer? : Option ContextInfo) : Option ContextInfo
@[extern "_"] opaque Info.updateContext? (ctx? : Option ContextInfo) (i : Info) : Option ContextInfo
@[extern "_"] opaque ContextInfo.runMetaM {α : Type} (info : ContextInfo) (lctx : LocalContext) (x : MetaM α) : IO α
@[extern "_"] opaque _root_.Lean.PersistentArray.toList {α : Type} (t : InfoTrees) : List α
def InfoTrees.toList (trees : InfoTrees) : List InfoTree := PersistentArray.toList trees
structure InfoState where
  enabled : Bool
  assignment : LeanWorker.nonempty.type
  lazyAssignment : LeanWorker.nonempty.type
  trees : InfoTrees

/-! ## Files -/

end Elab
structure Parser.InputContext where
  inputString : String
  fileName : String
  fileMap : FileMap
instance : Nonempty Parser.InputContext := ⟨⟨"", "", Classical.ofNonempty⟩⟩
structure Parser.ModuleParserState where
  pos : String.Pos.Raw := ⟨0⟩
  recovering : Bool := false
instance : Nonempty Parser.ModuleParserState := ⟨⟨⟨0⟩, false⟩⟩
@[extern "l_Lean_Parser_mkInputContext"] opaque Parser.mkInputContext (input fileName : String) (normalizeInput : Bool := true)
  (endPos : String.Pos.Raw := input.rawEndPos) (endPos_valid : Unit := ()) : Parser.InputContext
@[extern "_"] opaque Parser.parseHeader (inputCtx : Parser.InputContext) : IO (Syntax × Parser.ModuleParserState × MessageLog)
@[extern "_"] opaque Environment.setMainModule (env : Environment) (m : Name) : Environment
namespace Elab
@[extern "_"] opaque processHeader (header : Syntax) (opts : Options) (messages : MessageLog) (inputCtx : Parser.InputContext)
  (trustLevel : UInt32 := 0) (plugins : Array LeanWorker.NoPlugin := #[]) (leakEnv : Bool := false)
  (mainModule : Name := .anonymous) : IO (Environment × MessageLog)
structure Command.State where
  env : Environment
  messages : MessageLog
  scopes : LeanWorker.nonempty.type
  usedQuotCtxts : LeanWorker.nonempty.type
  nextMacroScope : Nat
  maxRecDepth : Nat
  ngen : LeanWorker.nonempty.type
  auxDeclNGen : LeanWorker.nonempty.type
  infoState : InfoState
instance : Nonempty Command.State :=
  have any : Nonempty LeanWorker.nonempty.type := LeanWorker.nonempty.property
  have trees : Nonempty InfoTrees := any
  ⟨⟨Classical.ofNonempty, Classical.ofNonempty, Classical.choice any, Classical.choice any, 0, 0, Classical.choice any,
    Classical.choice any, ⟨false, Classical.choice any, Classical.choice any, Classical.choice trees⟩⟩⟩
@[extern "_"] opaque Command.mkState (env : Environment) (messages : MessageLog) (opts : Options) : Command.State
structure Frontend.State where
  commandState : Command.State
  parserState : Parser.ModuleParserState
  cmdPos : String.Pos.Raw
  commands : Array Syntax := #[]
structure Frontend.Context where
  inputCtx : Parser.InputContext
abbrev Frontend.FrontendM := ReaderT Frontend.Context (StateRefT' IO.RealWorld Frontend.State IO)
@[extern "_"] opaque Frontend.processCommand : FrontendM Bool := fun _ _ => pure true
end Elab
end Lean
