"""`LeanWorker/Json.lean` on the embedded Lean: elaborated against declarations of the library's own functions, and run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import lean_worker as lw
from lean_modules import compile_module
from lean_worker.child import olean_cache
from support import TESTS, embedded_library

pytestmark = pytest.mark.lean

SOURCES = Path(lw.__file__).parent / "lean"
SCRIPT = """prelude
import LeanWorkerJson
open LeanWorker

structure Square where
  n : Nat

instance squareToJson : Lean.ToJson Square where
  toJson square :=
    Lean.Json.mkObj (List.cons (Prod.mk "square" (Lean.ToJson.toJson (Nat.mul square.n square.n))) List.nil)

partial def upTo (n limit : Nat) (emit : Square → IO Unit) : IO Unit := do
  match Nat.beq n limit with
  | Bool.true => return Unit.unit
  | Bool.false =>
    emit { n := n }
    upTo (Nat.add n 1) limit emit

def squares : Command := Command.rows "squares" fun (limit : Nat) (emit : Square → IO Unit) => do
  upTo 0 limit emit
  return { n := limit : Square }

def other : Command := Command.rows "other" (stream := "numbers") fun (limit : Nat) (emit : Square → IO Unit) => do
  emit { n := limit }
  return { n := limit : Square }

def echo : Command := Command.json "echo" fun (json : Lean.Json) => do return json

def main : IO Unit := serve (List.cons squares (List.cons other (List.cons echo List.nil)))
"""


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """A script with typed commands, and the module behind it."""
    directory = tmp_path_factory.mktemp("typed")
    stand_in = (TESTS / "lean" / "JsonStandIn.lean").read_text()
    compile_module(directory, "LeanData", stand_in)
    # Its own name belongs to the worker's modules, and Lean.Data.Json is not there: the stand-in takes its place.
    text = (SOURCES / "LeanWorker" / "Json.lean").read_text()
    assert "import Lean.Data.Json\n" in text
    text = "prelude " + text.replace("import Lean.Data.Json\n", "import LeanData\n")
    compile_module(directory, "LeanWorkerJson", text)
    script = directory / "Script.lean"
    script.write_text(SCRIPT)
    return lw.LeanCapability(script, toolchain="embedded", env={"LEAN_PATH": str(directory)})


class Square(msgspec.Struct):
    square: int


@pytest.fixture(scope="module")
def pool():
    with lw.Pool() as pool:
        yield pool


def test_typed_rows_and_a_typed_summary(typed, pool):
    command = lw.StreamingCommand("squares", request=int, row=Square, summary=Square)
    with pool.lease(typed) as lease:
        done = lease.collect(command, 5)
        assert [row.square for row in done.rows] == [0, 1, 4, 9, 16]
        assert done.summary.per_stream_counts == {"rows": 5} and done.summary.metadata == Square(25)
        assert lease.collect(lw.StreamingCommand("other"), 3).summary.per_stream_counts == {"numbers": 1}


@pytest.mark.parametrize("value", [None, 1, '∀ "x"', [1, [2.5, {"a": None}]], {"b": 1, "a": [True]}])
def test_a_typed_answer(typed, pool, value):
    with pool.lease(typed) as lease:
        assert lease.call(lw.JsonCommand("echo"), value) == value


def test_a_request_of_another_type_is_refused_and_the_worker_lives(typed, pool):
    with pool.lease(typed) as lease:
        with pytest.raises(lw.CommandFailed, match="squares: the request is not of the declared type: ") as caught:
            lease.collect(lw.StreamingCommand("squares"), "five")
        assert "Natural number expected" in caught.value.message
        assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_the_sources_are_a_lake_package():
    """Its name is one under which the worker offers its functions (see lean_bridge.h)."""
    package = msgspec.toml.decode((SOURCES / "lakefile.toml").read_bytes())
    assert package["name"] == "LeanWorker"
    (library,) = package["lean_lib"]
    assert [SOURCES.joinpath(*name.split(".")).with_suffix(".lean").is_file() for name in library["globs"]] == [
        True
    ] * 2


def test_lean_path_tells_where_they_are():
    code = "import sys; from lean_worker.cli import main; sys.argv = ['lean-worker', 'lean-path']; main()"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert Path(said) == SOURCES and (Path(said) / "LeanWorker.lean").is_file()


def test_the_typed_layer_is_compiled_where_lean_has_json(tmp_path, monkeypatch):
    """A toolchain that has the stand-in as its Lean.Data.Json, and an empty Init."""
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(tmp_path / "cache"))
    assert olean_cache.modules_for(embedded_library()) == ["LeanWorker/Prelude", "LeanWorker"]
    library = tmp_path / "lib" / "lean" / "libleanshared.so"
    library.parent.mkdir(parents=True)
    library.symlink_to(embedded_library())
    (library.parent / "Init.olean").touch()
    assert olean_cache.modules_for(library) == ["LeanWorker"]
    (library.parent / "Lean" / "Data").mkdir(parents=True)
    (library.parent / "Lean" / "Data" / "Json.olean").touch()
    assert olean_cache.modules_for(library) == ["LeanWorker", "LeanWorker/Json"]
