import LeanWorker.Json
import Lean

/-! Rows about Lean code: declarations and what they depend on, modules, messages and goals.

One text for every Lean. A full toolchain compiles it against its own module `Lean`, the embedded Lean against a module of
that name that stands in for it. What differs between versions is in `Compat` alone; the text is written for Lean 4.22 and
later. docs/extract.md documents the commands and their rows. -/

open Lean

namespace LeanWorker.Extract

/-! ## Environments -/

/-- Which modules are imported, and how terms are printed. A field may be missing. -/
structure Request where
  /-- Those that are open already if it is missing. -/
  imports : Option (Array String)
  /-- The modules whose declarations are wanted; all that were imported if it is missing. -/
  modules : Option (Array String)
  width : Option Nat
  options : Option (Array String)
  withType : Option Bool
  withExpr : Option Bool
  withAxioms : Option Bool
  withDoc : Option Bool
  deriving FromJson

/-- An environment with its constants by module. -/
structure Opened where
  imports : Array String
  env : Environment
  modules : Array Name
  byModule : Array (Array ConstantInfo)

/-- A monad that has an environment, as the library's functions ask for one. -/
abbrev Reading := ReaderT Environment Id

instance : MonadEnv Reading where
  getEnv := read
  modifyEnv _ := pure ()

private unsafe def importUnsafe (imports : Array Import) : IO Environment := do
  enableInitializersExecution
  importModules imports {} (loadExts := true)

@[implemented_by importUnsafe]
private opaque importAll (imports : Array Import) : IO Environment

/-- Imports modules, and sorts their constants by module. -/
def openModules (imports : Array String) : IO Opened := do
  let env ← importAll (imports.map fun name => { module := name.toName })
  let modules := env.allImportedModuleNames
  let empty : Array (Array ConstantInfo) := modules.map fun _ => #[]
  let byModule := env.constants.fold (init := empty) fun found name info =>
    match env.getModuleIdxFor? name with
    | some index => found.modify index.toNat (·.push info)
    | none => found
  return { imports, env, modules, byModule }

/-- The environment of a request: the one that is open, if it has the same imports. Lean keeps some megabytes of each
import for good. -/
def reopen (current : IO.Ref (Option Opened)) (imports : Option (Array String)) : IO Opened := do
  if let some opened ← current.get then
    if imports.getD opened.imports == opened.imports then return opened
  let some imports := imports | throw (IO.userError "the request has no imports, and nothing is open")
  let opened ← openModules imports
  current.set (some opened)
  return opened

/-- The constants that a request is for, with the names of their modules. -/
def Opened.wanted (opened : Opened) (modules : Option (Array String)) : IO (Array (Name × Array ConstantInfo)) := do
  let all := opened.modules.zip opened.byModule
  let some modules := modules | return all
  let mut found := #[]
  for module in modules do
    match all.find? fun (name, _) => name == module.toName with
    | some one => found := found.push one
    | none => throw (IO.userError s!"the module {module} is not among those imported")
  return found

/-! ## Declarations -/

structure Place where
  line : Nat
  column : Nat
  endLine : Nat
  endColumn : Nat
  deriving ToJson

structure Declaration where
  name : String
  kind : String
  module : String
  universes : Array String
  type : Option String
  expr : Option Json
  doc : Option String
  place : Option Place
  attributes : Array String
  isPrivate : Bool
  isProtected : Bool
  isUnsafe : Bool
  isPartial : Bool
  isNoncomputable : Bool
  isGenerated : Bool
  generatedBy : Option String
  axioms : Option (Array String)
  deriving ToJson

/-- What a constant is, as its author would say. -/
def kindOf (env : Environment) (info : ConstantInfo) : String :=
  match info with
  | .axiomInfo _ => "axiom"
  | .thmInfo _ => "theorem"
  | .opaqueInfo _ => "opaque"
  | .quotInfo _ => "quotient"
  | .ctorInfo _ => "constructor"
  | .recInfo _ => "recursor"
  | .inductInfo _ =>
    if isClass env info.name then "class" else if isStructure env info.name then "structure" else "inductive"
  | .defnInfo _ => if Meta.isInstanceCore env info.name then "instance" else "definition"

/-- A name as it is written in source: a private one without the module in front. -/
def userName (name : Name) : Name := if isPrivateName name then privateToUserName name else name

def shown (name : Name) : String := toString (userName name)

def binder : BinderInfo → String
  | .default => "default"
  | .implicit => "implicit"
  | .strictImplicit => "strictImplicit"
  | .instImplicit => "instImplicit"

/-- An expression as nested arrays, the constructor's name first. -/
partial def exprJson (e : Expr) : Json :=
  if e.isApp then .arr #["app", exprJson e.appFn!, exprJson e.appArg!]
  else if e.isConst then
    .arr #["const", toJson (toString e.constName!), toJson (e.constLevels!.map fun l => toString l)]
  else if e.isForall then withBinder "forall"
  else if e.isLambda then withBinder "lam"
  else if e.isSort then .arr #["sort", toJson (toString e.sortLevel!)]
  else if e.isBVar then .arr #["bvar", toJson e.bvarIdx!]
  else if e.isMData then exprJson e.mdataExpr!
  else if e.isProj then .arr #["proj", toJson e.projIdx!, exprJson e.projExpr!]
  else if e.isLet then
    .arr #["let", toJson (toString e.letName!), exprJson e.letType!, exprJson e.letValue!, exprJson e.letBody!]
  else if e.isLit then
    match e.litValue! with
    | .natVal n => .arr #["nat", toJson n]
    | .strVal s => .arr #["str", toJson s]
  else if e.isFVar then .arr #["fvar", toJson (toString e.fvarId!.name)]
  else .arr #["mvar", toJson (toString e.mvarId!.name)]
where
  withBinder (kind : String) : Json :=
    .arr #[toJson kind, toJson (toString e.bindingName!), toJson (binder e.bindingInfo!), exprJson e.bindingDomain!,
      exprJson e.bindingBody!]

/-- The text of a term. -/
def printed (env : Environment) (options : Options) (width : Nat) (e : Expr) : IO String := do
  return (← PrettyPrinter.ppExprLegacy env default .empty options e).pretty (width := width)

/-- The text of a term, or nothing if it cannot be printed. -/
def printed? (env : Environment) (options : Options) (width : Nat) (e : Expr) : IO (Option String) :=
  tryCatch (some <$> printed env options width e) fun _ => pure none

/-- One option more. Refuses what Lean's command line refuses: an option that no imported module declares, unless its
name has `weak.` in front, and a value of another kind. -/
def setOption (options : Options) (asked : String) (value : DataValue) : IO Options := do
  let isWeak := asked.startsWith "weak."
  let name := if isWeak then (asked.drop 5).toString else asked
  let known ← tryCatch (some <$> getOptionDefaultValue name.toName) fun _ => pure none
  let some known := known
    | if isWeak then return options
      throw (IO.userError s!"with the modules that are imported, there is no option {name}")
  match known, value with
  | .ofBool _, .ofBool _ | .ofNat _, .ofNat _ | .ofString _, .ofString _ => return options.insert name.toName value
  | .ofBool _, _ => throw (IO.userError s!"the option {name} is true or false")
  | .ofNat _, _ => throw (IO.userError s!"the option {name} takes a number")
  | .ofString _, _ => throw (IO.userError s!"the option {name} takes a text")
  | _, _ => throw (IO.userError s!"the option {name} can be set in a file only")

def printOptions (switched : Array String) : IO Options := do
  let mut options : Options := {}
  for name in switched do
    options ← if name.startsWith "no-" then setOption options (name.drop 3).toString (.ofBool false)
      else setOption options name (.ofBool true)
  return options

/-- The declaration that a generated one belongs to: the longest part of its name that is a constant. -/
partial def ownerOf (env : Environment) (name : Name) : Option Name :=
  match name with
  | .anonymous => none
  | .str before _ => here before
  | .num before _ => here before
where
  -- What is made for a public declaration may be private.
  here (before : Name) : Option Name :=
    if (env.find? before).isSome then some before
    else if (env.find? (userName before)).isSome then some (userName before)
    else ownerOf env before

def attributesOf (env : Environment) (simp : Meta.SimpTheorems) (name : Name) : Array String := Id.run do
  let mut found := #[]
  if simp.isLemma (.decl name) || simp.isLemma (.decl name (inv := true)) || simp.isDeclToUnfold name then found := found.push "simp"
  if Meta.isInstanceCore env name then found := found.push "instance"
  if isClass env name then found := found.push "class"
  match getReducibilityStatusCore env name with
  | .reducible => found := found.push "reducible"
  | .irreducible => found := found.push "irreducible"
  | _ => pure ()
  if Linter.isDeprecated env name then found := found.push "deprecated"
  return found

/-- Whether it was declared as `partial def`: it is opaque, with its code beside it. Definitions that end by structural or
well-founded recursion have such code too, but a value of their own. -/
def isPartialDef (env : Environment) (info : ConstantInfo) : Bool :=
  match info with
  | .opaqueInfo _ => (env.find? (.str info.name "_unsafe_rec")).isSome
  | _ => false

def rangesOf? (env : Environment) (name : Name) : Option DeclarationRanges :=
  (findDeclarationRangesCore? name : Reading (Option DeclarationRanges)).run env

/-- Whether it is a function that `deriving` wrote for an instance: both are at the name of the class. -/
def isDerived (env : Environment) (name : Name) : Bool :=
  match rangesOf? env name, ownerOf env name with
  | some own, some owner =>
    match rangesOf? env owner with
    | some whole =>
      Meta.isInstanceCore env owner && env.getModuleIdxFor? name == env.getModuleIdxFor? owner &&
        isSame own.range.pos whole.range.pos && isSame own.range.endPos whole.range.endPos
    | none => false
  | _, _ => false
where
  isSame (one other : Position) : Bool := one.line == other.line && one.column == other.column

def declarationOf (opened : Opened) (simp : Meta.SimpTheorems) (request : Request) (options : Options) (module : Name)
    (info : ConstantInfo) : IO Declaration := do
  let env := opened.env
  let name := info.name
  let ranges := rangesOf? env name
  let isGenerated := ranges.isNone || (userName name).isInternalDetail || isAuxRecursor env name || isNoConfusion env name ||
    Meta.isMatcherCore env name || isDerived env name
  let axioms := if request.withAxioms.getD true then some ((collectAxioms name : Reading (Array Name)).run env) else none
  return {
    name := shown name
    kind := kindOf env info
    module := toString module
    universes := info.levelParams.toArray.map fun u => toString u
    type := ← if request.withType.getD true then printed? env options (request.width.getD 100) info.type else pure none
    expr := if request.withExpr.getD false then some (exprJson info.type) else none
    doc := ← if request.withDoc.getD true then findDocString? env name else pure none
    place := ranges.map fun r =>
      { line := r.range.pos.line, column := r.range.pos.column,
        endLine := r.range.endPos.line, endColumn := r.range.endPos.column }
    attributes := attributesOf env simp name
    isPrivate := isPrivateName name
    isProtected := isProtected env name
    isUnsafe := info.isUnsafe
    isPartial := info.isPartial || isPartialDef env info
    isNoncomputable := isNoncomputable env name
    isGenerated
    generatedBy := if isGenerated then (ownerOf env name).map shown else none
    axioms := axioms.map fun names => names.map shown
  }

def declarations (current : IO.Ref (Option Opened)) : Command :=
  Command.rows "declarations" fun (request : Request) (emit : Declaration → IO Unit) => do
    let opened ← reopen current request.imports
    let options ← printOptions (request.options.getD #[])
    let simp := Meta.simpExtension.getState opened.env
    let mut count := 0
    for (module, constants) in ← opened.wanted request.modules do
      for info in constants do
        emit (← declarationOf opened simp request options module info)
        count := count + 1
    return count

/-! ## Dependencies and modules -/

structure Dependencies where
  name : String
  module : String
  typeUses : Array String
  valueUses : Option (Array String)
  deriving ToJson

def dependencies (current : IO.Ref (Option Opened)) : Command :=
  Command.rows "dependencies" fun (request : Request) (emit : Dependencies → IO Unit) => do
    let opened ← reopen current request.imports
    let _ ← printOptions (request.options.getD #[])
    let names (e : Expr) := e.getUsedConstants.map shown
    let mut count := 0
    for (module, constants) in ← opened.wanted request.modules do
      for info in constants do
        emit {
          name := shown info.name
          module := toString module
          typeUses := names info.type
          valueUses := (info.value? (allowOpaque := true)).map names
        }
        count := count + 1
    return count

/-- As `Dependencies`, but each constant with the module that declares it. -/
structure Uses where
  name : String
  module : String
  typeUses : Array (Array String)
  valueUses : Option (Array (Array String))
  deriving ToJson

def uses (current : IO.Ref (Option Opened)) : Command :=
  Command.rows "uses" fun (request : Request) (emit : Uses → IO Unit) => do
    let opened ← reopen current request.imports
    let _ ← printOptions (request.options.getD #[])
    let moduleOf (name : Name) : String :=
      match opened.env.getModuleIdxFor? name with
      | some index => toString (opened.modules[index.toNat]?.getD .anonymous)
      | none => ""
    let pairs (e : Expr) := e.getUsedConstants.map fun name => #[shown name, moduleOf name]
    let mut count := 0
    for (module, constants) in ← opened.wanted request.modules do
      for info in constants do
        emit {
          name := shown info.name
          module := toString module
          typeUses := pairs info.type
          valueUses := (info.value? (allowOpaque := true)).map pairs
        }
        count := count + 1
    return count

/-- One `import` of a module, with its modifiers. -/
structure ImportOf where
  module : String
  isPublic : Bool
  isMeta : Bool
  isAll : Bool
  deriving ToJson

structure Module where
  name : String
  index : Nat
  constants : Nat
  imports : Array ImportOf
  deriving ToJson

/-- The end of the modules: their number, and the directories in which Lean looked for them. -/
structure ModulesEnd where
  modules : Nat
  path : Option String
  deriving ToJson

def modules (current : IO.Ref (Option Opened)) : Command :=
  Command.rows "modules" fun (request : Request) (emit : Module → IO Unit) => do
    let opened ← reopen current request.imports
    let data := opened.env.header.moduleData
    for (name, index) in opened.modules.zipIdx do
      let imports := data[index]!.imports.map fun each =>
        { module := toString each.module, isPublic := each.isExported, isMeta := each.isMeta, isAll := each.importAll : ImportOf }
      emit { name := toString name, index, constants := (opened.byModule[index]!).size, imports }
    return { modules := opened.modules.size, path := ← IO.getEnv "LEAN_PATH" : ModulesEnd }

/-- Serves all commands.

The arguments are the modules to import, once for all requests; without any, each request names them. -/
def serveAll (arguments : List String) : IO Unit := do
  let current ← IO.mkRef none
  unless arguments.isEmpty do
    current.set (some (← openModules arguments.toArray))
  serve [declarations current, dependencies current, uses current, modules current]

end LeanWorker.Extract
