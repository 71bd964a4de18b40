"""A second opinion by leanchecker: it can refuse what the judge accepted, and makes no verdict better.

The embedded Lean has no leanchecker. A program in its place is called like it, looks for the module as it does, and ends
like it; what it says depends on the names that the module declares.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

import lean_worker as lw
from lean_worker.verification.recheck import Rechecked, program_of
from verify_candidates import HEADER, runs_python

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux only")]

SYMMETRY = HEADER + "theorem goal (a b : Nat) (h : a = b) : b = a := sorry\n"
PROOF = SYMMETRY.replace("sorry", "h.symm")
CHECKER = """
import os, sys, time
flags = [word for word in sys.argv[1:] if word.startswith("-")]
(module,) = [word for word in sys.argv[1:] if not word.startswith("-")]
places = [place for place in os.environ["LEAN_PATH"].split(":") if os.path.isfile(f"{place}/{module}.olean")]
if len(places) != 1:
    sys.exit(f"uncaught exception: Could not find any oleans for: {module}")
(place,) = places
data = open(f"{place}/{module}.olean", "rb").read()
found = [p for p in os.environ["LEAN_PATH"].split(":") if os.path.isfile(f"{p}/LIBRARY.olean")]
if len(found) != 1 or found[0] == place:
    sys.exit(f"uncaught exception: the imports are at {found}")
if os.environ.get("LEAN_SYSROOT") != SYSROOT:
    sys.exit("uncaught exception: another sysroot")
if data[:5] != b"olean" or os.listdir(place) != [f"{module}.olean"]:
    sys.exit(f"uncaught exception: {os.listdir(place)}")
print('{"severity":"error","data":"rows are not for leanchecker","pos":{"line":1,"column":0}}', flush=True)
if b"refuse_me" in data:
    print(f"leanchecker found a problem in {module}", file=sys.stderr)
    print("uncaught exception: while replaying declaration 'refuse_me':", file=sys.stderr)
    sys.exit("(kernel) declaration type mismatch, 'refuse_me' has type\\n  True\\nbut it is expected to have type\\n  False")
if b"refuse_old" in data:
    print(f"lean4checker found a problem in {module}", file=sys.stderr)
    sys.exit("uncaught exception: (kernel) unknown constant 'gone'")
if b"hang_me" in data:
    time.sleep(1000)
if b"crash_me" in data:
    os.abort()
if b"flood_me" in data:
    for _ in range(2000):
        print("x" * 5000, file=sys.stderr)
if b"reach_me" in data:
    try:
        open(f"{place}/more", "w")
    except OSError:
        sys.exit(0)
    sys.exit("uncaught exception: it can write there")
"""


def write_checker(path, library, sysroot=None):
    """Write the program; it insists that the imports are found in their own place."""
    code = CHECKER.replace("LIBRARY", library).replace("!= SYSROOT", f"!= {sysroot!r}")
    path.write_text(f"#!{sys.executable} -IS\n{code}")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    return write_checker(tmp_path_factory.mktemp("bin") / "leanchecker", "LeanWorker/Library")


def declaring(name, text=PROOF):
    return name, f"{text}theorem {name} : True := True.intro\n"


@pytest.mark.once
def test_leanchecker_has_the_last_word_and_only_to_refuse(checker):
    poses = runs_python(
        "import os; own = os.environ['TMPDIR']; os.mkdir(own + '/LeanWorker')\n"
        "for name in ('Init', 'LeanWorker/Library', 'LeanWorkerRechecked'): open(f'{own}/{name}.olean', 'w').close()",
        exits=False,
        rest=PROOF.removeprefix(HEADER),
    )
    candidates = [
        ("good", PROOF),
        declaring("refuse_me"),
        declaring("refuse_old"),
        declaring("crash_me"),
        declaring("flood_me"),
        declaring("reach_me"),
        ("poses", poses),
        ("sorry", SYMMETRY),
        declaring("refuse_me", SYMMETRY),
    ]
    options = {"statement": SYMMETRY, "toolchain": "embedded", "in_order": True, "jobs": 1}
    results = list(lw.verify(candidates, recheck=checker, **options))
    told = [(result.name, result.verdict.value, result.rechecked) for result in results]
    assert told == [
        ("good", "proved", True),
        ("refuse_me", "not_replayed", False),
        ("refuse_old", "not_replayed", False),
        ("crash_me", "lost", False),
        ("flood_me", "proved", True),
        ("reach_me", "proved", True),
        ("poses", "proved", True),
        ("sorry", "forbidden_axiom", False),
        ("refuse_me", "forbidden_axiom", False),
    ], results
    refused = results[1]
    assert (refused.reason, refused.declaration, refused.axioms) == ("recheck", "refuse_me", {})
    assert "declaration type mismatch" in refused.detail
    assert results[2].declaration is None and "unknown constant" in results[2].detail
    assert "SIGABRT" in results[3].detail
    assert all(result.messages == () for result in results[:6])


@pytest.mark.once
def test_a_leanchecker_without_end_times_out(checker):
    async def verdicts():
        candidates, options = [declaring("hang_me")], {"statement": SYMMETRY, "toolchain": "embedded"}
        found = lw.verification.verify_async(candidates, recheck=checker, timeout=8, **options)
        return [(result.verdict.value, result.detail) async for result in found]

    ((verdict, detail),) = asyncio.run(verdicts())
    # On a busy machine the elaboration may be what is late.
    assert verdict == "timed_out" and "did not end in time" in detail


def test_a_program_that_cannot_check_proves_nothing(tmp_path):
    program = tmp_path / "leanchecker"
    program.write_text("#!/no/interpreter\n")
    program.chmod(0o755)
    (result,) = lw.verify([("good", PROOF)], statement=SYMMETRY, toolchain="embedded", recheck=program)
    assert result.verdict is lw.verification.ProofVerdict.LOST
    assert "leanchecker ended with exit code" in result.detail or "could not be started" in result.detail


def test_a_lean_without_leanchecker_is_told_before_anything_runs(tmp_path):
    for choice, words in ((True, "embedded Lean has no leanchecker"), (tmp_path, "the path of a program")):
        with pytest.raises(lw.UsageError, match=words):
            lw.verify([], statement=SYMMETRY, toolchain="embedded", recheck=choice)
    argv = [sys.executable, "-m", "lean_worker.cli", "verify", "--toolchain", "embedded", "--recheck"]
    file = tmp_path / "s.lean"
    file.write_text(SYMMETRY)
    said = subprocess.run([*argv, file, file], capture_output=True, text=True, timeout=100)
    assert said.returncode == 2 and "--recheck-with" in said.stderr, said


def test_the_command_line_rechecks_with_a_program(checker, tmp_path):
    statement, good, bad = (tmp_path / f"{name}.lean" for name in ("statement", "good", "bad"))
    statement.write_text(SYMMETRY)
    good.write_text(PROOF)
    bad.write_text(declaring("refuse_me")[1])
    argv = [sys.executable, "-m", "lean_worker.cli", "verify", statement, good, bad, "--json"]
    argv += ["--toolchain", "embedded", "--recheck-with", checker]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert said.returncode == 1, said
    first, second = json.loads(said.stdout)["candidates"]
    assert (first["verdict"], first["rechecked"]) == ("proved", True)
    assert (second["verdict"], second["reason"], second["declaration"]) == ("not_replayed", "recheck", "refuse_me")


INIT = """prelude
set_option genInjectivity false
set_option genSizeOf false
set_option genCtorIdx false
universe u
inductive Bool : Type where
  | false : Bool
  | true : Bool
inductive True : Prop where
  | intro : True
axiom sorryAx (α : Sort u) (synthetic : Bool) : α
"""


@pytest.fixture
def toolchain(tmp_path):
    """A directory like a toolchain's: the library, a compiled `Init`, and `bin/leanchecker`."""
    prefix = tmp_path / "toolchain"
    library = lw.toolchains.resolve("embedded").library
    modules = prefix / "lib" / "lean"
    modules.mkdir(parents=True)
    for part in library.parent.glob("*.so"):
        (modules / part.name).symlink_to(part)
    (prefix / "bin").mkdir()
    (tmp_path / "Init.lean").write_text(INIT)
    argv = [sys.executable, "-m", "lean_worker.child.lean_driver", modules / library.name]
    argv += ["-o", modules / "Init.olean", "Init.lean"]
    said = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert said.returncode == 0, said
    return prefix


def test_a_toolchain_brings_its_own_modules_and_its_own_leanchecker(toolchain):
    program = toolchain / "bin" / "leanchecker"
    statement = "theorem goal : True := sorryAx True Bool.true\n"
    proof = "theorem goal : True := True.intro\n"
    candidates = [("good", proof), ("sorry", statement), ("refuse_me", f"{proof}theorem refuse_me : True := goal\n")]
    options = {"statement": statement, "toolchain": toolchain, "in_order": True}
    with pytest.raises(lw.UsageError, match="no leanchecker"):
        lw.verify(candidates, recheck=True, **options)
    write_checker(program, "Init", str(toolchain))
    assert program_of(True, lw.toolchains.resolve(toolchain)) == program
    results = list(lw.verify(candidates, recheck=True, **options))
    told = [(result.verdict.value, result.rechecked, result.reason) for result in results]
    assert told == [("proved", True, None), ("forbidden_axiom", False, None), ("not_replayed", False, "recheck")], (
        results
    )


@pytest.mark.parametrize(
    ("ended", "accepts", "refuses", "words"),
    [
        (Rechecked(exit_code=0), True, False, "exit code 0"),
        (Rechecked(exit_code=0, timed_out=True), False, False, "exit code 0"),
        (Rechecked(exit_code=1, stderr="uncaught exception: no such file"), False, False, "no such file"),
        (Rechecked(exit_code=1, stderr="leanchecker found a problem in X\nuncaught exception: x"), False, True, ": x"),
        (Rechecked(signal="SIGSEGV", stderr="leanchecker found a problem in X"), False, False, "SIGSEGV"),
        (Rechecked(not_started="no such program"), False, False, "could not be started"),
    ],
)
def test_only_a_stated_problem_is_a_refusal(ended, accepts, refuses, words):
    assert (ended.accepts, ended.refuses) == (accepts, refuses)
    assert words in ended.words
