"""Files of compiled modules on disk: their existence, their headers and imports, and their changes.

A module is read once with all of its parts. A snapshot later detects changes without reading. A file's state is its
times, size and inode. Two changes within one tick of the system's clock can leave the same state:
`Snapshot.settles_in_ns` says how long to wait until that is impossible.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..base import olean
from ..base.system_errors import of_system

PARTS = olean.PARTS

State = tuple[int, int, int, int]

# Two of the longest ticks of a kernel's clock; a file system without fractions of a second has a tick of one.
_TICK_NS = 20_000_000
_COARSE_TICK_NS = 1_000_000_000
_LONGEST_WAIT_SECONDS = 1.0
_MOST_READINGS = 1 << 17
_HINT_UNREADABLE = "Look at the file's permissions, and at those of the directories above it."


class Snapshot:
    """The states of some files and directories, and the absence of others."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._absent: set[str] = set()
        self._taken_ns = time.time_ns()

    def note(self, path: str) -> State | None:
        """Add the present state of `path`; None if it does not exist."""
        state = self._states.get(path)
        if state is None:
            state = _state_of(path)
            if state is None:
                self._absent.add(path)
            else:
                self._states[path] = state
        return state

    @property
    def states(self) -> Mapping[str, State]:
        """The states of all that exists, by path."""
        return self._states

    def holds(self) -> bool:
        """Whether everything is as it was; one question to the system for each path."""
        stat = os.stat
        try:
            for path, state in self._states.items():
                now = stat(path)
                if (now.st_ctime_ns, now.st_mtime_ns, now.st_size, now.st_ino) != state:
                    return False
        except OSError:
            return False
        return not any(map(os.path.lexists, self._absent))

    def recent(self) -> list[str]:
        """The paths that may change once more without another state."""
        return [path for path, state in self._states.items() if self._settles_at_ns(state) > self._taken_ns]

    def settles_in_ns(self) -> int:
        """Nanoseconds from the beginning of this snapshot until every further change makes another state."""
        latest = max(map(self._settles_at_ns, self._states.values()), default=0)
        return max(0, latest - self._taken_ns)

    def wait_until_settled(self) -> bool:
        """Wait until every further change makes another state, a second at most. Return False if that was so before.

        After a wait everything has to be noted again.
        """
        settles_in_ns = self.settles_in_ns()
        if not settles_in_ns:
            return False  # not even a sleep of no time, which takes 0.1 ms
        # A server's clock may be ahead of ours, for hours.
        time.sleep(min(settles_in_ns / 1e9, _LONGEST_WAIT_SECONDS))
        return True

    @staticmethod
    def _settles_at_ns(state: State) -> int:
        changed_ns, written_ns, _, _ = state
        is_coarse = changed_ns % _COARSE_TICK_NS == 0 == written_ns % _COARSE_TICK_NS
        return changed_ns + (_COARSE_TICK_NS if is_coarse else _TICK_NS)


@dataclasses.dataclass(frozen=True)
class Reading:
    """Contents of the files of one module.

    Attributes:
        states: The states of its files when they were read.
        imports: The modules that it imports.
        headers: Its files, and who wrote each.
        bad_file: The file that is wrong, "" for none.
        reason: "damaged" or "incompatible", if a file is wrong.
        text: What is wrong with it.
    """

    states: tuple[State | None, ...]
    imports: tuple[str, ...] = ()
    headers: tuple[tuple[str, olean.Header], ...] = ()
    bad_file: str = ""
    reason: str = ""
    text: str = ""


def settled(paths: Sequence[str]) -> Snapshot:
    """Return a snapshot of files from which every further change makes another state.

    Waits some milliseconds if one of them was changed just now, once: a server's clock may be ahead of ours.
    """
    snapshot = _snapshot_of(paths)
    return _snapshot_of(paths) if snapshot.wait_until_settled() else snapshot


def _snapshot_of(paths: Sequence[str]) -> Snapshot:
    snapshot = Snapshot()
    for path in paths:
        snapshot.note(path)
    return snapshot


def digest(paths: Sequence[str]) -> str:
    """Return a digest of the states of files. Waits some milliseconds if one of them was changed just now."""
    snapshot = settled(paths)
    text = "".join(f"{path}\0{snapshot.note(path)}\0" for path in paths)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclasses.dataclass(frozen=True)
class Tree:
    """All compiled modules below some directories.

    Attributes:
        digest: A digest of the states of all of their files. While one is being written no other look has this digest.
        directories: Where they are, and all directories on the way.
    """

    digest: str
    directories: tuple[str, ...]


def tree(directories: Sequence[str]) -> Tree:
    """Look at all compiled modules below some directories, whoever may import them.

    A second look at unchanged ones asks the system once for each file and directory. Right after a change, the call
    waits some milliseconds, so that no later change is missed.

    Raises:
        CapabilityError: A directory cannot be listed; ResourceExhausted if for want of descriptors or memory.
    """
    key = tuple(directories)
    known = _trees.get(key)
    if known is not None and known[0].holds() and known[1].holds():
        return known[2]
    places, files = _look_below(directories)
    for _ in range(_ATTEMPTS - 1):
        if not files.wait_until_settled():
            break
        places, files = _look_below(directories)
    unsettled = uuid.uuid4().hex if files.settles_in_ns() else ""
    text = "".join(sorted(f"{path}\0{state}\0" for path, state in files.states.items())) + unsettled
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    found = Tree(digest, tuple(places.states))
    if not unsettled and not places.settles_in_ns():
        while len(_trees) >= _MOST_TREES:
            _trees.pop(next(iter(_trees)), None)
        _trees[key] = (places, files, found)
    return found


_ATTEMPTS = 3
_MOST_TREES = 16
_SUFFIXES = (".olean", *PARTS)
# The last look at each set of directories.
_trees: dict[tuple[str, ...], tuple[Snapshot, Snapshot, Tree]] = {}


def _look_below(directories: Sequence[str]) -> tuple[Snapshot, Snapshot]:
    """Look at directories with all below them, each once whatever links lead to it, and at the modules' files."""
    places, files = Snapshot(), Snapshot()
    seen: set[tuple[int, int]] = set()
    waiting = list(reversed(directories))
    while waiting:
        directory = waiting.pop()
        if places.note(directory) is None:
            continue
        try:
            found = os.stat(directory)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(directory) as listed:
                entries = sorted(listed, key=lambda entry: entry.name, reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise of_system(f"looking for compiled modules in {directory}", error, _HINT_UNREADABLE) from error
        for entry in entries:
            if entry.name.endswith(_SUFFIXES):
                files.note(entry.path)
            elif entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path)):
                waiting.append(entry.path)
    return places, files


def leading_to(files: Iterable[str]) -> list[str]:
    """Return the paths by which modules are found: of all their files, those that are links, and one per directory.

    Args:
        files: Their `.olean` files.
    """
    found: dict[str, str] = {}
    for file in files:
        stem = file.removesuffix(".olean")
        for path in (file, *(stem + suffix for suffix in PARTS)):
            found[path if os.path.islink(path) else os.path.dirname(path)] = path
    return list(found.values())


def parts_of(file: str, names: frozenset[str]) -> list[str]:
    """Return the files that Lean loads for the module whose `.olean` is `file`.

    Args:
        file: Path of the `.olean`.
        names: What the file's directory holds.
    """
    stem = os.path.basename(file).removesuffix(".olean")
    found = [suffix for suffix in olean.PARTS if stem + suffix in names]
    if ".olean.server" not in found and ".olean.private" in found:
        found.remove(".olean.private")
    return [file, *(file.removesuffix(".olean") + suffix for suffix in found)]


def read(paths: list[str], states: tuple[State | None, ...], *, parts: bool) -> Reading:
    """Read the files of a module, unless they were read in this state before.

    Args:
        paths: Its files, as of `parts_of`.
        states: Their states.
        parts: Whether the other files than the `.olean` are looked into.

    Raises:
        CapabilityError: A file cannot be read; ResourceExhausted if for want of descriptors or memory. That says
            nothing about what is in it, and is not remembered.
    """
    known = _readings.get(paths[0])
    if known is None or known.states != states:
        if len(_readings) > _MOST_READINGS:
            _readings.clear()
        try:
            known = _readings[paths[0]] = _read(paths, states, parts)
        except OSError as error:
            raise of_system(f"reading the compiled module {paths[0]}", error, _HINT_UNREADABLE) from error
    return known


def forget(path: str) -> None:
    """Forget the module of that `.olean`, so that the next call reads it again."""
    _readings.pop(path, None)


_readings: dict[str, Reading] = {}


def _state_of(path: str) -> State | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return (stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _read(paths: list[str], states: tuple[State | None, ...], parts: bool) -> Reading:
    path = paths[0]
    imports: tuple[str, ...] = ()
    headers: list[tuple[str, olean.Header]] = []
    loaded: dict[str, list[tuple[olean.Header, int]]] = {"olean": [], "ir": []}
    try:
        module = olean.read_module(path)
        imports = module.imports
        headers.append((path, module.header))
        loaded["olean"].append((module.header, module.size_bytes))
        for path in paths[1:] if parts else ():
            together = loaded["olean" if ".olean." in path[-16:] else "ir"]
            part = olean.read_part(path, together)
            headers.append((path, part[0]))
            together.append(part)
    except olean.UnknownFormat as error:
        return Reading(states, imports, tuple(headers), path, "incompatible", str(error))
    except olean.BadModuleFile as error:
        # Lean looks at who wrote a file before it trusts it: one of another Lean is refused, whatever is in it.
        headers += _header_at(path)
        return Reading(states, imports, tuple(headers), path, "damaged", str(error))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:  # that says something about the file
        return Reading(states, imports, tuple(headers), path, "damaged", str(error))
    return Reading(states, imports, tuple(headers))


def _header_at(path: str) -> list[tuple[str, olean.Header]]:
    try:
        return [(path, olean.read_header(Path(path)))]
    except olean.BadModuleFile:
        return []
