"""Lean files for the embedded Lean, each with what a check of it must find."""

from __future__ import annotations

import dataclasses
import random

HEADER = "prelude\nimport LeanWorker.Prelude\n"

LOOP = (
    HEADER
    + """set_option maxHeartbeats 0
set_option maxRecDepth 1000000
theorem before : True := True.intro
#check before
theorem never (P : Nat → Prop) (h : P (Nat.rec (motive := fun _ => Nat) 0 (fun _ r => Nat.succ r) 100000000)) : P 1 := h
"""
)

# Lean takes the constant for a parser of its own, and follows what is no pointer.
CRASH = (
    HEADER
    + """theorem before : True := True.intro
#check before
inductive Lean.ParserDescr where
  | const (n : Nat) (m : Nat)
@[term_parser] def broken : Lean.ParserDescr := Lean.ParserDescr.const 5 6
"""
)

# Both need `import LeanWorker`.
# It takes 800 MB at once and never ends.
HUNGRY = """\
def grown : IO Unit := do
  let many := Array.replicate 100000000 1
  while true do
    if many.size == 0 then IO.println "empty"
#eval grown
"""
ENDLESS = """\
partial def down (n : Nat) : Nat := down (n + 1) + 1
#eval (IO.println s!"{down 0}" : IO Unit)
"""


def code_at_elaboration(action: str) -> str:
    """A file whose elaboration runs `action`, a term of type `IO Unit`, after its first message."""
    return (
        HEADER
        + f"""theorem before : True := True.intro
#check before
@[extern "lean_uv_event_loop_alive"] axiom Std.Internal.UV.Loop.alive : BaseIO Bool
def Lean.Macro : Type := Nat → Nat → IO Unit
@[macro Lean.Parser.Term.app] def runs : Lean.Macro := fun _ _ => {action}
axiom f (n : Nat) : Prop
axiom g : f 5
"""
    )


_ARRAYS = """axiom Array (α : Type) : Type
@[extern "l_Array_emptyWithCapacity"] axiom Array.emptyWithCapacity {α : Type} (n : @& Nat) : Array α
@[extern "l_Array_push"] axiom Array.push {α : Type} (a : Array α) (x : α) : Array α
"""
PROCESS_TYPES = """set_option genCtorIdx false in
set_option genInjectivity false in
inductive IO.Process.Stdio where | piped | inherit | null
structure IO.Process.StdioConfig where
  stdin : IO.Process.Stdio
  stdout : IO.Process.Stdio
  stderr : IO.Process.Stdio
structure IO.Process.SpawnArgs where
  toStdioConfig : IO.Process.StdioConfig
  cmd : String
  args : Array String
  cwd : Option String
  env : Array (Prod String (Option String))
  inheritEnv : Bool
  setsid : Bool
axiom IO.Process.Child (how : IO.Process.StdioConfig) : Type
"""
"""Lean's own types for starting programs, which the embedded library leaves out."""

_PROCESSES = (
    PROCESS_TYPES
    + """@[extern "lean_io_process_spawn"] axiom IO.Process.spawn (args : IO.Process.SpawnArgs) : IO (IO.Process.Child ⟨.null, .null, .inherit⟩)
@[extern "lean_io_process_child_wait"] axiom IO.Process.Child.wait {how : @& IO.Process.StdioConfig} (child : @& IO.Process.Child how) : IO Nat
@[noinline] def arguments (last : String) : IO.Process.SpawnArgs :=
  { toStdioConfig := ⟨.null, .null, .inherit⟩, cmd := COMMAND, cwd := .none, env := .emptyWithCapacity 0
    args := (ARGUMENTS).push last, inheritEnv := .true, setsid := .false }
"""
)

_RUNS_PROGRAM = (
    HEADER
    + _ARRAYS
    + _PROCESSES
    + """axiom Lean.Syntax : Type
def Lean.Macro : Type := Lean.Syntax → Lean.Syntax → Void IO.RealWorld → EST.Out IO.Error IO.RealWorld Unit
@[macro Lean.Parser.Command.print] def runs : Lean.Macro := fun _ _ w =>
  match IO.Process.spawn (arguments LAST) w with
  | .ok child w => match IO.Process.Child.wait child w with
    | .ok _ w => IO.Process.exit 0 w
    | .error _ w => IO.Process.exit 4 w
  | .error _ w => IO.Process.exit 3 w
#print goal
"""
)


def runs_program(argv: list[str]) -> str:
    """A file that, while it is elaborated, runs a program with native functions of Lean, and then exits with code 0.

    What the program writes to its stderr comes out as that of Lean.
    """
    return _with_arguments(_RUNS_PROGRAM, argv[:-1]).replace("LAST", literal(argv[-1]))


_HOSTS_PROGRAM = (
    """prelude
import LeanWorker
open LeanWorker
"""
    + _PROCESSES
    + """
def program : Command where
  name := "program"
  run request := do
    let child ← IO.Process.spawn (arguments request)
    let code ← IO.Process.Child.wait child
    return Nat.repr code
def main : IO Unit := serve (List.cons program List.nil)
"""
)


def hosts_program(argv: list[str]) -> str:
    """A script whose command `program` runs a program, with its request's text as the last argument."""
    return _with_arguments(_HOSTS_PROGRAM, argv)


def _with_arguments(text: str, argv: list[str]) -> str:
    array = "Array.emptyWithCapacity 9"
    for argument in argv[1:]:
        array = f"({array}).push {literal(argument)}"
    return text.replace("COMMAND", literal(argv[0])).replace("ARGUMENTS", array)


def literal(text: str) -> str:
    """The text as a literal of Lean."""
    assert '"####' not in text
    return f'r####"{text}"####'


@dataclasses.dataclass(frozen=True)
class LeanFile:
    """A file, its verdict, and of each message its severity, line, and the beginning of its text."""

    name: str
    text: str
    verdict: str
    messages: tuple[tuple[str, int, str], ...]


def accepted(i: int) -> LeanFile:
    text = HEADER + f"theorem t{i} (p q : Prop) (hp : p) (hq : q) : And p q := And.intro hp hq\n"
    return LeanFile(f"accepted{i}.lean", text, "accepted", ())


def informed(i: int) -> LeanFile:
    text = HEADER + f"def f{i} (n : Nat) : Nat := Nat.add n {i}\n#check f{i}\n"
    return LeanFile(f"informed{i}.lean", text, "accepted", (("information", 4, f"f{i} (n : Nat) : Nat"),))


def unfinished(i: int) -> LeanFile:
    text = HEADER + f"theorem t{i} (p : Prop) : p := sorry\n"
    return LeanFile(f"unfinished{i}.lean", text, "accepted", (("warning", 3, "declaration uses `sorry`"),))


def ill_typed(i: int) -> LeanFile:
    text = HEADER + f"theorem t{i} (p q : Prop) (hp : p) : And p q := And.intro hp hp\n#check t{i}\n"
    found = (("error", 3, "Application type mismatch"), ("information", 4, f"t{i} (p q : Prop)"))
    return LeanFile(f"ill_typed{i}.lean", text, "rejected", found)


def ill_formed(i: int) -> LeanFile:
    return LeanFile(f"ill_formed{i}.lean", HEADER + f"theorem t{i} := (\n", "rejected", (("error", 3, "unexpected"),))


def without_import(i: int) -> LeanFile:
    text = f"prelude\nimport No.Such{i}\n"
    return LeanFile(f"without_import{i}.lean", text, "unchecked", (("error", 1, "unknown module prefix 'No'"),))


def looping(i: int) -> LeanFile:
    return LeanFile(f"looping{i}.lean", LOOP + f"-- {i}\n", "timed out", (("information", 6, "before : True"),))


def crashing(i: int) -> LeanFile:
    return LeanFile(f"crashing{i}.lean", CRASH + f"-- {i}\n", "lost", (("information", 4, "before : True"),))


def generate(count: int, looping_count: int, crashing_count: int, seed: int) -> list[LeanFile]:
    """`count` files in a random order: so many that loop and that crash, the others of all other kinds in turn."""
    kinds = [
        accepted,
        informed,
        accepted,
        ill_typed,
        accepted,
        unfinished,
        accepted,
        ill_formed,
        accepted,
        without_import,
    ]
    files = [looping(i) for i in range(looping_count)] + [crashing(i) for i in range(crashing_count)]
    files += [kinds[i % len(kinds)](i) for i in range(count - len(files))]
    random.Random(seed).shuffle(files)
    return files


def is_as_expected(checked, file: LeanFile) -> bool:
    """Whether an outcome is what the file was made for.

    Lean reports from a thread of its own: what it had found when it crashed may or may not have been printed.
    """
    found = [(message.severity, message.position.line, message.data) for message in checked.messages]
    return (
        checked.verdict.value == file.verdict
        and (len(found) == len(file.messages) or (file.verdict == "lost" and len(found) < len(file.messages)))
        and all(a[:2] == b[:2] and a[2].startswith(b[2]) for a, b in zip(found, file.messages))
    )
