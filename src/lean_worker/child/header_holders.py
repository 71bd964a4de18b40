"""The holders of a worker that checks files: for which headers there is one, since when, and until when.

Owns the choice whether a file runs in a holder. A holder is started for the second file with the same header, arguments
and setup. At most so many live at once; the one that was not used for the longest time goes first. A holder whose
module files have changed is dropped before a file runs. Whatever is not certain means: no holder.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

import msgspec

from ..base import process_tree, script_header
from ..base.holder_limits import is_off, most_holders
from ..wire.protocol import HOLDERS_FILE
from .keeper_link import KeeperLink
from .module_stamps import ModuleStamps, search_path
from .programs import Keeper

OTHER_HEADER = 96
_START_SECONDS = 30.0
_MOST_FAILURES = 3
_KNOWN_HEADERS = 1024
_HEADER_BYTES = 1 << 16
_STRAY_SECONDS = 5.0
_SHOWN_IMPORTS = 20
# Run for each file, also in a fork; not tried.
_REFUSED_ARGUMENTS = ("--plugin", "--load-dynlib", "-l", "--incr", "--run", "--deps", "--setup")


@dataclasses.dataclass(frozen=True)
class Header:
    """The things that files must have in common to be run by the same holder.

    Args:
        text: The text from the file's beginning to the end of its last import.
        imports: The modules that it names.
        arguments: Lean's arguments without those that name the file.
        setup: Lake's answer about the file.
    """

    text: str
    imports: tuple[str, ...]
    arguments: tuple[str, ...]
    setup: str


def header_of(text: str | None, path: str, arguments: Sequence[str], setup: str) -> Header | None:
    """Return the header of a file, or None if files like this are not run by a holder.

    Args:
        text: The file's text; None to read it.
        path: The file, if there is no text.
        arguments: Lean's arguments without those that name the file and its setup.
        setup: Lake's answer about the file.
    """
    if any(argument.startswith(_REFUSED_ARGUMENTS) for argument in arguments) or _loads_libraries(setup):
        return None
    if text is None:
        try:
            with open(path, "rb") as file:
                data = file.read(_HEADER_BYTES + 1)
            text = data[:_HEADER_BYTES].decode("utf-8", "strict" if len(data) <= _HEADER_BYTES else "ignore")
        except (OSError, UnicodeDecodeError):
            return None
    beginning = text[:_HEADER_BYTES]
    found = script_header.read(beginning)
    # Where the text was cut a name may be cut too.
    if not found.imports or "\0" in beginning[: found.end] or found.end >= min(len(beginning), _HEADER_BYTES - 4):
        return None
    return Header(text[: found.end], found.imports, tuple(arguments), setup)


def _loads_libraries(setup: str) -> bool:
    if not setup:
        return False
    try:
        table = msgspec.json.decode(setup)
    except msgspec.DecodeError:
        return True
    return not isinstance(table, dict) or bool(table.get("plugins") or table.get("dynlibs") or table.get("importArts"))


class HeldKeeper(KeeperLink):
    """A holder: a keeper that is a child of this process, though forked by another one.

    Attributes:
        stamps: The module files that it has imported.
        served: Files that it was asked to run.
    """

    def __init__(self, connected: socket.socket, pid: int, stamps: ModuleStamps) -> None:
        super().__init__(connected)
        self.pid = pid
        self.stamps = stamps
        self.served = 0
        self._watcher = threading.Thread(target=self._watch, name="lean-worker-holder", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        """Kill it if it is stopped, so that whoever waits for it sees its end."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            os.kill(self.pid, signal.SIGKILL)  # not reaped before this thread has ended

    def is_alive(self) -> bool:
        """Return whether it has neither ended nor been stopped."""
        return self._watcher.is_alive()

    def close(self) -> None:
        """End it, and collect it."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._watcher.join()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class Holders:
    """See the module. For one thread.

    Args:
        keeper: What forks holders.
        lean_path: The LEAN_PATH that Lean gets.
        directory: Where Lean runs.
        wake_descriptor: Readable when the running request was cancelled.
        most: How many live at once; None for as many as memory and processors suggest.
        kinds: The known arguments of Lean's `importModules`; None to go by Lean's version.
    """

    def __init__(
        self,
        keeper: Keeper,
        lean_path: str,
        directory: str | None,
        wake_descriptor: int,
        most: int | None = None,
        kinds: str | None = None,
    ) -> None:
        self._keeper = keeper
        self._directory = directory
        self._search_path = search_path(lean_path, directory)
        self._wake_descriptor = wake_descriptor
        self._most = (0 if is_off() or keeper.mode != "fork" else most_holders()) if most is None else most
        self._kinds = kinds
        self._held: collections.OrderedDict[Header, HeldKeeper] = collections.OrderedDict()
        self._seen: collections.OrderedDict[int, int] = collections.OrderedDict()
        self._failures: dict[int, int] = {}
        self._was_woken = False
        self._report_file = os.path.join(tempfile.gettempdir(), HOLDERS_FILE)
        self._report_descriptor = -1

    def __len__(self) -> int:
        return len(self._held)

    def take(self, header: Header, arguments: Sequence[str], timeout: float | None) -> HeldKeeper | None:
        """Return a holder for a file with this header, or None if it should run without one.

        Args:
            header: The file's header.
            arguments: Lean's arguments for the header, with that for the setup.
            timeout: Seconds that a start may take, if that is less than usual.
        """
        if self._most < 1:
            return None
        holder = self._take(header, arguments, timeout)
        if holder is not None:
            holder.served += 1
            # In place: a new file for each checked file would cost more than all else that is done here for it.
            with contextlib.suppress(OSError):
                os.pwrite(self._report_descriptor, self._reported(), 0)
        return holder

    def _take(self, header: Header, arguments: Sequence[str], timeout: float | None) -> HeldKeeper | None:
        holder = self._held.get(header)
        if holder is not None and holder.is_alive() and holder.stamps.still_hold():
            self._held.move_to_end(header)
            return holder
        if holder is not None:
            self.drop(header)
        key = hash(header)  # a text may be long; at worst a holder is started too early
        seen = self._seen.pop(key, 0) + 1
        self._seen[key] = seen
        while len(self._seen) > _KNOWN_HEADERS:
            self._failures.pop(self._seen.popitem(last=False)[0], None)
        if seen < 2 or self._failures.get(key, 0) >= _MOST_FAILURES:
            return None
        while len(self._held) >= self._most:
            self.drop(next(iter(self._held)))
        started = self._start(header, arguments, min(_START_SECONDS, timeout or _START_SECONDS))
        if started is not None:
            self._failures.pop(key, None)
            self._held[header] = started
            self._report()
        elif not self._was_woken:
            self.fail(header)
        return started

    def fail(self, header: Header) -> None:
        """Take notice of a holder that did not start or did not fit; after a few times there is none any more."""
        failures = self._failures.get(hash(header), 0) + 1
        self._failures[hash(header)] = failures
        if failures >= _MOST_FAILURES:
            self.drop(header)

    def drop(self, header: Header) -> None:
        """End the holder of a header, if there is one, and whatever it has left.

        Raises:
            OSError: Something that it left cannot be ended.
        """
        holder = self._held.pop(header, None)
        if holder is not None:
            holder.close()
            self._end_strays()
            self._report()

    def _report(self) -> None:
        """Show the parent which holders there are; files cannot write there where they are locked in."""
        fresh = f"{self._report_file}.new"
        with contextlib.suppress(OSError):
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            if self._report_descriptor >= 0:
                os.close(self._report_descriptor)
            self._report_descriptor = descriptor
            os.write(descriptor, self._reported())
            os.replace(fresh, self._report_file)

    def _reported(self) -> bytes:
        return msgspec.json.encode(
            [
                {"pid": holder.pid, "imports": header.imports[:_SHOWN_IMPORTS], "served": holder.served}
                for header, holder in self._held.items()
            ]
        )

    def close(self) -> None:
        """End all of them."""
        for header in list(self._held):
            self.drop(header)

    def _start(self, header: Header, arguments: Sequence[str], seconds: float) -> HeldKeeper | None:
        ours, theirs = socket.socketpair()
        began = time.time_ns()
        link = KeeperLink(ours)
        with theirs:
            wishes = {
                "header": header.text,
                "arguments": list(arguments),
                "cwd": self._directory,
                "worker": os.getpid(),
                "seconds": seconds,
                "kinds": self._kinds,
            }
            with self._keeper.in_use:
                self._keeper.ask({"hold": wishes}, [theirs.fileno()])
        answer: dict[str, object] = {}
        if self._wait(ours, seconds):
            ours.settimeout(seconds)
            with contextlib.suppress(OSError, ValueError):
                answer = link.answer()
        if answer.get("ready") != "held":
            ours.close()
            self._end_strays()
            return None
        ours.settimeout(None)
        pid, files = answer["pid"], answer["files"]
        assert isinstance(pid, int) and isinstance(files, list)
        try:
            if pid not in process_tree.children(os.getpid()):
                raise ValueError("it is no child of this process")
            stamps = ModuleStamps(files, header.imports, self._search_path, began)
        except ValueError as error:
            ours.close()
            self._end_strays()
            if os.environ.get("LEAN_WORKER_HOLDERS_TRACE"):
                print(f"lean-worker child: no holder: {error}", file=sys.stderr, flush=True)
            return None
        return HeldKeeper(ours, pid, stamps)

    def _wait(self, connected: socket.socket, seconds: float) -> bool:
        """Wait for an answer; False if the time is over or the request was cancelled."""
        poller = select.poll()
        for descriptor in (connected.fileno(), self._wake_descriptor):
            poller.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poller.poll(seconds * 1000)]
        self._was_woken = bool(ready) and connected.fileno() not in ready
        return connected.fileno() in ready

    def _end_strays(self) -> None:
        """End every child of this process that is no keeper, and what is below it; all was left by a holder."""
        end = time.monotonic() + _STRAY_SECONDS
        known = {self._keeper.pid, *(holder.pid for holder in self._held.values())}
        while strays := [pid for pid in process_tree.children(os.getpid()) if pid not in known]:
            if time.monotonic() > end:
                raise OSError(f"processes of a file cannot be ended: {strays}")
            for pid in strays:
                for below in (*process_tree.descendants(pid), pid):
                    with contextlib.suppress(OSError):
                        os.kill(below, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.0005)
