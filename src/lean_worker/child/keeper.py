"""Starts programs for a worker, one at a time, and leaves nothing of them; run by `programs.Keeper`.

Owns the process tree of a program. It is a process of its own, so that it outlives a worker that is killed: when the
worker's end of the socket closes, for whatever reason, the whole tree is killed. As the subreaper of its descendants it
also finds those that made themselves a session, or that ignore SIGTERM. It has one thread, and imports nothing from
outside the standard library and this package.

With a Lean library it also elaborates files. Lean is initialised here once, and each file gets a fork of that state
instead of a program: most of what a short run of Lean costs is its start. A fork has only the thread that forked, and
Lean has by then one other, which waits for timers and sockets. What needs that one would wait for ever in a fork, so
whoever asks runs a file again in a process of its own (`fresh`) when it waited instead of working. At start a fork is
tried out; a Lean that does not bear it gets a process for each file.

A fork can also become a *holder* (`header_holder`): a keeper of its own, which has imported what one header names, and
whose files are spared the import.

The worker speaks JSON behind a length of four bytes, over the socket that is this process's standard input:

    run    {"argv": […]} or {"lean": […], "fresh": false}, with "cwd"; three descriptors: its input, output, errors.
           With "readable": paths, it may read those too.
           With "output": name, Lean writes the compiled module of that name into the file's temporary directory, which
           then is not emptied: the answer names it as "directory", and the worker deletes it
    hold   {"hold": {…}}, see `header_holder`; one descriptor: the holder's end of a socket like this one
    kill   {"kill": true}
    answer {"ready": "exec" | "fork" | "spawn"} or {"refused": text} once, then for each run
           {"started": nonce}, and at its end, or instead if it could not be started,
           {"exit_code": n | null, "signal": n | null, "not_started": text | null, "left": n, "cpu_seconds": x,
            "import_seconds": x | null, "nonce": nonce | null, "directory": path | null}

The second answer is sent when the program has ended and nothing of its tree is left; `left` says how many processes it
had left behind.

A program or file is hosted code, and this process judges it. A hosted process has no descriptor of this process, of the
worker or of another run; is locked in before the first of its own instructions if there are `Rules`; and, if it is a
file, gets an empty temporary directory. The nonce is drawn when the fork is made already, so that the fork does not
know it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from ..base import linux_calls, process_tree
from ..errors import CapabilityError
from .empty_directory import EmptyDirectory
from .hosted_descriptors import leave_descriptors, open_descriptors
from .lean_driver import print_by_line
from .lean_library import options, preload
from .sandbox import Rules, enter_from_refused, hide_memory, refuse_calls, show_memory

_DRIVER = "import sys; sys.path.append(sys.argv.pop(1)); from lean_worker.child.lean_driver import run; run()"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 5.0
_LINGER_SECONDS = 0.1
_QUIET_SECONDS = 2.0
_TRIAL_SECONDS = 10.0
MOST_MICROSECONDS = 10**12
"""A time that no import takes."""
_PACKAGES = Path(__file__).resolve().parents[2]
IMPORT_MODULES = "l_Lean_importModules"
"""The function through which Lean's driver loads what a header names."""
_IS_LINUX = sys.platform == "linux"
# Looked up once: in a fork for each file it would be a part of the file's cost.
_libc = ctypes.CDLL(None)


class Keeper:
    """The loop of this process; see above.

    Args:
        worker: The socket to the worker.
        library: Path of the Lean library, if it should elaborate files.
        rules: What hosted code may touch; None if it is not locked in.
        fork_holder: Forks a holder; gets the keeper, the worker's wishes and the socket.

    Attributes:
        worker: The socket to the worker.
        library_path: Path of the Lean library.
        rules: What hosted code may touch.
        lean_main: Lean's command line; None if forks of it do not work.
        lean_main_address: The address of that function.
        temporary_parent: The directory in which files get a directory of their own.
        last_message: The message that is served, its length before it.
    """

    def __init__(
        self,
        worker: socket.socket,
        library: str | None,
        rules: Rules | None,
        fork_holder: Callable[[Keeper, dict[str, Any], int], None] | None = None,
    ) -> None:
        self.worker = worker
        self.library_path = library
        self.rules = rules
        self.lean_main: Callable[..., int] | None = None
        self.lean_main_address = 0
        self.temporary_parent = ""
        self.last_message = b""
        self._fork_holder = fork_holder
        self._temporary: EmptyDirectory | None = None
        self._nonce: str | None = None
        self._keeps_output = False
        self._root = 0
        self._ended: tuple[int, float] | None = None
        self._buffer = bytearray()
        self._descriptors: list[int] = []
        self._wake_read, self._wake_write = os.pipe()
        # Shared with forks: how long the import of the running file took.
        self._microseconds = mmap.mmap(-1, mmap.PAGESIZE)
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        adopt_orphans(yes=True)

    def abandon(self) -> None:
        """In a fork that becomes another keeper: close this one's descriptors."""
        signal.set_wakeup_fd(-1)
        self.worker.close()
        self._microseconds.close()
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)

    def serve(self) -> None:
        """Serve until the worker is gone."""
        try:
            self._prepare_rules()
        except (CapabilityError, OSError) as error:
            self.tell(refused=str(error))
            return
        self.tell(ready=self._prepare_lean())
        self.loop()

    def loop(self) -> None:
        """Run what the worker asks for until the worker is gone."""
        poller = select.poll()
        poller.register(self.worker, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        while True:
            has_news = not self._root and self.serve_repeats()
            ready = [descriptor for descriptor, _ in poller.poll(0 if has_news else None)]
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            self._reap()
            if self._root and self._ended is not None:
                self._finish()
            is_gone = self.worker.fileno() in ready and not self._receive()
            for message in self._messages():
                if "kill" in message:
                    self._kill_tree()
                elif "hold" in message:
                    assert self._fork_holder is not None
                    self._fork_holder(self, message["hold"], self._descriptors.pop(0))
                else:
                    self._run(message)
            if is_gone:
                self._kill_tree()
                return
            # Ended in between, or by the kill: its signal may have been read away above.
            if self._root and self._ended is not None:
                self._finish()

    def serve_repeats(self) -> bool:
        """Serve requests that are like the last one in a quicker way, if there is one, until something else comes.

        Returns:
            Whether `take_over` was called.
        """
        return False

    def take_over(
        self, data: bytes, descriptors: list[int], root: int, ended: tuple[int, float] | None, nonce: str, words: str
    ) -> None:
        """Go on with what `serve_repeats` has found.

        Args:
            data: What was read from the worker.
            descriptors: Those that came with it.
            root: The file that runs or has ended; 0 for none.
            ended: Its wait status and processor time; None if it runs.
            nonce: Its nonce, which the worker knows.
            words: The reason why it could not be started, "" if it was.
        """
        self._buffer += data
        self._descriptors += descriptors
        if not root:
            return
        if words:
            self._tell_end(not_started=words, nonce=nonce)
        else:
            self._root, self._ended, self._nonce, self._keeps_output = root, ended, nonce, False

    # -- the worker --

    def _receive(self) -> bool:
        """Read what there is to read, which waits if there is nothing; False if the worker is gone.

        It would wait although it has flags: `recv_fds` ignores them (CPython's gh-107898).
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self.worker, 1 << 16, 3)
        except OSError:
            return False
        self._descriptors += descriptors
        self._buffer += data
        return bool(data)

    def _messages(self) -> Iterator[dict[str, Any]]:
        """The messages that were read."""
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) < end:
                return
            self.last_message = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield json.loads(self.last_message[4:])

    def tell(self, **answer: object) -> None:
        """Send an answer to the worker."""
        text = json.dumps(answer).encode()
        # A worker that is gone is noticed when it is read from.
        with contextlib.suppress(OSError):
            self.worker.sendall(len(text).to_bytes(4, "big") + text)

    def _tell_end(self, **facts: object) -> None:
        nothing = {"exit_code": None, "signal": None, "not_started": None, "left": 0, "cpu_seconds": 0.0}
        self.tell(**{**nothing, "import_seconds": None, "nonce": None, "directory": None, **facts})

    # -- one program --

    def _run(self, job: dict[str, Any]) -> None:
        words = self._start(job)
        if words:
            self._tell_end(not_started=words)
            return
        # The fork exists already, so that it does not know the nonce.
        self._nonce = os.urandom(16).hex()
        self.tell(started=self._nonce)

    def _start(self, job: dict[str, Any]) -> str:
        """Start a program or a fork of Lean; the return value says why it could not be started, "" if it was."""
        descriptors, self._descriptors = self._descriptors[:3], self._descriptors[3:]
        error_read, error_write = os.pipe()
        self._ended = None
        is_fork = "lean" in job and self.lean_main is not None and not job.get("fresh")
        self._keeps_output = job.get("output") is not None
        if self._keeps_output:
            job = {**job, "lean": ["-o", os.path.join(_temporary_directory(), job["output"]), *job["lean"]]}
        sys.stderr.flush()
        # All of it: what one file leaves there, the next must not find.
        self._microseconds[:] = bytes(mmap.PAGESIZE)
        pid = self.fork_file(job, descriptors, (error_read, error_write)) if is_fork else None
        if pid is None:
            opened = open_descriptors()
            pid = os.fork()
            if pid == 0:
                try:
                    self._become(job, descriptors, opened, error_write, is_fork=is_fork)
                except BaseException as error:
                    os.write(error_write, str(error).encode("utf-8", "replace")[:4096])
                os._exit(127)
        self._root = pid
        os.close(error_write)
        for descriptor in descriptors:
            os.close(descriptor)
        # It is closed before the first instruction of hosted code.
        words = _read_all(error_read)
        os.close(error_read)
        if words:
            os.waitpid(self._root, 0)
            self._root = 0
        return words.decode("utf-8", "replace")

    def _become(
        self, job: dict[str, Any], descriptors: list[int], opened: list[int], error_write: int, *, is_fork: bool
    ) -> None:
        """In the new process: be the program."""
        signal.set_wakeup_fd(-1)
        for ignored in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        keeper = os.getppid()
        os.setsid()
        if _IS_LINUX:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != keeper:
                os._exit(127)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        if job.get("cwd"):
            os.chdir(job["cwd"])
        ours = {*self.own_descriptors(), *descriptors}
        leave_descriptors(opened, ours, kept=error_write)
        show_memory()
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this one goes, and no judge
        rules = self.rules_now()
        if rules is not None:
            for path in job.get("readable", ()):
                rules = rules.with_readable(path)
            enter_from_refused(rules)
        if is_fork:
            os.close(error_write)
            self.elaborate(job["lean"])
        argv = job["argv"] if "argv" in job else self._driver(job["lean"])
        os.execvp(argv[0], argv)

    def fork_file(self, job: dict[str, Any], descriptors: list[int], failure: tuple[int, int]) -> int | None:
        """Fork a process that becomes a file by itself, and return its number; None to do it step by step.

        Args:
            job: See the module.
            descriptors: The file's standard input, output and errors.
            failure: The ends of a pipe, of which the second gets the words for what could not be done.
        """
        return None

    @property
    def wake_descriptor(self) -> int:
        """Readable when a child has ended, or once more; does not block."""
        return self._wake_read

    def own_descriptors(self) -> set[int]:
        """The descriptors of this process that no hosted process gets."""
        return {self.worker.fileno(), self._wake_read, self._wake_write}

    def elaborate(self, arguments: list[str]) -> None:
        """In a fork: run Lean's command line, and end the process."""
        self._measure_import()
        print_by_line()
        self.run_lean(arguments)

    def run_lean(self, arguments: list[str]) -> NoReturn:
        """Run Lean's command line in this process, and end the process."""
        assert self.lean_main is not None
        argv = self.arguments_of(arguments)
        code = self.lean_main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))
        ctypes.CDLL(None).fflush(None)
        os._exit(code & 0xFF)

    def arguments_of(self, arguments: list[str]) -> list[bytes]:
        """Return the whole command line of Lean for a file with these arguments."""
        assert self.library_path is not None
        own = options(Path(self.library_path))
        return [os.fsencode(argument) for argument in ("lean", *own, *arguments)]

    def _measure_import(self) -> None:
        address = address_of(IMPORT_MODULES)
        # Without the compiled part, or where code cannot be changed, nothing is known of the import.
        with contextlib.suppress(ImportError, OSError):
            from .. import _import_once

            if address:
                _import_once.measure(address, self.microseconds_address())

    def microseconds_address(self) -> int:
        """Return the address of the 8 bytes for the time of an import."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._microseconds))

    def import_seconds(self) -> float | None:
        """Return how long the last import of this process or a fork took; None if that is not known."""
        microseconds = int.from_bytes(self._microseconds[:8], sys.byteorder)
        return microseconds / 1e6 if 0 < microseconds < MOST_MICROSECONDS else None

    def _driver(self, arguments: list[str]) -> list[str]:
        assert self.library_path is not None
        return [sys.executable, "-I", "-S", "-c", _DRIVER, str(_PACKAGES), self.library_path, *arguments]

    # -- its end --

    def _reap(self) -> bool:
        """Collect what has ended; whether nothing is left below us. All that lost its parent is our child."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._root:
                self._ended = (status, usage.ru_utime + usage.ru_stime)

    def _finish(self) -> None:
        """The program itself has ended: end what it left, and say how it ended."""
        assert self._ended is not None
        status, cpu_seconds = self._ended
        # Helpers that notice the end of their program by themselves are not left behind.
        end = time.monotonic() + _LINGER_SECONDS
        while not self._reap() and time.monotonic() < end:
            time.sleep(0.001)
        left = 0 if self._reap() else max(1, len(process_tree.descendants(os.getpid())))
        self._kill_tree()
        if not _IS_LINUX:
            with contextlib.suppress(OSError):
                os.killpg(self._root, signal.SIGKILL)
        if self.rules is not None and not self._reap():
            os._exit(1)  # it would meet the next file; the worker ends too, and this file is lost
        directory = None
        if self._temporary is not None:
            if self._keeps_output:
                directory = self._temporary.give_away()
            else:
                self._temporary.renew()
            os.environ["TMPDIR"] = self._temporary.path
        self._root, self._ended = 0, None
        by_signal = os.WIFSIGNALED(status)
        self._tell_end(
            exit_code=None if by_signal else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if by_signal else None,
            left=left,
            cpu_seconds=cpu_seconds,
            import_seconds=self.import_seconds(),
            nonce=self._nonce,
            directory=directory,
        )
        self._nonce = None

    def _kill_tree(self) -> None:
        """Kill every descendant until there is none; those that are orphaned meanwhile become our own children."""
        end = time.monotonic() + _KILL_SECONDS
        # Only a process that the kernel holds in a device wait, or one of another user, stays that long.
        while not self._reap() and time.monotonic() < end:
            if self._root and self._ended is None:
                with contextlib.suppress(OSError):
                    os.killpg(self._root, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.kill(self._root, signal.SIGKILL)
            for pid in process_tree.descendants(os.getpid()):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    # -- isolation --

    def _prepare_rules(self) -> None:
        """Give files a temporary directory of their own, and find out whether a process can be locked in.

        Raises:
            CapabilityError: The system cannot lock it in.
        """
        if self.library_path is not None:
            self.use_temporary_directory(_temporary_directory())
        rules = self.rules_now()
        if rules is None:
            return
        hide_memory()
        # Here, since it costs more than all the rest of a fork. It also keeps Lean from using io_uring, whose memory
        # all forks would share with this process.
        refuse_calls(rules)
        error_read, error_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                enter_from_refused(rules)
            except BaseException as error:
                os.write(error_write, str(error).encode("utf-8", "replace")[:4096])
            os._exit(0)
        os.close(error_write)
        words = _read_all(error_read)
        os.close(error_read)
        os.waitpid(pid, 0)
        if words:
            raise CapabilityError(words.decode("utf-8", "replace"))

    def use_temporary_directory(self, parent: str) -> None:
        """Give files a directory in `parent`."""
        self.temporary_parent = parent
        self._temporary = EmptyDirectory(parent)
        os.environ["TMPDIR"] = self._temporary.path

    def rules_now(self) -> Rules | None:
        """Return the rules for the next hosted process, with its temporary directory."""
        return None if self.rules is None else self.rules.with_writable(_temporary_directory())

    # -- Lean --

    def _prepare_lean(self) -> str:
        if self.library_path is None:
            return "exec"
        if not _IS_LINUX:
            return "spawn"
        try:
            preload(Path(self.library_path))
            library = ctypes.CDLL(self.library_path, mode=ctypes.RTLD_GLOBAL)
            # In a split library the functions may be in a part that this one does not name as needed.
            initialize = getattr(library, "lean_initialize", None) or ctypes.CDLL(None).lean_initialize
            lean_main = getattr(library, "lean_main", None) or ctypes.CDLL(None).lean_main
            self.lean_main = lean_main
            self.lean_main_address = ctypes.cast(lean_main, ctypes.c_void_p).value or 0
        except (OSError, AttributeError):
            return "spawn"  # what is wrong with it is said by the driver, for each file
        initialize.restype = None
        initialize()
        if others_sleep() and self.try_out("prelude\n", 0) and self.try_out("prelude\n#", 1):
            return "fork"
        self.lean_main = None
        return "spawn"

    def try_out(self, text: str, expected_code: int, arguments: tuple[str, ...] = ("--json",)) -> bool:
        """Return whether a fork elaborates `text` to the exit code that it must have."""
        text_read = text_descriptor(text)
        null = os.open(os.devnull, os.O_RDWR)
        self._descriptors = [text_read, null, os.dup(null)]
        if self._start({"lean": [*arguments, "--stdin"]}):
            return False
        end = time.monotonic() + _TRIAL_SECONDS
        while self._ended is None and time.monotonic() < end:
            select.select([self._wake_read], [], [], 0.05)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            self._reap()
        if self._ended is None:
            self._kill_tree()
        status = self._ended[0] if self._ended is not None else -1
        self._root, self._ended = 0, None
        return os.WIFEXITED(status) and os.WEXITSTATUS(status) == expected_code


def _temporary_directory() -> str:
    return os.environ.get("TMPDIR") or tempfile.gettempdir()


def others_sleep() -> bool:
    """Return whether all other threads have come to rest, so that none of them holds a lock that a fork would need."""
    end = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < end:
        others = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
        if all(process_tree.state(f"self/task/{thread}") == "S" or _is_of_kernel(thread) for thread in others):
            return True
        time.sleep(0.001)
    return False


def _is_of_kernel(thread: str) -> bool:
    """Whether it is a thread that the kernel runs for this process's io_uring: it never comes into a fork."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/comm") as file:
        return file.read().startswith("iou-")
    return False


def text_descriptor(text: str) -> int:
    """Return a new descriptor from which `text` can be read, of any length."""
    descriptor = linux_calls.memory_file("text")
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(text.encode("utf-8", "surrogatepass"))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _read_all(descriptor: int) -> bytes:
    data = b""
    while chunk := os.read(descriptor, 4096):
        data += chunk
    return data


def address_of(function: str) -> int:
    """Return the address of a function in what is loaded, 0 if there is none of that name."""
    with contextlib.suppress(AttributeError):
        return ctypes.cast(getattr(ctypes.CDLL(None), function), ctypes.c_void_p).value or 0
    return 0


def adopt_orphans(*, yes: bool) -> None:
    """Make descendants that lose their parent children of this process, or of the next such process above it."""
    if _IS_LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)
