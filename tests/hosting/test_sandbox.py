"""What a worker in a sandbox cannot do, what it still can, and that none starts where there can be no sandbox."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import lean_worker as lw
from lean_files import accepted, code_at_elaboration
from support import HOSTS, INTEROP, is_running, leased, reaching, wait_until

ATTEMPT = lw.JsonCommand("attempt", response=str)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


class Outside:
    """Files and sockets that no worker in a sandbox may touch."""

    def __init__(self, directory):
        self.directory = directory
        self.file = directory / "secret"
        self.file.write_text("a secret")
        # A path of a socket has to be short.
        self.socket = Path(tempfile.gettempdir(), f"lean-worker-test-{os.getpid()}.socket")
        self._listening = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_UNIX),
            socket.socket(socket.AF_UNIX),
        ]
        self.port = self._listening[0].getsockname()[1]
        self.name = f"lean-worker-test-{os.getpid()}"
        self._listening[1].bind("\0" + self.name)
        self._listening[1].listen()
        self._listening[2].bind(str(self.socket))
        self._listening[2].listen()

    def close(self):
        for sock in self._listening:
            sock.close()
        self.socket.unlink()

    def attempts(self):
        """Each thing that must not succeed."""
        shared = Path(tempfile.gettempdir())
        return {
            "a file": {"read": str(self.file)},
            "a file by a program": {"read in a program": str(self.file)},
            "a directory": {"list": str(self.directory)},
            "the environment of the parent": {"read": f"/proc/{os.getpid()}/environ"},
            "a file of the system that programs do not need": {"read": "/etc/profile"},
            "the devices": {"list": "/dev"},
            "a write": {"write": str(self.file)},
            "a new file": {"write": str(self.directory / "new")},
            "a write to the shared temporary directory": {"write": str(shared / self.name)},
            "a new directory": {"make": str(self.directory / "made")},
            "the network": {"connect": self.port},
            "a socket": {"connect path": str(self.socket)},
            "an abstract socket": {"connect abstract": self.name},
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
        with leased(reaching(sandbox=lw.Sandbox())):
            pass
    except lw.CapabilityError as error:
        pytest.skip(f"no sandbox here: {error}")


def test_what_a_worker_without_a_sandbox_may_do(outside):
    found = results(reaching(), outside.attempts())
    assert set(found.values()) == {"done"}


def test_what_a_sandbox_refuses(can_lock_in, outside):
    found = results(reaching(sandbox=lw.Sandbox()), outside.attempts())
    assert "done" not in found.values(), found
    assert outside.file.read_text() == "a secret"
    assert sorted(path.name for path in outside.directory.iterdir()) == ["secret"]


def _knows_scopes():
    return tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


@pytest.mark.skipif(sys.platform != "linux" or not _knows_scopes(), reason="Linux 6.12 or newer")
def test_a_sandbox_sends_no_signals_out(can_lock_in):
    attempts = {"a signal": {"signal": os.getpid()}}
    assert set(results(reaching(), attempts).values()) == {"done"}
    assert set(results(reaching(sandbox=lw.Sandbox()), attempts).values()) == {"PermissionError"}


def test_sockets_of_this_machine_stay_closed_with_the_network_open(can_lock_in, outside):
    attempts = {what: how for what, how in outside.attempts().items() if "socket" in what}
    found = results(reaching(sandbox=lw.Sandbox(network=True, readable=["/"])), attempts)
    assert set(found.values()) == {"PermissionError"} and len(found) == 2


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
    with leased(reaching(sandbox=sandbox)) as lease:
        found = {what: lease.call(ATTEMPT, request) for what, request in attempts.items()}
        assert set(found.values()) == {"done"}, found
        assert lease.call(ATTEMPT, {"write": str(outside.file)}) == "PermissionError"
        assert lease.call(lw.JsonCommand("temporary", response=dict))["content"] == ["left"]


_PARENT = """
import sys, lean_worker as lw
capability = lw.PythonCapability("locked:COMMANDS", path=[sys.argv[1]], sandbox=lw.Sandbox())
with lw.Pool(1) as pool, pool.lease(capability) as lease:
    with lease.stream(lw.StreamingCommand("hold_interpreter")) as rows:
        next(rows)
        print(lease._core.loan.worker.pid, flush=True)
        sys.stdin.read()
"""


_WITHOUT_CAPABILITIES = """
import ctypes
libc = ctypes.CDLL(None)
header, held = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.capget(header, held) == 0
held[0] &= KEPT; held[1] &= KEPT; held[2] &= KEPT
assert libc.capset(header, held) == 0
"""
# Without CAP_SYS_ADMIN root too needs a user namespace for one without a network.
_ORDINARY = _WITHOUT_CAPABILITIES.replace("KEPT", "~(1 << 21)")
_POWERLESS = _WITHOUT_CAPABILITIES.replace("KEPT", "0")


@pytest.mark.parametrize("who", ["", _ORDINARY], ids=["us", "ordinary"])
def test_a_worker_in_a_sandbox_ends_with_its_parent(can_lock_in, who):
    # The hosted code keeps the interpreter, so that only the signal of the kernel can end it.
    parent = subprocess.Popen(
        [sys.executable, "-c", who + _PARENT, str(HOSTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not is_running(pid))


@pytest.mark.parametrize("where", ["home", "elsewhere"])
def test_the_working_directory_is_not_read(can_lock_in, outside, monkeypatch, where):
    monkeypatch.chdir(outside.directory if where == "home" else "/")
    code = f"print(open({str(outside.file)!r}).read())"
    with leased(lw.LinesCapability([sys.executable, "-c", code], request="none", sandbox=lw.Sandbox())) as lease:
        with pytest.raises(lw.CommandFailed, match="PermissionError"):
            lease.collect(lw.StreamingCommand("lines"))


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
        status = Path(f"/proc/{lease._core.loan.worker.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status


def makes_directory(path):
    """A Lean file that makes a directory while it is elaborated, as a file from a stranger might."""
    text = code_at_elaboration(f'IO.FS.createDir "{path}"')
    declared = '@[extern "lean_io_create_dir"] axiom IO.FS.createDir (path : @& String) : IO Unit\n'
    return text.replace("def Lean.Macro", declared + "def Lean.Macro")


@pytest.mark.once
@pytest.mark.lean
@pytest.mark.parametrize("where", ["nowhere", "there", "without a sandbox"])
def test_a_checked_file_writes_only_where_it_may(can_lock_in, tmp_path, where):
    made = tmp_path / "made"
    sandboxes = {"nowhere": lw.Sandbox(), "there": lw.Sandbox(writable=[tmp_path]), "without a sandbox": None}
    files = [("stranger", makes_directory(made)), ("good", accepted(0).text)]
    outcomes = list(lw.check(files, toolchain="embedded", jobs=1, sandbox=sandboxes[where], in_order=True))
    assert made.exists() is (where == "there")
    assert outcomes[1].verdict is lw.Verdict.ACCEPTED


@pytest.mark.lean
def test_a_file_to_check_has_to_be_readable(can_lock_in, tmp_path):
    file = tmp_path / "Good.lean"
    file.write_text(accepted(0).text)
    (good,) = lw.check([file], toolchain="embedded", sandbox=lw.Sandbox(readable=[file]))
    assert good.verdict is lw.Verdict.ACCEPTED
    (refused,) = lw.check([file], toolchain="embedded", sandbox=lw.Sandbox())
    assert refused.verdict is not lw.Verdict.ACCEPTED


@pytest.mark.once
@pytest.mark.lean
def test_the_command_checks_in_a_sandbox(can_lock_in, tmp_path):
    made = tmp_path / "made"
    (tmp_path / "good.lean").write_text(accepted(0).text)
    (tmp_path / "stranger.lean").write_text(makes_directory(made))
    main = "import sys; from lean_worker.cli import main; main()"
    command = [sys.executable, "-c", main, "check", "--toolchain", "embedded", "--sandbox", "--json", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    verdicts = {checked["file"]: checked["verdict"] for checked in json.loads(done.stdout)["files"]}
    # The stranger's verdict is up to it: Lean takes what its code returns, an error here, for a value of another type,
    # and so crashes, rejects the file or, once in a few hundred runs, accepts it.
    assert set(verdicts) == {"good.lean", "stranger.lean"}
    assert verdicts["good.lean"] == "accepted"
    assert not made.exists()


def test_a_path_that_is_not_there_is_told(tmp_path):
    for paths in ({"readable": [tmp_path / "no"]}, {"writable": [tmp_path / "no"]}):
        with pytest.raises(lw.CapabilityError, match="no, which it may touch, does not exist"):
            reaching(sandbox=lw.Sandbox(**paths)).launch()


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
    # With the network open: a system that lacks both says so of namespaces first.
    without = _WITHOUT.replace("Sandbox()", "Sandbox(network=True)")
    done = subprocess.run(
        [sys.executable, "-c", _NO_LANDLOCK + without, str(HOSTS)], capture_output=True, text=True, timeout=60
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


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="an ordinary user can")
def test_root_without_its_powers_is_told_that_there_is_no_sandbox_for_it(can_lock_in):
    done = subprocess.run(
        [sys.executable, "-c", _POWERLESS + _WITHOUT, str(HOSTS)], capture_output=True, text=True, timeout=60
    )
    assert "a user namespace cannot have this user: Operation not permitted" in done.stdout, done


@linux_only
def test_without_a_network_namespace_nothing_starts_unprotected(can_lock_in):
    done = subprocess.run(
        [sys.executable, "-c", _NO_NAMESPACE + _WITHOUT, str(HOSTS)], capture_output=True, text=True, timeout=60
    )
    assert "no network namespace can be made: No space left on device" in done.stdout, done
    assert "Sandbox(network=True)" in done.stdout
