"""What a checked file may try against those who judge it and against other files: `judge_attacks.py NAME TARGETS`.

Run by a program below the elaborated file; the file's process is its parent, the keeper that process's, the worker the
keeper's. Writes a JSON object to stderr: the attack, what succeeded, and how often something was refused.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from attacks import call

libc = ctypes.CDLL(None, use_errno=True)
FILE = os.getppid()
outcomes = {}
refused = 0


def attempt(what, function, *arguments):
    global refused
    try:
        outcomes[what] = repr(function(*arguments))
    except OSError:
        refused += 1


def judges():
    """The keeper and, if /proc shows it, the worker. Never a guess: without protection it would hit a bystander."""
    found = [int(Path(f"/proc/{FILE}/stat").read_text().rpartition(")")[2].split()[1])]
    try:
        found.append(int(Path(f"/proc/{found[0]}/stat").read_text().rpartition(")")[2].split()[1]))
    except OSError:
        pass
    return found


def frames():
    """The answers that a keeper could give, for this file and for three more."""
    answer = {"exit_code": 0, "signal": None, "not_started": None, "left": 0, "cpu_seconds": 0.0}
    text = b""
    for _ in range(4):
        for message in ({"started": "0"}, {**answer, "nonce": "0"}, answer, {**answer, "nonce": None}):
            data = json.dumps(message).encode()
            text += len(data).to_bytes(4, "big") + data
    return text


def take_descriptors(targets):
    """Every descriptor of the file and of its judges, each used to send answers."""

    def send(pid, number):
        taken = call(438, 438, os.pidfd_open(pid), number, 0)
        os.write(taken, frames())

    for pid in (FILE, *judges()):
        for number in range(3, 16):
            attempt(f"descriptor {number} of {pid}", send, pid, number)


def open_descriptors(targets):
    for pid in (FILE, *judges()):
        for number in range(0 if pid != FILE else 3, 16):
            attempt(
                f"file {number} of {pid}",
                lambda p, n: os.write(os.open(f"/proc/{p}/fd/{n}", os.O_RDWR), frames()),
                pid,
                number,
            )


def list_descriptors(targets):
    """What the file's own process holds."""
    for number in os.listdir(f"/proc/{FILE}/fd"):
        attempt(number, os.readlink, f"/proc/{FILE}/fd/{number}")


def signals(targets):
    for number in (signal.SIGSTOP, signal.SIGCHLD, signal.SIGKILL):
        for pid in judges():
            attempt(f"signal {number} to {pid}", os.kill, pid, number)


def trace(targets):
    for pid in judges():
        attempt(f"tracing {pid}", call, 101, 117, 0x4206, pid, 0, 0)
        attempt(f"memory of {pid}", lambda p: open(f"/proc/{p}/mem", "r+b", 0).close(), pid)
        attempt(f"environment of {pid}", lambda p: Path(f"/proc/{p}/environ").read_bytes(), pid)
        here = ctypes.create_string_buffer(8)
        vector = struct.pack("QQ", ctypes.addressof(here), 8)
        attempt(f"reading {pid}", call, 310, 270, pid, vector, 1, vector, 1, 0)


def limits(targets):
    import resource

    for pid in judges():
        attempt(f"limit of {pid}", resource.prlimit, pid, resource.RLIMIT_CPU, (0, 0))
        attempt(f"limit of files of {pid}", resource.prlimit, pid, resource.RLIMIT_NOFILE, (3, 3))


def write_shared(targets):
    """The modules that later files load, and the later files."""
    for directory in [*targets["directories"], *os.environ["LEAN_PATH"].split(":")]:
        for path in sorted(Path(directory).rglob("*")):
            if path.suffix in (".lean", ".olean", ".json"):
                attempt(f"write {path}", lambda p: p.write_text(targets["text"]), path)
                attempt(f"remove {path}", os.remove, path)
                attempt(f"replace {path}", os.rename, path, f"{path}.old")
        attempt(f"mode of {directory}", os.chmod, directory, 0o777)
        attempt(f"rename {directory}", os.rename, directory, f"{directory}.old")
        attempt(f"new in {directory}", (Path(directory) / "New.olean").write_text, "x")


def leave_a_tree(targets):
    """Files for those who come later, in a tree that is hard to remove."""
    os.chdir(os.environ["TMPDIR"])
    for _ in range(300):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(os.environ["TMPDIR"])
    Path("left").write_text("x")
    os.mkdir("closed")
    Path("closed/left").write_text("x")
    outcomes["left"] = "a tree"


def look_around(targets):
    outcomes["temporary"] = os.listdir(os.environ["TMPDIR"])
    outcomes["environment"] = sorted(os.environ)
    with_mark = []
    try:
        names = os.listdir("/proc")
    except PermissionError:
        names = []
    for pid in names:
        try:
            if pid.isdecimal() and b"lean-worker-test-daemon" in Path(f"/proc/{pid}/cmdline").read_bytes():
                with_mark.append(pid)
        except OSError:
            pass
    outcomes["daemons"] = with_mark


def daemons(targets):
    """Processes that live on, each in a session of its own, and go on forging."""
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                code = "import time\nwhile True: time.sleep(1)"
                os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code, "lean-worker-test-daemon"])
            os._exit(0)
    attempt("parent", call, 56, 220, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
    time.sleep(0.05)
    outcomes["daemons"] = "started"


def many_processes(targets):
    for _ in range(targets["processes"]):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
    outcomes["processes"] = "started"


def forged_messages(targets):
    """Messages, results and frames on everything that can be written."""
    for number in (1, 2):
        for path in (f"/proc/{FILE}/fd/{number}", f"/proc/self/fd/{number}"):
            attempt(path, lambda p: os.write(os.open(p, os.O_WRONLY), b'{"exit_code": 0}\n' + frames() + b"\n"), path)


def sockets(targets):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        attempt(f"unix {kind}", socket.socket, socket.AF_UNIX, kind)
        attempt(f"pair {kind}", lambda k: [s.close() for s in socket.socketpair(socket.AF_UNIX, k)], kind)


ATTACKS = (
    take_descriptors, open_descriptors, list_descriptors, signals, trace, limits, write_shared, leave_a_tree,
    look_around, daemons, many_processes, forged_messages, sockets,
)  # fmt: skip

if __name__ == "__main__":
    attack = {function.__name__: function for function in ATTACKS}[sys.argv[1]]
    # In front of a signal that ends this process too.
    print(json.dumps({"attack": sys.argv[1], "outcomes": {}, "refused": 0}), file=sys.stderr, flush=True)
    attack(json.loads(sys.argv[2]))
    print(json.dumps({"attack": sys.argv[1], "outcomes": outcomes, "refused": refused}), file=sys.stderr, flush=True)
