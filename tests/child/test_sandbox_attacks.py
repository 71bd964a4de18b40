"""Every attack that we know on what is outside a sandbox, from each kind of worker, as root and as an ordinary user."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import lean_worker as lw
from support import HELPERS, HOSTS, copy_of_cache, leased

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Linux only"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no list of system calls"),
]

NOBODY = 65534
REFUSALS = {"EPERM", "EACCES", "ENOSYS", "ENOTSUP", "ENOTTY", "EXDEV"}
# Those that the system refuses everybody, or that few systems have.
NOT_EVERYWHERE = {
    "a second connection of a pair", "a socket of the virtual machine", "a crypto socket", "a bluetooth socket",
    "a packet socket", "a raw socket", "the second numbering", "calls of 32 bits", "a lease on a file", "a user namespace",
    "a process in a user namespace", "io uring", "page faults", "a kernel program", "performance events", "huge pages",
    "a key", "a keyring", "a request for a key", "a queue by name", "comparing processes", "a file by its handle",
    "attribute of a file", "reading an attribute of a file", "flags of a file", "moving pages of another process",
    "tracing", "reading memory", "memory file of another process", "a descriptor of another process",
    "the namespace of another process", "a mount", "a file system", "another root", "the kernel log", "accounting",
    "shared memory by name", "owner of a file", "writing out all disks", "priority of the user",
}  # fmt: skip


def _knows_scopes():
    return tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


@functools.cache
def python_of(user):
    """An interpreter, and what it needs as PYTHONPATH, that this user can run; None if there is none."""
    packages = os.pathsep.join([str(Path(lw.__file__).parents[1]), *(p for p in sys.path if p.endswith("-packages"))])
    script = f"import sys, lean_worker.wire.frames, psutil; open({__file__!r}); assert sys.version_info[:2] == "
    for python, path in ((sys.executable, ""), ("/usr/bin/python3", packages)):
        with contextlib.suppress(OSError):
            command = [python, "-c", f"{script}{tuple(sys.version_info[:2])}"]
            identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
            if subprocess.run(command, env={"PYTHONPATH": path}, cwd="/", check=False, **identity).returncode == 0:
                return python, path
    return None


def attacked(host, how, directory, user=None):
    """What the attacks of one worker came to, with a parent that runs as `user`."""
    if host in ("check", "held", "forked", "hogs") and not (directory / "cache").exists():
        copy_of_cache(directory / "cache", user)
    python, path = python_of(user)
    command = [python, str(HELPERS / "attacked.py"), host, how]
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(directory),
        "HOME": str(directory),
        "LEAN_WORKER_CACHE_DIR": str(directory / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": path,
    }
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=100, check=False, **identity
    )
    if "locking a worker in" in done.stderr and how == "locked":
        pytest.skip("no sandbox for this user here")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["us", "nobody"])
def place(request):
    """A short directory, and the user to be: ourselves, or as root also an ordinary user."""
    directory = Path(tempfile.mkdtemp(prefix="attacks-", dir="/tmp"))
    user = None
    if request.param == "nobody":
        if os.geteuid() != 0:
            shutil.rmtree(directory)
            pytest.skip("only root can become another user")
        user = NOBODY
        os.chown(directory, user, user)
        if python_of(user) is None:
            shutil.rmtree(directory)
            pytest.skip("an ordinary user cannot read this installation")
    yield directory, user
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize(
    "host", ["python", "lines", *(pytest.param(host, marks=pytest.mark.lean) for host in ("check", "held", "forked"))]
)
def test_every_attack_is_refused_in_a_sandbox(place, host):
    directory, user = place
    found = attacked(host, "locked", directory, user)
    signals = {name for name in found["outcomes"] if name.startswith("signal")} if not _knows_scopes() else set()
    succeeded = {n: o for n, o in found["outcomes"].items() if o not in REFUSALS and n not in signals}
    assert succeeded == {}
    assert found["changed"] == []
    assert len(found["outcomes"]) > 85


def test_the_attacks_do_harm_without_a_sandbox(place):
    directory, user = place
    found = attacked("python", "open", directory, user)
    failed = {n: o for n, o in found["outcomes"].items() if o != "done" and n not in NOT_EVERYWHERE}
    assert failed == {}
    assert {"open files", "scheduler", "readable", "doomed"} <= set(found["changed"])


@pytest.mark.lean
@pytest.mark.parametrize("host", ["check", "held"])
def test_a_checked_file_without_a_sandbox_reads_but_changes_nothing(place, host):
    directory, user = place
    found = attacked(host, "open", directory, user)
    assert found["changed"] == []
    outcomes = found["outcomes"]
    harmless = {name for name in outcomes if name.startswith(("reading ", "the list", "an internet"))}
    harmless |= {"a symbolic link out", "a second connection of a pair"}
    if not _knows_scopes():
        harmless |= {name for name in outcomes if name.startswith("signal")}
    assert {n: o for n, o in outcomes.items() if o not in REFUSALS and n not in harmless} == {}
    assert outcomes["reading a file"] == "done"
    for name in ("environ", "maps", "cwd", "root", "auxv"):
        assert outcomes[f"reading {name} of another process"] in REFUSALS


@pytest.mark.lean
def test_a_file_that_uses_up_its_limits_harms_no_other(place):
    directory, user = place
    if user is None and os.geteuid() == 0:
        pytest.skip("nothing bounds the number of processes of root")
    found = attacked("hogs", "locked", directory, user)
    verdicts = found["outcomes"]
    assert {verdict for name, verdict in verdicts.items() if name.startswith("good")} == {"accepted"}, verdicts
    assert {verdict for name, verdict in verdicts.items() if name.startswith("bad")} == {"rejected"}, verdicts
    assert len(verdicts) == 15 and found["changed"] == []


@pytest.fixture(scope="module")
def can_lock_in():
    try:
        with leased(lw.PythonCapability("honest:COMMANDS", path=[str(HOSTS)], sandbox=lw.Sandbox())):
            pass
    except lw.CapabilityError as error:
        pytest.skip(f"no sandbox here: {error}")


@pytest.mark.parametrize("network", [False, True])
def test_every_system_call_that_is_not_on_the_list_is_refused(can_lock_in, network):
    from lean_worker.child.system_calls import allowed_calls

    listed = {call.number for call in allowed_calls(platform.machine(), network=network) if call.alternatives}
    # The kernel lets the last two pass every filter; only its own trampolines can use them.
    refused = sorted(set(range(620)) - listed - ({335, 336} if platform.machine() == "x86_64" else set()))
    capability = lw.PythonCapability("attacks:COMMANDS", path=[str(HOSTS)], sandbox=lw.Sandbox(network=network))
    with leased(capability) as lease:
        outcomes = lease.call(lw.JsonCommand("numbers", response=dict), refused)
    assert len(outcomes) == len(refused) > 350
    allowed = {"EPERM", "ENOSYS", "ENOTSUP", "EACCES"}
    assert {number: outcome for number, outcome in outcomes.items() if outcome not in allowed} == {}


def test_the_lists_of_both_processors_agree():
    from lean_worker.child import system_calls

    x86, arm = (system_calls.allowed_calls(machine, network=True) for machine in ("x86_64", "aarch64"))
    for calls in (x86, arm):
        numbers = [call.number for call in calls]
        assert len(numbers) == len(set(numbers))
        assert max(numbers) <= system_calls.NEWEST_CALL
    # What x86-64 has besides are the old forms of calls.
    assert 190 <= len(arm) < len(x86) <= 250
    assert [call for call in x86 if call.number >= 424] == [call for call in arm if call.number >= 424]
    assert system_calls.allowed_calls("riscv64", network=True) is None


def test_a_holder_may_do_what_a_worker_may_and_asks_for_forks():
    from lean_worker.child import system_calls

    for machine in ("x86_64", "aarch64"):
        for network in (False, True):
            worker, holder = (
                system_calls.allowed_calls(machine, network=network, is_holder=is_holder) for is_holder in (False, True)
            )
            different = [(old, new) for old, new in zip(worker, holder, strict=True) if old != new]
            clone, prctl = {"x86_64": (56, 157), "aarch64": (220, 167)}[machine]
            assert sorted(new.number for _, new in different) == sorted((clone, prctl))
            assert [call.number for call in (*worker, *holder) if call.asked] == [clone]


@pytest.mark.parametrize("host", ["python", "lines"])
def test_honest_programs_work_in_a_sandbox(can_lock_in, host):
    if host == "python":
        with leased(lw.PythonCapability("honest:COMMANDS", path=[str(HOSTS)], sandbox=lw.Sandbox())) as lease:
            assert lease.call(lw.JsonCommand("work", response=str)) == "done"
        return
    argv = [sys.executable, str(HOSTS / "honest.py")]
    capability = lw.LinesCapability(argv, request="none", sandbox=lw.Sandbox(readable=[HOSTS]))
    with leased(capability) as lease:
        assert len(lease.collect(lw.StreamingCommand("lines")).rows) == 1
