"""`LeanWorker.Json` on the embedded Lean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lean_worker as lw
from lean_worker.child import own_modules
from support import embedded_library

pytestmark = pytest.mark.lean

SOURCES = Path(lw.__file__).parent / "lean"
SCRIPT = """prelude
import LeanWorker.Json
open LeanWorker

structure Square where
  square : Nat
  deriving Lean.ToJson

def squares : Command := Command.rows "squares" fun (limit : Nat) (emit : Square → IO Unit) => do
  for n in [0:limit] do
    emit { square := n * n }
  return ({ square := limit * limit } : Square)

def other : Command := Command.rows "other" (stream := "numbers") fun (limit : Nat) (emit : Square → IO Unit) => do
  emit { square := limit * limit }
  return limit

def echo : Command := Command.json "echo" fun (json : Lean.Json) => do return json

structure Measured where
  value : Float
  deriving Lean.ToJson

def echoFloats : Command := Command.rows "floats" fun (values : List Float) (emit : Measured → IO Unit) => do
  for value in values do
    emit { value }
  return (1.0 : Float) / 3.0

def main : IO Unit := serve [squares, other, echo, echoFloats]
"""


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """A script with typed commands."""
    script = tmp_path_factory.mktemp("typed") / "Script.lean"
    script.write_text(SCRIPT)
    return lw.LeanCapability(script, toolchain="embedded")


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


class Measured(msgspec.Struct):
    value: float


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(finite | finite.map(lambda value: value % 1.0), max_size=20))
@example([0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53 - 1, 1e15 + 0.5, 1e22, -2.5e-5])
def test_a_float_comes_back_as_it_was(typed, pool, values):
    command = lw.StreamingCommand("floats", request=list[float], row=Measured, summary=float)
    with pool.lease(typed) as lease:
        done = lease.collect(command, values)
    assert [row.value for row in done.rows] == values
    assert done.summary.metadata == 1 / 3


def test_a_request_of_another_type_is_refused_and_the_worker_lives(typed, pool):
    with pool.lease(typed) as lease:
        with pytest.raises(lw.CommandFailed, match="refused its request: not of the declared type: ") as caught:
            lease.collect(lw.StreamingCommand("squares"), "five")
        assert "code failed" not in caught.value.text and "Lean command" in caught.value.hint
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
    embedded = own_modules.modules_for(embedded_library())
    assert embedded[-4:] == ["LeanWorker", "LeanWorker/Json", "LeanWorker/Extract", "LeanWorker/Goals"]
    assert "LeanWorker/Prelude" in embedded and "Lean/Data/Json" in embedded
    library = tmp_path / "lib" / "lean" / "libleanshared.so"
    library.parent.mkdir(parents=True)
    library.symlink_to(embedded_library())
    (library.parent / "Init.olean").touch()
    assert own_modules.modules_for(library) == ["LeanWorker"]
    (library.parent / "Lean" / "Data").mkdir(parents=True)
    (library.parent / "Lean" / "Data" / "Json.olean").touch()
    assert own_modules.modules_for(library) == ["LeanWorker", "LeanWorker/Json"]
    (library.parent / "Lean.olean").touch()
    assert own_modules.modules_for(library)[2:] == ["LeanWorker/Extract", "LeanWorker/Goals"]
