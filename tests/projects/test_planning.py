"""Plans over real Lean projects: headers from Lean's parser, batches by imports, fingerprints, and runs."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.child import olean_cache, own_modules
from lean_worker.projects import lean_header
from support import FUNCTIONS, INTEROP, compile_modules, embedded_library

pytestmark = pytest.mark.lean


LOOP = """prelude
import LeanWorker
partial def loop (n : Nat) : IO Unit := do
  let _ ← IO.sleep 1000
  loop n
def main : IO Unit := loop 0
"""


def project_of(root: Path, files: dict[str, str], lakefile: str = "lean_lib A\n") -> lw.lake.LakeProject:
    for name, text in {"lakefile.lean": lakefile, **files}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return lw.lake.LakeProject.discover(root)


def name_of(module: lw.lake.LakeModule) -> str:
    return module.name


TREE = {
    "A.lean": "prelude\nimport A.One\nimport A.Two\nimport A.«three 3»\n",
    "A/One.lean": "/- import Nowhere\n-/\nprelude -- import Nowhere\nimport LeanWorker\nimport A.Base\n",
    "A/Two.lean": "prelude import A.Base import LeanWorker\n-- two",
    "A/three 3.lean": "module\nprelude\npublic import A.Base\nimport all LeanWorker\npublic meta import A.Base\n",
    "A/Base.lean": "prelude\nimport LeanWorker\n",
    "A/Unused.lean": "prelude\nimport LeanWorker\n",
}


@pytest.fixture
def tree(tmp_path):
    return project_of(tmp_path, TREE)


def test_modules_with_the_same_imports_share_a_batch(tree):
    plan = lw.projects.plan(tree, capability=INTEROP, request=name_of)
    assert [(batch.imports, batch.requests) for batch in plan.batches] == [
        (("A.Base", "LeanWorker"), ("A.One", "A.Two", "A.«three 3»")),
        (("A.One", "A.Two", "A.«three 3»"), ("A",)),
        (("LeanWorker",), ("A.Base",)),
    ]
    assert plan.left_out == ("A.Unused",)
    assert plan.import_sets == len(plan.batches) == 3
    assert [item.name for item in plan.items] == list(plan.requests)
    first = plan.batches[0].capability
    assert first == dataclasses.replace(INTEROP, imports=("A.Base", "LeanWorker"), project=tree.root)


def test_a_plan_is_a_value(tree):
    plan = lw.projects.plan(tree, capability=INTEROP, request=name_of, workers=2)
    assert plan == lw.projects.plan(
        lw.lake.LakeProject.discover(tree.root), capability=INTEROP, request=name_of, workers=2
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.batches = ()
    assert sum(batch.cost for batch in plan.batches) == len(plan.items) == 5


def test_a_plan_is_the_same_in_every_process(tree):
    program = (
        "import sys, lean_worker as lw\n"
        "project = lw.lake.LakeProject.discover(sys.argv[1])\n"
        "capability = lw.LeanCapability(sys.argv[2], toolchain='embedded')\n"
        "plan = lw.projects.plan(project, capability=capability, request=lambda module: module.name, workers=2)\n"
        "print([(batch.requests, batch.fingerprint) for batch in plan.batches], plan.fingerprint)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, str(tree.root), str(INTEROP.script)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1 and "A.Base" in said.pop()


def test_import_order_can_be_kept(tree):
    plan = lw.projects.plan(tree, capability=INTEROP, request=name_of, import_order="kept")
    assert {batch.imports: batch.requests for batch in plan.batches} == {
        ("LeanWorker", "A.Base"): ("A.One",),
        ("A.Base", "LeanWorker"): ("A.Two", "A.«three 3»"),
        ("A.One", "A.Two", "A.«three 3»"): ("A",),
        ("LeanWorker",): ("A.Base",),
    }


def test_chosen_modules_own_imports_and_what_a_session_imports_instead(tree):
    capability = dataclasses.replace(INTEROP, imports=("A.Two",))
    plan = lw.projects.plan(tree, capability=capability, request=name_of, modules=["A.Unused", tree.module("A.Base")])
    assert [(batch.imports, batch.requests) for batch in plan.batches] == [
        (("A.Two", "LeanWorker"), ("A.Base", "A.Unused"))
    ]
    assert plan.left_out == ()
    itself = lw.projects.plan(tree, capability=INTEROP, request=name_of, imports=lambda module: [module.name])
    assert [batch.imports for batch in itself.batches] == [
        ("A",),
        ("A.Base",),
        ("A.One",),
        ("A.Two",),
        ("A.«three 3»",),
    ]
    with pytest.raises(lw.errors.ModuleMissing):
        lw.projects.plan(tree, capability=INTEROP, request=name_of, modules=["A.Nope"])
    for modules in ([1], [None], {1: 2}):
        with pytest.raises(lw.UsageError, match="expected modules of LakeModule or names, got"):
            lw.projects.plan(tree, capability=INTEROP, request=name_of, modules=modules)
    with pytest.raises(lw.errors.ModuleMissing, match="unknown module prefix 'Nowhere'"):
        lw.projects.plan(tree, capability=INTEROP, request=name_of, imports=lambda module: ["Nowhere"])


def test_batches_are_balanced_over_workers(tmp_path):
    files = {"A.lean": "prelude\n" + "".join(f"import A.M{n}\n" for n in range(12))}
    files |= {f"A/M{n}.lean": "prelude\nimport LeanWorker\n" + "-- x\n" * n for n in range(12)}
    project = project_of(tmp_path, files)

    def shape(**how):
        plan = lw.projects.plan(project, capability=INTEROP, request=name_of, **how)
        assert sorted(plan.requests) == sorted(module.name for module in project.modules)
        return [len(batch.items) for batch in plan.batches if batch.imports == ("LeanWorker",)]

    assert shape() == [12]
    assert shape(workers=3) == [4, 4, 4]
    assert shape(max_batch_size=5) == [4, 4, 4]
    assert shape(workers=2, max_batch_size=4) == [4, 4, 4]
    by_size = lw.projects.plan(
        project, capability=INTEROP, request=name_of, workers=2, cost=lambda module: module.path.stat().st_size
    )
    costs = [batch.cost for batch in by_size.batches if batch.imports == ("LeanWorker",)]
    assert len(costs) == 2 and costs[0] >= costs[1] > 0.9 * costs[0]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"workers": 0}, "workers of at least 1"),
        ({"max_batch_size": 0}, "max_batch_size of at least 1"),
        ({"import_order": "sorted"}, "ignored, kept"),
        ({"cost": lambda module: -1.0}, "not below 0, got -1.0"),
        ({"cost": lambda module: float("nan")}, "finite"),
        ({"request": lambda module: object()}, "has no JSON form"),
        ({"imports": lambda module: "A"}, "got 'A'"),
        ({"capability": FUNCTIONS}, "hosts no Lean"),
    ],
)
def test_a_wrong_call(tree, how, said):
    with pytest.raises(lw.UsageError) as caught:
        lw.projects.plan(tree, **{"capability": INTEROP, "request": name_of, **how})
    assert said in str(caught.value)


class NoDataclass:
    """A capability that imports could not be given to."""

    project = None
    toolchain = "embedded"
    imports = ()

    def launch(self):
        return INTEROP.launch()


def test_a_capability_that_takes_no_imports(tree):
    with pytest.raises(lw.UsageError, match="as a dataclass with project, got NoDataclass"):
        lw.projects.plan(tree, capability=NoDataclass(), request=name_of)
    with pytest.raises(lw.UsageError, match="as a dataclass with imports, got NoDataclass"):
        lw.projects.plan_items(["x"], capability=NoDataclass(), request=str, imports=lambda item: ["LeanWorker"])


# -- what Lean refuses --


def test_a_header_that_lean_refuses_in_its_own_words(tmp_path):
    project = project_of(
        tmp_path,
        {"A.lean": "prelude\nimport A.B\nimport A.C\n", "A/B.lean": "prelude\nimport 3\n", "A/C.lean": "/- open"},
    )
    with pytest.raises(lw.errors.HeaderError) as caught:
        lw.projects.plan(project, capability=INTEROP, request=name_of)
    error = caught.value
    assert error.module == "A.B" and error.file == str(tmp_path / "A/B.lean") and error.refused == ("A.B",)
    assert error.messages == (f"{tmp_path}/A/B.lean:2:7: expected identifier",)


def test_a_broken_module_that_nothing_needs_is_no_error(tmp_path):
    project = project_of(
        tmp_path, {"A.lean": "prelude\n", "A/Broken.lean": "import 3\n", "A/Circle.lean": "import A.Circle"}
    )
    plan = lw.projects.plan(project, capability=INTEROP, request=name_of)
    assert plan.requests == ("A",) and plan.left_out == ("A.Broken", "A.Circle")


def test_a_header_that_is_no_utf_8(tmp_path):
    project = project_of(tmp_path, {"A.lean": ""})
    (tmp_path / "A.lean").write_bytes(b"prelude\n-- \xff\n")
    with pytest.raises(lw.errors.HeaderError, match="non UTF-8"):
        lw.projects.plan(project, capability=INTEROP, request=name_of)


@pytest.mark.parametrize(
    ("text", "module", "words"),
    [
        ("prelude\nimport Nope\n", "Nope", "unknown module prefix 'Nope'"),
        ("prelude\nimport A.Nope\n", "A.Nope", "unknown module prefix 'A'"),
        ("import LeanWorker\n", "Init", "unknown module prefix 'Init'"),
    ],
)
def test_a_missing_module_in_leans_own_words(tmp_path, text, module, words):
    project = project_of(tmp_path, {"A.lean": text})
    with pytest.raises(lw.errors.ModuleMissing) as caught:
        lw.projects.plan(project, capability=INTEROP, request=name_of)
    assert caught.value.module == module and caught.value.imported_by == "A"
    assert words in str(caught.value) and words in caught.value.messages[0]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_of_imports_is_named(tmp_path, length):
    names = [f"A.M{n}" for n in range(length)]
    files = {"A.lean": "prelude\nimport A.M0\n"}
    for name, following in zip(names, names[1:] + names[:1]):
        files[name.replace(".", "/") + ".lean"] = f"prelude\nimport LeanWorker\nimport {following}\n"
    with pytest.raises(lw.errors.ImportCycle) as caught:
        lw.projects.plan(project_of(tmp_path, files), capability=INTEROP, request=name_of)
    assert caught.value.modules == tuple(names)
    assert " → ".join([*names, "A.M0"]) in str(caught.value)


def test_a_long_chain_of_imports(tmp_path):
    files = {"A.lean": "prelude\nimport A.M0\n"}
    files |= {f"A/M{n}.lean": f"prelude\nimport A.M{n + 1}\n" for n in range(300)}
    files["A/M300.lean"] = "prelude\n"
    plan = lw.projects.plan(project_of(tmp_path, files), capability=INTEROP, request=name_of)
    assert len(plan.batches) == 302 and plan.left_out == ()


def test_a_file_that_is_gone_since_the_project_was_looked_through(tree):
    (tree.root / "A/One.lean").unlink()
    with pytest.raises(lw.errors.PlanningError, match="No such file"):
        lw.projects.plan(tree, capability=INTEROP, request=name_of)


def test_a_lean_that_gives_no_answer(tree, tmp_path):
    prefix = tmp_path / "toolchain"
    (prefix / "lib" / "lean").mkdir(parents=True)
    (prefix / "lib" / "lean" / "libleanshared.so").write_bytes(b"no library")
    capability = dataclasses.replace(INTEROP, toolchain=prefix)
    with pytest.raises(lw.CapabilityError, match="is no Lean library"):
        lw.projects.plan(tree, capability=capability, request=name_of)


def test_a_lean_that_takes_too_long_is_killed(tmp_path):
    (tmp_path / "Loop.lean").write_text(LOOP)
    with pytest.raises(lw.CapabilityError, match="timed out after 2 seconds"):
        lean_header.run_lean(
            lw.toolchains.resolve("embedded"), ["--run", "Loop.lean"], stdin="", cwd=str(tmp_path), timeout=2,
            lean_path=str(olean_cache.prepare(embedded_library())),
        )  # fmt: skip


def test_equal_texts_are_asked_for_once():
    reader = lean_header.HeaderReader(lw.toolchains.resolve("embedded"))
    texts = [lean_header.SourceText(b"prelude\nimport B\n", name) for name in "xyz"]
    assert [header.modules for header in reader.read(texts)] == [("B",)] * 3
    assert [header.modules for header in reader.read([*texts, lean_header.SourceText(b"prelude\n", "w")])][3] == ()
    assert reader.texts_asked == 2


def test_every_kind_of_import():
    reader = lean_header.HeaderReader(lw.toolchains.resolve("embedded"))
    text = "module /- x -/ prelude\npublic import A\nimport all B\nmeta import C\npublic meta import D.«e f»\nimport Č.ℕ₁\ndef x := 1\nimport E"
    (header,) = reader.read([lean_header.SourceText(text.encode(), "x")])
    assert header.is_module
    assert header.imports == (
        lean_header.HeaderImport("A", is_exported=True),
        lean_header.HeaderImport("B", is_exported=False, import_all=True),
        lean_header.HeaderImport("C", is_exported=False, is_meta=True),
        lean_header.HeaderImport("D.«e f»", is_exported=True, is_meta=True),
        lean_header.HeaderImport("Č.ℕ₁", is_exported=False),
    )
    (plain,) = reader.read([lean_header.SourceText(b"", "y")])
    assert plain.modules == ("Init",) and not plain.is_module


# -- fingerprints --


def by_item(plan: lw.projects.Plan) -> dict[str, str]:
    return {item.name: batch.fingerprint for batch in plan.batches for item in batch.items}


def changed(before: lw.projects.Plan, after: lw.projects.Plan) -> set[str]:
    assert (before.fingerprint == after.fingerprint) == (by_item(before) == by_item(after))
    return {name for name, fingerprint in by_item(before).items() if by_item(after)[name] != fingerprint}


def test_a_fingerprint_follows_contents_and_nothing_else(tmp_path):
    def planned(root=tmp_path / "a", **how):
        how = {"capability": INTEROP, "request": name_of, "max_batch_size": 1, **how}
        return lw.projects.plan(lw.lake.LakeProject.discover(root), **how)

    project_of(tmp_path / "a", TREE)
    project_of(tmp_path / "b", TREE)
    before = planned()
    every = set(by_item(before))
    assert changed(before, planned(tmp_path / "b")) == set()
    file = tmp_path / "a/A/Two.lean"
    os.utime(file, (1, 1))
    assert changed(before, planned()) == set()

    # An edit that keeps size and time is seen, by the module itself and by what imports it.
    file.write_text(file.read_text().replace("two", "owt"))
    os.utime(file, (1, 1))
    assert changed(before, planned()) == {"A.Two", "A"}
    file.write_text(TREE["A/Two.lean"])
    assert changed(before, planned()) == set()

    (tmp_path / "a/A/Unused.lean").write_text("prelude\n")
    assert changed(before, planned()) == set()
    assert changed(before, planned(imports=lambda module: ["A.Base"])) == every
    assert changed(before, planned(request=lambda module: {"of": module.name})) == every
    assert changed(before, planned(capability=dataclasses.replace(INTEROP, env={"X": "1"}))) == every
    script = tmp_path / "Other.lean"
    script.write_bytes(Path(INTEROP.script).read_bytes())
    assert changed(before, planned(capability=dataclasses.replace(INTEROP, script=script))) == set()
    script.write_text(script.read_text() + "\n")
    assert changed(before, planned(capability=dataclasses.replace(INTEROP, script=script))) == every
    (tmp_path / "a/lake-manifest.json").write_text("{}")
    assert changed(before, planned()) == every


@dataclasses.dataclass(frozen=True)
class Larger(lw.LeanCapability):
    """A capability with more fields: a callback, and another place for its modules."""

    on_line: object = dataclasses.field(default=None, compare=False)
    workspace: Path | None = None


def test_a_callback_is_in_no_fingerprint_and_a_workspace_is_looked_through(painted):
    def planned(**more):
        capability = Larger(INTEROP.script, toolchain="embedded", workspace=painted.root, **more)
        return lw.projects.plan_items(["a"], capability=capability, request=str, imports=lambda item: ["Palette.Red"])

    plan = planned(on_line=object())
    assert plan.fingerprint == planned(on_line=object()).fingerprint != planned(env={"X": "1"}).fingerprint


# -- any items --


def test_items_with_sources(tmp_path):
    snippets = ["prelude\nimport LeanWorker\n#check x", "prelude\n#check y", "prelude\nimport LeanWorker"]
    plan = lw.projects.plan_items(snippets, capability=INTEROP, request=len, source=lambda text: text)
    assert [(batch.imports, batch.items) for batch in plan.batches] == [
        (("LeanWorker",), (snippets[0], snippets[2])),
        ((), (snippets[1],)),
    ]
    assert plan.batches[1].capability is INTEROP
    with pytest.raises(lw.errors.HeaderError, match=r"item 1: item 1:1:7: expected identifier"):
        lw.projects.plan_items(["prelude", "import 3"], capability=INTEROP, request=len, source=lambda text: text)
    with pytest.raises(lw.errors.ModuleMissing, match="item 0: it imports Nope"):
        lw.projects.plan_items(["prelude import Nope"], capability=INTEROP, request=len, source=lambda text: text)


def test_items_with_imports():
    items = [("a", ["LeanWorker"]), ("b", []), ("c", ["«LeanWorker»"])]
    plan = lw.projects.plan_items(items, capability=INTEROP, request=lambda item: item[0], imports=lambda item: item[1])
    assert [(batch.imports, batch.requests) for batch in plan.batches] == [(("LeanWorker",), ("a", "c")), ((), ("b",))]
    with pytest.raises(lw.UsageError, match="got both"):
        lw.projects.plan_items(items, capability=INTEROP, request=str, imports=lambda item: [], source=str)
    with pytest.raises(lw.UsageError, match="an item of imports .*got 3"):
        lw.projects.plan_items(items, capability=INTEROP, request=str, imports=lambda item: [3])
    with pytest.raises(lw.UsageError, match="expected request as a function, got None"):
        lw.projects.plan_items(items, capability=INTEROP, request=None)
    with pytest.raises(lw.UsageError, match="hosts no Lean"):
        lw.projects.plan_items(items, capability=FUNCTIONS, request=str, imports=lambda item: item[1])
    other = lw.projects.plan_items(
        items[:2], capability=INTEROP, request=lambda item: item[0], imports=lambda item: item[1]
    )
    prints = [{batch.imports: batch.fingerprint for batch in each.batches} for each in (plan, other)]
    assert prints[0][()] == prints[1][()] and prints[0].keys() == prints[1].keys()
    assert plan.fingerprint != other.fingerprint


def test_modules_are_looked_for_where_the_worker_will(painted):
    built = str(painted.root / ".lake/build/lib/lean")
    capability = lw.LeanCapability(painted.root / "Painter.lean", toolchain="embedded", env={"LEAN_PATH": built})
    plan = lw.projects.plan_items(["a"], capability=capability, request=str, imports=lambda item: ["Palette.Red"])
    with lw.Pool() as pool:
        (outcome,) = pool.map(paint, plan)
    (row,) = outcome.raise_for_error().rows
    assert row["paint"] == "red"
    with pytest.raises(lw.errors.ModuleMissing, match="unknown module prefix 'Palette'"):
        lw.projects.plan_items(
            ["a"], capability=dataclasses.replace(capability, env={}), request=str, imports=lambda item: ["Palette.Red"]
        )


def test_the_worker_s_own_modules_are_there():
    """All that it compiles for this Lean, and none besides."""
    own = [module.replace("/", ".") for module in own_modules.modules_for(embedded_library())]
    assert {"LeanWorker", "LeanWorker.Library", "LeanWorker.Json", "Lean.Data.Json"} <= {*own}
    plan = lw.projects.plan_items(own, capability=INTEROP, request=str, imports=lambda module: [module])
    assert sorted(batch.imports for batch in plan.batches) == sorted((module,) for module in own)
    with pytest.raises(lw.errors.ModuleMissing):
        lw.projects.plan_items(["x"], capability=INTEROP, request=str, imports=lambda item: ["LeanWorker.Missing"])


def test_items_for_a_host_without_imports():
    plan = lw.projects.plan_items(range(10), capability=FUNCTIONS, request=lambda item: item, workers=3)
    assert [batch.items for batch in plan.batches] == [(0, 3, 6, 9), (1, 4, 7), (2, 5, 8)]
    assert lw.projects.plan_items([], capability=FUNCTIONS, request=str).batches == ()


# -- runs --

PALETTE = {
    "Palette": 'prelude\nimport LeanWorker\nclass Paint where\n  name : String\ndef base : String := "base"\n',
    "Palette.Red": 'prelude\nimport Palette\ninstance red : Paint := ⟨"red"⟩\n',
    "Palette.Blue": 'prelude\nimport Palette\ninstance blue : Paint := ⟨"blue"⟩\n',
}
WORK = {
    f"Work.M{n}": "prelude\n" + "".join(f"import {module}\n" for module in imports)
    for n, imports in enumerate(
        [["Palette.Red"], ["Palette.Blue"], ["Palette.Red", "Palette.Blue"], ["Palette.Blue", "Palette.Red"]] * 4
    )
}
PAINTER = """prelude
import LeanWorker
open LeanWorker
def paint : Command where
  name := "paint"
  run request := do
    row "paints" (String.append "{\\"module\\":" (String.append request (String.append ",\\"paint\\":\\"" (String.append Paint.name "\\"}"))))
    return ""
def main : IO Unit := serve (List.cons paint List.nil)
"""
LAKEFILE = "lean_lib Palette\nlean_lib Work where\n  globs := #[`Work.+]\n"
paint = lw.StreamingCommand("paint", request=str, row=dict[str, str])


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    root = tmp_path_factory.mktemp("painted")
    compile_modules(root, PALETTE)
    files = {name.replace(".", "/") + ".lean": text for name, text in WORK.items()}
    return project_of(root, {"Painter.lean": PAINTER, **files}, LAKEFILE)


def run(plan: lw.projects.Plan, workers: int):
    """The paints of each module's session, and what the pool counted; each outcome is about its item."""
    paints: dict[str, str] = {}
    with lw.Pool(max_workers=workers) as pool:
        for outcome in pool.map(paint, plan):
            (row,) = outcome.raise_for_error().rows
            assert plan.items[outcome.index].name == row["module"] == outcome.request
            paints[row["module"]] = row["paint"]
        return paints, pool.snapshot()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_import_set_is_opened_once_for_each_worker(painted, workers):
    capability = lw.LeanCapability(painted.root / "Painter.lean", toolchain="embedded")
    modules = [module for module in painted.modules if module.library == "Work"]
    plan = lw.projects.plan(
        painted, capability=capability, request=name_of, modules=modules, import_order="kept", workers=workers,
        max_batch_size=1,
    )  # fmt: skip
    assert plan.import_sets == 4 and len(plan.batches) == 16
    rows, snapshot = run(plan, workers)
    assert Counter(rows.values()) == {"red": 8, "blue": 8}
    # Lean prefers the instance that was imported last, so that the order of imports decides.
    assert (rows["Work.M2"], rows["Work.M3"]) == ("blue", "red")
    assert snapshot.requests == len(modules) == 16
    assert plan.import_sets <= snapshot.started <= plan.import_sets * workers
    assert snapshot.failures == 0


def test_without_the_order_of_imports_fewer_sessions_are_opened(painted):
    capability = lw.LeanCapability(painted.root / "Painter.lean", toolchain="embedded")
    modules = [module for module in painted.modules if module.library == "Work"]
    plan = lw.projects.plan(painted, capability=capability, request=name_of, modules=modules)
    rows, snapshot = run(plan, 1)
    assert snapshot.started == plan.import_sets == 3 and len(rows) == 16
    assert rows["Work.M2"] == rows["Work.M3"] == "red"


@pytest.mark.parametrize(
    ("imported", "said"),
    [
        ("Work.M0", "unknown module prefix 'Work'"),  # a source that nobody compiled
        ("Foreign", "Foreign.olean"),  # compiled by something that is not this Lean
    ],
)
def test_what_only_opening_finds_out_is_told_in_leans_own_words(painted, imported, said):
    (painted.root / ".lake/build/lib/lean/Foreign.olean").write_bytes(b"olean of another Lean" * 100)
    capability = lw.LeanCapability(painted.root / "Painter.lean", toolchain="embedded")
    plan = lw.projects.plan(
        painted, capability=capability, request=name_of, modules=["Work.M0"], imports=lambda module: [imported]
    )
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError) as caught:
        pool.lease(plan.batches[0].capability)
    assert said in str(caught.value) and "cannot be hosted" in str(caught.value)


def test_the_examples_of_the_page(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "planning.md").read_text()
    (script,) = re.findall(r"```lean\n(.*?)```", page, re.DOTALL)
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    project_of(tmp_path / "project", {"A.lean": "prelude\nimport LeanWorker\n", "Describe.lean": script})
    program = "\n".join(programs)
    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.splitlines() == ["A.lean A", "('LeanWorker',) 2", "() 1"]
