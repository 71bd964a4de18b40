/-! The Lean side of a lean-worker command: emit rows, diagnostics and progress, and serve named commands.

    import LeanWorker

    def squares : LeanWorker.Command where
      name := "squares"
      run _request := do
        LeanWorker.row "rows" "{\"n\":1,\"square\":1}"
        LeanWorker.row "rows" "{\"n\":2,\"square\":4}"
        return "{\"largest\":4}"

    def main : IO Unit := LeanWorker.serve [squares]

The file has one text for every Lean: whoever compiles it puts the header in front (`prelude` and an import where there
is no `Init`, nothing elsewhere). It therefore uses only what is built into the parser. -/

namespace LeanWorker

/-- Sends one row of the running streaming command to the caller, at once.

`stream` names the stream that the row belongs to, as it should read in JSON (not empty, a name of your choice), and
`payload` is the row as the text of one JSON value. Rows of a stream are numbered in the order of these calls. Any Lean
thread may call it.

It fails when the caller has cancelled the command, when the payload is not JSON, and when no streaming command is
running. Let the error through: the caller is told the reason, and the session goes on with the next command. -/
@[extern "lean_worker_row"]
opaque row (stream payload : @& String) : IO Unit

/-- Tells the caller something about the running command that is no row. `code` is a stable dotted name. -/
@[extern "lean_worker_diagnostic"]
opaque diagnostic (code message : @& String) : IO Unit

/-- Tells the caller how far the running command is: `current` of `total` in `phase`; a `total` of 0 means unknown. -/
@[extern "lean_worker_progress"]
opaque progress (phase : @& String) (current total : @& Nat) : IO Unit

/-- Ends the running command as failed, with `message` for the caller. The same as throwing an error with that text;
for scripts that have no other way to make one. -/
@[extern "lean_worker_fail"]
opaque fail (message : @& String) : IO String

/-- Ends the running streaming command as failed, with a number from 1 to 255 for the caller. -/
@[extern "lean_worker_fail_status"]
opaque failStatus (status : @& Nat) : IO String

/-- One command that a worker serves.

`name` is what callers ask for. `run` takes the request as JSON text and answers the terminal JSON text: for a streaming
command the summary's metadata (`""` for none), for any other command the response. Throw to refuse.

`emits := Bool.true` says that it is a streaming command, so that a stream without a row is right. Without it, a stream that
has an answer but no row is refused: it would be that of a command that only answers. -/
structure Command where
  name : String
  run : String → IO String
  emits : Bool := Bool.false

/-! ## The conversation with the worker process

The functions below are `serve`'s own: one request at a time, and exactly one reply for each. -/

namespace Host

/-- Waits for the next request; `false` means that the worker shall end. -/
@[extern "lean_worker_host_next"]
opaque next : IO Bool

/-- The name of the command that the request is for. -/
@[extern "lean_worker_host_command"]
opaque command : IO String

/-- The request's JSON text. -/
@[extern "lean_worker_host_request"]
opaque request : IO String

@[extern "lean_worker_host_reply"]
opaque reply (terminal : @& String) : IO Unit

@[extern "lean_worker_host_reply_error"]
opaque replyError (error : IO.Error) : IO Unit

/-- The reply of a command that says that it emits rows. -/
@[extern "lean_worker_host_reply_emitted"]
opaque replyEmitted (terminal : @& String) : IO Unit

/-- There is no command of that name; `names` are those that there are, each on a line. -/
@[extern "lean_worker_host_reply_unknown"]
opaque replyUnknown (names : @& String) : IO Unit

end Host

/-- How a command ended, before the caller knows. -/
inductive Outcome where
  | answered (terminal : String)
  | failed (error : IO.Error)

private def runCommand (command : Command) (request : String) : IO Outcome :=
  tryCatch
    (do
      let terminal ← command.run request
      return Outcome.answered terminal)
    (fun (error : IO.Error) => pure (Outcome.failed error))

/-- The names of commands, each on a line. -/
private def namesOf : List Command → String
  | List.nil => ""
  | List.cons command rest => String.append command.name (String.append "\n" (namesOf rest))

/-- Runs the first command of that name, or tells the caller that there is none among `all`. -/
private def dispatch (all : List Command) (name request : String) : List Command → IO Unit
  | List.nil => Host.replyUnknown (namesOf all)
  | List.cons command rest =>
    match String.decEq command.name name with
    | Decidable.isTrue _ => do
      let outcome ← runCommand command request
      match outcome with
      | Outcome.answered terminal =>
        match command.emits with
        | Bool.true => Host.replyEmitted terminal
        | Bool.false => Host.reply terminal
      | Outcome.failed error => Host.replyError error
    | Decidable.isFalse _ => dispatch all name request rest

/-- Serves `commands` until the worker shall end. Call it from `main`.

Everything before this call is the worker's start-up: what is loaded there is loaded once and serves every command. A
command that throws fails alone. A name that is not in the list is answered as unknown; of two commands of one name the
first is served. -/
partial def serve (commands : List Command) : IO Unit := do
  let more ← Host.next
  match more with
  | Bool.false => return Unit.unit
  | Bool.true =>
    let name ← Host.command
    let request ← Host.request
    dispatch commands name request commands
    serve commands

end LeanWorker
