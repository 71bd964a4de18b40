module

prelude
public import LeanWorker.Library
public import Lean.Data.Json
/-! Lean's own view of Lean on the embedded Lean: environments, declarations, messages and goals.

It stands in for the full library's module `Lean`, with the part that LeanWorker/Extract.lean uses, so that one text is
compiled for both. Names and parameters are the library's. What is `opaque` with `extern` is native code of the library,
whose parameters are given in order, erased ones included. A type is spelled out where the text looks inside, then with
the library's constructors and fields in the library's order; other types have no constructor here.

All this is right for Lean 4.35.0 (eb6cafb7) alone. With another version a wrong shape would be a crash, which is why the
version is compared before anything is compiled. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

universe u v w

namespace Lean

/-- Makes the opaque types below: native code alone knows what is in them. -/
opaque LeanWorker.nonempty : NonemptyType.{0}

/-! ## Options, expressions -/

def Options : Type := LeanWorker.nonempty.type
instance : Nonempty Options := LeanWorker.nonempty.property
@[extern "_"] opaque Options.empty : Options
noncomputable instance Options.instInhabited : Inhabited Options := ⟨Classical.ofNonempty⟩
instance Options.instEmptyCollection : EmptyCollection Options := ⟨Options.empty⟩
inductive DataValue where
  | ofString (v : String)
  | ofBool (v : Bool)
  | ofName (v : Name)
  | ofNat (v : Nat)
@[extern "_"] opaque Options.insert (o : Options) (k : Name) (v : DataValue) : Options
instance : Nonempty DataValue := ⟨.ofBool false⟩
@[extern "_"] opaque getOptionDefaultValue (name : Name) : IO DataValue
def MetavarContext : Type := LeanWorker.nonempty.type
instance : Nonempty MetavarContext := LeanWorker.nonempty.property
@[extern "_"] opaque instInhabitedMetavarContext : MetavarContext
instance LeanWorker.inhabitedMetavarContext : Inhabited MetavarContext := ⟨instInhabitedMetavarContext⟩
def LocalContext : Type := LeanWorker.nonempty.type
instance : Nonempty LocalContext := LeanWorker.nonempty.property
@[extern "_"] opaque LocalContext.empty : LocalContext
structure MVarId where
  name : Name
structure FVarId where
  name : Name
def Level : Type := LeanWorker.nonempty.type
instance : Nonempty Level := LeanWorker.nonempty.property
@[instance, extern "_"] opaque Level.instToString : ToString Level := ⟨fun _ => ""⟩
inductive BinderInfo where
  | default | implicit | strictImplicit | instImplicit
inductive Literal where
  | natVal (val : Nat)
  | strVal (val : String)
def Expr : Type := LeanWorker.nonempty.type
instance : Nonempty Expr := LeanWorker.nonempty.property
instance : Nonempty Literal := ⟨.natVal 0⟩
instance : Nonempty BinderInfo := ⟨.default⟩
instance : Nonempty FVarId := ⟨⟨.anonymous⟩⟩
instance : Nonempty MVarId := ⟨⟨.anonymous⟩⟩
@[extern "_"] opaque Expr.isApp (e : Expr) : Bool
@[extern "_"] opaque Expr.isForall (e : Expr) : Bool
@[extern "_"] opaque Expr.isLambda (e : Expr) : Bool
@[extern "_"] opaque Expr.isConst (e : Expr) : Bool
@[extern "_"] opaque Expr.isSort (e : Expr) : Bool
@[extern "_"] opaque Expr.isBVar (e : Expr) : Bool
@[extern "_"] opaque Expr.isLit (e : Expr) : Bool
@[extern "_"] opaque Expr.isProj (e : Expr) : Bool
@[extern "_"] opaque Expr.isMData (e : Expr) : Bool
@[extern "_"] opaque Expr.isLet (e : Expr) : Bool
@[extern "_"] opaque Expr.isFVar (e : Expr) : Bool
@[extern "_"] opaque Expr.isMVar (e : Expr) : Bool
@[extern "_"] opaque Expr.appFn! (e : Expr) : Expr
@[extern "_"] opaque Expr.appArg! (e : Expr) : Expr
@[extern "_"] opaque Expr.bindingDomain! (e : Expr) : Expr
@[extern "_"] opaque Expr.bindingBody! (e : Expr) : Expr
@[extern "_"] opaque Expr.projExpr! (e : Expr) : Expr
@[extern "_"] opaque Expr.mdataExpr! (e : Expr) : Expr
@[extern "_"] opaque Expr.letType! (e : Expr) : Expr
@[extern "_"] opaque Expr.letValue! (e : Expr) : Expr
@[extern "_"] opaque Expr.letBody! (e : Expr) : Expr
@[extern "_"] opaque Expr.bindingName! (e : Expr) : Name
@[extern "_"] opaque Expr.constName! (e : Expr) : Name
@[extern "_"] opaque Expr.letName! (e : Expr) : Name
@[extern "_"] opaque Expr.bindingInfo! (e : Expr) : BinderInfo
@[extern "_"] opaque Expr.constLevels! (e : Expr) : List Level
@[extern "_"] opaque Expr.sortLevel! (e : Expr) : Level
@[extern "_"] opaque Expr.bvarIdx! (e : Expr) : Nat
@[extern "_"] opaque Expr.projIdx! (e : Expr) : Nat
@[extern "_"] opaque Expr.litValue! (e : Expr) : Literal
@[extern "_"] opaque Expr.fvarId! (e : Expr) : FVarId
@[extern "_"] opaque Expr.mvarId! (e : Expr) : MVarId
@[extern "_"] opaque Expr.getUsedConstants (e : Expr) : Array Name

/-! ## Declarations -/

structure ConstantVal where
  name : Name
  levelParams : List Name
  type : Expr
structure AxiomVal extends ConstantVal where
  isUnsafe : Bool
inductive ReducibilityHints where
  | opaque
  | abbrev
  | regular : UInt32 → ReducibilityHints
inductive DefinitionSafety where
  | «unsafe» | safe | «partial»
structure DefinitionVal extends ConstantVal where
  value : Expr
  hints : ReducibilityHints
  safety : DefinitionSafety
  all : List Name := [name]
structure TheoremVal extends ConstantVal where
  value : Expr
  all : List Name := [name]
structure OpaqueVal extends ConstantVal where
  value : Expr
  isUnsafe : Bool
  all : List Name := [name]
inductive QuotKind where
  | type | ctor | lift | ind
structure QuotVal extends ConstantVal where
  kind : QuotKind
structure InductiveVal extends ConstantVal where
  numParams : Nat
  numIndices : Nat
  all : List Name
  ctors : List Name
  numNested : Nat
  isRec : Bool
  isUnsafe : Bool
  isReflexive : Bool
structure ConstructorVal extends ConstantVal where
  induct : Name
  cidx : Nat
  numParams : Nat
  numFields : Nat
  isUnsafe : Bool
structure RecursorRule where
  ctor : Name
  nfields : Nat
  rhs : Expr
structure RecursorVal extends ConstantVal where
  all : List Name
  numParams : Nat
  numIndices : Nat
  numMotives : Nat
  numMinors : Nat
  rules : List RecursorRule
  k : Bool
  isUnsafe : Bool
inductive ConstantInfo where
  | axiomInfo (val : AxiomVal)
  | defnInfo (val : DefinitionVal)
  | thmInfo (val : TheoremVal)
  | opaqueInfo (val : OpaqueVal)
  | quotInfo (val : QuotVal)
  | inductInfo (val : InductiveVal)
  | ctorInfo (val : ConstructorVal)
  | recInfo (val : RecursorVal)
namespace ConstantInfo
def toConstantVal : ConstantInfo → ConstantVal
  | .axiomInfo v => v.toConstantVal
  | .defnInfo v => v.toConstantVal
  | .thmInfo v => v.toConstantVal
  | .opaqueInfo v => v.toConstantVal
  | .quotInfo v => v.toConstantVal
  | .inductInfo v => v.toConstantVal
  | .ctorInfo v => v.toConstantVal
  | .recInfo v => v.toConstantVal
def name (c : ConstantInfo) : Name := c.toConstantVal.name
def levelParams (c : ConstantInfo) : List Name := c.toConstantVal.levelParams
def type (c : ConstantInfo) : Expr := c.toConstantVal.type
def isUnsafe : ConstantInfo → Bool
  | .axiomInfo v => v.isUnsafe
  | .defnInfo v => match v.safety with
    | .«unsafe» => true
    | _ => false
  | .opaqueInfo v => v.isUnsafe
  | .inductInfo v => v.isUnsafe
  | .ctorInfo v => v.isUnsafe
  | .recInfo v => v.isUnsafe
  | _ => false
def isPartial : ConstantInfo → Bool
  | .defnInfo v => match v.safety with
    | .«partial» => true
    | _ => false
  | _ => false
@[extern "_"] opaque value? (info : ConstantInfo) (allowOpaque : Bool := false) : Option Expr
end ConstantInfo

/-! ## Environments -/

def Environment : Type := LeanWorker.nonempty.type
instance : Nonempty Environment := LeanWorker.nonempty.property
structure Import where
  module : Name
  importAll : Bool := false
  isExported : Bool := true
  isMeta : Bool := false
structure LeanWorker.NoPlugin where
  path : String
inductive LeanWorker.Artifacts where
  | inner (size : Nat)
  | leaf
@[extern "_"] unsafe opaque enableInitializersExecution : BaseIO Unit
namespace LeanWorker
inductive Level where
  | exported | server | «private»
end LeanWorker
@[extern "_"] opaque importModules (imports : Array Import) (opts : Options) (trustLevel : UInt32 := 0)
  (plugins : Array LeanWorker.NoPlugin := #[]) (leakEnv : Bool := false) (loadExts : Bool := false)
  (level : LeanWorker.Level := .private) (arts : LeanWorker.Artifacts := .leaf) : IO Environment
def SMap (α : Type) (β : Type) [BEq α] [Hashable α] : Type := LeanWorker.nonempty.type
instance [BEq α] [Hashable α] : Nonempty (SMap α β) := LeanWorker.nonempty.property
abbrev ConstMap := SMap Name ConstantInfo
@[extern "_"] opaque Environment.constants (env : Environment) : ConstMap
@[extern "_"] opaque SMap.fold {α β : Type} [BEq α] [Hashable α] {σ : Type} (f : σ → α → β → σ) (init : σ) (m : SMap α β) : σ := init
@[extern "_"] opaque Environment.find? (env : Environment) (n : Name) (skipRealize : Bool := false) : Option ConstantInfo
@[extern "_"] opaque Environment.allImportedModuleNames (env : Environment) : Array Name
abbrev ModuleIdx := Nat
abbrev ModuleIdx.toNat (i : ModuleIdx) : Nat := i
@[extern "_"] opaque Environment.getModuleIdxFor? (env : @& Environment) (declName : @& Name) : Option ModuleIdx
/-- The first two of more: a structure of one field would be that field. -/
structure ModuleData where
  imports : Array Import
  constNames : Array Name
instance : Inhabited ModuleData := ⟨⟨#[], #[]⟩⟩
/-- Its objects up to the one that is read; the library's numbers and truth values lie behind them. -/
structure EnvironmentHeader where
  mainModule : Name
  imports : Array Import
  before : Array (Array Import) := #[]
  modules : Array Import
  between : Array (Array Import) := #[]
  between' : Array (Array Import) := #[]
  moduleData : Array ModuleData
instance : Nonempty EnvironmentHeader := ⟨⟨.anonymous, #[], #[], #[], #[], #[], #[]⟩⟩
@[extern "_"] opaque Environment.header (env : Environment) : EnvironmentHeader
class MonadEnv (m : Type → Type) where
  getEnv : m Environment
  modifyEnv : (Environment → Environment) → m Unit

/-! ## What is known of a declaration -/

@[extern "_"] opaque PrettyPrinter.ppExprLegacy (env : Environment) (mctx : MetavarContext) (lctx : LocalContext) (opts : Options)
  (e : Expr) : IO Std.Format
inductive LeanWorker.DocString where
  | markdown (text : String)
  | verso (text : Nat)
@[extern "l_Lean_findInternalDocString_x3f"] opaque findInternalDocString? (env : Environment) (declName : Name)
  (includeBuiltin : Bool := true) : IO (Option LeanWorker.DocString)
def findDocString? (env : Environment) (declName : Name) (includeBuiltin : Bool := true) : IO (Option String) := do
  match ← findInternalDocString? env declName includeBuiltin with
  | some (.markdown text) => return some text
  | _ => return none
structure Position where
  line : Nat
  column : Nat
structure DeclarationRange where
  pos : Position
  charUtf16 : Nat
  endPos : Position
  endCharUtf16 : Nat
structure DeclarationRanges where
  range : DeclarationRange
  selectionRange : DeclarationRange
@[extern "_"] opaque findDeclarationRangesCore? {m : Type → Type} [Monad m] [MonadEnv m] (declName : Name) : m (Option DeclarationRanges) :=
  pure none
@[extern "_"] opaque collectAxioms {m : Type → Type} [Monad m] [MonadEnv m] (constName : Name) : m (Array Name) := pure #[]
@[extern "_"] opaque isClass (env : Environment) (n : Name) : Bool
@[extern "_"] opaque isStructure (env : Environment) (constName : Name) : Bool
@[extern "_"] opaque Meta.isInstanceCore (env : Environment) (declName : Name) : Bool
@[extern "_"] opaque Meta.isMatcherCore (env : Environment) (declName : Name) : Bool
@[extern "_"] opaque isProtected (env : Environment) (n : Name) : Bool
@[extern "_"] opaque isPrivateName (n : Name) : Bool
@[extern "_"] opaque privateToUserName (n : Name) : Name
@[extern "_"] opaque isAuxRecursor (env : Environment) (declName : Name) : Bool
@[extern "_"] opaque isNoConfusion (env : Environment) (declName : Name) : Bool
@[extern "_"] opaque isNoncomputable (env : Environment) (declName : Name) : Bool
@[extern "_"] opaque Linter.isDeprecated (env : Environment) (declName : Name) : Bool
@[extern "_"] opaque Name.isInternalDetail (n : Name) : Bool
@[extern "_"] opaque Name.isPrefixOf (a b : Name) : Bool
inductive ReducibilityStatus where
  | reducible | semireducible | irreducible | implicitReducible
@[extern "_"] opaque getReducibilityStatusCore (env : Environment) (declName : Name) : ReducibilityStatus := .semireducible
def Meta.SimpExtension : Type := LeanWorker.nonempty.type
instance : Nonempty Meta.SimpExtension := LeanWorker.nonempty.property
def Meta.SimpTheorems : Type := LeanWorker.nonempty.type
instance : Nonempty Meta.SimpTheorems := LeanWorker.nonempty.property
@[extern "_"] opaque Meta.instInhabitedSimpTheorems : Meta.SimpTheorems
instance LeanWorker.inhabitedSimpTheorems : Inhabited Meta.SimpTheorems := ⟨Meta.instInhabitedSimpTheorems⟩
@[extern "_"] opaque Meta.simpExtension : Meta.SimpExtension
inductive LeanWorker.AsyncMode where
  | sync | «local» | mainOnly
  | async (branch : Nat)
@[extern "_"] opaque ScopedEnvExtension.getState {α β σ : Type} [Inhabited σ] (ext : Meta.SimpExtension) (env : Environment)
  (mode : LeanWorker.AsyncMode := .sync) : σ
inductive Meta.Origin where
  | decl (declName : Name) (post : Bool := true) (inv : Bool := false)
  | fvar (fvarId : FVarId)
  | stx (id : Name) (ref : Syntax)
  | other (name : Name)
@[extern "_"] opaque Meta.SimpTheorems.isLemma (d : Meta.SimpTheorems) (thmId : Meta.Origin) : Bool
@[extern "_"] opaque Meta.SimpTheorems.isDeclToUnfold (d : Meta.SimpTheorems) (declName : Name) : Bool
/-- The theorems of `simp`, as `simpExtension.getState` reads them in the full library. -/
def Meta.SimpExtension.getState (ext : Meta.SimpExtension) (env : Environment) : Meta.SimpTheorems :=
  ScopedEnvExtension.getState (α := Nat) (β := Nat) (σ := Meta.SimpTheorems) ext env
end Lean
