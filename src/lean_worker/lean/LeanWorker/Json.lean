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
another way than it was in the request, but reads as the same one. -/

namespace LeanWorker

/-- Divides by ten as often as that leaves no rest, at most `places` times. -/
def FloatJson.withoutZeros (number : Nat) : Nat → Nat × Nat
  | Nat.zero => (number, 0)
  | Nat.succ places =>
    if Nat.beq (Nat.mod number 10) 0 then FloatJson.withoutZeros (Nat.div number 10) places else (number, Nat.succ places)

/-- A number that reads as the finite float `x`: of 15, 16 or 17 digits if one does, else with all digits that it has. -/
def FloatJson.number (x : Float) : Lean.JsonNumber :=
  let bits := x.toBits.toNat
  let fraction := Nat.mod bits (Nat.pow 2 52)
  let exponent := Nat.mod (Nat.div bits (Nat.pow 2 52)) (Nat.pow 2 11)
  -- The absolute value is `mantissa * 2 ^ (power - 1075)`.
  let mantissa := if Nat.beq exponent 0 then fraction else Nat.add fraction (Nat.pow 2 52)
  let power := if Nat.beq exponent 0 then 1 else exponent
  let signed (number places : Nat) : Lean.JsonNumber :=
    ⟨if Nat.ble (Nat.pow 2 63) bits then Int.negOfNat number else Int.ofNat number, places⟩
  if Nat.ble 1075 power then
    signed (Nat.mul mantissa (Nat.pow 2 (Nat.sub power 1075))) 0
  else
    let places := Nat.sub 1075 power
    let digits := Nat.mul mantissa (Nat.pow 5 places)
    let length := String.length (Nat.repr digits)
    let shorter (count : Nat) : Option (Nat × Nat) :=
      let dropped := Nat.sub length count
      let unit := Nat.pow 10 dropped
      let rounded := Nat.div (Nat.add digits (Nat.div unit 2)) unit
      let left := Nat.sub places dropped
      if Nat.ble dropped places && Float.ofScientific rounded Bool.true left == Float.abs x then
        some (rounded, left)
      else
        none
    let (number, left) := ((shorter 15).orElse fun _ => (shorter 16).orElse fun _ => shorter 17).getD (digits, places)
    let (number, left) := FloatJson.withoutZeros number left
    signed number left

/-- Lean's own instance writes six digits after the point. -/
instance (priority := 2000) instToJsonFloatExact : Lean.ToJson Float where
  toJson x :=
    if x.isFinite then Lean.Json.num (FloatJson.number x)
    else match Lean.JsonNumber.fromFloat? x with
      | Sum.inl name => Lean.Json.str name
      | Sum.inr number => Lean.Json.num number

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
with `emit`; the answer is then the summary's metadata. Set `emits := Bool.true` if there may be no row at all. -/
def Command.json {ρ σ : Type} [Lean.FromJson ρ] [Lean.ToJson σ] (name : String) (run : ρ → IO σ) : Command where
  name := name
  run request := withRequest name request fun (value : ρ) => do
    let answer ← run value
    return jsonText answer

/-- A streaming command whose rows all have one type: `run` takes the request and the function that emits a row on
`stream`, and answers the summary's metadata. -/
def Command.rows {ρ ε σ : Type} [Lean.FromJson ρ] [Lean.ToJson ε] [Lean.ToJson σ] (name : String)
    (run : ρ → (ε → IO Unit) → IO σ) (stream : String := "rows") : Command :=
  { Command.json name fun (value : ρ) => run value fun (payload : ε) => emit stream payload with emits := Bool.true }

end LeanWorker
