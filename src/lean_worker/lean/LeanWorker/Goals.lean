import LeanWorker.Extract
import Lean.Elab.Frontend

/-! Rows about the proofs of a source file: each tactic step with the goals before and after it, each `sorry`, and the
goals that a proof leaves open.

The file is elaborated here, command by command, and the rows of a command are sent when Lean is done with it. They come
from the information trees that Lean's editor support keeps. Like LeanWorker.Extract this is one text for every Lean. -/

open Lean LeanWorker.Extract

namespace LeanWorker.Goals

/-- An option that holds from the beginning of the file. -/
structure Setting where
  name : String
  /-- Truth value, number or text. -/
  value : Json
  deriving FromJson

/-- What is elaborated. All but the first two may be missing. -/
structure Request where
  /-- What rows and messages call the file. -/
  file : String
  text : String
  settings : Option (Array Setting)
  width : Option Nat
  withSteps : Option Bool
  withExpr : Option Bool
  /-- The module that the file is. -/
  module : Option String
  deriving FromJson

structure Hypothesis where
  name : String
  id : String
  type : String
  value : Option String
  isInstance : Bool
  expr : Option Json
  deriving ToJson

structure Goal where
  id : Option String
  caseName : Option String
  hypotheses : Array Hypothesis
  target : Option String
  expr : Option Json
  text : String
  deriving ToJson

structure Row where
  file : String
  kind : String
  declaration : Option String
  syntaxKind : Option String
  text : Option String
  place : Place
  before : Array Goal
  after : Option (Array Goal)
  hasError : Option Bool
  number : Option Nat
  parent : Option Nat
  isUndone : Option Bool
  deriving ToJson

/-! ## Goals -/

/-- The names of a local context as Lean shows them: those that cannot be written get a dagger. -/
def sanitized (lctx : LocalContext) : LocalContext := Id.run (lctx.sanitizeNames.run' { options := {} })

/-- A goal, in its own local context. -/
def describe (request : Request) (mvarId : MVarId) (lctx : LocalContext) : MetaM Goal := do
  let width := request.width.getD 100
  let withExpr := request.withExpr.getD false
  let textOf (e : Expr) : MetaM String := return (← Meta.ppExpr e).pretty (width := width)
  let exprOf (e : Expr) : MetaM (Option Json) := do
    if withExpr then return some (exprJson (← instantiateMVars e)) else return none
  let mut hypotheses := #[]
  for fvarId in lctx.getFVarIds do
    let decl ← fvarId.getDecl
    unless decl.isImplementationDetail do
      let value ← match decl.value? with
        | some value => some <$> textOf value
        | none => pure none
      let isInstance := match decl.binderInfo with
        | .instImplicit => true
        | _ => false
      hypotheses := hypotheses.push {
        name := toString decl.userName, id := toString fvarId.name, type := ← textOf decl.type, value, isInstance,
        expr := ← exprOf decl.type }
  let decl ← mvarId.getDecl
  return {
    id := some (toString mvarId.name)
    caseName := if decl.userName.isAnonymous then none else some (toString decl.userName.eraseMacroScopes)
    hypotheses
    target := some (← textOf decl.type)
    expr := ← exprOf decl.type
    text := (← Meta.ppGoal mvarId).pretty (width := width)
  }

/-- A goal that Lean cannot print, with the reason. -/
def unprintable (mvarId : Option MVarId) (error : IO.Error) : Goal :=
  { id := mvarId.map (toString ·.name), caseName := none, hypotheses := #[], target := none, expr := none,
    text := s!"cannot be printed: {error}" }

def goalOf (request : Request) (ctx : Elab.ContextInfo) (mvarId : MVarId) : IO Goal :=
  tryCatch
    (do
      let decl ← ctx.runMetaM .empty mvarId.getDecl
      let lctx := sanitized decl.lctx
      ctx.runMetaM lctx (describe request mvarId lctx))
    fun error => pure (unprintable (some mvarId) error)

def goalsOf (request : Request) (ctx : Option Elab.ContextInfo) (goals : List MVarId) : IO (Array Goal) := do
  let some ctx := ctx | return #[]
  let mut found := #[]
  for goal in goals do found := found.push (← goalOf request ctx goal)
  return found

/-- What a term has to prove: its type, in its local context. -/
def goalOfTerm (request : Request) (ctx : Elab.ContextInfo) (lctx : LocalContext) (e : Expr) : IO Goal :=
  tryCatch
    (do
      let lctx := sanitized lctx
      let goal ← ctx.runMetaM lctx do
        let type ← instantiateMVars (← Meta.inferType e)
        let made ← Meta.mkFreshExprMVar (some type)
        describe request made.mvarId! lctx
      return { goal with id := none })
    fun error => pure (unprintable none error)

/-! ## Syntax -/

/-- The range of a piece of syntax that is in the file; nothing for what a macro made. -/
def placeOf? (fileMap : FileMap) (stx : Syntax) : Option Place :=
  match stx.getHeadInfo with
  | .original .. => do
    let first := fileMap.toPosition (← stx.getPos?)
    let last := fileMap.toPosition (← stx.getTailPos?)
    return { line := first.line, column := first.column, endLine := last.line, endColumn := last.column }
  | _ => none

def sourceOf (stx : Syntax) : Option String := (stx.getSubstring? false false).map fun part => part.toString

/-- The kind of a piece of syntax; nothing for a single token. -/
def kindOf? (stx : Syntax) : Option Name :=
  match stx with
  | .node _ kind _ => some kind
  | _ => none

/-- The name of a kind without its namespace and without guillemets. -/
def lastOf (kind : Name) : String :=
  match kind with
  | .str _ last => last
  | _ => ""

/-- Syntax with goals before and after that only groups steps: of tactics, and of the steps of `conv` and `grind`; and what
the parser could read in several ways, which has the step that Lean chose inside. -/
def isGroup (kind : Name) : Bool :=
  let last := lastOf kind
  last == "null" || last == "choice" || ((`Lean).isPrefixOf kind && [
    "byTactic", "decreasingBy", "tacticSeq", "tacticSeq1Indented", "tacticSeqBracketed", "paren", "cdot", "cdotTk", "tactic_<;>_",
    "inductionAlts", "inductionAlt", "inductionAltLHS", "calcSteps",
    "convSeq", "convSeq1Indented", "convSeqBracketed", "nestedConv", "conv·_", "conv_<;>_",
    "grindSeq", "grindSeq1Indented", "grindSeqBracketed", "grind·_", "grind_<;>_"].contains last)

/-- Whether the parser found something else than it looked for in it. -/
partial def isPartial (stx : Syntax) : Bool :=
  stx.isMissing || toString stx.getKind == "Lean.Parser.Tactic.unknown" || stx.getArgs.any isPartial

/-- Tactics that give a goal up. -/
def isSorry (kind : Name) : Bool :=
  ["Lean.Parser.Tactic.tacticSorry", "Lean.Parser.Tactic.tacticAdmit", "Lean.Parser.Tactic.tacticStop_"].contains
    (toString kind)

/-! ## Commands -/

/-- Goals at some point of a proof: an error about goals that are left does not say which they are. -/
structure Open where
  ctx : Option Elab.ContextInfo
  declaration : Option String
  goals : List MVarId

/-- Where a tree begins, in bytes. -/
def startOf (tree : Elab.InfoTree) : Option Nat :=
  match tree with
  | .context _ (.node info _) | .node info _ => info.stx.getPos?.map fun start => start.byteIdx
  | _ => none

/-- What is known of a node of a tree from those above it. -/
structure Around where
  ctx : Option Elab.ContextInfo
  /-- The range and the source of the smallest piece of syntax that is in the file: of a macro's call, inside of it. -/
  place : Option Place
  text : Option String
  /-- The number of the step that the node is a part of. -/
  step : Option Nat
  /-- Whether it is a part of a `sorry` that has its row. -/
  isSorry : Bool
  /-- Whether it is a part of an attempt that Lean gave up. -/
  isUndone : Bool

/-- What is known of the tactic at the top of a tree. -/
def tacticOf? (tree : Elab.InfoTree) : Option Elab.TacticInfo :=
  match tree with
  | .context _ (.node (.ofTacticInfo tactic) _) | .node (.ofTacticInfo tactic) _ => some tactic
  | _ => none

/-- Which of the trees below a node are attempts that Lean gave up: the state is as it was before them. -/
def undone (info : Elab.Info) (children : List Elab.InfoTree) : List Bool :=
  match info with
  | .ofTacticInfo tactic =>
    let kind := tactic.stx.getKind
    let last := if (`Lean.Parser.Tactic).isPrefixOf kind then lastOf kind else ""
    if last == "first" then allButLast children
    else if last == "tacticRepeat_" then onlyLast children
    else if last == "failIfSuccess" then children.map fun _ => true
    else if last == "anyGoals" || last == "repeat'" || last == "repeat1'" then
      children.map fun child => match tacticOf? child with
        | some attempt => attempt.goalsBefore.any fun goal => tactic.goalsAfter.any fun left => left.name == goal.name
        | none => false
    else children.map fun _ => false
  | _ => children.map fun _ => false
where
  -- Each alternative is one tree, and the next is tried when one failed.
  allButLast : List Elab.InfoTree → List Bool
    | [] => []
    | child :: rest => ((tacticOf? child).isSome && rest.any fun later => (tacticOf? later).isSome) :: allButLast rest
  -- Each round of `repeat` is one tree, and only a failure ends the rounds. Where `repeat` is a macro it has `first` below.
  onlyLast : List Elab.InfoTree → List Bool
    | [] => []
    | child :: rest =>
      ((tacticOf? child).any fun round => toString round.stx.getKind != "Lean.Parser.Tactic.first"
        && !rest.any fun later => (tacticOf? later).isSome) :: onlyLast rest

/-- All nodes of a tree, each before those below it. -/
partial def visit (see : Around → Elab.ContextInfo → Elab.Info → IO Around) (outer : Around) (tree : Elab.InfoTree) :
    IO Unit := do
  match tree with
  | .context inner below => visit see { outer with ctx := inner.mergeIntoOuter? outer.ctx } below
  | .node info children =>
    let around ← match outer.ctx with
      | some ctx => see outer ctx info
      | none => pure outer
    let ctx := info.updateContext? outer.ctx
    let below := children.toList
    for (child, isLost) in below.zip (undone info below) do
      visit see { around with ctx := ctx, isUndone := around.isUndone || isLost } child
  | .hole _ => return

/-- Whether a position of a message is in a range. -/
def _root_.LeanWorker.Extract.Place.has (place : Place) (at_ : Position) : Bool :=
  (place.line < at_.line || (place.line == at_.line && place.column <= at_.column)) &&
    (at_.line < place.endLine || (at_.line == place.endLine && at_.column < place.endColumn))

/-- Where the rows of a file go, and what is counted on the way. -/
structure Found where
  request : Request
  fileMap : FileMap
  emit : Row → IO Unit
  /-- Steps so far, in the whole file. -/
  steps : IO.Ref Nat
  /-- Goals of the command that is looked at. -/
  seen : IO.Ref (Array Open)
  /-- Where the command's errors begin. -/
  errors : List Position

/-- Sends the rows of one node and adds its goals to those that were seen; what the nodes below it have around them. -/
def see (found : Found) (outer : Around) (ctx : Elab.ContextInfo) (info : Elab.Info) : IO Around := do
  let own := placeOf? found.fileMap info.stx
  let around := match own with
    | some _ => { outer with place := own, text := sourceOf info.stx }
    | none => outer
  -- A declaration without a name that can be read has no name here either.
  let declaration := ctx.parentDecl?.bind fun name => if name.isAnonymous then none else some (shown name)
  let some kind := kindOf? info.stx | return around
  let row (place : Place) : Row := {
    file := found.request.file, kind := "sorry", declaration, syntaxKind := some (toString kind), text := around.text
    place, before := #[], after := none, hasError := none, number := none, parent := around.step
    isUndone := some around.isUndone }
  match info with
  | .ofTacticInfo tactic =>
    let after := info.updateContext? (some ctx)
    -- Lean hands out the state after a tactic; for the one before, it is given that under the name of the other.
    let before := (Elab.Info.ofTacticInfo { tactic with mctxAfter := tactic.mctxBefore }).updateContext? (some ctx)
    for (ctx, goals) in [(after, tactic.goalsAfter), (before, tactic.goalsBefore)] do
      unless goals.isEmpty do found.seen.modify (·.push { ctx, declaration, goals })
    let some place := around.place | return around
    let goals := goalsOf found.request
    let givesUp := isSorry kind && !around.isSorry
    if givesUp then found.emit { row place with before := ← goals before tactic.goalsBefore }
    let around := { around with isSorry := around.isSorry || givesUp }
    if own.isSome && found.request.withSteps.getD true && !isGroup kind then
      let number ← found.steps.get
      found.steps.set (number + 1)
      found.emit { row place with
        kind := "step", before := ← goals before tactic.goalsBefore, after := some (← goals after tactic.goalsAfter)
        hasError := some (found.errors.any place.has || isPartial info.stx), number := some number }
      return { around with step := some number }
    return around
  | .ofTermInfo term =>
    let some place := around.place | return around
    if toString kind == "Lean.Parser.Term.sorry" && !around.isSorry then
      found.emit { row place with before := #[← goalOfTerm found.request ctx term.lctx term.expr] }
      return { around with isSorry := true }
    return around
  | _ => return around

/-- A text without its spaces. -/
def squeezed (text : String) : String :=
  text.foldl (init := "") fun found c => if c.isWhitespace then found else found.push c

/-- The goals of which a message says that they are left, with the place in the proof that has them. -/
def openOf (request : Request) (seen : Array Open) (message : String) : IO (Option (Open × Array Goal)) := do
  let wanted := squeezed message
  let mut found := none
  for each in seen do
    let goals ← goalsOf request each.ctx each.goals
    let text := String.join (goals.map fun goal => goal.text).toList
    if squeezed text == wanted then found := some (each, goals)
  return found

def unsolvedText : String := "unsolved goals"

/-- The row of a message about goals that are left. -/
def ofMessage (request : Request) (emit : Row → IO Unit) (seen : Array Open) (message : Message) : IO Unit := do
  let text ← message.data.toString
  if text.startsWith unsolvedText then
    let rest := (text.drop unsolvedText.length).toString
    let found ← openOf request seen rest
    let last := message.endPos.getD message.pos
    emit {
      file := request.file, kind := "unsolved", declaration := found.bind (·.1.declaration), syntaxKind := none, text := none
      place := { line := message.pos.line, column := message.pos.column, endLine := last.line, endColumn := last.column }
      before := (found.map (·.2)).getD #[], after := none, hasError := none, number := none, parent := none
      isUndone := none }

def isError (message : Message) : Bool :=
  match message.severity with
  | .error => true
  | _ => false

def dataValue (setting : Setting) : IO DataValue :=
  match setting.value with
  | .bool b => return .ofBool b
  | .str s => return .ofString s
  | other => match other.getNat? with
    | .ok n => return .ofNat n
    | .error _ => throw (IO.userError s!"the option {setting.name} is true, false, a natural number or a text")

private unsafe def startUnsafe : IO Unit := enableInitializersExecution

/-- Lets modules that are imported run their initializers, as Lean's own command line does. -/
@[implemented_by startUnsafe]
private opaque start : IO Unit

/-- Elaborates a file; the number of rows. -/
def elaborate (request : Request) (emitOne : Row → IO Unit) : IO Nat := do
  let count ← IO.mkRef 0
  let emit (row : Row) : IO Unit := do
    emitOne row
    count.modify (· + 1)
  start
  let input := Parser.mkInputContext request.text request.file
  let (header, parserState, messages) ← Parser.parseHeader input
  let refuse (messages : MessageLog) : IO Unit := do
    for message in messages.toList do
      if isError message then
        throw (IO.userError s!"{request.file}:{message.pos.line}:{message.pos.column}: {← message.data.toString}")
  -- Imports that were not read to their end are not what the file means; some make Lean panic.
  refuse messages
  let (env, messages) ← Elab.processHeader header {} messages input
  refuse messages
  -- Imports declare options.
  let mut options : Options := {}
  for each in request.settings.getD #[] do
    options ← setOption options each.name (← dataValue each)
  -- The names of private declarations and of nameless instances have it. Lean's command line says `_stdin` for a file of
  -- no module.
  let env := env.setMainModule (request.module.getD "_stdin").toName
  let mut state : Elab.Frontend.State := {
    commandState := Elab.Command.mkState env messages options, parserState, cmdPos := parserState.pos, commands := #[] }
  let steps ← IO.mkRef 0
  repeat
    let (isLast, now) ← (Elab.Frontend.processCommand.run { inputCtx := input }).run state
    state := now
    -- Some versions keep the trees and messages of earlier commands.
    let isNew (tree : Elab.InfoTree) : Bool := now.cmdPos.byteIdx <= (startOf tree).getD now.cmdPos.byteIdx
    let first := input.fileMap.toPosition now.cmdPos
    let messages := now.commandState.messages.toList.filter fun message =>
      first.line < message.pos.line || (first.line == message.pos.line && first.column <= message.pos.column)
    let errors := (messages.filter isError).map (·.pos)
    let seen ← IO.mkRef #[]
    let found : Found := { request, fileMap := input.fileMap, emit, steps, seen, errors }
    let outside : Around := { ctx := none, place := none, text := none, step := none, isSorry := false, isUndone := false }
    for tree in now.commandState.infoState.trees.toList do
      if isNew tree then visit (see found) outside tree
    for message in messages do ofMessage request emit (← seen.get) message
    if isLast then break
  count.get

def goals : Command := Command.rows "goals" fun (request : Request) (emit : Row → IO Unit) => elaborate request emit

end LeanWorker.Goals
