"""A living pool judges by the modules as they are compiled now, and a call by those of its beginning or not at all."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from lean_modules import compile_module

pytestmark = pytest.mark.lean

KEY = "theorem key (p q : Prop) (h : And p q) : p := "
HONEST = KEY + "h.left\n"
DISHONEST = f"axiom cheat (p q : Prop) : p\n{KEY}cheat p q\n"
STATEMENT = "prelude\nimport Mine\ntheorem goal (p q : Prop) (h : And p q) : p := sorry\n"
PROOF = lw.Proof("use", "key p q h")


@pytest.fixture
def rebuild(tmp_path):
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    build = tmp_path / ".lake" / "build" / "lib" / "lean"

    def rebuild(text):
        compile_module(build, "Mine.A", f"prelude\nimport LeanWorker.Library\n{text}")
        if not (build / "Mine.olean").exists():
            compile_module(build, "Mine", "prelude\nimport Mine.A\n")

    return rebuild


def judges():
    """The processes that have imported something and judge by it."""
    found = set()
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if any("judge_process" in part for part in each.cmdline()):
                found.add(each.pid)
    return found


def test_by_call(rebuild, tmp_path):
    with lw.Pool(3) as pool:

        def ask():
            (result,) = lw.verify([PROOF], statement=STATEMENT, pool=pool, project=tmp_path, toolchain="embedded")
            return result.verdict.value, result.axiom

        for text, expected in [(HONEST, "proved"), (DISHONEST, "forbidden_axiom"), (HONEST, "proved")]:
            rebuild(text)
            axiom = "cheat" if text is DISHONEST else None
            assert ask() == (expected, axiom)
            before = judges()
            assert ask() == (expected, axiom) and before and judges() == before  # nothing changed: no second import


def test_within_a_call(rebuild, tmp_path):
    rebuild(HONEST)
    found = []

    def candidates():
        yield PROOF
        while not found:
            yield PROOF
        rebuild(DISHONEST)
        done = len(found)
        yield lw.Proof("after", PROOF.text)
        assert len(found) >= done

    with lw.Pool(2) as pool:
        options = {"statement": STATEMENT, "pool": pool, "project": tmp_path, "toolchain": "embedded"}
        for result in lw.verify(candidates(), **options):
            found.append((result.name, result.verdict.value))
    assert dict(found)["after"] == "lost" and ("use", "proved") in found


STATED = "prelude\nimport Mine\ntheorem goal (n : Nat) : Nat.le n (Nat.succ n) ⊑ True := sorry\n"
FIRST = 'def Under (a b : Prop) : Prop := a\nnotation:50 a " ⊑ " b:51 => Under a b\n'
CHANGES = {
    "notation": FIRST.replace("=> Under a b", "=> Under b a"),
    "a definition": FIRST.replace(":= a", ":= b"),
    "a module header": f"module\n\n@[expose] public section\n{FIRST}end\n",
    "nothing but the time": FIRST,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_verdict_is_of_one_build(tmp_path, change):
    """The statement is compiled once: nothing is proved, and nothing refused, that means something else by now."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    build = tmp_path / ".lake" / "build" / "lib" / "lean"

    def compile_it(text):
        header = "module\n\n" if text.startswith("module") else ""
        body = text.removeprefix(header)
        imports = "public import LeanWorker.Library" if header else "import LeanWorker.Library"
        compile_module(build, "Mine", f"{header}prelude\n{imports}\n{body}")

    compile_it(FIRST)
    found = []
    proofs = [lw.Proof("first", "Nat.le_succ n"), lw.Proof("second", "True.intro")]

    def candidates():
        yield lw.Proof("before", "Nat.le_succ n")
        while not found:
            yield lw.Proof("before", "Nat.le_succ n")
        compile_it(CHANGES[change])
        yield from proofs

    options = {"statement": STATED, "project": tmp_path, "toolchain": "embedded"}
    with lw.Pool(2) as pool:
        for result in lw.verify(candidates(), pool=pool, **options):
            found.append((result.name, result.verdict.value))
            assert result.is_proved or not (result.axioms or result.declaration or result.goal or result.reason)
        assert found[0] == ("before", "proved") and {verdict for _, verdict in found} == {"proved", "lost"}
        assert dict(found)["first"] == dict(found)["second"] == "lost"
        expected = ["not_proved", "proved"] if change in ("notation", "a definition") else ["proved", "not_proved"]
        assert [each.verdict.value for each in lw.verify(proofs, pool=pool, in_order=True, **options)] == expected


def test_a_module_that_is_away_for_a_moment(rebuild, tmp_path):
    """A proof imports what its statement imports: it has changed no statement."""
    rebuild(HONEST)
    module = tmp_path / ".lake/build/lib/lean/Mine/A.olean"
    away = module.with_name("away")

    def candidates():
        yield PROOF
        module.rename(away)
        yield lw.Proof("away", PROOF.text)
        yield "file", STATEMENT.replace("import Mine\n", "import Mine\nimport Mine.Other\n")

    with lw.Pool(2) as pool:
        options = {"statement": STATEMENT, "pool": pool, "project": tmp_path, "toolchain": "embedded"}
        found = {}
        try:
            for result in lw.verify(candidates(), **options):
                found[result.name] = result
        except lw.LeanWorkerError as error:  # it was looked for before Lean was asked
            assert "Mine.A" in str(error)
        assert found.get("away", PROOF) is PROOF or found["away"].verdict.value == "lost"
        assert "file" not in found or found["file"].verdict.value == "lost"
        away.rename(module)
        (result,) = lw.verify([PROOF], **options)
        assert result.verdict.value == "proved"


@pytest.mark.parametrize(
    ("part", "how"),
    [
        (".olean", "a link to nothing"),
        (".olean.server", "away"),
        (".olean.private", "away"),
        (".olean.private", "a directory"),
    ],
)
def test_a_file_of_a_module_that_cannot_be_read(tmp_path, part, how):
    """It says nothing of any proof, whatever of the module's files it is."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    build = tmp_path / ".lake" / "build" / "lib" / "lean"
    text = f"module\nprelude\npublic import LeanWorker\n@[expose] public section\n{HONEST}end\n"
    file = compile_module(build, "Mine", text).with_name(f"Mine{part}")
    kept = file.with_name("kept")
    checked = STATEMENT.replace("sorry", "key p q h")
    options = {"project": tmp_path, "toolchain": "embedded"}

    def spoil():
        file.rename(kept)
        if how == "a directory":
            file.mkdir()
        elif how == "a link to nothing":
            file.symlink_to(tmp_path / "nothing")

    def candidates():
        yield PROOF
        spoil()
        yield lw.Proof("spoilt", PROOF.text)

    with lw.Pool(2) as pool:
        found = {}
        with contextlib.suppress(lw.CapabilityError):  # it was looked for before Lean was asked
            for result in lw.verify(candidates(), statement=STATEMENT, pool=pool, **options):
                found[result.name] = result.verdict.value
        assert set(found.values()) <= {"proved", "lost"} and found.get("spoilt") != "proved"
        (result,) = lw.check([("Checked.lean", checked)], pool=pool, **options)
        assert result.verdict.value == "unchecked" and "Mine" in result.cause
        with pytest.raises(lw.CapabilityError, match="Mine"):
            list(lw.verify([PROOF], statement=STATEMENT, pool=pool, **options))
        if how == "a directory":
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        kept.rename(file)
        (result,) = lw.verify([PROOF], statement=STATEMENT, pool=pool, **options)
        assert result.verdict.value == "proved"
        (result,) = lw.check([("Checked.lean", checked)], pool=pool, **options)
        assert result.verdict.value == "accepted"


def test_while_a_judge_imports(rebuild, tmp_path):
    """A module that only other modules import is compiled again right after the judge has mapped it."""
    rebuild(DISHONEST)
    module = tmp_path / ".lake/build/lib/lean/Mine/A.olean"
    dishonest = tmp_path / "spare.olean"
    dishonest.write_bytes(module.read_bytes())
    rebuild(HONEST)

    def replace_when_mapped():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for pid in judges():
                with contextlib.suppress(OSError):  # it has ended
                    while str(module) not in Path(f"/proc/{pid}/maps").read_text():
                        assert time.monotonic() < deadline
                    dishonest.replace(module)
                    return

    with lw.Pool(3) as pool:

        def ask():
            options = {"statement": STATEMENT, "pool": pool, "project": tmp_path, "toolchain": "embedded"}
            (result,) = lw.verify([PROOF], **options)
            return result.verdict.value

        replacing = threading.Thread(target=replace_when_mapped)
        replacing.start()
        try:
            ask()  # by the old or the new module, as it happens
        finally:
            replacing.join()
        assert not dishonest.exists(), "no judge has mapped the module"
        assert [ask() for _ in range(3)] == ["forbidden_axiom"] * 3
