"""A living pool judges by the modules as they are compiled now, and a call by those of its beginning or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from lean_modules import compile_module
from lean_worker.verification import ProofVerdict, VerifyResult, stated_build

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


def search_path_of(project):
    return project / ".lake" / "build" / "lib" / "lean"


def compile_below(directory, text):
    """Compile the module `Mine`."""
    header = "module\n\n" if text.startswith("module") else ""
    body = text.removeprefix(header)
    imports = "public import LeanWorker.Library" if header else "import LeanWorker.Library"
    compile_module(directory, "Mine", f"{header}prelude\n{imports}\n{body}")


def check_one_build(project, change, expected, stated=STATED):
    """Change the modules in the middle of a verification: nothing is said of a mixture, and all by a later call."""
    found = []
    proofs = [lw.Proof("first", "Nat.le_succ n"), lw.Proof("second", "True.intro")]

    def candidates():
        yield lw.Proof("before", "Nat.le_succ n")
        while not found:
            yield lw.Proof("before", "Nat.le_succ n")
        change()
        yield from proofs

    options = {"statement": stated, "project": project, "toolchain": "embedded"}
    with lw.Pool(2) as pool:
        for result in lw.verify(candidates(), pool=pool, **options):
            found.append((result.name, result.verdict.value))
            assert result.is_proved or not (result.axioms or result.declaration or result.goal or result.reason)
        assert found[0] == ("before", "proved") and {verdict for _, verdict in found} == {"proved", "lost"}
        assert dict(found)["first"] == dict(found)["second"] == "lost"
        assert [each.verdict.value for each in lw.verify(proofs, pool=pool, in_order=True, **options)] == expected


@pytest.mark.parametrize("change", CHANGES)
def test_a_verdict_is_of_one_build(tmp_path, change):
    """The statement is compiled once: nothing is proved, and nothing refused, that means something else by now."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    compile_below(search_path_of(tmp_path), FIRST)
    expected = ["not_proved", "proved"] if change in ("notation", "a definition") else ["proved", "not_proved"]
    check_one_build(tmp_path, lambda: compile_below(search_path_of(tmp_path), CHANGES[change]), expected)


@pytest.mark.parametrize(
    "header",
    [
        "prelude import Mine",
        "prelude\n  import Mine",
        "prelude import LeanWorker import Mine",
        "prelude import /- import Other -/ «Mine»-- the imports",
        "prelude\r\nimport\r\n Mine",
    ],
)
def test_however_the_import_is_written(tmp_path, header):
    """The modules that count are those that Lean reads in a header, not those that begin a line."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    compile_below(search_path_of(tmp_path), FIRST)
    stated = STATED.replace("prelude\nimport Mine", header)
    change = CHANGES["notation"]
    check_one_build(
        tmp_path, lambda: compile_below(search_path_of(tmp_path), change), ["not_proved", "proved"], stated=stated
    )


@pytest.mark.parametrize("how", ["a module that hides it", "another place for it"])
def test_a_module_that_is_found_elsewhere(tmp_path, how):
    """Its own file is as it was, and Lean takes another one."""
    project, package, another = tmp_path / "top", tmp_path / "package", tmp_path / "another"
    for place, text in ((package, FIRST), (another, CHANGES["a definition"])):
        compile_below(search_path_of(place), text)
        (place / "lakefile.toml").write_text('name = "package"\n[[lean_lib]]\nname = "Mine"\n')

    def require(place):
        entry = {"type": "path", "name": "package", "dir": f"../{place.name}", "inherited": False}
        entry |= {"configFile": "lakefile.toml", "manifestFile": "lake-manifest.json", "scope": ""}
        manifest = {"version": "1.1.0", "packagesDir": ".lake/packages", "packages": [entry], "name": "top"}
        (project / "lake-manifest.json").write_text(json.dumps({**manifest, "lakeDir": ".lake"}))

    search_path_of(project).mkdir(parents=True)
    (project / "lakefile.toml").write_text('name = "top"\n[[lean_lib]]\nname = "Top"\n')
    require(package)

    def hide():
        shutil.copyfile(search_path_of(another) / "Mine.olean", tmp_path / "Mine.olean")
        (tmp_path / "Mine.olean").replace(search_path_of(project) / "Mine.olean")

    change = hide if how == "a module that hides it" else lambda: require(another)
    check_one_build(project, change, ["not_proved", "proved"])


def test_results_that_come_in_a_row_share_a_look(tmp_path):
    """With Mathlib a look takes as long as a judgement. Whatever went wrong comes after what was judged."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    directory = search_path_of(tmp_path)
    compiled = compile_module(directory, "Mine0", "prelude\n")
    names = [f"Mine{number}" for number in range(400)]
    for name in names[1:]:
        shutil.copyfile(compiled, directory / f"{name}.olean")
    build = stated_build.StatedBuild(names, tmp_path, "embedded")
    results = [VerifyResult(number, str(number), ProofVerdict.NOT_PROVED) for number in range(100)]

    def source(is_more_ready):
        for result in results:
            taken.append(result)
            yield result, is_more_ready
        raise OSError("what went wrong")

    def handed_out(is_more_ready):
        taken.clear()
        with pytest.raises(OSError, match="what went wrong"):
            for result in build.checked(source(is_more_ready)):
                yield result, len(taken)

    taken = []
    assert list(handed_out(is_more_ready=False)) == [(result, number) for number, result in enumerate(results, 1)]
    together = list(handed_out(is_more_ready=True))
    assert [result for result, _ in together] == results and len({number for _, number in together}) < 50
    os.utime(directory / "Mine399.olean")
    assert {result.verdict for result, _ in handed_out(is_more_ready=True)} == {ProofVerdict.LOST}


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
