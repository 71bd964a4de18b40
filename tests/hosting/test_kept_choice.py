"""Choice of the scripts that may be kept: none that could run code of its own, or whose imports can change."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kept import TEXT, answered, capability, found
from lean_worker.child import harmless_scripts
from raw_child import LEAN

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/fd")]


@pytest.mark.parametrize(
    "text",
    [
        "#eval 1",
        "#print axioms word",
        "initialize table : IO.Ref Nat ← IO.mkRef 0",
        "@[init word] def other := 1",
        "builtin_initialize word",
        'elab "now" : term => readTheClock',
        "elab_rules : term | `(now) => readTheClock",
        "@[term_elab now] def now : TermElab := readTheClock",
        "@[command_elab now] def now : CommandElab := readTheClock",
        "@[tactic now] def now : Tactic := readTheClock",
        "@[macro now] def now : Macro := readTheClock",
        "def now := by_elab readTheClock",
        "run_cmd readTheClock",
        "run_elab readTheClock",
        "example : True := by run_tac readTheClock",
        'def text := include_str "other.txt"',
        "simproc now (_) := readTheClock",
        "dsimproc_decl now (_) := readTheClock",
        "register_simp_attr now",
        '@[extern "clock"] opaque now : Nat',
        "@[implemented_by other] def now := 1",
        "def now := unsafeIO readTheClock",
        "-- one could #eval this",
        'example : x = y := by bv_check "other.lrat"',
        "macro_rules | `(now) => readTheClock",
        'macro "now" : term => readTheClock',
        "set_option profiler true",
        "axiom same : Unit = IO.RealWorld",
        "example : now = true := by native_decide",
        "example : now = true := by decide +native",
        "example : now = true := by decide (config := { native := true })",
        "example : now = true := Lean.ofReduceBool now true rfl",
        "def other := Lean.reduceNat now",
        "set_option debug.skipKernelTC true",
        "set_option warn.sorry false",
        "theorem same : Unit = IO.RealWorld := sorryAx _ true",
        "example : x = y := by bv_decide",
        "@[quot_precheck now] def now := readTheClock",
        "@[app_unexpander word, simp] def now := readTheClock",
        "@[simp, cpass] def now := readTheClock",
        "@[simp /- ] -/, cpass] def now := readTheClock",
        "@[simp -- ]\n, cpass] def now := readTheClock",
        '@[deprecated "x]" (since := "y"), cpass] def now := readTheClock',
        "@[$now] def now := readTheClock",
        "@[simp.cpass] def now := readTheClock",
        "@[«cpass»] def now := readTheClock",
        "attribute [quot_precheck now] word",
        "attribute /- -/ [cpass] word",
        "attribute [simp] word attribute [local cpass] word",
        "def n := 1attribute [cpass] word",
        # What gives a syntax of the file the name of one of Lean's own.
        'syntax (name := Lean.Parser.Command.evalBang) "go! " term : command',
        'def n := 1syntax (name := Lean.includeStr) "text " term : term',
        'def n := 0xfsyntax (name := Lean.includeStr) "text " term : term',
        "def n := x⁻¹macro_rules | `(now) => readTheClock",
        'scoped syntax:max "go! " term : command',
        "syntax_abbrev now := term",
        "declare_syntax_cat now",
        "declare_simp_like_tactic now",
        'binder_predicate x " !! " y:term => readTheFile',
        'notation "now" => $(readTheClock)',
        'local infixl:65 " +++ " => $(readTheClock)',
        'prefix:max "now" => $(readTheClock)',
        "show_panel_widgets [now]",
        "set_option doc.verso true",
        # Values of syntax, and ways to have one run.
        "def now (text : autoParam String file) := text",
        "def now (text : «autoParam» String file) := text",
        "def f._auto_1 := node",
        "def f.«_autoParam» := node",
        "def file : Syntax := node",
        "def file : Lean.TSyntax kind := node",
        "def file : «Syntax» := node",
        "def now : MacroM Term := readTheClock",
        "def now : ParserDescr := readTheClock",
        "open Elab in def now := 1",
        "def now := Quote.quote 1",
        "def now := do return `(1)",
        "def now := do return `[exact 1]",
        # Their types are found by unification, see below.
        "def file := like @f (.node .none kind #[])",
        "def file := like @f (.«node» .none kind #[])",
        'def file := like @f (.mkLit kind "now")',
        "def file := (stolen @Array.swap).setKind kind",
        "def file := (stolen @Array.swap).setArg 0 path",
        "def file := (stolen @Array.swap).modifyArgs with",
        # What is in Lean's namespace, but for JSON.
        "def file : Lean.Term := node",
        "def file := Lean.mkNode kind #[]",
        "def file := _root_.Lean.mkNode kind #[]",
        "def file := Lean.«mkNode» kind #[]",
        "def file := «Lean».mkNode kind #[]",
        "def file := Lean.JsonX",
        "open Lean",
        "open Lean in def file := mkNode kind #[]",
        "open Nat List Lean",
        "open Nat -- now\n  Lean",
        "open /- -/ Lean",
        "open Nat /--/ Lean",
        "open scoped «Lean»",
        "open «a(b» Lean",
        "open Lean (ToJson mkNode)",
        "open Lean hiding Json",
        "export Lean (mkNode)",
        "open Lean.Json _root_.Lean",
        "namespace Lean",
        "namespace -- now\n Lean",
        "namespace Lean.Json",
        "def Lean.Json.file := mkNode kind #[]",
        "def /- -/ Lean.Json.file := mkNode kind #[]",
        "instance (priority := low) Lean.Json.file : Text := mkNode kind #[]",
    ],
)
def test_no_script_is_kept_that_could_run_code_of_its_own(own_modules: Path, tmp_path: Path, text: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    assert found(script, own_modules) is not None
    script.write_text(f"{TEXT}\n{text}\n")
    assert found(script, own_modules) is None


# Lean's own `include_str`, from a type that unification takes from a default of another function.
SYNTAX_WITHOUT_WORDS = """
def f (h : Nat := by exact 1) : Nat := h
def like {S : Type} {F : Type → S → Type} {a : Type} {s : S} (_ : F a s → Nat) (t : S) : S := t
def typed {S : Type} {F : Type → S → Type} {a : Type} {s : S} (_ : F a s → Nat) (t : S) (x : F String t) : F String t := x
def text := like @f (.node .none (.str .anonymous "str") #[.atom .none "\\"PATH\\""])
def file := like @f (.node .none (.str (.str .anonymous "Lean") "includeStr") #[.atom .none "x", text])
def exact1 := like @f (.node .none (KIND (String.append "exa" "ct")) #[.atom .none "exact", file])
def many := like @f (.node .none (.str .anonymous "null") #[exact1])
def one := like @f (.node .none (KIND (String.append "tac" "ticSeq1Indented")) #[many])
def all := like @f (.node .none (KIND (String.append "tac" "ticSeq")) #[one])
def final := typed @f all
private def word : String := final
"""
KIND = '.str (.str (.str (.str .anonymous "Lean") (String.append "Par" "ser")) (String.append "Tac" "tic"))'


# The same, by functions of Lean's that the search does not know.
WITHOUT_NODE = re.sub(r"\.node (.*) #\[([^,\n]*)\]\)$", r".node1 \1 (\2))", SYNTAX_WITHOUT_WORDS, flags=re.MULTILINE)
WITHOUT_NODE = re.sub(r"\.node (.*) #\[(.*), (\w*)\]\)$", r".node2 \1 (\2) \3)", WITHOUT_NODE, flags=re.MULTILINE)
BY_NAMES = """
def f (h : Nat := by exact 1) : Nat := h
def like {S : Type} {F : Type → S → Type} {a : Type} {s : S} (_ : F a s → Nat) (t : S) : S := t
def typed {S : Type} {F : Type → S → Type} {a : Type} {s : S} (_ : F a s → Nat) (t : S) (x : F String t) : F String t := x
OPEN
 def all : Term :=
  let text := mkNode (.str .anonymous "str") #[mkAtom "\\"PATH\\""]
  let file := mkNode (.str (.str .anonymous "Lean") "includeStr") #[mkAtom "x", text]
  let exact1 := mkNode (KIND (String.append "exa" "ct")) #[mkAtom "exact", file]
  let many := mkNode (.str .anonymous "null") #[exact1.raw]
  let one := mkNode (KIND (String.append "tac" "ticSeq1Indented")) #[many.raw]
  ⟨(mkNode (KIND (String.append "tac" "ticSeq")) #[one.raw]).raw⟩
OPEN
 def allRaw := all.raw
OPEN
 def _root_.final := typed @f allRaw
private def word : String := final
"""


@pytest.mark.parametrize(
    "more",
    [
        SYNTAX_WITHOUT_WORDS,
        WITHOUT_NODE,
        BY_NAMES.replace("OPEN", "open «_root_».Lean in"),
        BY_NAMES.replace("OPEN", "with_weak_namespace Lean"),
    ],
)
def test_a_script_that_reads_a_file_without_a_word_for_it_reads_it_each_time(
    kept: Path, tmp_path: Path, more: str
) -> None:
    told = tmp_path / "told.txt"
    more = more.replace("PATH", str(told)).replace("KIND", KIND)
    text = TEXT.replace('private def word : String := "WORD"\n', more)
    assert "final" in text and (".node1" not in text or ".node " not in text)
    for word in ("old", "new"):
        told.write_text(word)
        assert answered(capability(tmp_path / "Said.lean", text)) == (word, False)


def test_a_text_that_would_take_long_to_look_through_is_not_kept() -> None:
    """The search reads on from each of these words; the texts are harmless otherwise."""
    for word in ("x'open ", "x'export ", "x'namespace --"):
        assert harmless_scripts.is_harmless(word * 50, 0)
        assert not harmless_scripts.is_harmless(word * 51, 0)
    assert harmless_scripts.is_harmless("x " * (64 << 10), 0)
    assert not harmless_scripts.is_harmless("x " * (65 << 10), 0)


@pytest.mark.parametrize(
    "header",
    [
        "module prelude\npublic import LeanWorker\n",
        "prelude\nimport LeanWorker\nimport Mathlib.Logic.Basic\n",
        "import LeanWorker\nimport «Lean Worker»\n",
    ],
)
def test_scripts_are_kept_by_header(own_modules: Path, tmp_path: Path, header: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(f"{header}def main : IO Unit := return Unit.unit\n")
    assert found(script, own_modules) is None


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("Said.lean", True),
        ("Deep/Said.lean", True),
        ("script", True),
        ("LeanWorker.lean", False),
        ("Init/Said.lean", False),
        ("a.b.lean", False),
        ("a b/Said.lean", False),
        ("1.lean", False),
        ("S_数.lean", False),
    ],
)
def test_scripts_are_kept_by_the_name_of_their_module(
    own_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, may: bool
) -> None:
    script = tmp_path / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(TEXT)
    assert found(script, own_modules) is not None  # outside of the working directory it has no name
    monkeypatch.chdir(tmp_path)
    assert (found(script, own_modules) is not None) is may
    link = tmp_path / "Link.lean"  # Lean follows links before it takes the module's name
    link.symlink_to(script)
    assert (found(link, own_modules) is not None) is may


@pytest.mark.parametrize(
    ("argument", "may"),
    [
        ("-DmaxRecDepth=600", True),
        ("-j1", True),
        ("--threads=1", True),
        ("-Dprofiler=true", False),
        ("-Dwarn.sorry=false", False),
        ("-Ddebug.byAsSorry=true", False),
        ("-Ddoc.verso=true", False),
        ("-Ddebug.skipKernelTC=true", False),
        ("--memory=1000", False),
        ("--plugin=/p.so", False),
        ("--load-dynlib=/l.so", False),
        ("--root=/", False),
        ("-o/x.olean", False),
        ("--setup=/s.json", False),
    ],
)
def test_scripts_are_kept_by_options(own_modules: Path, tmp_path: Path, argument: str, may: bool) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    assert (found(script, own_modules, (argument,)) is not None) is may


@pytest.mark.parametrize("name", ["LeanWorker", "LeanWorker.olean"])
def test_no_script_is_kept_whose_imports_can_be_compiled_again(
    own_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    monkeypatch.setenv("LEAN_PATH", f"{own_modules}{os.pathsep}{tmp_path}")
    assert found(script, own_modules) is not None
    (tmp_path / name).mkdir()
    assert found(script, own_modules) is None


def test_modules_beside_the_program_count_too(own_modules: Path, tmp_path: Path) -> None:
    """Lean takes the program of its process for its own, and looks for modules beside it."""
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    shutil.copy2(os.path.realpath(sys.executable), python)
    program = (
        "import sys; sys.path[:] = eval(sys.argv[1])\n"
        "from pathlib import Path; from kept import found\n"
        "print(found(Path(sys.argv[2]), Path(sys.argv[3])) is not None)"
    )
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix, "LEAN_PATH": str(own_modules)}
    library = sysconfig.get_config_var("LIBDIR")
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [library, environment.get("LD_LIBRARY_PATH")]))

    def may() -> str:
        command = [str(python), "-c", program, repr(sys.path), str(script), str(own_modules)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    assert may() == "True"
    (tmp_path / "lib" / "lean" / "LeanWorker").mkdir(parents=True)
    assert may() == "False"


@pytest.mark.parametrize(
    "text",
    [
        "@[inline] def other := 1",
        "@[inline, simp ↓ 100, always_inline] def other := 1",
        '@[deprecated word "use word, or [this]" (since := "2026-01-01"), inline] def other := 1',
        "@[macro_inline, specialize f] def other := 1",
        "@[ inherit_doc word ] def other := 1",
        "attribute [local instance] other",
        "attribute [-simp] other",
        "attribute [scoped simp, -instance] other",
        "def other := @id Nat 1",
        "@[default_instance high, reducible] instance : Inhabited Nat := other",
    ],
)
def test_attributes_that_run_no_code_are_no_reason(own_modules: Path, tmp_path: Path, text: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(f"{TEXT}\n{text}\n")
    assert found(script, own_modules) is not None


@pytest.mark.parametrize(
    "text",
    [
        "open LeanWorker\n\n/-! The Lean side. -/",
        "open LeanWorker\n\n/-- What Lean says. -/\ndef other := 1",
        "open LeanWorker\n-- Lean. It is what it says.\ndef other := 1",
        "open Nat in\ndef other (x : Lean.Json) : Array Lean.JsonNumber := #[]",
        "open Lean (Json ToJson FromJson fromJson? toJson)",
        "structure Other where\n  x : Nat\n  deriving Lean.ToJson, Lean.FromJson",
        "instance : Lean.ToJson Other := ⟨fun _ => Lean.Json.null⟩",
        "def other := Tree.node 1 0x1f 2",
        "def other : Point := .mk 1 2",
        "/-- Answers `word` for `main`. -/\ndef other (h : 1 < 2 := by decide) := `word",
    ],
)
def test_ordinary_texts_are_no_reason(own_modules: Path, tmp_path: Path, text: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(f"{TEXT}\n{text}\n")
    assert found(script, own_modules) is not None


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("LEAN_STACK_SIZE_KB", True),
        ("LEAN_NAT_MAX_SIZE", True),
        ("LEAN_NUM_THREADS", True),
        ("LEAN_OF_TOMORROW", True),
        ("LEAN_BACKTRACE", False),
        ("LEAN_ABORT_ON_PANIC", False),
        ("LEAN_WORKER_OF_TOMORROW", False),
        ("HOME", False),
    ],
)
def test_scripts_are_kept_by_the_environment_of_lean(
    own_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, counts: bool
) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    entries = set()
    for value in (None, "300", "301"):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        keeping = found(script, own_modules)
        assert keeping is not None
        entries.add(keeping._entry)
    assert len(entries) == (3 if counts else 1)


def test_a_smaller_stack_has_an_entry_of_its_own(kept: Path, tmp_path: Path) -> None:
    """The kernel takes another way where it would run out of it."""
    tried = 'first | (have : f 3000 = 3000 := by decide +kernel); exact "DEEP" | exact "SHALLOW"'
    text = TEXT.replace(
        'private def word : String := "WORD"',
        "set_option maxRecDepth 1000000\ndef f : Nat → Nat | 0 => 0 | n+1 => f n + 1\n"
        f"private def word : String := by {tried}",
    )
    hosted = capability(tmp_path / "Said.lean", text)
    small = dataclasses.replace(hosted, env={"LEAN_STACK_SIZE_KB": "300"})
    said = [answered(each) for each in (small, hosted, small, hosted)]
    assert said == [("SHALLOW", True), ("DEEP", True)] * 2


def test_a_script_of_many_commands_may_be_kept(own_modules: Path) -> None:
    assert found(LEAN / "Interop.lean", own_modules) is not None


def test_a_script_with_default_tactics_is_kept(kept: Path, tmp_path: Path) -> None:
    """They are values of syntax too, but Lean has made them of the text."""
    more = """
structure Pair where
  x : Nat
  less : 1 < 2 := by decide
private def other (_h : 1 < 2 := by decide) : Pair := { x := 1 }
"""
    text = TEXT.replace("private def word", f"{more}private def word")
    assert answered(capability(tmp_path / "Said.lean", text)) == ("WORD", True)
