"""Workers that are forks of a process with their imports: like others, with all that is theirs, whatever becomes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from lean_modules import script_that_answers, text_module
from lean_worker.child import olean_cache
from lean_worker.hosting import temporary
from lean_worker.hosting.launch import Launch
from lean_worker.worker import worker_holder as parent_side
from support import (
    CAN_HOLD,
    HELD_INTEROP,
    IMPORTABLE,
    compile_modules,
    copy_of_cache,
    embedded_library,
    is_running,
    wait_until,
)

pytestmark = [pytest.mark.lean, pytest.mark.skipif(not CAN_HOLD, reason="no holders here")]

ANSWER = lw.JsonCommand("answer", None, str)
NUMBER = lw.JsonCommand("answer", None, int)
CALM = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A small script, to whose imports some are added."""
    olean_cache.prepare(embedded_library())
    script = script_that_answers(tmp_path_factory.mktemp("script") / "s.lean", '"1"')
    return lw.LeanCapability(script, toolchain="embedded", imports=("LeanWorker",))


@pytest.fixture(params=["open", "locked in"])
def hosted(request, held):
    """The same, without a sandbox and within one."""
    return held if request.param == "open" else locked_in(held)


def locked_in(capability):
    """A capability in a sandbox; skips the test where there is none."""
    capability = dataclasses.replace(capability, sandbox=lw.Sandbox())
    try:
        with lw.Pool(1) as pool, pool.lease(capability):
            pass
    except lw.CapabilityError as error:
        pytest.skip(f"no sandbox here: {error}")
    return capability


@contextlib.contextmanager
def with_holder(capability, **options):
    """A pool with one plain worker, which is lent, and a holder that is ready."""
    with lw.Pool(**{"max_workers": 3, "restarts": CALM, **options}) as pool, pool.lease(capability) as first:
        assert not process_of(first).is_fork
        wait_until(lambda: pool.snapshot().holders or why_not(pool), 60)
        assert why_not(pool) == []
        yield pool


def why_not(pool):
    return [
        holder.why or holder._process.stderr_tail()
        for holder in pool._core.workers.holders.all()
        if not holder.is_usable
    ]


def process_of(lease):
    return lease._core.loan.worker.process


def holder_of(pool):
    """The process that the pool would fork from."""
    (holder,) = pool._core.workers.holders.all()
    return holder.pid


def channels(pid):
    """The pipes, sockets and memories that a process has open; Lean's own wake-ups are those of nobody else."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            link = os.readlink(entry)
            if link.startswith(("pipe:", "socket:", "/memfd:")):
                found.add((link, entry.stat().st_ino))
    return found


def shared_memory(pid):
    """The mappings through which a process and others can see each other write."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {
        tuple(words[3:5]) for words in map(str.split, lines) if words[1].startswith("rw") and words[1].endswith("s")
    }


def test_a_further_worker_is_a_fork_and_has_everything_for_itself(hosted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a holder, too, is of one directory: what is imported may read files there
    with with_holder(hosted, limits=lw.Limits(open_files=213)) as pool:
        holder = holder_of(pool)
        with pool.lease(hosted) as second, pool.lease(hosted) as third:
            processes = [process_of(second), process_of(third)]
            assert [lease.call(NUMBER) for lease in (second, third)] == [1, 1]
            for process in processes:
                pid = process.pid
                assert process.is_fork
                assert psutil.Process(pid).ppid() == os.getpid()
                assert os.getsid(pid) == os.getpgid(pid) == pid
                assert os.readlink(f"/proc/{pid}/cwd") == str(tmp_path)
                assert re.search(r"Max open files +213 +213 ", Path(f"/proc/{pid}/limits").read_text())
                assert Path(f"/proc/{pid}/oom_score_adj").read_text() == Path("/proc/self/oom_score_adj").read_text()
                assert process._mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            mine = [channels(pid) for pid in (holder, *(process.pid for process in processes))]
            assert all(not mine[a] & mine[b] for a, b in ((0, 1), (0, 2), (1, 2)))
            shared = [shared_memory(pid) for pid in (holder, *(process.pid for process in processes))]
            assert all(not shared[a] & shared[b] for a, b in ((0, 1), (0, 2), (1, 2)))
            directories = [lease._core.loan.worker.directory for lease in (second, third)]
            assert directories[0] != directories[1]
            for directory in directories:
                assert directory.stat().st_mode & 0o777 == 0o700
        snapshot = pool.snapshot()
        (shown,) = snapshot.holders
        assert (snapshot.forked, shown.served, shown.imports[0]) == (2, 2, "LeanWorker")
        assert shown.memory_kib > 0
        own = directories[0].parent
    assert not any(directory.exists() for directory in directories)
    assert (own in temporary._nests, own.exists()) == (False, hosted.sandbox is None)


def test_standard_error_is_the_worker_s_own():
    lines = []
    with with_holder(HELD_INTEROP, on_stderr=lines.append) as pool, pool.lease(HELD_INTEROP) as second:
        assert process_of(second).is_fork
        second.run(lw.StreamingCommand("stray_print"), on_row=lambda row: None)
        wait_until(lambda: lines)
        assert process_of(second).stderr_tail()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_holder_that_dies_or_stops_takes_no_worker_along(hosted, number):
    with with_holder(hosted) as pool, pool.lease(hosted) as second:
        assert process_of(second).is_fork
        holder = holder_of(pool)
        os.kill(holder, number)
        if number == signal.SIGKILL:
            wait_until(lambda: not is_running(holder))
        assert second.call(NUMBER) == 1
        with pool.lease(hosted) as third:
            assert not process_of(third).is_fork
            assert third.call(NUMBER) == 1
            wait_until(lambda: not is_running(holder) and pool.snapshot().holders, 60)
            third.cycle()
            assert process_of(third).is_fork
            assert [lease.call(NUMBER) for lease in (second, third)] == [1, 1]


def test_nothing_survives_a_parent_that_is_killed(tmp_path):
    program = (
        "import os, sys, time; sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "import test_forked_workers as t\n"
        "with t.with_holder(t.HELD_INTEROP) as pool, pool.lease(t.HELD_INTEROP) as second:\n"
        "    assert t.process_of(second).is_fork\n"
        "    print(t.holder_of(pool), t.process_of(second).pid, *pool._core.workers.pids(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, IMPORTABLE], stdout=subprocess.PIPE) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(set(pids)) == 3
        parent.kill()
    wait_until(lambda: not any(map(is_running, pids)))


def test_modules_that_are_built_again(tmp_path):
    def build(value):
        compile_modules(tmp_path, {"Ours": text_module(name="Ours.value", value=f'"\\"{value}\\""')})

    build("old")
    script = script_that_answers(tmp_path / "s.lean", "Ours.value", "Ours")
    capability = lw.LeanCapability(script, project=tmp_path, settings="none", toolchain="embedded")
    time.sleep(0.05)  # what is built in the kernel's tick of an import is not held
    with with_holder(capability) as pool:
        with pool.lease(capability) as second:
            assert process_of(second).is_fork
            assert second.call(ANSWER) == "old"
        build("new")
        with pool.lease(capability) as third:
            assert not process_of(third).is_fork
            assert third.call(ANSWER) == "new"


def test_a_changed_module_ends_the_holder_also_where_the_key_stays(held, tmp_path, monkeypatch):
    cache = copy_of_cache(tmp_path / "cache")
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(cache))
    with with_holder(held) as pool:
        holder = holder_of(pool)
        for module in cache.rglob("LeanWorker.olean"):
            os.utime(module)
        with pool.lease(held) as second:
            assert not process_of(second).is_fork
            assert second.call(NUMBER) == 1
        wait_until(lambda: not is_running(holder))


@pytest.mark.parametrize("way", ["argument", "variable", "none left"])
def test_without_a_holder(held, way, monkeypatch):
    capability = held
    if way == "argument":
        capability = dataclasses.replace(capability, reuse_imports=False)
    else:
        variable = {"variable": ("LEAN_WORKER_NO_HOLDERS", "1"), "none left": ("LEAN_WORKER_MOST_HOLDERS", "0")}[way]
        monkeypatch.setenv(*variable)
    assert capability.launch().can_be_held == (way != "argument")
    with lw.Pool(2) as pool, pool.lease(capability) as first, pool.lease(capability) as second:
        assert not pool._core.workers.holders.all()
        assert [lease.call(NUMBER) for lease in (first, second)] == [1, 1]
        assert (pool.snapshot().holders, pool.snapshot().forked) == ((), 0)


def test_only_so_many_holders_live_at_once(held, monkeypatch):
    monkeypatch.setenv("LEAN_WORKER_MOST_HOLDERS", "1")
    other = dataclasses.replace(held, options={"pp.all": True})
    with with_holder(held) as pool:
        first = holder_of(pool)
        with pool.lease(other) as lease:
            wait_until(lambda: not is_running(first) and pool.snapshot().holders, 60)
            lease.cycle()
            assert process_of(lease).is_fork


def test_a_pool_that_is_not_used_further_starts_no_holder(held):
    key = held.launch().key()
    with lw.Pool(2) as pool:
        core = pool._core.workers
        core.holders._is_lent = lambda key: False  # as if the lease had ended before; it may end later under load
        with pool.lease(held) as lease:
            started = process_of(lease)
            assert core.monitor.call(lambda: core._is_lent(key))
        assert not core.monitor.call(lambda: core._is_lent(key))
        wait_until(lambda: core.holders._due)
        assert not core.holders.all()
        with pool.lease(held) as lease:
            assert process_of(lease) is started
            assert len(core.holders.all()) == 1


def test_the_holder_of_older_files_ends(held, tmp_path):
    """Nobody asks for it any more, however often the script is edited."""
    before = None
    with lw.Pool(2) as pool:
        for number in range(3):
            edited = script_that_answers(tmp_path / "edited.lean", f'"{number}"')
            capability = dataclasses.replace(held, script=edited)
            with pool.lease(capability) as first, pool.lease(capability) as second:
                assert [lease.call(NUMBER) for lease in (first, second)] == [number] * 2
                wait_until(lambda old=before: pool.snapshot().holders and holder_of(pool) != old, 60)
            if before is not None:
                wait_until(lambda gone=before: not is_running(gone))
            before = holder_of(pool)


# -- holders that lie: they have run hosted code --

LIAR = """
import json, os, socket, sys
if sys.argv[1] != "--hold":
    os.execv(sys.executable, [sys.executable, "-m", "lean_worker.child", *sys.argv[1:]])
line = socket.socket(fileno=int(sys.argv[2]))
def tell(text):
    line.sendall(len(text).to_bytes(4, "big") + text)
way, other = os.environ["LIAR"].split()
way = way.replace("_", " ")
if way == "garbage":
    tell(b"[[[")
if way == "refuses":
    tell(b'{"refused": 7}')
tell(b'{"ready": {"files": 1, "imports": ["No"]}}')
data, descriptors, _, _ = socket.recv_fds(line, 1 << 20, 8)
if way == "another child":
    os.write(descriptors[3], b"pid " + other.encode() + b"\\nheld\\n")
if way == "itself":
    os.write(descriptors[3], b"pid %d\\nheld\\n" % os.getpid())
if way == "floods":
    while True:
        os.write(descriptors[3], b"x" * 4096)
if way == "closes":
    for descriptor in descriptors:
        os.close(descriptor)
    line.close()
sys.stdin.read()
"""


@dataclasses.dataclass(frozen=True)
class Lying:
    """The capability, with a holder that lies."""

    held: lw.LeanCapability
    way: str
    other: int

    def launch(self) -> Launch:
        launch = self.held.launch()
        argv = (launch.argv[0], "-c", LIAR, *launch.argv[3:])
        lie = f"{self.way.replace(' ', '_')} {self.other}"
        return dataclasses.replace(launch, argv=argv, env={**launch.env, "LIAR": lie})


@pytest.mark.parametrize("way", ["another child", "itself", "floods", "closes", "says nothing", "garbage", "refuses"])
def test_a_holder_that_lies_is_not_believed(held, way, monkeypatch):
    monkeypatch.setattr(parent_side, "_FORK_SECONDS", 1.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other, lw.Pool(2) as pool:
        capability = Lying(held, way, other.pid)
        with pool.lease(capability) as first:
            if way not in ("garbage", "refuses"):
                wait_until(lambda: pool.snapshot().holders, 60)
            with pool.lease(capability) as second:
                assert not process_of(second).is_fork
                assert [lease.call(NUMBER) for lease in (first, second)] == [1, 1]
        assert other.poll() is None
        other.communicate(b"\n")


# -- holders that misuse the permit to fork children of this process --

THIEF = """
import ctypes, json, os, signal, socket, sys, time
if "--hold" not in sys.argv:
    os.execv(sys.executable, [sys.executable, "-m", "lean_worker.child", *sys.argv[1:]])
from lean_worker import _import_once
from lean_worker.child import process_end, sandbox
line = socket.socket(fileno=int(sys.argv[2]))
def framed(answer):
    text = json.dumps(answer).encode()
    return len(text).to_bytes(4, "big") + text
rules = sandbox.rules_of(sys.argv[4], sys.path)
permits = sandbox.enter_as_holder(rules.with_writable(os.environ["TMPDIR"]))
socket.send_fds(line, [framed({"permits": True})], [permits])
os.close(permits)
line.sendall(framed({"ready": {"files": 1, "imports": []}}))
_, descriptors, _, _ = socket.recv_fds(line, 1 << 20, 8)
found = os.path.join(os.environ["TMPDIR"], "found")
def fork():
    pid = _import_once.fork_sibling()
    if pid == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        for number in range(64):
            if number != 2:
                try:
                    os.close(number)
                except OSError:
                    pass
        time.sleep(600)
    return pid
first = fork()
try:
    second = fork()
except PermissionError:
    second = 0
with open(found + ".new", "w") as file:
    file.write(f"{first} {second} {os.getpid()}")
os.rename(found + ".new", found)
for descriptor in descriptors:
    os.close(descriptor)
sys.stdin.read()
"""


def test_a_permit_is_worth_one_fork_and_what_came_of_it_is_ended(held, tmp_path, monkeypatch):
    launch = locked_in(held).launch()
    thieving = dataclasses.replace(launch, argv=(launch.argv[0], "-c", THIEF, *launch.argv[3:]))

    class Thief:
        def launch(self):
            return thieving

    seen = []
    end_with_stranger = parent_side.Holder._end_with_stranger

    def end(self, before):
        seen.extend(int(word) for word in (self._directory / "found").read_text().split())
        end_with_stranger(self, before)

    monkeypatch.setattr(parent_side.Holder, "_end_with_stranger", end)
    with lw.Pool(2) as pool, pool.lease(Thief()) as first:
        wait_until(lambda: pool.snapshot().holders, 60)
        with pool.lease(Thief()) as second:
            assert not process_of(second).is_fork
            stranger, refused, holder = seen
            assert refused == 0
            assert not is_running(stranger) and not is_running(holder)
            assert stranger not in [child.pid for child in psutil.Process().children()]
            assert [lease.call(NUMBER) for lease in (first, second)] == [1, 1]
