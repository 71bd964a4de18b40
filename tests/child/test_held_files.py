"""Files that are forked and served without Python: what is answered, and what is left to Python as it was found."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.compiled, pytest.mark.skipif(sys.platform != "linux", reason="Linux only")]

# A holder without Lean: what its files run is a function of C. It gets the number of arguments, and returns the exit code.
_HOLDER = """
import ctypes, json, mmap, os, signal, sys, tempfile
from lean_worker import _import_once
worker, what, function, message = int(sys.argv[1]), sys.argv[2], sys.argv[3], bytes.fromhex(sys.argv[4])
wake, failure = os.pipe(), os.pipe()
for end in (*wake, failure[0]):
    os.set_blocking(end, False)
signal.signal(signal.SIGCHLD, lambda number, frame: None)
signal.set_wakeup_fd(wake[1])
shared = mmap.mmap(-1, mmap.PAGESIZE)
temporary = tempfile.mkdtemp()
main = ctypes.cast(ctypes.CDLL(None)[function], ctypes.c_void_p).value
directory = os.path.join(temporary, "none").encode() if what == "no directory" else None
locked_in = (b"no ruleset", [], 1) if what == "no ruleset" else (None, [], None)
file = _import_once.HeldFile([worker, *wake, *failure], [], directory, *locked_in, [b"x", b"y", b"z"], main, b"", b"")
if what == "a file":
    open(os.path.join(temporary, "left"), "w").close()
if what == "a process" and os.fork() == 0:
    os.close(1)
    os.close(2)
    signal.pause()
opened = len(os.listdir("/proc/self/fd"))
found = file.serve(
    worker, wake[0], failure, temporary.encode(), ctypes.addressof(ctypes.c_char.from_buffer(shared)), mmap.PAGESIZE,
    10**12, message,
)
data, received, pid, ended, nonce, words = found
leaks = len(os.listdir("/proc/self/fd")) - opened - len(received)
print(json.dumps([data.decode(), len(received), pid > 0, None if ended is None else ended[0], nonce, words, leaks]))
"""
MESSAGE = b"\0\0\0\1x"


class Service:
    """The worker of such a holder."""

    def __init__(self, what="", function="abs"):
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(60)
        command = [sys.executable, "-c", _HOLDER, str(theirs.fileno()), what, function, MESSAGE.hex()]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        theirs.close()
        self._null = os.open(os.devnull, os.O_RDWR)

    def send(self, message=MESSAGE, descriptors=3):
        socket.send_fds(self._ours, [message], [self._null] * descriptors)

    def answer(self):
        text = self._ours.recv(4, socket.MSG_WAITALL)
        return json.loads(self._ours.recv(int.from_bytes(text, "big"), socket.MSG_WAITALL))

    def hang_up(self):
        self._ours.shutdown(socket.SHUT_WR)

    def end(self):
        """The results of `serve`: data, number of descriptors, whether a file is untold, its status, its nonce, words."""
        output, errors = self._process.communicate(timeout=60)
        assert errors == b"", errors.decode()
        *found, leaks = json.loads(output)
        assert leaks == 0
        return found

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._ours.close()
        os.close(self._null)


@pytest.fixture
def start():
    with contextlib.ExitStack() as cleanup:

        def start(*arguments):
            service = Service(*arguments)
            cleanup.callback(service.close)
            return service

        yield start


OTHERS = {"another": (b"\0\0\0\1o", 3), "fewer descriptors": (MESSAGE, 1), "a part": (MESSAGE[:3], 0)}


@pytest.mark.parametrize("other", OTHERS)
def test_requests_that_are_alike_are_served_until_another_comes(start, other):
    service = start()
    nonces = set()
    for _ in range(5):
        service.send()
        nonce = service.answer()["started"]
        end = service.answer()
        assert end.pop("cpu_seconds") >= 0
        assert end == {
            "exit_code": 3, "signal": None, "not_started": None, "left": 0, "import_seconds": None, "nonce": nonce,
            "directory": None,
        }  # fmt: skip
        nonces.add(nonce)
    assert len(nonces) == 5 and {len(nonce) for nonce in nonces} == {32}
    message, descriptors = OTHERS[other]
    service.send(message, descriptors)
    assert service.end()[:4] == [message.decode(), descriptors, False, None]


def test_a_worker_that_is_gone(start):
    service = start()
    service.send()
    service.answer()
    assert service.answer()["exit_code"] == 3
    service.hang_up()
    assert service.end()[:4] == ["", 0, False, None]


def test_the_end_by_a_signal(start):
    service = start("", "abort")
    for _ in range(2):
        service.send()
        service.answer()
        end = service.answer()
        assert (end["exit_code"], end["signal"]) == (None, signal.SIGABRT)


@pytest.mark.parametrize("left", ["a file", "a process"])
def test_what_a_file_leaves_is_left_to_python(start, left):
    service = start(left)
    service.send()
    nonce = service.answer()["started"]
    data, received, is_untold, status, told, words = service.end()
    assert (data, received, is_untold, told, words) == ("", 0, True, nonce, "")
    assert os.waitstatus_to_exitcode(status) == 3


def test_a_file_that_runs_when_the_worker_speaks_is_left_to_python(start):
    service = start("", "pause")
    service.send()
    nonce = service.answer()["started"]
    service.send(b"\0\0\0\1k", 0)
    assert service.end() == ["", 0, True, None, nonce, ""]


@pytest.mark.parametrize(
    "what, words", [("no directory", "/none: No such file or directory"), ("no ruleset", "Landlock: ")]
)
def test_a_file_that_could_not_be_started_says_why(start, what, words):
    service = start(what)
    service.send()
    nonce = service.answer()["started"]
    _, _, is_untold, status, told, found = service.end()
    assert is_untold and told == nonce and words in found
    assert os.waitstatus_to_exitcode(status) == 127
