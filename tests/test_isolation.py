"""What a worker is kept from: the caller's environment, other workers' files, more than its share, and what is outside
of its sandbox."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import lean_worker as lw
from lean_files import accepted, code_at_elaboration
from support import HOSTS, INTEROP, is_running, wait_until

ENVIRONMENT = lw.JsonCommand("environment", response=dict)
ATTEMPT = lw.JsonCommand("attempt", response=str)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def hosted(**options):
    return lw.PythonCapability("locked:COMMANDS", path=[HOSTS], **options)


@contextlib.contextmanager
def leased(capability=None, **options):
    with lw.Pool(1, **options) as pool, pool.lease(capability or hosted()) as lease:
        yield lease


# -- environment --


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.delenv("LEAN_WORKER_PASS_ENV", raising=False)
    monkeypatch.setenv("FORGE_TOKEN", "a secret")
    monkeypatch.setenv("FORGE_ADDRESS", "an address")
    return "FORGE_TOKEN"


def test_a_worker_inherits_what_is_on_the_list_and_nothing_else(secret, monkeypatch):
    monkeypatch.setenv("LEAN_NUM_THREADS", "3")
    with leased(hosted(env={"MINE": "1"})) as lease:
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
        found = Path(f"/proc/{lease._loan.worker.pid}/environ").read_bytes()
    assert b"FORGE_" not in found
    assert b"PATH=" in found


# -- temporary files --


def test_a_worker_has_a_temporary_directory_of_its_own_while_it_lives():
    command = lw.JsonCommand("temporary", response=dict)
    with lw.Pool(2) as pool, pool.lease(hosted()) as one, pool.lease(hosted()) as other:
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
            os.kill(lease._loan.worker.pid, signal.SIGKILL)
            with pytest.raises(lw.ChildExited):
                next(rows)
        wait_until(lambda: not os.path.exists(place))


_PARENT = """
import sys, lean_worker as lw
sys.path.append(sys.argv[1])
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


def test_a_base_that_was_cleared_away_is_made_again():
    command = lw.JsonCommand("temporary", response=dict)
    with leased() as lease:
        place = Path(lease.call(command)["place"])
    shutil.rmtree(place.parent)
    with leased() as lease:
        again = Path(lease.call(command)["place"])
    assert again.parent != place.parent


def test_no_room_for_temporary_files_is_told(monkeypatch, tmp_path):
    with leased() as lease:
        place = Path(lease.call(lw.JsonCommand("temporary", response=dict))["place"])
    shutil.rmtree(place.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(lw.CapabilityError, match="no temporary directory can be made: .*No such file"):
        with leased():
            pass
    monkeypatch.undo()
    with leased():
        pass


def test_a_temporary_directory_that_the_caller_chose_stays(tmp_path):
    with leased(hosted(env={"TMPDIR": str(tmp_path)})) as lease:
        assert lease.call(lw.JsonCommand("temporary", response=dict))["place"] == str(tmp_path)
    assert (tmp_path / "left").exists()


# -- shares of the system --


@linux_only
def test_no_worker_writes_core_files():
    with leased() as lease:
        assert lease.call(lw.JsonCommand("limits", response=dict))["Max core file size"] == ["0", "0"]


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


# -- sandbox --


class Outside:
    """Files and sockets that no worker in a sandbox may touch."""

    def __init__(self, directory):
        self.directory = directory
        self.file = directory / "secret"
        self.file.write_text("a secret")
        self._listening = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
        self.port = self._listening[0].getsockname()[1]
        self.name = f"lean-worker-test-{os.getpid()}"
        self._listening[1].bind("\0" + self.name)
        self._listening[1].listen()

    def close(self):
        for sock in self._listening:
            sock.close()

    def attempts(self):
        """Each thing that must not succeed."""
        shared = Path(tempfile.gettempdir())
        return {
            "a file": {"read": str(self.file)},
            "a file by a program": {"read in a program": str(self.file)},
            "a directory": {"list": str(self.directory)},
            "the environment of the parent": {"read": f"/proc/{os.getpid()}/environ"},
            "a write": {"write": str(self.file)},
            "a new file": {"write": str(self.directory / "new")},
            "a write to the shared temporary directory": {"write": str(shared / self.name)},
            "a new directory": {"make": str(self.directory / "made")},
            "the network": {"connect": self.port},
            "an end": {"remove": str(self.file)},
        }


@pytest.fixture
def outside(tmp_path):
    outside = Outside(tmp_path)
    yield outside
    outside.close()
    with contextlib.suppress(FileNotFoundError):
        os.remove(Path(tempfile.gettempdir(), outside.name))


def results(capability, attempts):
    with leased(capability) as lease:
        return {what: lease.call(ATTEMPT, request) for what, request in attempts.items()}


@pytest.fixture(scope="module")
def can_lock_in():
    """Not every kernel, and not every container, lets a process lock itself in."""
    try:
        with leased(hosted(sandbox=lw.Sandbox())):
            pass
    except lw.CapabilityError as error:
        pytest.skip(f"no sandbox here: {error}")


def test_what_a_worker_without_a_sandbox_may_do(outside):
    found = results(hosted(), outside.attempts())
    assert set(found.values()) == {"done"}


def test_what_a_sandbox_refuses(can_lock_in, outside):
    found = results(hosted(sandbox=lw.Sandbox()), outside.attempts())
    assert "done" not in found.values(), found
    assert outside.file.read_text() == "a secret"
    assert sorted(path.name for path in outside.directory.iterdir()) == ["secret"]


def _knows_scopes():
    return tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


@pytest.mark.skipif(sys.platform != "linux" or not _knows_scopes(), reason="Linux 6.12 or newer")
def test_what_a_sandbox_refuses_on_newer_kernels(can_lock_in, outside):
    attempts = {"a signal": {"signal": os.getpid()}, "an abstract socket": {"connect abstract": outside.name}}
    assert set(results(hosted(), attempts).values()) == {"done"}
    # A network namespace has abstract sockets of its own.
    assert "done" not in results(hosted(sandbox=lw.Sandbox(network=True)), attempts).values()


def test_what_a_sandbox_allows(can_lock_in, outside):
    writable = outside.directory / "writable"
    writable.mkdir()
    sandbox = lw.Sandbox(readable=[outside.file], writable=[writable], network=True)
    attempts = {
        "the system": {"read": "/etc/passwd"},
        "a readable file": {"read": str(outside.file)},
        "a readable file by a program": {"read in a program": str(outside.file)},
        "a new file": {"write": str(writable / "new")},
        "a new directory": {"make": str(writable / "made")},
        "the network": {"connect": outside.port},
        "no output": {"write": os.devnull},
    }
    with leased(hosted(sandbox=sandbox)) as lease:
        found = {what: lease.call(ATTEMPT, request) for what, request in attempts.items()}
        assert set(found.values()) == {"done"}, found
        assert lease.call(ATTEMPT, {"write": str(outside.file)}) == "PermissionError"
        assert lease.call(lw.JsonCommand("temporary", response=dict))["content"] == ["left"]


def test_a_worker_in_a_sandbox_ends_with_its_parent(can_lock_in, tmp_path):
    # With a user namespace of its own a process loses the signal at its parent's death; it is asked for afterwards.
    code = _PARENT.replace("path=[sys.argv[1]])", "path=[sys.argv[1]], sandbox=lw.Sandbox())").replace(
        "print(next(rows).payload", "next(rows); print(lease._loan.worker.pid"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(HOSTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not is_running(pid))


def test_a_program_that_prints_rows_is_locked_in(can_lock_in, outside):
    code = f"import json; print(json.dumps(open({str(outside.file)!r}).read()))"
    argv = [sys.executable, "-c", f"{code}\n"]
    with leased(lw.LinesCapability(argv, request="none", sandbox=lw.Sandbox())) as lease:
        with pytest.raises(lw.CommandFailed, match="PermissionError"):
            lease.collect(lw.StreamingCommand("lines"))
    sandbox = lw.Sandbox(readable=[outside.file])
    with leased(lw.LinesCapability([sys.executable, "-c", 'print("{}")'], request="none", sandbox=sandbox)) as lease:
        assert len(lease.collect(lw.StreamingCommand("lines")).rows) == 1


@pytest.mark.lean
def test_a_lean_script_works_in_a_sandbox(can_lock_in):
    with leased(dataclasses.replace(INTEROP, sandbox=lw.Sandbox())) as lease:
        rows = lease.collect(lw.StreamingCommand("lean_rs_interop_consumer_worker_data_stream"), "{}").rows
        assert rows
        status = Path(f"/proc/{lease._loan.worker.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status


def makes_directory(path):
    """A Lean file that makes a directory while it is elaborated, as a file from a stranger might."""
    text = code_at_elaboration(f'IO.FS.createDir "{path}"')
    declared = '@[extern "lean_io_create_dir"] axiom IO.FS.createDir (path : @& String) : IO Unit\n'
    return text.replace("def Lean.Macro", declared + "def Lean.Macro")


@pytest.mark.lean
@pytest.mark.parametrize("is_locked_in", [False, True])
def test_a_checked_file_cannot_reach_out_of_its_sandbox(can_lock_in, tmp_path, is_locked_in):
    made = tmp_path / "made"
    sandbox = lw.Sandbox() if is_locked_in else None
    files = [("stranger", makes_directory(made)), ("good", accepted(0).text)]
    outcomes = list(lw.check(files, toolchain="embedded", jobs=1, sandbox=sandbox, in_order=True))
    assert made.exists() is not is_locked_in
    assert outcomes[1].verdict is lw.Verdict.ACCEPTED


@pytest.mark.lean
def test_a_file_to_check_has_to_be_readable(can_lock_in, tmp_path):
    file = tmp_path / "Good.lean"
    file.write_text(accepted(0).text)
    (good,) = lw.check([file], toolchain="embedded", sandbox=lw.Sandbox(readable=[file]))
    assert good.verdict is lw.Verdict.ACCEPTED
    (refused,) = lw.check([file], toolchain="embedded", sandbox=lw.Sandbox())
    assert refused.verdict is not lw.Verdict.ACCEPTED


@pytest.mark.lean
def test_the_command_checks_in_a_sandbox(can_lock_in, tmp_path):
    made = tmp_path / "made"
    (tmp_path / "good.lean").write_text(accepted(0).text)
    (tmp_path / "stranger.lean").write_text(makes_directory(made))
    main = "import sys; from lean_worker.cli import main; main()"
    command = [sys.executable, "-c", main, "check", "--toolchain", "embedded", "--sandbox", "--json", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    verdicts = {checked["file"]: checked["verdict"] for checked in json.loads(done.stdout)["files"]}
    assert verdicts["good.lean"] == "accepted"
    assert verdicts["stranger.lean"] in ("rejected", "lost")
    assert not made.exists()


def test_one_path_is_no_sequence_of_paths():
    with pytest.raises(lw.UsageError, match="expected readable as a sequence of paths"):
        lw.Sandbox(readable="/home")


# -- a system that cannot --

_WITHOUT = """
import sys, lean_worker as lw
capability = lw.PythonCapability("locked:COMMANDS", path=[sys.argv[1]], sandbox=lw.Sandbox())
try:
    with lw.Pool(1) as pool, pool.lease(capability):
        print("it has started")
except lw.CapabilityError as error:
    print(error)
"""

_NO_LANDLOCK = """
import ctypes, struct
# A filter for system calls: number 444, landlock_create_ruleset, is unknown; all others are as they were.
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (6, 0, 0, 0x00050000 | 38), (6, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
"""


@linux_only
def test_without_landlock_nothing_starts_unprotected():
    done = subprocess.run(
        [sys.executable, "-c", _NO_LANDLOCK + _WITHOUT, str(HOSTS)], capture_output=True, text=True, timeout=60
    )
    assert "locking a worker in: this kernel has no Landlock: Function not implemented" in done.stdout, done


_NO_NAMESPACE = """
import ctypes, os
from pathlib import Path
libc = ctypes.CDLL(None, use_errno=True)
user, group = os.getuid(), os.getgid()
assert libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno())
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    Path("/proc/self", name).write_text(text)
Path("/proc/sys/user/max_net_namespaces").write_text("0")
"""


@linux_only
def test_without_a_network_namespace_nothing_starts_unprotected(can_lock_in):
    done = subprocess.run(
        [sys.executable, "-c", _NO_NAMESPACE + _WITHOUT, str(HOSTS)], capture_output=True, text=True, timeout=60
    )
    assert "no network namespace can be made: No space left on device" in done.stdout, done
    assert "Sandbox(network=True)" in done.stdout
