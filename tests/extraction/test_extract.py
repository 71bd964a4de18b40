"""Extraction: complete against the module files themselves, right by hand, resumable, in every format."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

import lean_worker as lw
from lean_modules import ModuleNames, compile_module
from lean_worker import extraction
from lean_worker.child import olean_cache
from lean_worker.cli import demo_library
from lean_worker.toolchains import toolchain
from support import compile_modules, embedded_library

pytestmark = pytest.mark.lean

DATA = Path(__file__).parents[1] / "data"
LEAN = "embedded"
MODULES, THEOREMS = 4, 500


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=2) as pool:
        yield pool


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    directory = tmp_path_factory.mktemp("library")
    lean_path = str(olean_cache.prepare(embedded_library()))
    demo_library.build(directory, toolchain.resolve(LEAN), lean_path, modules=MODULES, theorems=THEOREMS)
    return directory


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A project of one module, of which tests/data has the declarations, written down from its source."""
    directory = tmp_path_factory.mktemp("sample")
    (directory / "lakefile.toml").write_text('name = "sample"\n[[lean_lib]]\nname = "Sample"\n')
    text = (DATA / "extract-sample.lean").read_text()
    (directory / "Sample.lean").write_text(text)
    compile_module(directory / ".lake" / "build" / "lib" / "lean", "Sample", text)
    return directory


def test_declarations_of_the_embedded_library_are_complete(pool, tmp_path):
    outs = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for out in outs:
        found = lw.extract("declarations", out=out, toolchain=LEAN, pool=pool, request=extraction.Request(width=80))
        assert found.ran == found.items
    assert outs[0].read_bytes() == outs[1].read_bytes()
    rows = rows_of(outs[0])
    assert found.rows == len(rows) == sum(found.counts.values())
    by_module = collections.Counter(row["module"] for row in rows)
    directory = olean_cache.prepare(embedded_library())
    compiled = {".".join(f.relative_to(directory).with_suffix("").parts): f for f in directory.rglob("*.olean")}
    expected = {module: ModuleNames(file).names for module, file in compiled.items()}
    assert {module: len(names) for module, names in expected.items() if names} == dict(by_module)
    assert sum(map(len, expected.values())) > 5000
    public = {".".join(map(str, name)) for names in expected.values() for name in names if name[0] != "_private"}
    assert public <= {row["name"].replace("«", "").replace("»", "") for row in rows}
    assert os.listdir(tmp_path) != [] and {path.name for path in tmp_path.iterdir()} == {"one.jsonl", "two.jsonl"}


def test_a_generated_library_in_every_format(pool, library, tmp_path):
    import pyarrow.parquet

    outs = [tmp_path / f"rows{suffix}" for suffix in (".jsonl", ".parquet", ".db")]
    ledger = tmp_path / "ledger"
    ran = [
        lw.extract("declarations", out=out, project=library, toolchain=LEAN, pool=pool, ledger=ledger).ran
        for out in outs
    ]
    assert ran == [MODULES, 0, 0]  # Lean was asked once
    same = lw.extraction.Request(width=100, options=())
    options = {"project": library, "toolchain": LEAN, "pool": pool, "ledger": ledger, "request": same}
    assert lw.extract("declarations", out=tmp_path / "same.jsonl", **options).ran == 0
    rows = rows_of(outs[0])
    names = {
        f"{demo_library.NAME}.{name.split()[1]}"
        for number in range(MODULES)
        for name in demo_library.module_text(number, THEOREMS).splitlines()
        if name.startswith("theorem ")
    }
    assert len(rows) == len(names) == MODULES * THEOREMS
    assert {row["name"] for row in rows} == names
    assert {row["kind"] for row in rows} == {"theorem"} and all(row["doc"] for row in rows)
    table = pyarrow.parquet.read_table(outs[1])
    assert table.column("name").to_pylist() == [row["name"] for row in rows]
    assert table.column("place").to_pylist()[7] == rows[7]["place"]
    database = sqlite3.connect(outs[2])
    assert [name for (name,) in database.execute("SELECT name FROM declarations")] == [row["name"] for row in rows]
    database.close()


def test_declarations_are_what_the_source_says(pool, sample, tmp_path):
    lw.extract("declarations", out=tmp_path / "rows.jsonl", project=sample, toolchain=LEAN, pool=pool)
    found = {row["name"]: row for row in rows_of(tmp_path / "rows.jsonl")}
    expected = rows_of(DATA / "extract-sample.jsonl")
    assert len(expected) >= 70
    for row in expected:
        assert {key: found[row["name"]][key] for key in row} == row
    by_people = {name for name, row in found.items() if not row["isGenerated"]}
    assert by_people == {row["name"] for row in expected if not row["isGenerated"]}


OF_LAKE_NEW = 'name = "new"\n{}[[lean_lib]]\nname = "New"\n\n[[lean_lib]]\nname = "Unbuilt"\n\n[[lean_exe]]\nname = "new"\nroot = "Main"\n'
IN_LEAN = "import Lake\nopen Lake DSL\npackage new\n{}lean_lib New where\nlean_lib Unbuilt\n{}lean_exe new where\n  root := `Main\n"
DEFAULT = "@[default_target] "


@pytest.mark.parametrize(
    ("name", "lakefile", "modules"),
    [
        (
            "lakefile.toml",
            OF_LAKE_NEW.format('defaultTargets = ["new"]\n'),
            ["Main", "New", "New.Basic", "New.«odd name»"],
        ),
        ("lakefile.toml", OF_LAKE_NEW.format('defaultTargets = ["New"]\n'), ["New", "New.Basic", "New.«odd name»"]),
        ("lakefile.lean", IN_LEAN.format(DEFAULT, ""), ["New", "New.Basic", "New.«odd name»"]),
        ("lakefile.lean", IN_LEAN.format("", DEFAULT), ["Main", "New", "New.Basic", "New.«odd name»"]),
        ("lakefile.toml", OF_LAKE_NEW.format(""), None),
        ("lakefile.lean", IN_LEAN.format("", ""), None),
    ],
)
def test_without_modules_all_that_lake_builds_are_meant(pool, tmp_path, name, lakefile, modules):
    """As in what `lake new` makes: the library's root only imports, and names the modules that way."""
    project = tmp_path / "project"
    project.mkdir()
    (project / name).write_text(lakefile)
    first = "prelude\nimport LeanWorker\ndef {} := 1\n"
    sources = {
        "New.odd name": first.format("odd"),
        "New.Basic": "prelude\nimport New.«odd name»\ntheorem basic : odd = 1 := rfl\n",
        "New": "prelude\nimport New.Basic\n",
        "Main": "prelude\nimport New\ndef program := odd\n",
        "New.Left": first.format("nobodyImportsThis"),
    }
    compile_modules(project, sources)
    (project / "Unbuilt.lean").write_text(first.format("unbuilt"))
    out = tmp_path / "rows.jsonl"
    if modules is None:  # no target is a default one, so that all have to be built
        with pytest.raises(lw.UsageError, match="1 of its 5 modules are not built, first Unbuilt"):
            lw.extract("declarations", out=out, project=project, toolchain=LEAN, pool=pool)
        return
    found = lw.extract("declarations", out=out, project=project, toolchain=LEAN, pool=pool)
    names = {row["name"] for row in rows_of(out)}
    assert found.items == len(modules)
    assert names == {"odd", "basic"} | ({"program"} if "Main" in modules else set())
    uses = lw.extract("dependencies", out=tmp_path / "uses.jsonl", project=project, toolchain=LEAN, pool=pool)
    assert uses.items == len(modules)


def test_what_the_source_does_not_name_is_generated(pool):
    of_library = extraction.Request(imports=("LeanWorker",), with_type=False, with_axioms=False)
    with pool.lease(extraction.extractor(toolchain=LEAN)) as lease:
        found = {row.name: row for row in lease.collect(extraction.DECLARATIONS, of_library).rows}
    owners = {"instBEqOrdering.beq": "instBEqOrdering", "Ordering.rec": "Ordering"}
    assert {name: found[name].generated_by for name in owners} == owners
    assert all(found[name].is_generated for name in owners)
    for name in (
        "instBEqOrdering",
        "Ordering",
        "Ordering.lt",
        "Monad.toBind",
        "Applicative.mk",
        "Prod.fst",
        "Nat.add_comm",
    ):
        assert (found[name].is_generated, found[name].generated_by) == (False, None), name


def test_dependencies_and_edges(pool, sample, tmp_path):
    lw.extract("dependencies", out=tmp_path / "rows.jsonl", project=sample, toolchain=LEAN, pool=pool)
    rows = {row["name"]: row for row in rows_of(tmp_path / "rows.jsonl")}
    assert rows["Sample.from_belief"]["valueUses"][-1:] and "Sample.believed" in rows["Sample.from_belief"]["valueUses"]
    assert set(rows["Sample.useHidden"]["valueUses"]) >= {"Sample.hidden", "Sample.double"}
    assert rows["Sample.believed"]["valueUses"] is None
    found = lw.extract(
        "dependencies", out=tmp_path / "edges.jsonl", project=sample, toolchain=LEAN, pool=pool, edges=True
    )
    edges = rows_of(tmp_path / "edges.jsonl")
    assert {edge["usesModule"] for edge in edges if edge["uses"].startswith("Sample.")} == {"Sample"}
    assert [{name: value for name, value in edge.items() if name != "usesModule"} for edge in edges] == [
        {"name": row["name"], "module": row["module"], "uses": uses, "where": where}
        for row in rows.values()
        for where in ("type", "value")
        for uses in row[f"{where}Uses"] or ()
    ]
    assert found.rows == len(edges) and found.counts == dict(collections.Counter(edge["where"] for edge in edges))


def test_private_constants_of_one_name_are_told_apart_by_their_modules(pool, tmp_path):
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    build = tmp_path / ".lake" / "build" / "lib" / "lean"
    header = "prelude\nimport LeanWorker\n"
    compile_module(build, "Mine.B", f"{header}private def aux : Nat := 2\n@[simp] def useB : Nat := aux\n")
    text = (
        "import Mine.B\ndef aux : Nat := 3\ndef useC : Nat := aux\ntheorem c : useB = useB ∧ aux = 3 := by simp [aux]\n"
    )
    compile_module(build, "Mine.C", f"{header}{text}")
    options = {"project": tmp_path, "toolchain": LEAN, "pool": pool}
    lw.extract("dependencies", ["Mine.B", "Mine.C"], out=tmp_path / "edges.jsonl", edges=True, **options)
    edges = rows_of(tmp_path / "edges.jsonl")
    users = {
        name: {e["usesModule"] for e in edges if (e["name"], e["uses"]) == (name, "aux")} for name in ("useB", "useC")
    }
    assert users == {"useB": {"Mine.B"}, "useC": {"Mine.C"}}
    modules = sorted({edge["usesModule"] for edge in edges} | {"Mine.B", "Mine.C"})
    lw.extract("declarations", modules, out=tmp_path / "all.jsonl", **options)
    keys = [(row["name"], row["module"]) for row in rows_of(tmp_path / "all.jsonl")]
    assert len(keys) == len(set(keys)) and {(edge["uses"], edge["usesModule"]) for edge in edges} <= set(keys)


def test_modules_with_their_imports(pool, library, tmp_path):
    names = [f"{demo_library.NAME}.Part{number}" for number in range(MODULES)]
    lw.extract("modules", names, out=tmp_path / "rows.jsonl", project=library, toolchain=LEAN, pool=pool)
    rows = rows_of(tmp_path / "rows.jsonl")
    seen = set()
    for row in rows:
        assert {each["module"] for each in row["imports"]} <= seen and row["sizeBytes"] > 0
        seen.add(row["name"])
    assert {row["name"]: row["constants"] for row in rows if row["name"] in names} == dict.fromkeys(names, THEOREMS)
    by_name = {row["name"]: row["imports"] for row in rows}
    plain = {"module": "LeanWorker", "isPublic": True, "isMeta": False, "isAll": False}
    assert by_name[names[0]] == [plain]
    tactics = {"module": "LeanWorker.Prelude.Notation", "isAll": False, "isPublic": True}
    assert by_name["LeanWorker.Prelude.Tactics"] == [{**tactics, "isMeta": False}, {**tactics, "isMeta": True}]


def test_the_modifiers_of_imports(pool, tmp_path):
    built = tmp_path / ".lake" / "build" / "lib" / "lean"
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    compile_module(built, "Mine.Base", "module\nprelude\npublic import LeanWorker\n")
    header = "module\nprelude\nimport all Mine.Base\npublic meta import LeanWorker\nimport LeanWorker.Library\n"
    compile_module(built, "Mine.Top", header)
    lw.extract("modules", ["Mine.Top"], out=tmp_path / "rows.jsonl", project=tmp_path, toolchain=LEAN, pool=pool)
    (found,) = (row["imports"] for row in rows_of(tmp_path / "rows.jsonl") if row["name"] == "Mine.Top")
    assert [(each["module"], each["isPublic"], each["isMeta"], each["isAll"]) for each in found] == [
        ("Mine.Base", False, False, True),
        ("LeanWorker", True, True, False),
        ("LeanWorker.Library", False, False, False),
    ]


def test_messages_of_source_files(pool, tmp_path):
    bad, good = tmp_path / "Bad.lean", tmp_path / "Good.lean"
    bad.write_text("prelude\nimport LeanWorker\ntheorem a : 1 = 2 := sorry\ntheorem b : 1 = 2 := rfl\n")
    good.write_text("prelude\nimport LeanWorker\n")
    out = tmp_path / "rows.jsonl"
    found = lw.extract("messages", [bad, good], out=out, toolchain=LEAN, pool=pool)
    rows = rows_of(out)
    assert (found.items, found.rows) == (2, len(rows))
    place = {"line": 3, "column": 8, "endLine": 3, "endColumn": 9}
    words = {"severity": "warning", "kind": "hasSorry", "text": "declaration uses `sorry`"}
    assert rows[0] == {"file": str(bad), **place, **words}
    assert {(row["severity"], row["line"]) for row in rows[1:]} == {("error", 4)}


def test_what_was_not_asked_for_is_none(pool, sample, tmp_path):
    request = extraction.Request(with_type=False, with_axioms=False, with_doc=False)
    lw.extract("declarations", out=tmp_path / "rows.jsonl", project=sample, toolchain=LEAN, pool=pool, request=request)
    rows = msgspec.json.Decoder(list[extraction.Declaration]).decode(json.dumps(rows_of(tmp_path / "rows.jsonl")))
    assert all(row.type is row.axioms is row.doc is None for row in rows)
    request = extraction.Request(with_expr=True, width=20, options=("pp.all",))
    lw.extract("declarations", out=tmp_path / "rows.jsonl", project=sample, toolchain=LEAN, pool=pool, request=request)
    by_name = {row["name"]: row for row in rows_of(tmp_path / "rows.jsonl")}
    nat, named = ["const", "Nat", []], ["app", ["const", "Sample.Named", []], ["bvar", 0]]
    for name, expr in {
        "double": ["forall", "n", "default", nat, nat],
        "Named.name": [
            "forall",
            "α",
            "default",
            ["sort", "1"],
            ["forall", "self", "instImplicit", named, ["const", "String", []]],
        ],
        "Tree.leaf": ["forall", "α", "implicit", ["sort", "1"], ["app", ["const", "Sample.Tree", []], ["bvar", 0]]],
        "Point": ["forall", "α", "default", ["sort", "u + 1"], ["sort", "u + 1"]],
        "withDefault": ["forall", "n", "default", _applied(["const", "optParam", ["1"]], nat, _number(3)), nat],
    }.items():
        assert by_name[f"Sample.{name}"]["expr"] == expr
    theorem = by_name["Sample.double_zero"]
    assert "@Eq.{1}" in theorem["type"] and "\n" in theorem["type"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": ("",)}, "$.options[0]"),
        ({"options": ("pp.all=true",)}, "$.options[0]"),
        ({"options": "pp.all"}, "$.options"),
        ({"width": -1}, "$.width"),
        ({"with_type": 1}, "$.withType"),
        ({"version": object()}, "object"),
    ],
)
@pytest.mark.parametrize("what", ["declarations", "dependencies", "goals"])
def test_a_request_that_cannot_be_is_refused_at_the_call(tmp_path, what, fields, words):
    with pytest.raises(lw.UsageError, match=re.escape(words)):
        lw.extract(what, ["x"], out=tmp_path / "o.jsonl", toolchain=LEAN, request=extraction.Request(**fields))
    assert os.listdir(tmp_path) == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("what", "option", "words"),
    [
        ("declarations", "pp.nope", "there is no option pp.nope"),
        ("declarations", "no-pp.nope", "there is no option pp.nope"),
        ("dependencies", "pp.nope", "there is no option pp.nope"),
        ("goals", "no-pp.nope", "there is no option pp.nope"),
        ("declarations", "pp.maxSteps", "the option pp.maxSteps takes a number"),
        ("goals", "pp.maxSteps", "the option pp.maxSteps takes a number"),
        ("declarations", "weak.pp.nope", None),
        ("goals", "weak.pp.nope", None),
    ],
)
def test_an_option_that_cannot_be_set_is_refused(pool, tmp_path, what, option, words):
    source = tmp_path / "One.lean"
    source.write_text("prelude\nimport LeanWorker\ntheorem t (p : Prop) (h : p) : p := by\n  exact h\n")
    targets = [source] if what == "goals" else ["LeanWorker.Json"]
    request, out = extraction.Request(options=(option,)), tmp_path / "rows.jsonl"
    if words is None:
        assert lw.extract(what, targets, out=out, toolchain=LEAN, pool=pool, request=request).rows > 0
    else:
        with pytest.raises(lw.errors.JobIncomplete, match=re.escape(words)):
            lw.extract(what, targets, out=out, toolchain=LEAN, pool=pool, request=request)
        assert not out.exists()


@pytest.mark.once
@pytest.mark.parametrize("with_ledger", [False, True])
def test_the_same_call_asks_again_for_what_was_not_done(pool, tmp_path, with_ledger):
    out, ledger = tmp_path / "rows.jsonl", tmp_path / "ledger" if with_ledger else None
    options = {"out": out, "toolchain": LEAN, "pool": pool, "ledger": ledger}
    with pytest.raises(lw.errors.JobIncomplete, match="no end within 0 seconds") as caught:
        lw.extract("declarations", ["LeanWorker.Json"], **options, timeout=0)
    assert "the same call asks for these again" in caught.value.hint
    assert lw.extract("declarations", ["LeanWorker.Json"], **options).ran == 1
    assert out.exists()


def _applied(function, *arguments):
    for argument in arguments:
        function = ["app", function, argument]
    return function


def _number(value):
    literal = ["nat", value]
    instance = _applied(["const", "instOfNatNat", []], literal)
    return _applied(["const", "OfNat.ofNat", ["0"]], ["const", "Nat", []], literal, instance)


def test_a_field_that_a_version_does_not_send_is_none():
    row = msgspec.json.decode(b'{"name":"a","kind":"theorem","module":"M"}', type=extraction.Declaration)
    assert row.universes == [] and msgspec.json.decode(msgspec.json.encode(row))["isPartial"] is None
    assert all(
        getattr(row, name) is None
        for name in row.__struct_fields__
        if name not in ("name", "kind", "module", "universes")
    )


def test_memory_is_flat(library):
    modules = [f"{demo_library.NAME}.Part{number}" for number in range(MODULES)]
    capability = extraction.extractor(modules, project=library, toolchain=LEAN)
    with lw.Pool() as pool, pool.lease(capability) as lease:

        def ask(times):
            for number in range(times):
                request = extraction.Request(modules=(modules[number % MODULES],), with_type=number % 16 == 0)
                assert len(lease.collect(extraction.DECLARATIONS, request).rows) == THEOREMS
            return pool.snapshot().memory_kib

        before = ask(16)
        assert ask(64) < before + 8 * 1024


def test_a_killed_extraction_goes_on(library, tmp_path):
    out, whole = tmp_path / "rows.jsonl", tmp_path / "whole.jsonl"
    argv = [sys.executable, "-m", "lean_worker.cli", "extract", "declarations", "--project", str(library)]
    argv += ["--toolchain", LEAN, "--workers", "1", "--json", "--out"]
    process = subprocess.Popen([*argv, str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 60
        while not _done(tmp_path / "rows.jsonl.ledger"):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not out.exists()
    again = subprocess.run([*argv, str(out)], capture_output=True, timeout=100, check=True)
    assert json.loads(again.stdout)["ran"] < MODULES
    lw.extract("declarations", out=whole, project=library, toolchain=LEAN)
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "whole.jsonl"}


def _done(ledger):
    if not ledger.is_file():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM items WHERE state = 'done'").fetchone()[0]
    except sqlite3.Error:
        return 0


def test_wrong_calls(tmp_path, library):
    def refused(words, *arguments, kind=lw.UsageError, **options):
        with pytest.raises(kind, match=words):
            lw.extract(*arguments, **{"out": tmp_path / "rows.jsonl", "toolchain": LEAN, **options})
        assert list(tmp_path.iterdir()) == []

    refused("expected what as", "lemmas")
    refused("ends in none of", "modules", out=tmp_path / "rows.csv")
    refused("expected targets as several", "declarations", "LeanWorker")
    refused("no source file", "messages")
    refused("no source file", "messages", [])
    refused("no source file", "goals", [])
    refused("no module was named", "declarations", [])
    refused("no name of a module", "declarations", ["Shelf/Basic.lean"])
    refused("the request cannot be", "declarations", request=extraction.Request(width=0))
    refused("the ledger would both be in", "declarations", ledger=tmp_path / "rows.jsonl")
    refused("edges", "declarations", edges=True)
    refused("no module of the name Nowhere", "declarations", ["Nowhere"], kind=lw.CapabilityError)
    (library / demo_library.NAME / "Unbuilt.lean").write_text("prelude\n")
    try:
        refused("are not built, first Sums.Unbuilt", "declarations", project=library)
    finally:
        (library / demo_library.NAME / "Unbuilt.lean").unlink()


def test_two_extractions_into_one_file(pool, library, tmp_path):
    """The second is refused, and leaves the first alone: it used to remove the ledger under it."""
    out = tmp_path / "rows.jsonl"
    refused = []

    def start_another(_progress):
        if not refused:
            with pytest.raises(lw.UsageError, match="another call in this one, works on") as error:
                lw.extract("declarations", out=out, project=library, toolchain=LEAN, pool=pool)
            refused.append(error)

    found = lw.extract("declarations", out=out, project=library, toolchain=LEAN, pool=pool, on_done=start_another)
    assert len(refused) == 1 and found.rows == MODULES * THEOREMS == len(rows_of(out))
    assert os.listdir(tmp_path) == ["rows.jsonl"]


NOT_WAITING = """
import sys
import lean_worker as lw
what, target, out, project = sys.argv[1:]
try:
    lw.extract(what, [target] if target else None, out=out, project=project or None, toolchain="embedded")
except lw.UsageError as error:
    print(error.text)
"""


def test_a_pipe_in_the_place_of_a_source_file_is_not_waited_for(tmp_path):
    """A named one, which nobody writes to: an `open` would wait in the system, where no limit and no cancel comes."""
    pipe, out = tmp_path / "Pipe.lean", tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    project = tmp_path / "project"
    compile_module(project / ".lake" / "build" / "lib" / "lean", "Piped.One", "prelude\n")
    (project / "lakefile.toml").write_text('name = "piped"\n[[lean_lib]]\nname = "Piped"\nglobs = ["Piped.+"]\n')
    (project / "Piped").mkdir()
    os.mkfifo(project / "Piped" / "One.lean")

    def said(what, target="", project=""):
        arguments = [sys.executable, "-c", NOT_WAITING, what, target, out, project]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    for what in ("messages", "goals"):
        assert said(what, pipe) == f"extracting {what}: {pipe} cannot be read: it is no regular file"
        assert not out.exists()
    assert said("modules", project=project) == ""  # there it only looks for more imports
    assert [row["name"] for row in rows_of(out)] == ["Piped.One"]


def test_a_directory_has_no_messages(pool, tmp_path):
    with pytest.raises(lw.UsageError, match="cannot be read: Is a directory"):
        lw.extract("messages", [tmp_path], out=tmp_path / "rows.jsonl", toolchain=LEAN, pool=pool)
