"""Extractions from a project whose modules are compiled again, between calls and while one runs: rows of one build."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest

import lean_worker as lw
from descriptors import descriptors_left
from lean_modules import compile_module
from lean_worker import extraction
from lean_worker.errors import ResourceExhausted
from lean_worker.extraction import sessions

pytestmark = pytest.mark.lean

LEAN = "embedded"


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(2) as pool:
        yield pool


@pytest.fixture
def build(tmp_path):
    """Where the compiled modules of the project in `tmp_path` lie, which has one library, `Mine`."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    return tmp_path / ".lake" / "build" / "lib" / "lean"


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_module_that_is_compiled_again_is_read_again_by_the_same_pool(build, tmp_path):
    options = {"project": tmp_path, "toolchain": LEAN, "ledger": tmp_path / "ledger"}
    live = extraction.Request(modules=("Mine.A",), with_type=False, with_axioms=False)
    (tmp_path / "Mine").mkdir()
    for file in ("Mine.lean", "Mine/A.lean"):
        (tmp_path / file).touch()  # modules are found by their sources
    compile_module(build, "Mine.B", "prelude\nimport LeanWorker\ndef other := 1\n")
    with lw.Pool(9) as pool:
        for name in ("one", "two", "three"):
            compile_module(build, "Mine.A", f"prelude\nimport LeanWorker\ndef {name} := 1\n")
            compile_module(build, "Mine", "prelude\nimport Mine.A\n")
            done = lw.extract("declarations", ["Mine.A", "Mine.B"], out=tmp_path / "rows.jsonl", pool=pool, **options)
            assert [row["name"] for row in rows_of(tmp_path / "rows.jsonl")] == [name, "other"]
            assert done.ran == 2  # what a declaration's attributes are, both modules say
            options["ledger"] = tmp_path / "uses"
            uses = lw.extract("dependencies", ["Mine.A", "Mine.B"], out=tmp_path / "uses.jsonl", pool=pool, **options)
            assert uses.ran == (2 if name == "one" else 1)  # the other module is as it was
            options["ledger"] = tmp_path / "ledger"
            for imports, request in (
                (["Mine"], live),
                ([], msgspec.structs.replace(live, imports=("Mine",))),
            ):
                capability = extraction.extractor(imports, project=tmp_path, toolchain=LEAN)
                with pool.lease(capability) as lease:
                    assert [row.name for row in lease.collect(extraction.DECLARATIONS, request).rows] == [name]


COMPUTED = """import Lake
open Lake DSL
package mine
def names := #[`Mine.A, `Mine.B]
lean_lib Mine where
  roots := names
"""


@pytest.mark.parametrize("is_computed", [False, True], ids=["a lakefile that says it", "a lakefile that computes it"])
def test_any_module_of_the_project_that_is_compiled_again_takes_a_new_worker(build, tmp_path, is_computed):
    """Also one that was compiled after the extractor was made, and whatever is known of the project's modules."""
    if is_computed:
        (tmp_path / "lakefile.toml").unlink()
        (tmp_path / "lakefile.lean").write_text(COMPUTED)
    (tmp_path / "Mine").mkdir()
    (tmp_path / "Mine" / "A.lean").touch()
    (tmp_path / "Mine" / "B.lean").touch()
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\n")
    capability = extraction.extractor(project=tmp_path, toolchain=LEAN)
    request = extraction.Request(imports=("Mine.B",), modules=("Mine.B",), with_type=False, with_axioms=False)
    started = []
    with lw.Pool(9) as pool:
        for name in ("one", "two"):
            compile_module(build, "Mine.B", f"prelude\nimport LeanWorker\ndef {name} := 1\n")
            for _ in range(2):
                with pool.lease(capability) as lease:
                    assert [row.name for row in lease.collect(extraction.DECLARATIONS, request).rows] == [name]
                started.append(pool.snapshot().started)
    assert started == [1, 1, 2, 2]


@pytest.mark.parametrize("added", ["attribute [simp] same", 'notation "twice" x => double x'])
@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_kept_ledger_gives_the_rows_of_a_new_call(pool, build, tmp_path, added, is_resumed):
    """A module beside changes what the declarations of another one look like, which was not compiled again."""
    header = "prelude\nimport LeanWorker\n"
    text = "def double (x : Nat) : Nat := Nat.add x x\ntheorem same (x : Nat) : double x = Nat.add x x := rfl\n"
    compile_module(build, "Mine.D", header + text)
    names = ["Mine.D", "Mine.A"]
    options = {"project": tmp_path, "toolchain": LEAN, "pool": pool}

    def rows(what, name, **more):
        done = lw.extract(what, names, out=tmp_path / f"{name}.jsonl", **options, **more)
        return rows_of(tmp_path / f"{name}.jsonl"), done.ran

    compile_module(build, "Mine.A", "prelude\nimport Mine.D\n")
    for what in ("declarations", "dependencies"):
        if is_resumed:  # one module was read when the call ended
            stop = lw.CancelToken()
            with pytest.raises(lw.Cancelled):
                rows(what, what, ledger=tmp_path / what, cancel=stop, on_done=lambda *_, stop=stop: stop.cancel())
        else:
            rows(what, what, ledger=tmp_path / what)
    compile_module(build, "Mine.A", f"prelude\nimport Mine.D\n{added}\n")
    kept, ran = rows("declarations", "declarations", ledger=tmp_path / "declarations")
    assert (kept, ran) == rows("declarations", "new") and ran == 2
    kept, ran = rows("dependencies", "dependencies", ledger=tmp_path / "dependencies")
    assert kept == rows("dependencies", "new")[0] and ran <= 2 - (not is_resumed)


def test_a_module_that_a_source_imports_and_that_is_not_built_is_told(pool, build, tmp_path):
    header = "prelude\nimport LeanWorker\n"
    (tmp_path / "Mine").mkdir()
    (tmp_path / "Mine.lean").write_text("prelude\nimport Mine.A\n/- import Mine.B -/\n")
    for name in "AB":
        (tmp_path / "Mine" / f"{name}.lean").write_text(f"{header}def {name.lower()} := 1\n")
    compile_module(build, "Mine.A", (tmp_path / "Mine" / "A.lean").read_text())
    compile_module(build, "Mine", (tmp_path / "Mine.lean").read_text())
    options = {"project": tmp_path, "toolchain": LEAN, "pool": pool, "out": tmp_path / "rows.jsonl"}
    assert lw.extract("declarations", **options).items == 2
    (tmp_path / "Mine" / "A.lean").write_text(f"{header}import Mine.B\ndef a := 1\n")
    with pytest.raises(lw.UsageError, match="1 of its 3 modules are not built, first Mine.B"):
        lw.extract("declarations", **options)


def test_modules_behind_one_that_cannot_be_read_now_are_not_left_out(build, tmp_path):
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\n")
    compile_module(build, "Mine", "prelude\nimport Mine.A\n")
    files = sessions.CompiledFiles([build])
    with descriptors_left(0), pytest.raises(ResourceExhausted, match="A.olean"):
        files.roots(["Mine.A", "Mine"])
    assert list(files.behind("Mine")) == ["Mine.A", "LeanWorker"]


def test_modules_that_are_compiled_again_during_a_call_end_it(build, tmp_path):
    names = [f"Mine.M{number}" for number in range(4)]
    for name in names:
        compile_module(build, name, "prelude\nimport LeanWorker\ndef one := 1\n".replace("one", name[5:]))
    done = []

    def rebuild(*_):
        done.append(1)
        if len(done) == 1:
            compile_module(build, "Mine.M3", "prelude\nimport LeanWorker\ndef other := 1\n")

    out = tmp_path / "rows.jsonl"
    options = {"project": tmp_path, "toolchain": LEAN, "ledger": tmp_path / "ledger"}
    # Each request has a worker of its own, so that one starts after the build.
    with lw.Pool(1, memory=lw.MemoryPolicy(max_requests=1)) as pool:
        with pytest.raises(lw.CapabilityError, match="files of modules have changed since the call began"):
            lw.extract("declarations", names, out=out, pool=pool, on_done=rebuild, **options)
        assert not out.exists()
        assert lw.extract("declarations", names, out=out, pool=pool, **options).ran == 4
    assert [row["name"] for row in rows_of(out)] == ["M0", "M1", "M2", "other"]


@pytest.mark.parametrize("what", ["goals", "messages"])
@pytest.mark.parametrize("is_kept", [False, True])
def test_imports_of_sources_that_are_compiled_again_during_a_call_end_it(build, tmp_path, what, is_kept):
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef A := True\n")
    compile_module(build, "Mine", "prelude\nimport Mine.A\n")
    paths = [tmp_path / f"File{number}.lean" for number in range(4)]
    for path in paths:
        path.write_text("prelude\nimport Mine\nset_option pp.all true\n#print A\nexample : A := by exact True.intro\n")
    done = []

    def rebuild(*_):
        done.append(1)
        if len(done) == 1:
            compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef A := True ∧ True\n")

    out = tmp_path / "rows.jsonl"
    options = {"project": tmp_path, "toolchain": LEAN}
    if is_kept and what == "goals":
        options["ledger"] = tmp_path / "ledger"
    with lw.Pool(1) as pool:
        with pytest.raises(lw.CapabilityError, match="files of modules have changed since the call began"):
            lw.extract(what, list(map(str, paths)), out=out, pool=pool, on_done=rebuild, **options)
        assert not out.exists()
        lw.extract(what, list(map(str, paths)), out=out, pool=pool, **options)
        again = tmp_path / "again.jsonl"
        lw.extract(what, list(map(str, paths)), out=again, **{**options, "ledger": None}, pool=pool)
    assert rows_of(out) == rows_of(again)


@pytest.mark.parametrize("what", ["goals", "messages"])
@pytest.mark.parametrize("moved", ["the file", "the directory", "a directory above it", "a link"])
def test_imports_that_are_other_ones_for_a_moment_end_the_call(build, tmp_path, what, moved):
    """Afterwards all is as before, and what came meanwhile is in no ledger."""
    other = tmp_path / "other"
    compile_module(other, "Mine.A", "prelude\nimport LeanWorker\ndef A := True ∧ True\n")
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef A := True\n")
    paths = [tmp_path / f"File{number}.lean" for number in range(5)]
    for path in paths:
        path.write_text("prelude\nimport Mine.A\n#print A\nexample : A := by\n  unfold A\n  sorry\n")
    here, there = {
        "the file": (build / "Mine" / "A.olean", other / "Mine" / "A.olean"),
        "the directory": (build / "Mine", other / "Mine"),
        "a directory above it": (build, other),
        "a link": (build, other),
    }[moved]
    if moved == "a link":
        build.rename(tmp_path / "built")
        build.symlink_to(tmp_path / "built")

    def swap():
        if moved == "a link":
            new = build.with_name("new")
            new.symlink_to(other if build.resolve() == tmp_path / "built" else tmp_path / "built")
            new.replace(build)
        else:
            away = tmp_path / "away"
            here.rename(away)
            there.rename(here)
            away.rename(there)

    done = []

    def on_done(*_):
        done.append(1)
        if len(done) in (1, 3):
            swap()

    names = list(map(str, paths))
    options = {"project": tmp_path, "toolchain": LEAN}
    kept = {"ledger": tmp_path / "ledger"} if what == "goals" else {}
    with lw.Pool(1) as pool:
        lw.extract(what, names, out=tmp_path / "first.jsonl", pool=pool, **options)
        with pytest.raises(lw.CapabilityError, match="files of modules have changed since the call began"):
            lw.extract(what, names, out=tmp_path / "out.jsonl", pool=pool, on_done=on_done, **options, **kept)
        if len(done) < 3:  # the call had begun with all of them
            swap()
        lw.extract(what, names, out=tmp_path / "again.jsonl", pool=pool, **options, **kept)
    assert not (tmp_path / "out.jsonl").exists()
    assert rows_of(tmp_path / "again.jsonl") == rows_of(tmp_path / "first.jsonl")


@pytest.mark.parametrize("what", ["declarations", "dependencies"])
@pytest.mark.parametrize("how", ["replaced", "written"])
def test_a_module_of_the_same_size_and_time_is_another(pool, build, tmp_path, what, how):
    """As `cp -p`, `rsync -t` and archives leave them."""
    options = {"project": tmp_path, "toolchain": LEAN, "pool": pool}
    file = compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef other := Nat.succ 1\n")
    other = file.read_bytes()
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef first := Nat.succ 1\n")
    lw.extract(what, ["Mine.A"], out=tmp_path / "rows.jsonl", ledger=tmp_path / "ledger", **options)
    found = file.stat()
    assert len(other) == found.st_size
    target = file if how == "written" else file.with_name("new")
    target.write_bytes(other)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    target.replace(file)
    done = lw.extract(what, ["Mine.A"], out=tmp_path / "rows.jsonl", ledger=tmp_path / "ledger", **options)
    assert [row["name"] for row in rows_of(tmp_path / "rows.jsonl")] == ["other"] and done.ran == 1


def test_every_file_of_a_module_counts(pool, build, tmp_path):
    """The one of what is private may be compiled again alone, if tools keep files that are equal."""
    text = "module\nprelude\npublic import LeanWorker\ndef a := 1\ndef b := 2\npublic def used : Nat := a\n"
    options = {"project": tmp_path, "toolchain": LEAN, "pool": pool, "ledger": tmp_path / "ledger"}

    def uses():
        done = lw.extract("dependencies", ["Mine.A"], out=tmp_path / "rows.jsonl", **options)
        return [row["valueUses"] for row in rows_of(tmp_path / "rows.jsonl") if row["name"] == "used"], done.ran

    file = compile_module(build, "Mine.A", text)
    kept, found = file.read_bytes(), file.stat()
    before, _ = uses()
    compile_module(build, "Mine.A", text.replace(":= a", ":= b"))
    file.write_bytes(kept)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    after, ran = uses()
    assert before != after and ran == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import lean_worker as lw

project, moved = Path(sys.argv[1]), sys.argv[2]
build, other, away = project / ".lake/build/lib/lean", project / "other", project / "away"
here, there = (build / "Mine", other / "Mine") if moved == "the directory" else (build, other)

def on_done(*_):
    done.append(1)
    if len(done) in (1, 3):
        for before, after in ((here, away), (there, here), (away, there)):
            before.rename(after)
    if len(done) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

done = []
kept = {"ledger": sys.argv[3]} if sys.argv[3:] else {}
paths = sorted(map(str, project.glob("File*.lean")))
lw.extract("goals", paths, out=project / "rows.jsonl", project=project, toolchain="embedded", on_done=on_done, **kept)
"""


@pytest.mark.parametrize("moved", ["the directory", "a directory above it"])
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_killed_run_leaves_no_rows_of_another_directory(build, tmp_path, moved, is_kept):
    """It can look no more whether a directory was away. The next run does, by what stands beside the ledger."""
    compile_module(tmp_path / "other", "Mine.A", "prelude\nimport LeanWorker\ndef A := True ∧ True\n")
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef A := True\n")
    names = []
    for number in range(6):
        names.append(str(tmp_path / f"File{number}.lean"))
        text = "prelude\nimport Mine.A\nexample : A := by\n  unfold A\n  sorry\n"
        (tmp_path / f"File{number}.lean").write_text(text)
    kept = [str(tmp_path / "ledger")] if is_kept else []
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moved, *kept])
    assert ended.returncode == -signal.SIGKILL
    options = {"project": tmp_path, "toolchain": LEAN, **({"ledger": kept[0]} if kept else {})}
    with lw.Pool(1) as pool:
        lw.extract("goals", names, out=tmp_path / "rows.jsonl", pool=pool, **options)
        lw.extract("goals", names, out=tmp_path / "new.jsonl", pool=pool, project=tmp_path, toolchain=LEAN)
    assert rows_of(tmp_path / "rows.jsonl") == rows_of(tmp_path / "new.jsonl")
    assert not list(tmp_path.glob("*.marks"))


def test_a_module_that_comes_while_a_call_begins(build, tmp_path):
    """One that uses it is compiled again at the same time: rows of both, of none, or an error."""
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\nglobs = ["Mine.*"]\n')
    header = "prelude\nimport LeanWorker\n"
    empty = compile_module(build, "Mine.Z", header).read_bytes()
    for number in range(100):
        build.joinpath("Mine", f"Z{number}.olean").write_bytes(empty)
    texts = {"F": f"{header}def first := 1\n", "G": f"{header}def new := 1\n", "F2": "prelude\nimport Mine.G\n"}
    texts["F2"] += "def later := new\n"
    compiled = {"F": compile_module(build, "Mine.F", texts["F"]).read_bytes()}
    compiled["G"] = compile_module(build, "Mine.G", texts["G"]).read_bytes()
    compiled["F2"] = compile_module(build, "Mine.F", texts["F2"]).read_bytes()
    sources = tmp_path / "Mine"
    sources.mkdir()
    for number in range(100):
        (sources / f"Z{number}.lean").write_text(header)

    def put(name, instead):
        new = tmp_path / "new"
        for path, content in (
            (sources / f"{name}.lean", texts[instead].encode()),
            (build / "Mine" / f"{name}.olean", compiled[instead]),
        ):
            new.write_bytes(content)
            new.replace(path)

    def change():
        time.sleep(moment * seconds / 12)  # the moment is what is tested, whatever it hits
        put("G", "G")
        put("F", "F2")

    options = {"project": tmp_path, "toolchain": LEAN, "out": tmp_path / "rows.jsonl"}
    found = set()
    with lw.Pool(1) as pool:
        for moment in range(-1, 12):
            put("F", "F")
            (sources / "G.lean").unlink(missing_ok=True)
            (build / "Mine" / "G.olean").unlink(missing_ok=True)
            changing = threading.Thread(target=change)
            started = time.monotonic()
            if moment >= 0:
                changing.start()
            try:
                lw.extract("dependencies", pool=pool, **options)
                found.add(tuple(sorted(row["name"] for row in rows_of(tmp_path / "rows.jsonl"))))
            except lw.CapabilityError:
                found.add("changed")
            if moment >= 0:
                changing.join()
            else:
                seconds = time.monotonic() - started
    assert ("first",) in found and found <= {("first",), ("later", "new"), "changed"}


def test_a_row_about_a_module_is_of_one_build(build, tmp_path):
    """The number of its constants comes from Lean, and its size from the file."""
    builds = []
    for number in range(2):
        builds.append(tmp_path / f"built{number}")
        names = "".join(f"def name{each} := 1\n" for each in range(1 + 40 * number))
        compile_module(builds[number], "Mine", f"prelude\nimport LeanWorker\n{names}")
    build.parent.mkdir(parents=True)
    build.symlink_to(builds[0])

    def switch(to):
        new = tmp_path / "new"
        new.symlink_to(to)
        new.replace(build)

    def facts(pool):
        lw.extract("modules", ["Mine"], out=tmp_path / "rows.jsonl", project=tmp_path, toolchain=LEAN, pool=pool)
        (row,) = (row for row in rows_of(tmp_path / "rows.jsonl") if row["name"] == "Mine")
        return row["constants"], row["sizeBytes"]

    with lw.Pool(1) as pool:
        first = facts(pool)
        started = time.monotonic()
        assert facts(pool) == first
        seconds = time.monotonic() - started
        switch(builds[1])
        second = facts(pool)
        assert first[0] < second[0] and first[1] < second[1]
        for moment in range(24):
            switch(builds[0])
            facts(pool)

            def change(moment=moment):
                time.sleep(moment * seconds / 12)  # the moment is what is tested, whatever it hits
                switch(builds[1])

            changing = threading.Thread(target=change)
            changing.start()
            with contextlib.suppress(lw.CapabilityError):
                assert facts(pool) in (first, second)
            changing.join()


@pytest.mark.parametrize("part", [".olean", ".olean.private"])
def test_a_link_of_any_file_of_a_module_may_lead_elsewhere(build, tmp_path, part):
    """A store of files that are equal has a link for each."""
    for name in ("A", "B"):
        text = (
            f"module\nprelude\npublic import LeanWorker\ndef the{name} := 1\npublic def used{name} : Nat := the{name}\n"
        )
        file = compile_module(build, f"Mine.{name}", text)
    store = tmp_path / "store"
    store.mkdir()
    linked = file.with_name(f"B{part}")
    for each in linked, linked.with_name(f"A{part}"):
        each.rename(store / each.name)
        each.symlink_to(store / each.name)

    def lead(*_):
        for target in (f"A{part}", f"B{part}"):
            new = tmp_path / "new"
            new.symlink_to(store / target)
            new.replace(linked)

    options = {"project": tmp_path, "toolchain": LEAN, "out": tmp_path / "rows.jsonl"}
    with lw.Pool(1) as pool:
        lw.extract("dependencies", ["Mine.A", "Mine.B"], pool=pool, **options)
        (tmp_path / "rows.jsonl").unlink()
        with pytest.raises(lw.CapabilityError, match="files of modules have changed since the call began"):
            lw.extract("dependencies", ["Mine.A", "Mine.B"], pool=pool, on_done=lead, **options)


@pytest.mark.parametrize("how", ["other imports", "another text", "for a moment", "a directory", "a link", "lakefile"])
def test_sources_that_change_during_a_call(build, tmp_path, how):
    """The first file has been read when they do, and the others have not."""
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef A := True\n")
    compile_module(build, "Mine.B", "prelude\nimport Mine.A\n")
    sources, others, link = tmp_path / "sources", tmp_path / "others", tmp_path / "link"
    link.symlink_to(sources)
    for folder, name in ((sources, "A"), (others, "B")):
        folder.mkdir()
        for number in range(6):
            (folder / f"File{number}.lean").write_text(f"prelude\nimport Mine.{name}\n#print A\n")
    paths = [str((link if how == "a link" else sources) / f"File{number}.lean") for number in range(6)]

    def swap():
        sources.rename(tmp_path / "away")
        others.rename(sources)
        (tmp_path / "away").rename(others)

    def change(progress):
        if how == "lakefile":
            (tmp_path / "lakefile.lean").touch()
        elif how == "a directory":
            if progress.done in (1, 5):
                swap()
        elif how == "a link":
            if progress.done in (1, 5):
                link.unlink()
                link.symlink_to(others if progress.done == 1 else sources)
        elif progress.done == 1 or how == "for a moment":
            text = (
                "prelude import Mine.B\n#print A\n" if how == "other imports" else "prelude\nimport Mine.A\n#print Or\n"
            )
            old = "prelude\nimport Mine.A\n#print A\n"
            for path in paths:
                pathlib.Path(path).write_text(old if progress.done == 6 else text)

    options = {"out": tmp_path / "rows.jsonl", "project": tmp_path, "toolchain": LEAN}
    with lw.Pool(1) as pool:
        with pytest.raises(lw.CapabilityError, match="sources or settings of the project have changed"):
            lw.extract("messages", paths, pool=pool, on_done=change, **options)
        assert not (tmp_path / "rows.jsonl").exists()
        (tmp_path / "lakefile.lean").unlink(missing_ok=True)
        lw.extract("messages", paths, pool=pool, **options)


def test_a_place_beside_the_ledger_that_cannot_be_written_is_told(build, tmp_path):
    compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef a := 1\n")
    (tmp_path / "ledger.marks").mkdir()
    options = {"out": tmp_path / "rows.jsonl", "ledger": tmp_path / "ledger", "project": tmp_path, "toolchain": LEAN}
    with pytest.raises(lw.SinkError, match="opening .*ledger.*: Is a directory"):
        lw.extract("declarations", ["Mine.A"], **options)
    (tmp_path / "ledger.marks").rmdir()
    assert lw.extract("declarations", ["Mine.A"], **options).rows == 1


def test_relative_paths_are_those_of_the_directory_of_the_call(tmp_path, monkeypatch):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for number in range(12):
            text = f"prelude\nimport LeanWorker\ntheorem {folder} : 1 = 1 := by rfl\n#check {folder}\n"
            (tmp_path / folder / f"File{number}.lean").write_text(text)
    names = [f"File{number}.lean" for number in range(12)]
    monkeypatch.chdir(tmp_path / "first")
    lw.extract(
        "messages",
        names,
        out=tmp_path / "rows.jsonl",
        toolchain=LEAN,
        workers=1,
        on_done=lambda progress: os.chdir(tmp_path / "second"),
    )
    rows = rows_of(tmp_path / "rows.jsonl")
    assert list(dict.fromkeys(row["file"] for row in rows)) == names
    assert {row["text"].split()[0] for row in rows} == {"first"}
