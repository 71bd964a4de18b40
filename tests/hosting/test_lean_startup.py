"""How a Lean script gets to serving, or does not: libraries, headers, added imports, and the words for every failure."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import lean_worker
from lean_worker.child import lean_host, olean_cache
from lean_worker.errors import CapabilityError
from raw_child import LEAN, Child, starter
from support import embedded_library

pytestmark = pytest.mark.lean


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Starts workers that the test may ruin."""
    with starter() as start:
        yield start


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("DoesNotCompile.lean", ["DoesNotCompile.lean:4:39: error", "did not compile"]),
        ("NoServe.lean", ["this script never calls serve", "returned without calling LeanWorker.serve"]),
        ("Missing.lean", ["Missing.lean: there is no such file"]),
    ],
)
def test_a_script_that_does_not_get_to_serving_says_why(
    start: Callable[..., Child], script: str, said: list[str]
) -> None:
    failed = start(script=LEAN / script)
    assert failed.receive() is None
    code, stderr = failed.end()
    assert code == 70
    for words in said:
        assert words in stderr


def test_a_main_that_goes_on_without_serving_is_told(start: Callable[..., Child], tmp_path: Path) -> None:
    script = tmp_path / "Early.lean"
    script.write_text("prelude\nimport LeanWorker\ndef main : IO Unit := do\n  let _ ← LeanWorker.Host.next\n")
    failed = start(script=script).greet()
    failed.begin("anything")
    assert failed.receive() is None
    code, stderr = failed.end()
    assert code == 71
    assert "although nobody asked" in stderr


def test_a_library_that_is_no_lean(start: Callable[..., Child], tmp_path: Path) -> None:
    library = tmp_path / "libleanshared.so"
    library.write_bytes(b"no library")
    failed = start("--library", str(library))
    assert failed.receive() is None
    code, stderr = failed.end()
    assert code == 70 and "is no Lean library" in stderr


def test_pure_framing_cannot_host_lean_and_says_so(start: Callable[..., Child]) -> None:
    failed = start(LEAN_WORKER_NO_EXTENSIONS="1")
    assert failed.receive() is None
    code, stderr = failed.end()
    assert code == 70 and "compiled" in stderr and "hint:" in stderr


def test_a_missing_bridge_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lean_worker._lean", None)
    with pytest.raises(CapabilityError, match=r"needs the compiled bridge lean_worker\._lean"):
        lean_host.compiled_bridge()


def test_a_script_without_prelude_gets_a_word_about_it(start: Callable[..., Child], tmp_path: Path) -> None:
    script = tmp_path / "Full.lean"
    script.write_text("import LeanWorker\ndef main : IO Unit := LeanWorker.serve []\n")
    failed = start(script=script)
    assert failed.receive() is None
    code, stderr = failed.end()
    assert code == 70 and "starts with `prelude`" in stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def x := 1\n", "import A import B def x := 1\n"),
        ("-- prelude\nimport C\n", "import A import B -- prelude\nimport C\n"),
        ("prelude\nimport C\n", "prelude import A import B \nimport C\n"),
        ("/- module\n-/ module\nimport C\n", "/- module\n-/ module import A import B \nimport C\n"),
        ("module prelude import C\n", "module prelude import A import B  import C\n"),
        ("preludes\n", "import A import B preludes\n"),
    ],
)
def test_where_added_imports_go(tmp_path: Path, text: str, expected: str) -> None:
    script = tmp_path / "Script.lean"
    script.write_text(text)
    with contextlib.ExitStack() as cleanup:
        copy = lean_host._with_imports(script, ["A", "B"], cleanup)
        assert copy.read_text() == expected
        assert copy.name == script.name
    assert not copy.exists()


# -- imports and paths --


def compile_module(directory: Path, name: str, text: str) -> None:
    """Compile a module as a project's build would."""
    source = directory / f"{name}.lean"
    source.write_text(text)
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(embedded_library())]
    subprocess.run(
        [*driver, f"--root={directory}", "-o", str(directory / f"{name}.olean"), str(source)],
        env={**os.environ, "LEAN_PATH": f"{olean_cache.prepare(embedded_library())}"},
        check=True,
    )


def test_imports_are_added_on_the_first_line(start: Callable[..., Child], tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    compile_module(modules, "Extra", 'prelude\nimport LeanWorker\ndef extraAnswer : String := "42"\n')
    script = tmp_path / "Script.lean"
    script.write_text(
        "/- a comment that says prelude\n-/\nprelude -- and another\nimport LeanWorker\nopen LeanWorker\n"
        'def answer : Command where\n  name := "answer"\n  run _ := return extraAnswer\n'
        "def main : IO Unit := serve (List.cons answer List.nil)\n"
    )
    hosted = start("--import", "Extra", "--path", str(modules), script=script).greet()
    assert hosted.run("answer", op="json_command")[2] == {"status": "json_command", "response_json": "42"}
    script.write_text(script.read_text() + "def broken : Nat := nowhere\n")
    failed = start("--import", "Extra", "--path", str(modules), script=script)
    assert failed.receive() is None
    assert "Script.lean:10:20: error" in failed.end()[1]


def test_the_demo_script_serves_its_streams(start: Callable[..., Child]) -> None:
    demo = start(script=Path(lean_worker.__file__).parent / "lean" / "demo" / "Demo.lean").greet()
    assert len(demo.run("many")[0]) == 512
    rows, events, response = demo.run("declarations")
    assert len(rows) == 200_000 and response is not None
    assert msgspec.json.decode(rows[7].payload) == {"index": 7, "name": "Nat.add_comm", "kind": "theorem"}
