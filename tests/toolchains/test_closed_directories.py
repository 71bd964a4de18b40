"""Directories that this user may not enter, and a working directory that was removed: typed errors that say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import pytest

import lean_worker as lw
from fake_toolchain import script
from lean_worker.checking import check_capability
from lean_worker.errors import CapabilityError

STATEMENT = "prelude\nimport LeanWorker.Library\ntheorem a : True := sorry\n"

# Runs as root, and then as nobody. All is imported before, as the other user may not be able to read it.
PROGRAM = """
import json, os, pathlib, sys
import lean_worker as lw
from lean_worker import extraction, toolchains
from lean_worker.checking import check_capability
import lean_worker.checking.files, lean_worker.checking.capability_report, lean_worker.extraction.running
import lean_worker.verification.candidates
import lean_worker._lean  # the other user may not look at the installation

toolchains.resolve("embedded")
STATEMENT, place = sys.argv[1], pathlib.Path(sys.argv[2])
place.chmod(0o755)
closed, home, elan, script = (place / name for name in ("closed", "home", "elan", "s.lean"))
for directory in (closed, closed / "project", home, elan, place / "project"):
    directory.mkdir()
(closed / "x.lean").write_text("prelude\\n")
script.write_text("prelude\\nimport A\\n")
(closed / "lib.so").touch()
project, inside = place / "project", closed / "project"

def verify(project):
    return next(lw.verify([("a", "x")], statement=STATEMENT, project=project, toolchain="embedded"))

def check(files, **more):
    return next(lw.check(files, **{"toolchain": "embedded", **more}))

def lean(path=script, **more):
    return lw.LeanCapability(path, **{"toolchain": "embedded", **more})

SNIPPET = [("a", "prelude\\n")]
LOADING = {"project": project, "env": {"LEAN_PATH": f"{closed}/project"}, "loads": ["A"]}
assert check(SNIPPET).verdict == "accepted"  # which imports the rest
lean(**LOADING).launch()  # which asks for the imports of the script
assert toolchains.resolve("embedded").version
ELAN_CASES = {
    "resolve": lambda: toolchains.resolve("auto", project),
    "a name": lambda: toolchains.resolve("v4.9.0"),
    "check": lambda: check(SNIPPET, project=project, toolchain="auto"),
    "verify": lambda: next(lw.verify([("a", "x")], statement=STATEMENT, project=project)),
    "launch": lambda: lean(project=project, toolchain="auto").launch(),
    "extractor": lambda: extraction.extractor(project=project),
}
CASES = {
    "resolve": lambda: toolchains.resolve("auto", inside),
    "a Lean": lambda: toolchains.resolve(inside),
    "verify": lambda: verify(inside),
    "check": lambda: check(SNIPPET, project=inside),
    "check here": lambda: check(SNIPPET, project=closed),
    "check a file": lambda: check([closed / "x.lean"]),
    "check with a library": lambda: check(SNIPPET, native_libraries=[closed / "lib.so"]),
    "script": lambda: lean(closed / "x.lean").launch(),
    "project": lambda: lean(project=inside).launch(),
    "project here": lambda: lean(project=closed).launch(),
    "workspace": lambda: lean(workspace=inside).launch(),
    "library": lambda: lean(native_libraries=[closed / "lib.so"]).launch(),
    "module path": lambda: lean(**LOADING).launch(),
    "program's directory": lambda: lw.ProcessCapability(["/bin/true"], cwd=inside).launch(),
    "extractor": lambda: extraction.extractor(project=inside).launch(),
    "report on a script": lambda: check_capability(lean(closed / "x.lean")).raise_for_error(),
    "report on a project": lambda: check_capability(lean(project=inside)).raise_for_error(),
    "report on a module path": lambda: check_capability(lean(**LOADING)).raise_for_error(),
}
for directory in (closed, elan):
    directory.chmod(0o600)
home.chmod(0o700)
os.setgid(65534)
os.setuid(65534)
told = {}
for where, cases in (elan, ELAN_CASES), (home / "elan", ELAN_CASES), (place / "none", CASES):
    os.environ["ELAN_HOME"] = str(where)
    for name, call in cases.items():
        try:
            said = ["none", str(call())]
        except lw.LeanWorkerError as error:
            said = ["typed", str(error)]
        except Exception as error:
            said = [type(error).__name__, str(error)]
        told[f"{name} ({where.name})"] = said
print(json.dumps(told))
"""


@pytest.mark.lean
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_this_user_may_not_look_at_is_a_typed_error():
    """Python 3.11's pathlib raises PermissionError where it only asks whether something is there."""
    with tempfile.TemporaryDirectory() as place:  # another user can enter the one above it
        argv = [sys.executable, "-c", PROGRAM, STATEMENT, place]
        outcome = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    assert {name: said for name, said in told.items() if said[0] != "typed" or "Permission denied" not in said[1]} == {}


def test_a_working_directory_that_was_removed(tmp_path, monkeypatch):
    """Some of it needs none; whatever does says so."""
    for name in ("elan", "lean"):
        script(tmp_path / "bin" / name, "#!/bin/sh\nexit 1\n")
    home, gone = tmp_path / "home", tmp_path / "gone"
    home.mkdir()
    gone.mkdir()
    (tmp_path / "s.lean").write_text("prelude\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ELAN_HOME", str(home))
    for name in ("LEAN_SYSROOT", "ELAN_TOOLCHAIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(gone)
    gone.rmdir()
    calls = {
        "resolve": lambda: lw.toolchains.resolve(),
        "a name": lambda: lw.toolchains.resolve("v4.9.0"),
        "a relative path": lambda: lw.toolchains.resolve("./lean"),
        "a relative project": lambda: lw.toolchains.resolve("auto", "here"),
        "check": lambda: next(lw.check([("a", "prelude\n")])),
        "verify": lambda: next(lw.verify([("a", "x")], statement=STATEMENT)),
        "launch": lambda: lw.LeanCapability(tmp_path / "s.lean").launch(),
        "a relative script": lambda: lw.LeanCapability("s.lean", toolchain="embedded").launch(),
        "a relative registry": lambda: lw.PythonCapability("a:b", path=["here"]).launch(),
        "a report": lambda: check_capability(lw.LeanCapability(tmp_path / "s.lean")).raise_for_error(),
        "a report on a relative script": lambda: check_capability(lw.LeanCapability("s.lean")).raise_for_error(),
    }
    for name, call in calls.items():
        with pytest.raises(CapabilityError, match="working directory|No such file|no such file") as caught:
            call()
        assert "working directory" in str(caught.value) or "relative" in name, (name, caught.value)
