"""One node of a cluster: a local pool inside a Ray actor, and what the driver may ask of it.

Owns which lease belongs to which place of the driver, what is shipped to the node, and that every request on it can be
stopped. Hides Ray from the rules: this is a plain class, and everything it answers is plain data. Values leave it as
the JSON texts that came, so that a caller's types are needed on the driver only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import os
import pickle
import platform
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..base.arguments import shown
from ..base.system_errors import of_system
from ..base.trusted_files import why_untrusted_directory
from ..batch.job import PartFormat, run_item
from ..batch.job_items import HostedOnce
from ..batch.ledger import Part
from ..blocking.lease import Lease
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import JsonCommand, StreamingCommand
from ..errors import CapabilityError, LeanWorkerError, UsageError
from ..events import DataRow
from ..hosting.capability import LeanCapability
from ..hosting.launch import Capability, Launch
from ..hosting.temporary import TemporaryDirectory
from ..policy import DEFAULT
from ..pool.close_report import CloseReport
from ..pool.cores import core_of
from ..pool.observer import PoolSnapshot
from ..results import StreamSummary
from ..sinks.parts import storing
from ..steps.waiting import run
from ..version import __version__
from ..worker.options import RequestOptions

_T = TypeVar("_T")
_CHUNK_BYTES = 4 << 20
_FOLDER_KIND = "lean-worker-node"
_FOLDER_HINT = "Look at the temporary directory of that node; `ray start` with another TMPDIR chooses another one."
_MOST_LOOKS = 5
_HOSTED_RUNS = 64
"""Number of runs of jobs for which it is remembered what they host."""
_CANCELLED_CALLS = 1024
"""Number of calls remembered as cancelled before they arrived."""


@dataclasses.dataclass(frozen=True)
class Shipped:
    """A capability on its way to a node: the text of its script goes along.

    Attributes:
        capability: What is hosted.
        name: The script's file name; None if there is no script.
        text: The script; None if it is looked for on the node.
        run: The run of a job that it belongs to, whose workers on one node all host the same; None if to none.
    """

    capability: Capability
    name: str | None = None
    text: bytes | None = None
    run: str | None = None

    @classmethod
    def of(cls, capability: Capability) -> Shipped:
        """Pack a capability.

        Raises:
            CapabilityError: Its script cannot be read. One that is not here, and named by a relative path, may be in
                the working directory of the node's actor. Or that of a job's run is not what it was.
        """
        if isinstance(capability, ShippedOnce):
            return capability.shipped()
        if not isinstance(capability, LeanCapability):
            return cls(capability)
        path = capability.script_path()
        is_elsewhere = not os.path.isabs(capability.script) and not path.exists()
        text = None if is_elsewhere else capability.script_text(path)
        return cls(dataclasses.replace(capability, on_build=None), path.name, text)

    def key(self) -> tuple[str | None, bytes | None, str]:
        """Two with one key may share a warm worker."""
        return self.name, self.text, repr(self.capability)

    def unpack(self, folder: Callable[[], Path]) -> Capability:
        """The capability over a file of this node, whose directory is named after its content.

        Args:
            folder: Gives the directory for such directories; called if there is a script.

        Raises:
            OSError: The script cannot be stored.
        """
        if self.name is None or self.text is None:
            return self.capability
        home = folder() / hashlib.sha256(self.text).hexdigest()
        script = home / self.name
        if not script.exists():
            home.mkdir(exist_ok=True)
            fresh = home / f".{os.urandom(6).hex()}"
            try:
                fresh.write_bytes(self.text)
                fresh.replace(script)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
        assert isinstance(self.capability, LeanCapability)
        return dataclasses.replace(self.capability, script=script)


class ShippedOnce:
    """A capability for one run of a job on a cluster: all nodes are sent what the run's items were identified by.

    Args:
        hosted: What the run's items were identified by. Threads may share this.
    """

    def __init__(self, hosted: HostedOnce) -> None:
        self._hosted = hosted
        self._lock = threading.Lock()
        self._shipped: Shipped | None = None

    def launch(self) -> Launch:
        """See `HostedOnce.launch`."""
        return self._hosted.launch()

    def shipped(self) -> Shipped:
        """Return what is sent to a node.

        Raises:
            CapabilityError: As of `HostedOnce.launch`, or its files change again and again.
        """
        for _ in range(_MOST_LOOKS):
            launch = self._hosted.launch()
            with self._lock:
                if self._shipped is not None:
                    return self._shipped
                before = launch.look()
                shipped = Shipped.of(self._hosted.capability)
                # The text was read later than what it is identified by, and may be another one.
                if launch.look().is_still(before) and before.is_of(launch):
                    self._shipped = dataclasses.replace(shipped, run=os.urandom(8).hex())
                    return self._shipped
        raise CapabilityError(
            f"sending {shown(self._hosted.capability)} to a node: its files changed during each of {_MOST_LOOKS} looks",
            hint="Wait until nothing writes them any more.",
        )


@dataclasses.dataclass(frozen=True)
class NodeToolchain:
    """The Lean of one node.

    Attributes:
        node: Ray's id of the node.
        host: Its host name.
        kind: How it was found there; see `Toolchain`.
        version: Lean's version.
        commit: The commit it was built from.
    """

    node: str
    host: str
    kind: str
    version: str | None
    commit: str | None


class _Folder:
    """The private directory of a node. Threads may share it."""

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(_FOLDER_KIND)
        self._lock = threading.Lock()
        self.path = self._directory.path

    def at_hand(self) -> Path:
        """Return it; it is made again if it was cleared away, as some systems do with what lies there for days.

        Raises:
            OSError: It cannot be made, or somebody else may have made what is there.
        """
        with self._lock:
            try:
                why = why_untrusted_directory(os.lstat(self.path))
            except FileNotFoundError:
                self._make_again()
                return self.path
        if why is not None:
            raise PermissionError(errno.EPERM, why, str(self.path))
        return self.path

    def _make_again(self) -> None:
        self._directory.remove()
        again = TemporaryDirectory(_FOLDER_KIND)
        try:
            # Under the old name, by which workers and the runs of jobs know their scripts; its lock comes along.
            again.path.rename(self.path)
        except BaseException:
            again.remove()
            raise
        again.path = self.path
        self._directory = again

    def remove(self) -> None:
        """Remove it."""
        with self._lock:
            self._directory.remove()


Answer = tuple[bool, Any]
"""Whether it worked, and what came of it: errors travel as values, as Ray would wrap them."""


class Node:
    """A local pool for one driver. Every method may be called from any thread."""

    def __init__(self, node: str, workers: int, options: dict[str, Any]) -> None:
        self._node = node
        self._pool = Pool(workers, **options)
        self._folder = _Folder()
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._tokens: dict[int, CancelToken] = {}
        self._cancelled: dict[int, None] = {}
        self._hosting = threading.Lock()
        self._hosted: dict[str, HostedOnce] = {}

    def hello(self) -> tuple[str, str, int]:
        """Release of lean-worker, release of Python, and the process."""
        return __version__, platform.python_version(), os.getpid()

    def toolchain(self, shipped: Shipped) -> Answer:
        """Return the Lean that hosts a capability on this node, or None for a capability without Lean."""

        def look() -> NodeToolchain | None:
            capability = self._unpacked(shipped)
            if not isinstance(capability, LeanCapability):
                return None
            with self._refusals(f"looking for the Lean of {_name_of(shipped)}"):
                found = capability.resolve_toolchain()
            return NodeToolchain(self._node, socket.gethostname(), found.kind, found.version, found.commit)

        return _answer(look)

    def lend(self, place: int, call: int, shipped: Shipped) -> Answer:
        """Have a lease for a place of the driver."""

        def lend() -> None:
            with self._token_of(call) as token:
                capability = self._capability_of(shipped)
                with self._refusals(f"hosting {_name_of(shipped)}"):
                    self._leases[place] = self._pool.lease(capability, cancel=token)

        return _answer(lend)

    def _unpacked(self, shipped: Shipped) -> Capability:
        with self._refusals(f"storing {_name_of(shipped)}", _FOLDER_HINT):
            return shipped.unpack(self._folder.at_hand)

    @contextlib.contextmanager
    def _refusals(self, doing: str, hint: str | None = None) -> Iterator[None]:
        """Make of this node's system's refusals errors that name the node; for steps before the request itself."""
        try:
            yield
        except OSError as error:
            where = f"on node {self._node[:12]} ({socket.gethostname()})"
            raise of_system(f"{doing} {where}", error, hint, node=self._node) from error

    def _lease_at(self, place: int) -> Lease:
        lease = self._leases.get(place)
        if lease is None:
            text = f"asking node {self._node[:12]}: it has no lease for place {place}"
            raise UsageError(text, hint="Take a new lease.")
        return lease

    def _capability_of(self, shipped: Shipped) -> Capability:
        capability = self._unpacked(shipped)
        if shipped.run is None:
            return capability
        # The script is the same for all of a run; what it reads is this node's.
        with self._hosting:
            hosted = self._hosted.get(shipped.run)
            if hosted is None:
                hosted = HostedOnce(capability, f"hosting a job on node {self._node[:12]}")
                with self._refusals(f"hosting {_name_of(shipped)}"):
                    hosted.identity()
                self._hosted[shipped.run] = hosted
                if len(self._hosted) > _HOSTED_RUNS:
                    del self._hosted[next(iter(self._hosted))]
        return hosted

    def release(self, place: int) -> None:
        """Give a lease back."""
        lease = self._leases.pop(place, None)
        if lease is not None:
            lease.release()

    def call(self, place: int, call: int, name: str, request: str, timeout: Any) -> tuple[Answer, list[Any]]:
        """Run a JSON command; return the JSON text of its answer or its error, and its events in either case."""
        events: list[Any] = []

        def ask() -> bytes:
            command: JsonCommand[Any, Any] = JsonCommand(name, response=msgspec.Raw)
            with self._token_of(call) as token:
                value = self._lease_at(place).call(
                    command,
                    msgspec.Raw(request.encode()),
                    cancel=token,
                    on_diagnostic=events.append,
                    on_progress=events.append,
                    **timeout,
                )
            return bytes(value)

        return _answer(ask), events

    def stream(self, place: int, call: int, name: str, request: str, timeout: Any) -> Iterator[tuple[str, Any]]:
        """Run a streaming command: yield the available rows in batches, then its end; each with the events before."""
        command: StreamingCommand[Any, DataRow, msgspec.Raw] = StreamingCommand(name, summary=msgspec.Raw)
        events: list[Any] = []
        try:
            with self._token_of(call) as token:
                lease = core_of(self._lease_at(place))
                options = RequestOptions(timeout.get("timeout", DEFAULT), token, events.append, events.append)
                rows = run(lease.streaming_texts(command, msgspec.Raw(request.encode()), options))
                try:
                    while run(rows.receiving()):
                        yield "rows", ([(row.stream, row.sequence, row.text) for row in rows], events[:])
                        events.clear()
                except BaseException as error:
                    run(rows.closing(error))
                    raise
            summary: StreamSummary[Any] = rows.summary
            text = None if summary.metadata is None else bytes(summary.metadata)
            yield "summary", (dataclasses.replace(summary, metadata=text), events)
        except LeanWorkerError as error:
            yield "error", (error, events)

    def part(
        self,
        place: int,
        call: int,
        name: str,
        row: bytes | None,
        request: str,
        folder: str | None,
        format: PartFormat,
        timeout: Any,
    ) -> Iterator[tuple[str, Any]]:
        """Run an item into a part; in `folder` if this node shares it, else its bytes follow. `row` is pickled."""
        try:
            kind: Any = bytes if row is None else _unpickled(row)
            command: StreamingCommand[Any, Any, Any] = StreamingCommand(name, row=kind, summary=msgspec.Raw)
            with self._token_of(call) as token:
                with self._refusals("making a directory for parts", _FOLDER_HINT):
                    home = self._folder.at_hand() if folder is None else Path(folder)
                lease = core_of(self._lease_at(place))
                part = run_item(lease, command, request, home, cancel=token, format=format, **timeout)
            if folder is None:
                yield from _bytes_of(part)
            yield "part", part
        except LeanWorkerError as error:
            yield "error", error

    def shares(self, probe: str, content: bytes) -> bool:
        """Whether a file that the driver wrote is here too."""
        try:
            return Path(probe).read_bytes() == content
        except OSError:
            return False

    def cancel(self, call: int) -> None:
        """Stop a request at its next row."""
        with self._lock:
            token = self._tokens.get(call)
            if token is None:  # it may come yet, or have ended: nobody can tell, so that the oldest are forgotten
                self._cancelled[call] = None
                if len(self._cancelled) > _CANCELLED_CALLS:
                    del self._cancelled[next(iter(self._cancelled))]
        if token is not None:
            token.cancel()

    def snapshot(self) -> PoolSnapshot:
        """The local pool's figures."""
        return self._pool.snapshot()

    def close(self) -> CloseReport:
        """End all workers."""
        report = self._pool.close(drain=0)
        self._folder.remove()
        return report

    @contextlib.contextmanager
    def _token_of(self, call: int) -> Iterator[CancelToken]:
        token = CancelToken()
        with self._lock:
            self._tokens[call] = token
            was_cancelled = call in self._cancelled
            self._cancelled.pop(call, None)
        if was_cancelled:
            token.cancel()
        try:
            yield token
        finally:
            with self._lock:
                del self._tokens[call]


def pickled(row: Any) -> bytes:
    """A row type on its way to a node, by its name.

    Ray's own way copies a class; the copy of a Struct has no fields, that of a dataclass no required ones.

    Raises:
        UsageError: It has no name, as a class of a function.
    """
    try:
        return pickle.dumps(row)
    except Exception as error:  # whatever a type's own pickling raises
        raise _not_sent(error) from error


def _unpickled(row: bytes) -> Any:
    try:
        return pickle.loads(row)
    except Exception as error:  # as above, and what a module raises that is imported for it
        raise _not_sent(error) from error


def _not_sent(error: Exception) -> UsageError:
    return UsageError(
        f"sending a command's row type to a node: {type(error).__name__}: {error}",
        hint="Put it into a module that the nodes can import, for instance through a runtime environment.",
    )


def _bytes_of(part: Part) -> Iterator[tuple[str, bytes]]:
    path = Path(part.path)
    with storing("reading", path):
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield "bytes", chunk
        finally:
            path.unlink(missing_ok=True)


def _answer(function: Callable[[], _T]) -> Answer:
    try:
        return True, function()
    except LeanWorkerError as error:
        return False, error


def _name_of(shipped: Shipped) -> str:
    return shipped.name or shown(shipped.capability)


@functools.cache
def actor_class() -> Any:
    """`Node` as a Ray actor; the methods that stop and look have threads of their own."""
    import ray

    class LeanWorkerNode(Node):
        pass

    for name in ("cancel", "snapshot", "shares", "hello"):
        method = getattr(Node, name)

        @functools.wraps(method)
        def forward(self: Any, *arguments: Any, _method: Any = method) -> Any:
            return _method(self, *arguments)

        setattr(LeanWorkerNode, name, ray.method(concurrency_group="control")(forward))
    as_actor: Any = ray.remote  # its stubs do not know concurrency groups
    return as_actor(concurrency_groups={"control": 2})(LeanWorkerNode)
