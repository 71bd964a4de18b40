prelude
import LeanWorker.Goals

/-! A loop that elaborates texts in one process, behind headers that it imports once each, as REPLs do. What a text does
to the process stays there. -/

open Lean LeanWorker

structure Text where
  name : String
  text : String
  deriving FromJson

structure Found where
  line : Nat
  isError : Bool
  data : String
  deriving ToJson

/-- What was imported, by the header's text. -/
def Kept : Type := List (String × Environment)

def Kept.find (kept : Kept) (header : String) : Option Environment :=
  match List.find? (fun each => each.1 == header) kept with
  | some found => some found.2
  | none => none

def send (emit : Found → IO Unit) (messages : List Message) : IO Unit := do
  for message in messages do
    emit { line := message.pos.line, isError := Goals.isError message, data := ← message.data.toString }

def check (kept : IO.Ref Kept) (request : Text) (emit : Found → IO Unit) : IO Nat := do
  let input := Parser.mkInputContext request.text request.name
  let (header, parserState, messages) ← Parser.parseHeader input
  let text := (request.text.take parserState.pos.byteIdx).toString
  let (env, messages) ← match (← kept.get).find text with
    | some env => pure (env, messages)
    | none => do
      let (env, messages) ← Elab.processHeader header {} messages input
      unless messages.toList.any Goals.isError do kept.modify fun before => (text, env) :: before
      pure (env, messages)
  let mut state : Elab.Frontend.State := {
    commandState := Elab.Command.mkState (env.setMainModule `_stdin) messages {}, parserState, cmdPos := parserState.pos }
  if messages.toList.any Goals.isError then
    send emit messages.toList
    return 0
  repeat
    let (isLast, now) ← (Elab.Frontend.processCommand.run { inputCtx := input }).run state
    state := now
    -- Those of earlier commands are gone.
    send emit now.commandState.messages.toList
    if isLast then break
  return 1

private unsafe def startUnsafe : IO Unit := enableInitializersExecution

@[implemented_by startUnsafe]
private opaque start : IO Unit

def main : IO Unit := do
  start
  let kept ← IO.mkRef ([] : Kept)
  serve [Command.rows "check" (check kept)]
