"""A program to start as a worker, and the one thing that every capability can do: name it.

Owns the key by which warm workers are reused. Callers decide how a program is found; pools start it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..base.arguments import shown
from ..base.deferred import Deferred
from ..base.kept_directory import kept
from ..base.moved_directories import Marks, have_moved, marks_of
from ..errors import UsageError
from .host_session import Opening

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = Deferred("hashlib")


@dataclasses.dataclass(frozen=True)
class Launch:
    """A program to start as a worker.

    Attributes:
        argv: Program and arguments.
        env: Its whole environment.
        cwd: Its working directory; None if it does not matter.
        description: What it hosts, for errors.
        content: Digest of files that the program reads; a changed file makes another key, and other items of a job.
        state: Digest of files whose change makes another key, but no other items.
        takes_ring: Whether the program knows what to do with an offered ring.
        toolchain: `Toolchain.identity` of the Lean it runs, "" for none.
        opening: What is asked of it before its first command.
        can_be_held: Whether the program is our own child with a Lean script whose imports a holder can make.
        serves_once: Whether a worker is replaced after its first request.
        bounds_programs: Whether the worker itself watches the memory of the processes that it starts.
        is_in_callers: Whether `cwd` is the caller's of that moment, for want of another one. A lease keeps it, and so
            does a run of a job.
        counts_cwd: Whether another `cwd` makes other items of a job.
        needs_others: Whether whoever holds the worker takes others meanwhile: a pool always leaves a place for those.
        watched: Files that `content` has the text of, and not the time of the last change; and directories in which a
            module could be found before the one that is meant.
        places: Files and directories that are read; a directory above them may be another one for a moment.
        files_now: Gives `content` and `state` of the files as they are then, where that is less than a whole launch.
        renew: Gives the launch of the same capability anew; `launch_of` puts it in.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None
    description: str
    content: str = ""
    state: str = ""
    takes_ring: bool = False
    toolchain: str = ""
    opening: Opening = dataclasses.field(default_factory=Opening)
    can_be_held: bool = False
    serves_once: bool = False
    bounds_programs: bool = False
    needs_others: bool = False
    is_in_callers: bool = False
    counts_cwd: bool = True
    watched: tuple[str, ...] = dataclasses.field(default=(), compare=False, repr=False)
    places: tuple[str, ...] = dataclasses.field(default=(), compare=False, repr=False)
    files_now: Callable[[], tuple[str, str]] | None = dataclasses.field(default=None, compare=False, repr=False)
    renew: Callable[[], Launch] | None = dataclasses.field(default=None, compare=False, repr=False)

    def key(self) -> str:
        """Two launches with one key may share a warm worker."""
        digest = hashlib.sha256()
        env = (f"{name}={value}" for name, value in sorted(self.env.items()))
        files = (self.content, self.state)
        rest = (self.cwd or "", *files, self.toolchain, self.opening.key(), "once" if self.serves_once else "")
        for part in (*self.argv, "", *env, *rest):
            digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
        return digest.hexdigest()

    def look(self) -> FilesNow:
        """Look at its files as they are now.

        Raises:
            CapabilityError: As of `Capability.launch`.
        """
        # First: what changes while the rest is read has then changed since.
        stamps, marks = tuple(map(_stamp, self.watched)), marks_of((*self.watched, *self.places))
        if self.files_now is not None:
            return FilesNow(*self.files_now(), stamps, marks)
        now = self if self.renew is None else self.renew()
        return FilesNow(now.content, now.state, stamps, marks)

    @property
    def is_locked_in(self) -> bool:
        """Whether the program is our own child, and enters a sandbox."""
        return self.argv[CHILD_WORDS : CHILD_WORDS + 1] == ("--sandbox",)

    def holder_argv(self, descriptor: int) -> tuple[str, ...]:
        """Return the command line of a process that imports what the script imports, and forks workers.

        Args:
            descriptor: Its end of the socket to whoever wants them.
        """
        return (*self.argv[:CHILD_WORDS], "--hold", str(descriptor), *self.argv[CHILD_WORDS:])


class FilesNow(NamedTuple):
    """The state of a launch's files at one moment.

    Attributes:
        content: As of `Launch`.
        state: As of `Launch`.
        stamps: Of the watched files: a text that was there for a moment in between leaves another one.
        marks: Of the directories above them and above what else is read.
    """

    content: str
    state: str
    stamps: tuple[tuple[int, ...], ...]
    marks: Marks

    def is_still(self, before: FilesNow) -> bool:
        """Whether the files were the same all the time since an earlier look."""
        return self[:3] == before[:3] and not have_moved(before.marks, self.marks)

    def is_of(self, launch: Launch) -> bool:
        """Whether the launch was worked out from files with this content and state."""
        return (self.content, self.state) == (launch.content, launch.state)


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


CHILD_WORDS = 3
"""The first words of our own child's command line: the interpreter, and what it runs."""


def callers_directory() -> str | None:
    """The working directory of this process; None if it was removed, or has no path by which others can enter it.

    A worker that is given None starts in it all the same.
    """
    try:
        directory = os.getcwd()
        return directory if os.path.samestat(os.stat(directory), os.stat(os.curdir)) else None
    except OSError:
        return None


def launch_of(doing: str, capability: Capability, directory: str | None = None) -> Launch:
    """Return the launch of a capability, which may be of the caller's own class.

    Args:
        doing: For errors.
        capability: What is hosted.
        directory: What the caller's working directory was when the lease or the job began; None for the present one.
            Relative paths of the capability are of it too.

    Raises:
        UsageError: Its method gives something else.
        CapabilityError: As of `Capability.launch`.
    """
    began_in = callers_directory() if directory is None else directory
    with kept(began_in):
        launch: object = capability.launch()
    if isinstance(launch, Launch):
        cwd = began_in if launch.is_in_callers and began_in is not None else launch.cwd
        return dataclasses.replace(launch, cwd=cwd, renew=functools.partial(launch_of, doing, capability, began_in))
    if isinstance(launch, types.CoroutineType):
        launch.close()
    raise UsageError(
        f"{doing}: expected {type(capability).__name__}.launch() to return a Launch, got {shown(launch)}",
        hint="Return what the launch() of another capability returns; see lw.Capability.",
    )


class Capability(Protocol):
    """Anything that a pool can start workers for."""

    def launch(self) -> Launch:
        """The program to start, worked out from the files as they are now.

        It is asked for several times for one worker, and gives the same `content` and `state` for the same files.

        Raises:
            CapabilityError: Something that is needed is missing; the text says what.
        """
        ...
