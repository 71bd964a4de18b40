"""With `reject_sorry`, a verdict rests on the declarations that Lean has made, whatever the file lets Lean report."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from import_snippets import corpus, with_other_headers
from lean_files import LOOP, code_at_elaboration
from lean_modules import compile_module
from lean_worker.child import compiled_module, sorry_search
from support import CAN_HOLD

pytestmark = pytest.mark.lean

HEADER = "prelude\nimport LeanWorker\n"
DROP = "#guard_msgs(drop all) in\n"
ERROR = f"{DROP}theorem t : (1 : Nat) = 2 := rfl\n"
# The option's name stands nowhere.
QUIET = """open Lean in
macro "quiet" : command => do
  let option := mkIdent (Name.mkStr (Name.mkStr Name.anonymous "warn") ("sor" ++ "ry"))
  `(set_option $option false)
quiet
"""
SILENT = "set_option warn.sorry false\n"

# By a declaration that then rests on `sorryAx`.
HIDDEN = {
    "an option": (f"{SILENT}theorem t : True := sorry\n", "t"),
    "a guard": (f"{DROP}theorem t : True := sorry\n", "t"),
    "a guard that expects it": (
        "/-- warning: declaration uses `sorry` -/\n#guard_msgs in theorem t : True := sorry\n",
        "t",
    ),
    "an error": (ERROR, "t"),
    "an error in `module`": (ERROR, "t"),
    "an expected error": (
        "/-- error: Unknown identifier `nonsense` -/\n#guard_msgs in theorem t : 1 = 2 := nonsense\n",
        "t",
    ),
    "a nested guard": (DROP + ERROR, "t"),
    "a macro for the guard": (
        'macro "hush " c:command : command => `(#guard_msgs(drop all) in $c:command)\nhush theorem t : 1 = 2 := rfl\n',
        "t",
    ),
    "a mutual block": (f"{DROP}mutual\ntheorem a : 1 = 2 := b\ntheorem b : 1 = 2 := a\nend\n", "a, b"),
    "an instance": (f"{DROP}instance empty : Inhabited Empty := ⟨nonsense⟩\n", "empty"),
    "a private theorem": (f"{SILENT}private theorem A.t : 1 = 2 := sorry\n", "A.t"),
    "an opaque constant": (f"{SILENT}opaque t : 1 = 2 := sorry\n", "t"),
    "a field": (f"{SILENT}structure P where\n  x : 1 = 2 := sorry\n", "P.x._default"),
    "a built name": (f"{QUIET}theorem t : 1 = 2 := by admit\n", "t"),
    "a macro for all": (f'macro "all" : command => `({SILENT.strip()} in theorem t : 1 = 2 := sorry)\nall\n', "t"),
    "many": (SILENT + "".join(f"theorem t{i} : 1 = 2 := sorry\n" for i in range(7)), "t0, t1, t2, t3, t4 and 2 more"),
}

# The word is there, and no declaration rests on it.
HONEST = {
    "a name": f"{SILENT}theorem A.«sorry» : 1 = 1 := rfl\ntheorem A.sorryAx : 1 = 1 := rfl\n",
    "an alternative": f"{SILENT}theorem t : 1 = 1 := by first | (sorry; fail) | rfl\n",
    "a text": f'{SILENT}/-- No sorryAx. -/\ndef s := "sorryAx"\n',
    "a macro": f'{SILENT}macro "hole" : term => `(sorryAx _ true)\nnotation "gap" => sorryAx _ true\n',
    "a quoted name": f"{SILENT}open Lean in\ndef isSorry (name : Name) : Bool := name == ``sorryAx\n",
    "a default by a tactic": f"{SILENT}structure P where\n  x : 1 = 2 := by sorry\n",
    "an expected error of a command": f"{DROP}#check nonsense\ntheorem t : 1 = 1 := rfl\n",
    "an example": f"{DROP}example : 1 = 2 := rfl\n",  # of which nothing stays
}


def header_of(how):
    return f"module\n{HEADER}" if "`module`" in how else HEADER


def check(files, **options):
    return list(
        lw.check(files, **{"toolchain": "embedded", "in_order": True, "jobs": 1, "reject_sorry": True, **options})
    )


def essence(outcomes):
    return [(c.verdict.value, c.cause, [(m.severity, m.data, m.position) for m in c.messages]) for c in outcomes]


@pytest.fixture(scope="module")
def texts():
    hidden = [(how, header_of(how) + text) for how, (text, _) in HIDDEN.items()]
    return hidden + [(how, HEADER + text) for how, text in HONEST.items()]


@pytest.mark.parametrize("way", ["held", "fork", "sandbox", "path outside", "path inside", "path outside, sandbox"])
def test_a_hidden_sorry_is_found_in_each_way(texts, tmp_path, monkeypatch, way):
    files, options = texts, {"reuse_imports": way != "fork"}
    if way.startswith("path"):
        folder = tmp_path / "files"
        folder.mkdir()
        (tmp_path / "away").mkdir()
        monkeypatch.chdir(folder if way.endswith("inside") else tmp_path / "away")
        files = []
        for number, (_, text) in enumerate(texts):
            files.append(folder / f"File{number}.lean")
            files[-1].write_text(text)
    if way.endswith("sandbox"):
        options["sandbox"] = lw.Sandbox(readable=[tmp_path])
    outcomes = check(files, **options)
    ran = {c.ran_as for c in outcomes}
    if CAN_HOLD:
        assert ran == ({"fork"} if way == "fork" else {"fork", "held"})
    for checked, how in zip(outcomes, [*HIDDEN, *HONEST], strict=True):
        assert not checked.uses_sorry
        if how in HIDDEN:
            names = HIDDEN[how][1]
            cause = f"a declaration rests on `sorryAx`, and Lean was kept from reporting it: {names}"
            assert (checked.verdict.value, checked.cause) == ("rejected", cause), how
        else:
            assert (checked.verdict.value, checked.cause) == ("accepted", None), how


def test_by_a_macro_of_the_project(tmp_path):
    macro = 'macro "quiet" : command => `(set_option warn.sorry false)\n'
    lib = tmp_path / ".lake" / "build" / "lib" / "lean"
    compile_module(lib, "Mine", f"{HEADER}{macro}theorem given : 1 = 2 := sorry\n")
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    header = "prelude\nimport Mine\n"
    (tmp_path / "File.lean").write_text(f"{header}quiet\ntheorem t : 1 = 2 := sorry\n")
    files = [
        tmp_path / "File.lean",
        ("text", (tmp_path / "File.lean").read_text()),
        ("uses", f"{header}#check given\n"),
    ]
    outcomes = check(files, project=tmp_path)
    assert [c.verdict.value for c in outcomes] == ["rejected", "rejected", "accepted"]


def test_nothing_else_changes(tmp_path, monkeypatch):
    """Of a corpus, also by paths with names that are none of modules, from two directories."""
    files = [(name, text) for name, text in corpus() + with_other_headers() if "exit" not in name]
    files += [
        ("private", f"{HEADER}private theorem t : 1 = 1 := rfl\n#print axioms t\ninstance : Inhabited Nat := ⟨0⟩\n")
    ]
    names = ["a<b", "1", "x.y", "a b"]
    for name in names:
        (tmp_path / f"{name}.lean").write_text(files[-1][1])
    paths = [tmp_path / f"{name}.lean" for name in names]
    (tmp_path / "away").mkdir()
    for here in (tmp_path, tmp_path / "away"):
        monkeypatch.chdir(here)
        plain, strict = (check(files + paths, reject_sorry=reject) for reject in (False, True))
        for before, after in zip(plain, strict, strict=True):
            if before.uses_sorry:
                assert (after.verdict.value, after.messages) == ("rejected", before.messages)
            else:
                assert essence([after]) == essence([before]), before.file


def test_a_file_that_ends_lean_before_it_has_made_a_module_is_lost():
    exits = code_at_elaboration("IO.Process.exit 0")
    for given in ([("exits", exits)], [("first", exits), ("second", exits)]):
        for checked in check(given):
            assert (checked.verdict.value, checked.exit_code) == ("lost", 0)
            assert "wrote no module" in checked.cause and checked.hint
    assert [c.verdict.value for c in check([("exits", exits)], reject_sorry=False)] == ["accepted"]


def test_the_second_run_of_a_file_that_waited_and_one_with_too_much_memory():
    # In any fork this call would never return.
    alive = '@[extern "lean_uv_event_loop_alive"] opaque Std.Internal.UV.Loop.alive : BaseIO Bool\n'
    waits = f"{HEADER}{alive}#eval (do let _ ← (Std.Internal.UV.Loop.alive : IO Bool); return () : IO Unit)\n"
    hidden = f"{waits}{SILENT}theorem t : True := sorry\n"
    outcomes = check([("honest", waits), ("hidden", hidden)], timeout=3)
    assert [(c.verdict.value, c.ran_as) for c in outcomes] == [("accepted", "process"), ("rejected", "process")]
    assert outcomes[1].cause.endswith("reporting it: t")
    (checked,) = check([("large", hidden)], kill_above_kib=1)
    assert checked.verdict.value == "lost" and "KiB" in checked.cause


def test_no_directory_is_left_behind(texts):
    exits = [(f"exits{turn}", code_at_elaboration("IO.Process.exit 0")) for turn in (1, 2)]
    counts = []
    with lw.Pool(1) as pool:
        for _ in range(3):
            check([*texts[:6], *exits, ("loops", LOOP)], pool=pool, jobs=None, timeout=3)
            (worker,) = psutil.Process().children()
            counts.append(len(list(Path(worker.environ()["TMPDIR"]).rglob("file-*"))))
    # One for each process that starts files, of which there are no more after the second round.
    assert counts[0] >= 1 and counts[1] == counts[2], counts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, None),
        (b"olean, with sorryAx and nothing else", "not a compiled module"),
        ("cut", "past the end|where there is no object|not a compiled module"),
        ("fifo", "no file"),
        ("directory", "no file"),
        ("link", "symbolic link|symlink"),
    ],
)
def test_a_module_that_cannot_be_looked_through(tmp_path, content, words):
    place = tmp_path / compiled_module.MODULE_FILE
    if content == "fifo":
        os.mkfifo(place)
    elif content == "directory":
        place.mkdir()
    elif content == "link":
        place.symlink_to("/proc/self/mem")
    elif content == "cut":
        whole = compile_module(tmp_path / "lib", "Whole", f"{HEADER}theorem t : 1 = 2 := sorry\n").read_bytes()
        place.write_bytes(whole)
        assert sorry_search.search(str(tmp_path)).with_sorry == ["t"]
        place.write_bytes(whole[: whole.rindex(b"sorryAx") + 8])
    elif content is not None:
        place.write_bytes(content)
    found = []
    thread = threading.Thread(target=lambda: found.append(sorry_search.search(str(tmp_path))), daemon=True)
    thread.start()
    thread.join(30)
    assert found and not found[0].with_sorry
    assert found[0].is_missing is (content is None)
    if words is not None:
        assert re.search(words, found[0].unreadable), found[0].unreadable
