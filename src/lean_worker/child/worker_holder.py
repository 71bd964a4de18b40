"""A process that has imported what a Lean script imports, and forks workers that need not import again.

Owns the way from such a holder to a worker. The holder starts like a worker, and has read no line of its script but the
header. It stays single-threaded. A worker is a fork of it and a child of the holder's parent (`sibling.h`). It gets
descriptors, environment, limits and process group of its own before it runs the script as every worker does.

The parent speaks JSON behind a length of four bytes, over a socket that the holder inherits:

    fork   {"arguments": […], "environment": {…}, "mark": text, "cwd": path | null, "parent": pid,
            "limits": [[number, soft, hard | null], …], "ring_bytes": n | null}
           with descriptors: the worker's input, output and errors; a pipe for reports; those of a ring
    answer {"ready": {"files": n, "imports": […]}} or {"refused": text}, once;
           in a sandbox before that {"permits": true}, with the descriptor of `seccomp.install_for_holder`

In a sandbox the process is locked in before it imports, and asks the parent for each fork. The worker locks itself in
again, with its own temporary directory and its own entries of /proc.

On the pipe for reports come the lines "pid N" from the holder, and "held" from the worker when Lean has taken the
import. If the pipe ends without both of them, there is no worker. A holder whose module files have changed ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .. import _import_once
from ..base import script_header
from ..errors import CapabilityError
from ..wire.protocol import RING_VARIABLE, TREE_VARIABLE
from . import olean_cache
from .held_import import HEADER_ARGUMENTS, NOT_SERVED, OTHER_HEADER, HeldImport
from .hosted_descriptors import leave_descriptors, open_descriptors
from .keeper import others_sleep, text_descriptor
from .lean_host import Hosting, Imported, compiled_bridge, prepare
from .lean_library import options
from .module_stamps import ModuleStamps, mapped_modules, search_path
from .sandbox import Rules

_START_SECONDS = 300.0
_TRIAL_SECONDS = 30.0
_MOST_DESCRIPTORS = 8
_PR_SET_PDEATHSIG = 1
_OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")
_OOM_SCORE = "500"
_OTHER_TEXT = "prelude\n"
_MAIN = "\ndef main : IO Unit := return Unit.unit\n"
# They would be loaded twice, or undo the import on one thread.
_REFUSED_ARGUMENTS = ("--plugin", "--load-dynlib", "-l")
# Modules that use libuv's loop. A command would wait for it until its time limit.
_OF_LOOP = "/Std/Internal/UV"
_DROPPED_ARGUMENTS = ("--threads=", "-j")

RunWorker = Callable[[list[str], Imported], NoReturn]


class WorkerHolder:
    """The holder's process.

    Args:
        descriptor: Its end of the socket.
        hosting: What its workers run.
        run_worker: Runs a worker to its end; gets the worker's command line, and what was imported.
        rules: The rules for its workers; None if they are not locked in.
        permits: The descriptor whose owner permits forks; it goes to the parent. None without `rules`.
    """

    def __init__(
        self, descriptor: int, hosting: Hosting, run_worker: RunWorker, rules: Rules | None, permits: int | None
    ) -> None:
        os.set_inheritable(descriptor, False)
        self._parent = socket.socket(fileno=descriptor)
        self._hosting = hosting
        self._run_worker = run_worker
        self._rules = rules
        if permits is not None:
            # Before any hosted code runs, which could otherwise permit itself.
            text = _framed({"permits": True})
            socket.send_fds(self._parent, [text], [permits])
            os.close(permits)
        self._held = HeldImport()
        self._header = ""
        self._imports: tuple[str, ...] = ()
        self._own_modules = Path()
        self._arguments: list[str] = []
        self._stamps: ModuleStamps | None = None
        self._began = 0
        self._buffer = bytearray()
        # Where /proc shows the mark, by which the parent finds what a worker has left. Not from Python's copy.
        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_void_p
        self._mark_address = libc.getenv(TREE_VARIABLE.encode())
        self._mark_bytes = len(os.environ.get(TREE_VARIABLE, ""))
        self._oom_score = _OOM_SCORE_FILE.read_text()
        # No memory is shared with a worker.
        self._microseconds = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def hold(self) -> NoReturn:
        """Import what the script imports, then fork workers until the parent closes the socket."""
        # An import that never ends must not leave this process behind.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _START_SECONDS)
        with contextlib.suppress(OSError):
            _OOM_SCORE_FILE.write_text(_OOM_SCORE)  # it can be replaced; a worker cannot
        try:
            with contextlib.ExitStack() as cleanup:
                self._prepare(cleanup)
            self._began = time.time_ns()
            address = ctypes.addressof(ctypes.c_char.from_buffer(self._microseconds))
            self._held.begin(self._header, address, None, self._has_imported)
        except (CapabilityError, OSError, ValueError) as error:
            self._refuse(str(error))
        self._run_lean([*HEADER_ARGUMENTS, *self._arguments, *_runnable(self._header)])

    def _prepare(self, cleanup: contextlib.ExitStack) -> None:
        arguments = [each for each in self._hosting.lean_arguments if not each.startswith(_DROPPED_ARGUMENTS)]
        if any(each.startswith(_REFUSED_ARGUMENTS) for each in arguments):
            raise ValueError("libraries that Lean loads are not held")
        if not self._mark_address:
            raise ValueError("this process has no mark")
        bridge = compiled_bridge()
        library = Path(self._hosting.library).absolute()
        self._own_modules = olean_cache.prepare(library)
        _, hosted = prepare(self._hosting, self._own_modules, cleanup)
        text = hosted.read_text("utf-8")
        found = script_header.read(text)
        if not found.imports:
            raise ValueError("the script imports nothing")
        self._header, self._imports = text[: found.end], found.imports
        self._arguments = [*options(library), *arguments]
        # libuv's queues for the kernel would be memory that all forks share. No worker inherits the variable.
        os.environ["UV_USE_IO_URING"] = "0"
        bridge.open_lean(os.fsencode(library))

    def _run_lean(self, arguments: list[str]) -> NoReturn:
        argv = [os.fsencode(argument) for argument in ("lean", *arguments)]
        code = ctypes.CDLL(None).lean_main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))
        ctypes.CDLL(None).fflush(None)
        os._exit(code & 0xFF)

    # -- in the middle of Lean's driver --

    def _has_imported(self) -> None:
        why = self._held.finish()
        if why:
            self._refuse(why)
        if not others_sleep():
            self._refuse("a thread that the script's modules started does not rest")
        if not self._works():
            self._refuse("a fork of it does not do what a process does")
        try:
            places = search_path(os.environ["LEAN_PATH"], None)
            files = mapped_modules()
            if any(_OF_LOOP in file for file in files):
                self._refuse("its modules wait for timers and sockets, on a thread that a fork does not have")
            self._stamps = ModuleStamps(files, self._imports, places, self._began)
        except ValueError as error:
            self._refuse(str(error))
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.freeze()  # so that a collection in a worker does not copy what both have
        self._tell(ready={"files": len(files), "imports": list(self._imports)})
        self._loop()
        os._exit(0)

    def _works(self) -> bool:
        return (
            self._try(self._header + _MAIN, 0)
            and self._try(self._header + "\n#", 1)
            and self._try(_OTHER_TEXT, OTHER_HEADER)
        )

    def _try(self, text: str, expected_code: int) -> bool:
        """Whether a fork elaborates `text` to the exit code that it must have."""
        pid = os.fork()
        if pid == 0:
            try:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                null = os.open(os.devnull, os.O_RDWR)
                for number in range(3):
                    os.dup2(null, number)
                self._held.repeat()
                self._run_lean([*self._arguments, *_runnable(text)])
            finally:
                os._exit(NOT_SERVED)
        end = time.monotonic() + _TRIAL_SECONDS
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.WIFEXITED(status) and os.WEXITSTATUS(status) == expected_code
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return False
            time.sleep(0.001)

    # -- the parent --

    def _refuse(self, why: str) -> NoReturn:
        self._tell(refused=why)
        os._exit(0)

    def _tell(self, **answer: object) -> None:
        with contextlib.suppress(OSError):  # a parent that is gone ends this process
            self._parent.sendall(_framed(answer))

    def _loop(self) -> None:
        descriptors: list[int] = []
        while True:
            data, received, _, _ = socket.recv_fds(self._parent, 1 << 16, _MOST_DESCRIPTORS)
            if not data:
                return
            descriptors += received
            self._buffer += data
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) < max(4, end):
                continue
            wishes = json.loads(bytes(self._buffer[4:end]))
            del self._buffer[:end]
            if not self._fork(wishes, descriptors):
                return
            descriptors = []

    def _fork(self, wishes: dict[str, Any], descriptors: list[int]) -> bool:
        """Fork a worker; False if this holder has to end instead."""
        told = descriptors[3]
        try:
            assert self._stamps is not None
            if not self._stamps.still_hold() or not others_sleep():
                return False
            sys.stderr.flush()
            opened = open_descriptors()
            pid = _import_once.fork_sibling()
            if pid == 0:
                self._become(wishes, descriptors, opened)
            os.write(told, b"pid %d\n" % pid)
        except OSError as error:
            print(f"lean-worker child: forking a worker: {error}", file=sys.stderr, flush=True)
            return False
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    # -- in the worker --

    def _become(self, wishes: dict[str, Any], descriptors: list[int], opened: list[int]) -> NoReturn:
        try:
            requests, frames, errors, told, *ring = descriptors
            os.setsid()
            for number, descriptor in enumerate((requests, frames, errors)):
                os.dup2(descriptor, number)
            os.set_inheritable(told, False)
            kept = {told, *ring}
            ours = {self._parent.fileno(), requests, frames, errors}
            leave_descriptors([each for each in opened if each not in kept], ours, kept=told)
            self._parent.detach()
            if os.getppid() != wishes["parent"]:
                os._exit(NOT_SERVED)
            _limit(wishes["limits"])
            with contextlib.suppress(OSError):
                _OOM_SCORE_FILE.write_text(self._oom_score)
            if wishes["cwd"] is not None:
                os.chdir(wishes["cwd"])
            self._take_environment(wishes, ring)
            imported = Imported(self._own_modules, lambda: self._held.repeat(told), self._rules)
        except BaseException:
            traceback.print_exc()
            os._exit(NOT_SERVED)
        self._run_worker(wishes["arguments"], imported)
        os._exit(NOT_SERVED)

    def _take_environment(self, wishes: dict[str, Any], ring: list[int]) -> None:
        environment: dict[str, str] = wishes["environment"]
        environment.pop(RING_VARIABLE, None)
        if ring:
            environment[RING_VARIABLE] = ",".join(map(str, (*ring, wishes["ring_bytes"])))
        mark = environment[TREE_VARIABLE].encode()
        if len(mark) != self._mark_bytes:
            raise ValueError("the mark has another length")
        # In place: of a process, /proc shows the memory that its environment had when a program was executed.
        ctypes.memmove(self._mark_address, mark, len(mark))
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        tempfile.tempdir = None  # it was that of the holder


def _framed(answer: dict[str, object]) -> bytes:
    text = json.dumps(answer).encode()
    return len(text).to_bytes(4, "big") + text


def _runnable(text: str) -> tuple[str, str]:
    """Return the arguments with which Lean runs a text as it runs a script; its options for other files differ."""
    descriptor = text_descriptor(text)
    return "--run", f"/proc/self/fd/{descriptor}"


def _limit(limits: list[tuple[int, int, int | None]]) -> None:
    for which, soft, hard in limits:
        with contextlib.suppress(OSError, ValueError):
            most = resource.getrlimit(which)[1]
            if hard is None:
                hard = most
            elif most != resource.RLIM_INFINITY:
                soft, hard = min(soft, most), min(hard, most)
            resource.setrlimit(which, (soft, hard))
