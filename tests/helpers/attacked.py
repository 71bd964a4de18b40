"""A parent whose worker runs every attack of `hosts/attacks.py`: `attacked.py HOST locked|open` prints what came of it.

HOST is "python", "lines", "check", "held" for a checked file whose imports a holder has made, or "forked" for a worker
that is a fork of one with its imports; or "hogs" for files that use up what `Limits` allows. The targets are a process,
files, sockets and shared memory of the same user. The one JSON object that is printed has the outcomes, and which of the targets are no longer as they were.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import lean_worker as lw

libc = ctypes.CDLL(None)
HOSTS = Path(__file__).parents[1] / "hosts"


class Targets:
    """Everything that a sandbox has to keep hosted code from."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name in ("file", "readable", "doomed", "moved"):
            (directory / name).write_text(name)
        with contextlib.suppress(OSError):  # not every file system has them
            os.setxattr(directory / "file", "user.secret", b"1")
        self._shared_memory = libc.shmget(0, 4096, 0o600)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process.stdout.readline()
        self._sockets = [socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        self._sockets += [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 0))]
        name = f"lean-worker-attacked-{os.getpid()}"
        for sock, address in zip(
            self._sockets, (str(directory / "datagram"), str(directory / "stream"), "\0" + name), strict=False
        ):
            sock.bind(address)
        self._sockets[1].listen()
        maps = Path(f"/proc/{self._process.pid}/maps").read_text()
        self.facts = {
            "pid": self._process.pid,
            "address": int(maps.partition("-")[0], 16),
            **{kind: str(directory / kind) for kind in ("file", "readable", "doomed", "moved")},
            "directory": str(directory),
            "datagram_socket": str(directory / "datagram"),
            "stream_socket": str(directory / "stream"),
            "abstract_socket": name,
            "shared_memory": self._shared_memory,
            "port": self._sockets[3].getsockname()[1],
        }
        self._before = self._state()

    def _state(self) -> dict[str, object]:
        pid = self._process.pid
        state: dict[str, object] = {
            "alive": self._process.poll() is None,
            "open files": resource.prlimit(pid, resource.RLIMIT_NOFILE),
            "processors": sorted(os.sched_getaffinity(pid)),
            "scheduler": os.sched_getscheduler(pid),
            "priority": os.getpriority(os.PRIO_PROCESS, pid),
            "own open files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "own processors": sorted(os.sched_getaffinity(0)),
        }
        for path in sorted(self._directory.iterdir()):
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode):
                text = (path.read_text(), facts.st_mode, facts.st_uid, facts.st_mtime_ns, os.listxattr(path))
                state[path.name] = text
        return state

    def changed(self) -> list[str]:
        """The names of the targets that are not as they were."""
        now = self._state()
        return sorted(name for name in self._before | now if self._before.get(name) != now.get(name))

    def close(self) -> None:
        libc.shmctl(self._shared_memory, 0, None)
        self._process.kill()
        self._process.communicate()
        for sock in self._sockets:
            sock.close()


_HOGS = {
    "processes": """
import os, time
end = time.monotonic() + 0.5
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        pass
""",
    "memory": "import mmap\nkept = []\nwhile True: kept.append(mmap.mmap(-1, 1 << 28))",  # not touched
    "one file": "import os; file = open(os.environ['TMPDIR'] + '/large', 'wb')\nwhile True: file.write(bytes(1 << 16))",
    "many files": "import os\nfor i in range(300): open(os.environ['TMPDIR'] + f'/{i}', 'wb').write(bytes(1 << 10))",
    "output": "import os\nfor i in range(2000): os.write(2, b'x' * 4000)",
}


def _verdicts(sandbox: lw.Sandbox | None) -> dict[str, str]:
    """The ends of files that use up all that they may, and of one good and one bad file after each."""
    from lean_files import accepted, ill_formed, runs_program

    files = []
    for name, code in _HOGS.items():
        files.append((name, runs_program([sys.executable, "-I", "-S", "-c", code])))
        files += [(f"good after {name}", accepted(0).text), (f"bad after {name}", ill_formed(0).text)]
    limits = lw.Limits(processes=100, file_size_kib=1 << 10)
    memory = lw.MemoryPolicy(address_space_kib=16 << 20)
    with lw.Pool(1, limits=limits, memory=memory) as pool:
        outcomes = lw.check(files, pool=pool, timeout=30, sandbox=sandbox, toolchain="embedded", in_order=True)
        return {checked.file: checked.verdict.value for checked in outcomes}


def _outcomes(host: str, targets: Targets, sandbox: lw.Sandbox | None) -> dict[str, str]:
    if host == "hogs":
        return _verdicts(sandbox)
    program = str(HOSTS / "attacks.py")
    if host == "python":
        capability = lw.PythonCapability("attacks:COMMANDS", path=[str(HOSTS)], sandbox=sandbox)
        with lw.Pool(1) as pool, pool.lease(capability) as lease:
            return lease.call(lw.JsonCommand("run_all", response=dict), targets.facts)
    if host == "forked":
        return _outcomes_of_fork(program, targets, sandbox)
    argv = [sys.executable, "-I", "-S", program, json.dumps(targets.facts)]
    if host == "lines":
        capability = lw.LinesCapability(argv, request="none", sandbox=sandbox)
        with lw.Pool(1) as pool, pool.lease(capability) as lease:
            (row,) = lease.collect(lw.StreamingCommand("lines")).rows
            return row.payload if hasattr(row, "payload") else row
    from lean_files import accepted, runs_program

    argv = ["/bin/sh", "-c", 'exec "$@" --stderr >&2', "sh", *argv]
    before = [(f"{i}", accepted(i).text) for i in range(2)] if host == "held" else []
    files = [*before, ("attack", runs_program(argv))]
    *_, checked = lw.check(files, jobs=1, timeout=60, sandbox=sandbox, toolchain="embedded", in_order=True)
    if host == "held" and checked.ran_as != "held":
        return {"it did not run in a holder": str(checked)}
    found = [line for line in checked.output.splitlines() if line.startswith("{")]
    return json.loads(found[0]) if found else {"it did not run": checked.output + str(checked)}


def _outcomes_of_fork(program: str, targets: Targets, sandbox: lw.Sandbox | None) -> dict[str, str]:
    from lean_files import hosts_program
    from support import wait_until

    argv = ["/bin/sh", "-c", 'exec "$@" --stderr >&2', "sh", sys.executable, "-I", "-S", program]
    script = Path(os.environ["TMPDIR"], "script.lean")
    script.write_text(hosts_program(argv))
    lines: list[str] = []
    capability = lw.LeanCapability(script, toolchain="embedded", imports=("LeanWorker",), sandbox=sandbox)
    with lw.Pool(1, on_stderr=lines.append) as pool, pool.lease(capability) as lease:
        wait_until(lambda: pool.snapshot().holders, 60)
        lease.cycle()
        assert pool.snapshot().forked == 1
        assert lease.call(lw.JsonCommand("program", response=int), targets.facts) == 0
        wait_until(lambda: any(line.startswith("{") for line in lines))
    return json.loads(next(line for line in lines if line.startswith("{")))


def main() -> None:
    host, how = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        targets = Targets(Path(directory))
        readable = [str(HOSTS), str(Path(directory, "readable"))]
        try:
            outcomes = _outcomes(host, targets, lw.Sandbox(readable=readable) if how == "locked" else None)
            print(json.dumps({"outcomes": outcomes, "changed": targets.changed()}))
        finally:
            targets.close()


if __name__ == "__main__":
    main()
