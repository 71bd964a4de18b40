prelude
import LeanWorker

/-! Commands for the tests: everything that a hosted script can do well or badly.

The names that begin with `lean_rs_interop_consumer_` emit what the fixture of that name emits under the system whose
protocol this project speaks, so that results can be laid side by side. -/

open LeanWorker

def text (parts : List String) : String :=
  match parts with
  | List.nil => ""
  | List.cons part rest => String.append part (text rest)

def pair (first second : String) : String := String.append first second

/-- `action first`, `action (first + 1)`, … as long as the number is not `stop`. -/
partial def forEach (first stop : Nat) (action : Nat → IO Unit) : IO Unit := do
  match Nat.beq first stop with
  | Bool.true => return Unit.unit
  | Bool.false =>
    action first
    forEach (Nat.add first 1) stop action

/-- `payload` with a number between two texts. -/
def numbered (before : String) (number : Nat) (after : String) : String :=
  pair before (pair (Nat.repr number) after)

/-- The request as a number, so that a test chooses how many or how long; `default` for anything else. -/
def requested (request : String) (default : Nat) : Nat :=
  match String.toNat? request with
  | Option.some number => number
  | Option.none => default

def pass (milliseconds : Nat) : IO Unit := do
  let _ ← IO.sleep milliseconds

/-! ## Streams that succeed -/

def dataStream : Command where
  name := "lean_rs_interop_consumer_worker_data_stream"
  run _ := do
    row "rows" r#"{"kind":"request","ordinal":0}"#
    diagnostic "lean_rs.worker.fixture.started" "started"
    row "rows" r#"{"kind":"done","ordinal":1}"#
    diagnostic "lean_rs.worker.fixture.finished" "finished"
    return r#"{"fixture":"worker_data_stream","ok":true}"#

def dataStreamMany : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_many"
  run _ := do
    forEach 0 512 (fun i => row "rows" (numbered "{\"i\":" i "}"))
    return ""

/-- `s` 2^times times. -/
def doubled (s : String) (times : Nat) : String :=
  match times with
  | Nat.zero => s
  | Nat.succ fewer => doubled (pair s s) fewer

def dataStreamLargePayload : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_large_payload"
  run _ := do
    row "rows" (text (List.cons "{\"kind\":\"large\",\"blob\":\"" (List.cons (doubled "x" 13) (List.cons "\"}" List.nil))))
    return ""

def chunk (current : Nat) : IO Unit := do
  let ordinal := Nat.mul 2 (Nat.sub current 1)
  row "chunks" (numbered "{\"kind\":\"chunk\",\"ordinal\":" ordinal "}")
  row "chunks" (numbered "{\"kind\":\"chunk\",\"ordinal\":" (Nat.add ordinal 1) "}")
  progress "fixture.chunk" current 3

def emitChunks : IO String := do
  diagnostic "lean_rs.worker.stream.chunks.started" "started"
  forEach 1 4 chunk
  diagnostic "lean_rs.worker.stream.chunks.finished" "finished"
  return r#"{"fixture":"worker_data_stream_chunks","ok":true}"#

def dataStreamChunked : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_chunked"
  run _ := emitChunks

def dataStreamChunkedCompletion : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_chunked_completion"
  run _ := emitChunks

/-! ## Streams that fail -/

def dataStreamChunkError : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_chunk_error"
  run _ := do
    row "chunks" r#"{"kind":"chunk","ordinal":0}"#
    row "chunks" r#"{"kind":"chunk","ordinal":1}"#
    diagnostic "lean_rs.worker.stream.chunk_error" "the second chunk failed"
    failStatus 10

/-- Sleeps for as many milliseconds as the request says. -/
def dataStreamSlowAfterRow : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_slow_after_row"
  run request := do
    row "rows" r#"{"kind":"before-timeout"}"#
    pass (requested request 200)
    return ""

def dataStreamMalformedJson : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_malformed_json"
  run _ := do
    row "rows" "{not-json"
    return ""

def dataStreamMissingStream : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_missing_stream"
  run _ := do
    row "" r#"{"kind":"no-stream"}"#
    return ""

def dataStreamMissingPayload : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_missing_payload"
  run _ := do
    row "rows" ""
    return ""

/-- Rows that are JSON, but none of the shape that its caller declares. -/
def dataStreamWrongShape : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_wrong_shape"
  run _ := do
    row "rows" r#"{"i":0}"#
    row "rows" r#"{"i":"one"}"#
    return ""

def dataStreamStatus : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_status"
  run _ := failStatus 7

def dataStreamPanic : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_panic"
  run _ := do
    row "unreached" (panic "fixture panic before any row")
    return ""

def dataStreamRowThenPanic : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_row_then_panic"
  run _ := do
    row "rows" r#"{"kind":"before-panic"}"#
    row "unreached" (panic "fixture panic after one row")
    return ""

def dataStreamManyThenPanic : Command where
  name := "lean_rs_interop_consumer_worker_data_stream_many_then_panic"
  run _ := do
    forEach 0 128 (fun i => row "rows" (numbered "{\"i\":" i "}"))
    row "unreached" (panic "fixture panic after 128 rows")
    return ""

/-! ## Commands that answer a text -/

def jsonCommand : Command where
  name := "lean_rs_interop_consumer_worker_json_command"
  run _ := return r#"{"accepted":true,"kind":"fixture"}"#

def jsonCommandMalformed : Command where
  name := "lean_rs_interop_consumer_worker_json_command_malformed"
  run _ := return "{not-json"

def metadata : Command where
  name := "lean_rs_interop_consumer_worker_metadata"
  run _ := return (pair r#"{"commands":[{"name":"version","version":"1"},{"name":"scan","version":"1"}],"#
    r#""capabilities":[{"name":"rows.json","version":"1"},{"name":"progress","version":"1"}],"lean_version":null,"extra":null}"#)

def metadataMalformed : Command where
  name := "lean_rs_interop_consumer_worker_metadata_malformed"
  run _ := return r#"{"commands":"none"}"#

def doctor : Command where
  name := "lean_rs_interop_consumer_worker_doctor"
  run _ := return (text
    (List.cons r#"{"diagnostics":[{"severity":"pass","code":"fixture.pass","message":"fine","details":null},"#
    (List.cons r#"{"severity":"warning","code":"fixture.warning","message":"odd","details":null},"#
    (List.cons r#"{"severity":"error","code":"fixture.error","message":"broken","details":{"why":"fixture"}}],"metadata":null}"#
    List.nil))))

def doctorMalformed : Command where
  name := "lean_rs_interop_consumer_worker_doctor_malformed"
  run _ := return r#"{"diagnostics":[{"severity":"fine","code":"x","message":"y"}]}"#

/-! ## A tool of six commands, as an indexer of declarations would have them -/

def shapeVersion : Command where
  name := "lean_rs_interop_consumer_worker_shape_version"
  run _ := return r#"{"tool":"shape-fixture","version":"1.0.0","protocol":1}"#

def shapeDoctor : Command where
  name := "lean_rs_interop_consumer_worker_shape_doctor"
  run _ := return r#"{"diagnostics":[{"severity":"pass","code":"shape.ready","message":"ready","details":null}],"metadata":null}"#

def shapeMetadata : Command where
  name := "lean_rs_interop_consumer_worker_shape_metadata"
  run _ := return (text
    (List.cons r#"{"commands":[{"name":"version","version":"1"},{"name":"doctor","version":"1"},"#
    (List.cons r#"{"name":"extract","version":"1"},{"name":"features","version":"1"},"#
    (List.cons r#"{"name":"index","version":"1"},{"name":"probe","version":"1"}],"#
    (List.cons r#""capabilities":[{"name":"rows.json","version":"1"}],"lean_version":null,"extra":null}"#
    List.nil)))))

def declaration (module : String) (index : Nat) : IO Unit :=
  row "declarations" (text (List.cons "{\"module\":\"" (List.cons module (List.cons "\",\"name\":\"" (List.cons module
    (List.cons (numbered ".decl_" index "\",\"kind\":\"theorem\"}") List.nil))))))

def feature (module : String) (index : Nat) : IO Unit :=
  row "features" (text (List.cons "{\"module\":\"" (List.cons module
    (List.cons (numbered "\",\"declaration\":" index ",\"features\":[1,2,3]}") List.nil))))

def probe (module : String) (index : Nat) : IO Unit :=
  row "probes" (text (List.cons "{\"module\":\"" (List.cons module
    (List.cons (numbered "\",\"declaration\":" index ",\"accepted\":true}") List.nil))))

def shape (command : String) (rows : Nat) (emit : IO Unit) : Command where
  name := pair "lean_rs_interop_consumer_worker_shape_" command
  run _ := do
    diagnostic (text (List.cons "shape." (List.cons command (List.cons ".started" List.nil)))) "started"
    emit
    diagnostic (text (List.cons "shape." (List.cons command (List.cons ".finished" List.nil)))) "finished"
    return (text (List.cons "{\"fixture\":\"lean-dup-shaped\",\"command\":\"" (List.cons command
      (List.cons (numbered "\",\"ok\":true,\"rows\":" rows "}") List.nil))))

def shapeExtract : Command := shape "extract" 2 (forEach 0 2 (declaration "Fixture.Basic"))
def shapeFeatures : Command := shape "features" 2 (forEach 0 2 (feature "Fixture.Basic"))
def shapeProbe : Command := shape "probe" 1 (probe "Fixture.Basic" 0)
def shapeIndex : Command := shape "index" 4 (do
  forEach 0 2 (declaration "Fixture.Basic")
  feature "Fixture.Basic" 0
  probe "Fixture.Basic" 0)

/-- One module of the large index: 16 modules give 16 declarations, 16 features and, the last one left out, 15 probes. -/
def scaleModule (index : Nat) : IO Unit := do
  let module := numbered "Fixture.Module" index ""
  declaration module index
  feature module index
  match Nat.beq index 15 with
  | Bool.true => return Unit.unit
  | Bool.false => probe module index

def scaleQuarter (quarter : Nat) : IO Unit := do
  forEach (Nat.mul 4 (Nat.sub quarter 1)) (Nat.mul 4 quarter) scaleModule
  progress "scale.index" quarter 4

def mathlibScaleIndex : Command where
  name := "lean_rs_interop_consumer_worker_shape_mathlib_scale_index"
  run _ := do
    diagnostic "scale.index.started" "started"
    forEach 1 5 scaleQuarter
    diagnostic "scale.index.finished" "finished"
    return r#"{"fixture":"mathlib-scale-shaped","command":"index","ok":true,"rows":47,"modules":16}"#

def mathlibScaleTimeoutAfterRow : Command where
  name := "lean_rs_interop_consumer_worker_shape_mathlib_scale_timeout_after_row"
  run request := do
    declaration "Fixture.Module0" 0
    pass (requested request 200)
    return ""

def mathlibScalePanicAfterRow : Command where
  name := "lean_rs_interop_consumer_worker_shape_mathlib_scale_panic_after_row"
  run _ := do
    declaration "Fixture.Module0" 0
    row "unreached" (panic "fixture panic after one declaration")
    return ""

def shapeTimeoutAfterRow : Command where
  name := "lean_rs_interop_consumer_worker_shape_timeout_after_row"
  run request := mathlibScaleTimeoutAfterRow.run request

def shapePanicAfterRow : Command where
  name := "lean_rs_interop_consumer_worker_shape_panic_after_row"
  run request := mathlibScalePanicAfterRow.run request

/-! ## Volume -/

/-- As many rows as the request says, each as long as a real declaration's. -/
def declarations : Command where
  name := "declarations"
  emits := Bool.true
  run request := do
    let count := requested request 200000
    forEach 0 count (fun i => row "rows" (numbered "{\"index\":" i ",\"name\":\"Nat.add_comm\",\"kind\":\"theorem\"}"))
    return (numbered "{\"rows\":" count "}")

/-- The same two strings again and again: what a wrong reference count would free or keep. -/
def sameStrings : Command where
  name := "same_strings"
  run request := do
    let stream := numbered "stream_" 1 ""
    let payload := numbered "{\"i\":" 1 "}"
    forEach 0 (requested request 1000000) (fun _ => row stream payload)
    return payload

def forever : Command where
  name := "forever"
  run _ := do
    forEach 1 0 (fun i => row "rows" (numbered "{\"i\":" i "}"))
    return ""

/-- Rows from four Lean threads, on one stream for all and one for each. -/
def fromTask (count task : Nat) : IO (Task (Except IO.Error Unit)) := do
  let action : IO Unit := forEach 0 count (fun i => do
    row "shared" (text (List.cons (numbered "{\"task\":" task ",\"i\":") (List.cons (numbered "" i "}") List.nil)))
    row (numbered "task_" task "") (numbered "{\"i\":" i "}"))
  IO.asTask action

def awaitTask (task : Task (Except IO.Error Unit)) : IO Unit := do
  let outcome ← IO.wait task
  match outcome with
  | Except.ok _ => return Unit.unit
  | Except.error error => throw error

def tasks : Command where
  name := "tasks"
  run request := do
    let count := requested request 2000
    let a ← fromTask count 1
    let b ← fromTask count 2
    let c ← fromTask count 3
    let d ← fromTask count 4
    awaitTask a
    awaitTask b
    awaitTask c
    awaitTask d
    return ""

/-! ## Bad behaviour -/

/-- Uses its own result, so that no call is the last thing that its caller does. -/
partial def descend (depth : Nat) : IO Nat := do
  diagnosticEvery depth
  let below ← descend (Nat.add depth 1)
  return Nat.add below 1
where
  diagnosticEvery (depth : Nat) : IO Unit :=
    match Nat.beq (Nat.mod depth 1000) 999 with
    | Bool.true => progress "descending" depth 0
    | Bool.false => pure Unit.unit

def endlessRecursion : Command where
  name := "endless_recursion"
  run _ := do
    row "rows" r#"{"kind":"before-recursion"}"#
    let depth ← descend 0
    return (numbered "" depth "")

def earlyExit : Command where
  name := "early_exit"
  run request := do
    row "rows" r#"{"kind":"before-exit"}"#
    IO.Process.exit (requested request 0)

def strayPrint : Command where
  name := "stray_print"
  run _ := do
    IO.println "a stray line before the row"
    row "rows" r#"{"kind":"between-prints"}"#
    IO.println "a stray line after the row"
    return ""

def silentSleep : Command where
  name := "silent_sleep"
  run request := do
    pass (requested request 60000)
    return ""

def echo : Command where
  name := "echo"
  run request := return request

def refuse : Command where
  name := "refuse"
  run request := fail request

/-- Catches the refusal of a bad row and claims success. -/
def swallowRefusal : Command where
  name := "swallow_refusal"
  run _ := do
    tryCatch (row "rows" "{not-json") (fun _ => pure Unit.unit)
    return ""

/-- Events that have no name, and figures that no counter can hold. -/
def badEvents : Command where
  name := "bad_events"
  run request :=
    match String.decEq request "diagnostic" with
    | Decidable.isTrue _ => do
      diagnostic "" "no code"
      return ""
    | Decidable.isFalse _ =>
      match String.decEq request "progress" with
      | Decidable.isTrue _ => do
        progress "" 1 2
        return ""
      | Decidable.isFalse _ => do
        progress "large" (Nat.mul 9223372036854775807 2) 0
        return ""

/-- Gives the request as its status. -/
def status : Command where
  name := "status"
  run request := failStatus (requested request 0)

def commands : List Command :=
  List.cons badEvents (List.cons status (
  List.cons dataStream (List.cons dataStreamMany (List.cons dataStreamLargePayload (List.cons dataStreamChunked
  (List.cons dataStreamChunkedCompletion (List.cons dataStreamChunkError (List.cons dataStreamSlowAfterRow
  (List.cons dataStreamMalformedJson (List.cons dataStreamMissingStream (List.cons dataStreamMissingPayload
  (List.cons dataStreamWrongShape (List.cons dataStreamStatus (List.cons dataStreamPanic
  (List.cons dataStreamRowThenPanic (List.cons dataStreamManyThenPanic (List.cons jsonCommand
  (List.cons jsonCommandMalformed (List.cons metadata (List.cons metadataMalformed (List.cons doctor
  (List.cons doctorMalformed (List.cons shapeVersion (List.cons shapeDoctor (List.cons shapeMetadata
  (List.cons shapeExtract (List.cons shapeFeatures (List.cons shapeIndex (List.cons shapeProbe
  (List.cons mathlibScaleIndex (List.cons mathlibScaleTimeoutAfterRow (List.cons mathlibScalePanicAfterRow
  (List.cons shapeTimeoutAfterRow (List.cons shapePanicAfterRow (List.cons declarations (List.cons sameStrings
  (List.cons forever (List.cons tasks (List.cons endlessRecursion (List.cons earlyExit (List.cons strayPrint
  (List.cons silentSleep (List.cons echo (List.cons refuse (List.cons swallowRefusal
  List.nil)))))))))))))))))))))))))))))))))))))))))))))

def main : IO Unit := serve commands
