"""What a worker is kept from: the caller's environment, other workers' files, more than its share of the system."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from support import HOSTS, INTEROP, leased, reaching, wait_until

ENVIRONMENT = lw.JsonCommand("environment", response=dict)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


# -- environment --


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.delenv("LEAN_WORKER_PASS_ENV", raising=False)
    monkeypatch.setenv("FORGE_TOKEN", "a secret")
    monkeypatch.setenv("FORGE_ADDRESS", "an address")
    return "FORGE_TOKEN"


def test_a_worker_inherits_what_is_on_the_list_and_nothing_else(secret, monkeypatch):
    monkeypatch.setenv("LEAN_NUM_THREADS", "3")
    with leased(reaching(env={"MINE": "1"})) as lease:
        found = lease.call(ENVIRONMENT)
    assert secret not in found
    assert "FORGE_ADDRESS" not in found
    assert (found["MINE"], found["LEAN_NUM_THREADS"]) == ("1", "3")
    assert found["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        ("FORGE_TOKEN", {"FORGE_TOKEN"}),
        ("OTHER,FORGE_*", {"FORGE_TOKEN", "FORGE_ADDRESS"}),
        ("*", {"FORGE_TOKEN", "FORGE_ADDRESS"}),
        ("forge_token", set()),
    ],
)
def test_more_is_passed_on_by_name(secret, monkeypatch, passed, expected):
    monkeypatch.setenv("LEAN_WORKER_PASS_ENV", passed)
    with leased() as lease:
        assert {name for name in lease.call(ENVIRONMENT) if name.startswith("FORGE_")} == expected


def test_a_program_that_prints_rows_sees_no_more(secret):
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    with leased(lw.LinesCapability([sys.executable, "-c", code], request="none")) as lease:
        (row,) = lease.collect(lw.StreamingCommand("lines")).rows
    assert secret not in row.payload
    assert row.payload["PATH"] == os.environ["PATH"]


@pytest.mark.lean
@linux_only
def test_a_lean_worker_sees_no_more(secret):
    with leased(INTEROP) as lease:
        found = Path(f"/proc/{lease._core.loan.worker.pid}/environ").read_bytes()
    assert b"FORGE_" not in found
    assert b"PATH=" in found


# -- temporary files --


def test_a_worker_has_a_temporary_directory_of_its_own_while_it_lives():
    command = lw.JsonCommand("temporary", response=dict)
    with lw.Pool(2) as pool, pool.lease(reaching()) as one, pool.lease(reaching()) as other:
        found = [lease.call(command) for lease in (one, other)]
        for temporary in found:
            assert (temporary["mode"], temporary["content"]) == (0o700, ["left"])
            assert os.path.isdir(temporary["place"])
        assert found[0]["place"] != found[1]["place"]
    wait_until(lambda: not any(os.path.exists(temporary["place"]) for temporary in found))


def test_it_goes_with_a_worker_that_is_killed():
    with leased() as lease:
        with lease.stream(lw.StreamingCommand("wait")) as rows:
            place = next(rows).payload
            assert os.path.isdir(place)
            os.kill(lease._core.loan.worker.pid, signal.SIGKILL)
            with pytest.raises(lw.ChildExited):
                next(rows)
        wait_until(lambda: not os.path.exists(place))


_PARENT = """
import sys, lean_worker as lw
capability = lw.PythonCapability("locked:COMMANDS", path=[sys.argv[1]])
with lw.Pool(1) as pool, pool.lease(capability) as lease:
    with lease.stream(lw.StreamingCommand("wait")) as rows:
        print(next(rows).payload, flush=True)
        sys.stdin.read()
"""


def test_what_a_killed_parent_left_goes_at_the_next_start_and_nothing_of_a_living_one(tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with contextlib.ExitStack() as ended:

        def start():
            parent = subprocess.Popen(
                [sys.executable, "-c", _PARENT, str(HOSTS)],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            ended.callback(parent.communicate)
            ended.callback(parent.kill)
            place = Path(parent.stdout.readline().strip())
            assert place.is_relative_to(tmp_path)
            return parent, place

        killed, its_place = start()
        _, place_of_living = start()
        assert its_place.is_dir()  # its owner lives
        killed.kill()
        killed.wait()
        assert its_place.is_dir()
        start()
        wait_until(lambda: not its_place.exists())
        assert place_of_living.is_dir()


# In processes of their own: fakes that other tests of this one share lie in the same base.
_PLACES = """
import os, shutil, sys, tempfile, lean_worker as lw
capability = lw.PythonCapability("locked:COMMANDS", path=[sys.argv[1]])

def place():
    with lw.Pool(1) as pool, pool.lease(capability) as lease:
        return os.path.dirname(lease.call(lw.JsonCommand("temporary", response=dict))["place"])

ours = place()
"""
_CLEARED = (
    _PLACES
    + """
while os.path.isdir(ours): shutil.rmtree(ours, ignore_errors=True)
"""
)


def placed(script):
    done = subprocess.run([sys.executable, "-c", script, str(HOSTS)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout


def test_a_base_that_was_cleared_away_is_made_again():
    assert placed(_CLEARED + "print(place() != ours)") == "True\n"


_FORKING = (
    _PLACES
    + """
child = os.fork()
if not child:
    theirs = place()
    sys.exit(0 if theirs != ours and os.path.isdir(ours) else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, os.path.isdir(ours), place() == ours)
"""
)


def test_a_forked_child_makes_one_of_its_own_and_leaves_ours():
    assert placed(_FORKING) == "0 True True\n"


_WITHOUT_ROOM = (
    _CLEARED
    + """
tempfile.tempdir = os.path.join(ours, "none")
try:
    place()
except lw.CapabilityError as error:
    print(error.text)
tempfile.tempdir = None
print(os.path.isdir(place()))
"""
)


def test_no_room_for_temporary_files_is_told():
    said, again = placed(_WITHOUT_ROOM).splitlines()
    assert re.match("making a temporary directory for a worker: .*/none/.*: No such file", said) and again == "True"


def test_a_temporary_directory_that_the_caller_chose_stays(tmp_path):
    with leased(reaching(env={"TMPDIR": str(tmp_path)})) as lease:
        assert lease.call(lw.JsonCommand("temporary", response=dict))["place"] == str(tmp_path)
    assert (tmp_path / "left").exists()


# -- shares of the system --


@linux_only
def test_no_worker_writes_core_files():
    with leased() as lease:
        assert lease.call(lw.JsonCommand("limits", response=dict))["Max core file size"] == ["0", "0"]


@linux_only
def test_no_foreign_program_writes_core_files():
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with leased(lw.ProcessCapability([sys.executable, str(HOSTS / "obedient.py")])) as lease:
            assert resource.prlimit(lease._core.loan.worker.pid, resource.RLIMIT_CORE) == (0, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


@linux_only
def test_each_limit_is_the_systems_own():
    chosen = lw.Limits(cpu_seconds=50, open_files=100, processes=5000, file_size_kib=64)
    with leased(limits=chosen) as lease:
        found = lease.call(lw.JsonCommand("limits", response=dict))
    assert found["Max cpu time"] == ["50", "51"]
    assert found["Max open files"] == ["100", "100"]
    assert found["Max processes"] == ["5000", "5000"]
    assert found["Max file size"] == ["65536", "65536"]


@linux_only
def test_used_up_processor_time_ends_the_worker_and_is_told():
    with leased(limits=lw.Limits(cpu_seconds=1)) as lease:
        with pytest.raises(lw.ChildExited, match=r"SIGXCPU.*Limits\.cpu_seconds") as caught:
            lease.run(lw.StreamingCommand("spin"), on_row=lambda row: None, timeout=60)
        assert caught.value.rows_delivered == 1


@linux_only
def test_files_beyond_their_number_or_size_fail_in_the_hosted_code():
    with leased(limits=lw.Limits(open_files=64, file_size_kib=16)) as lease:
        assert lease.call(lw.JsonCommand("open_many"), 10) == 10
        with pytest.raises(lw.CommandFailed, match="Too many open files"):
            lease.call(lw.JsonCommand("open_many"), 100)
        lease.call(lw.JsonCommand("write_file"), 10_000)
        with pytest.raises(lw.CommandFailed, match="File too large"):
            lease.call(lw.JsonCommand("write_file"), 20_000)
        # The frames' way is no file.
        assert len(lease.call(lw.JsonCommand("attempt"), {"list": "/"})) > 0


@pytest.mark.parametrize("name", ["cpu_seconds", "open_files", "processes", "file_size_kib"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1"])
def test_a_limit_that_is_none_is_refused(name, value):
    with pytest.raises(lw.UsageError, match=f"expected {name}"):
        lw.Limits(**{name: value})


def test_a_worker_needs_some_descriptors():
    with pytest.raises(lw.UsageError, match="open_files of 64 or more"):
        lw.Limits(open_files=63)
