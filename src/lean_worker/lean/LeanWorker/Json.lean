import LeanWorker
import Lean.Data.Json

/-! Typed rows, requests and answers: a thin layer over the texts of `LeanWorker`, for every Lean.

    import LeanWorker.Json
    open LeanWorker

    structure Request where
      limit : Nat
      deriving Lean.FromJson

    structure Square where
      n : Nat
      square : Nat
      deriving Lean.ToJson

    def squares : Command := Command.rows "squares" fun (request : Request) (emit : Square → IO Unit) => do
      for n in [0:request.limit] do
        emit { n, square := n * n }
      return request.limit

    def main : IO Unit := serve [squares]

Any type with instances of `Lean.FromJson` and `Lean.ToJson` will do. Numbers are Lean's: a `Float` may be spelled in
another way than it was in the request. -/

namespace LeanWorker

/-- The JSON text of a value, without spaces. -/
def jsonText {α : Type} [Lean.ToJson α] (value : α) : String :=
  Lean.Json.compress (Lean.ToJson.toJson value)

/-- Sends `value` as a row of the running streaming command, at once; as `row` does. -/
def emit {α : Type} [Lean.ToJson α] (stream : String) (value : α) : IO Unit :=
  row stream (jsonText value)

/-- Runs `use` on the request's value. A text that is no JSON, or not of the type, ends the command as failed. -/
def withRequest {ρ : Type} [Lean.FromJson ρ] (name request : String) (use : ρ → IO String) : IO String :=
  match Lean.Json.parse request with
  | Except.error reason =>
    fail (String.append name (String.append ": the request is no JSON: " reason))
  | Except.ok json =>
    match Lean.FromJson.fromJson? (α := ρ) json with
    | Except.error reason =>
      fail (String.append name (String.append ": the request is not of the declared type: " reason))
    | Except.ok value => use value

/-- A command whose request and answer are typed. Use it for a streaming command too that emits rows on several streams,
with `emit`; the answer is then the summary's metadata. -/
def Command.json {ρ σ : Type} [Lean.FromJson ρ] [Lean.ToJson σ] (name : String) (run : ρ → IO σ) : Command where
  name := name
  run request := withRequest name request fun (value : ρ) => do
    let answer ← run value
    return jsonText answer

/-- A streaming command whose rows all have one type: `run` takes the request and the function that emits a row on
`stream`, and answers the summary's metadata. -/
def Command.rows {ρ ε σ : Type} [Lean.FromJson ρ] [Lean.ToJson ε] [Lean.ToJson σ] (name : String)
    (run : ρ → (ε → IO Unit) → IO σ) (stream : String := "rows") : Command :=
  Command.json name fun (value : ρ) => run value fun (payload : ε) => emit stream payload

end LeanWorker
