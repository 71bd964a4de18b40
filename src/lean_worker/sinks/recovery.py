"""Recovery of the commits of dead processes: finish those that were decided, remove the rest.

A journal counts only if nobody but this user could have written it. It names files of its own directory, and leads to
another directory only if the journal there points back. So code that may write to one directory cannot change another.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Sequence
from pathlib import Path

from ..base.process_lock import lock_of_dead, remove_if_dead
from ..base.trusted_files import path_of
from ..errors import LeanWorkerError, RecoveryError, SinkError
from ..hosting.sandbox import is_granted
from .actions import is_done, perform, why_not_at_hand
from .journal import (
    JOURNAL_NAME,
    Journal,
    MergeRecord,
    Record,
    damaged,
    decoded,
    encoded,
    incomplete,
    read_journal,
)
from .parts import PART_NAME, Directory, journal_name, refusal, shown_name, storing
from .tables import forget

_MOST_LINKS = 40  # as of Linux
_Work = list[tuple[Directory, list[Record]]]


def recover(directory: str | os.PathLike[str]) -> None:
    """Finish the commits that dead processes had decided in `directory`, and remove their other files.

    Every sink does this for its own directory when it is opened. Files of living processes and of other users are not
    touched. A journal that cannot be executed does not stop the others; its error is raised at the end.

    Raises:
        RecoveryError: A journal is damaged, could have been written by another user, or names missing files.
        SinkError: The directory cannot be read, or a decided commit cannot be finished; it stays decided.
    """
    home = Path(os.path.realpath(path_of("recovering", directory)))
    problems = recovery(home)
    if problems:
        raise problems[0]


def open_target(path: Path) -> Path:
    """Return the path of a target without links, after recovery of its directory.

    Errors of `recover` that do not concern this target are ignored.

    Raises:
        RecoveryError: The existing rows may not be all committed rows; see `recover`.
        SinkError: The directory cannot be read.
    """
    with storing("opening", path):
        link = _link_of_hosted_code(path)
        if link is not None:
            why = f"{link} is a symbolic link in a directory that sandboxed code may write to, which may have made it"
            raise refusal("opening", path, why, "Give the path that it should lead to.")
        target = Path(os.path.realpath(path))
    for problem in recovery(target.parent):
        targets = problem.facts.get("targets")
        if "reason" not in problem.facts:
            raise copy.copy(problem)
        if isinstance(targets, tuple) and problem.facts["reason"] != "untrusted" and _concerns(target.name, targets):
            raise copy.copy(problem)
    return target


def _link_of_hosted_code(path: Path) -> str | None:
    """The link on the way to a path that code in a sandbox could have made; None if there is none."""
    at = os.path.realpath(os.getcwd())
    rest = list(reversed(path.parts))
    links = 0
    while rest and links < _MOST_LINKS:
        name = rest.pop()
        here = os.path.dirname(at) if name == os.pardir else os.path.join(at, name)  # the root is itself
        if not os.path.islink(here):
            at = here
        elif is_granted(at):
            return here
        else:
            links += 1
            rest += reversed(Path(os.readlink(here)).parts)
    return None


def _concerns(name: str, targets: tuple[str, ...]) -> bool:
    return name in targets or shown_name(name) in targets


def recovery(home: Path) -> list[SinkError]:
    """See `recover`; gives its errors."""
    problems: list[SinkError] = []
    kept: set[str] = set()
    with storing("opening", home), Directory(home) as directory:
        names = os.listdir(directory.fd)
        for name in names:
            match = JOURNAL_NAME.fullmatch(name)
            if match is None:
                continue
            try:
                if not _finish(directory, match["group"]):
                    kept.add(match["group"])
            except RecoveryError as error:
                kept.add(match["group"])
                problems.append(_with_targets(error, match["group"], names))
            except SinkError as error:
                kept.add(match["group"])
                problems.append(error)
        for name in names:
            match = PART_NAME.fullmatch(name)
            if match is not None and match["group"] not in kept:
                remove_if_dead(name, directory.fd)
    return problems


def _with_targets(error: RecoveryError, group: str, names: Sequence[str]) -> RecoveryError:
    """A journal that cannot be read: its parts tell how the names of its targets begin."""
    if error.targets:
        return error
    matches = [PART_NAME.fullmatch(name) for name in names]
    found = tuple(sorted({match["shown"] for match in matches if match is not None and match["group"] == group}))
    facts = {**error.facts, "targets": found}
    return RecoveryError(error.text, hint=error.hint, **facts)


def _finish(directory: Directory, group: str) -> bool:
    """Finish the commit whose journal lies there; False: that is another's to do, or cannot be told now."""
    name = journal_name(group)
    journal = read_journal(directory, group)
    if journal is None:
        return True
    lock = lock_of_dead(name, directory.fd)
    if lock is None:
        return directory.look(name) is None
    with lock:
        if journal.home == journal.directory:
            return _finish_home(directory, journal)
    return _finish_elsewhere(directory, journal)


def _finish_elsewhere(directory: Directory, journal: Journal) -> bool:
    """The journal of another directory decides, if it knows this one."""
    if journal.directory != encoded(directory.path):
        why = f"it was written in {decoded(journal.directory)}; the directory was moved, or has another path here"
        raise damaged(directory, journal.group, why)
    path = Path(decoded(journal.home))
    try:
        home = Directory(path)
    except OSError:
        return False  # not mounted, perhaps
    with home:
        if _is_real(path):
            decided = read_journal(home, journal.group)
            if decided is not None and encoded(directory.path) in decided.others:
                return _finish(home, journal.group)
    # Never decided, or over.
    directory.unlink(journal_name(journal.group))
    return True


def _is_real(path: Path) -> bool:
    return os.path.realpath(path) == str(path)


def _finish_home(home: Directory, journal: Journal) -> bool:
    with contextlib.ExitStack() as stack:
        work: _Work = [(home, journal.actions)]
        for text in journal.others:
            path = Path(decoded(text))
            try:
                other = stack.enter_context(Directory(path))
            except FileNotFoundError:
                continue  # somebody has removed it, with all that was in it
            except OSError as error:
                raise damaged(home, journal.group, f"it points to {path}, which is no directory: {error}") from error
            found = read_journal(other, journal.group) if _is_real(path) else None
            if found is None or found.home != encoded(home.path) or found.directory != text:
                raise damaged(home, journal.group, f"it points to {path}, where no journal points back to it")
            work.append((other, found.actions))
        _do(work, home.path / journal_name(journal.group), journal.group)
        return True


def _do(work: _Work, path: Path, group: str) -> None:
    """Do what is left of a decided commit; nothing at all if nothing was done and not all can be."""
    # In the order of `commit`: if the first was not done, none was.
    pairs = [(directory, record) for directory, records in work for record in records]
    pairs.sort(key=lambda pair: not isinstance(pair[1], MergeRecord))
    has_begun = bool(pairs) and is_done(*pairs[0], group) is not False
    if has_begun or not any(why_not_at_hand(directory, record) for directory, record in pairs):
        failures: list[tuple[str, Exception]] = []
        for number, (directory, record) in enumerate(pairs):
            try:
                if is_done(directory, record, group) is not True:
                    _do_one(directory, record, group)
            except (OSError, LeanWorkerError) as error:
                if number == 0 and not has_begun:
                    # What cannot be begun must not stand in the way of every later sink; nobody was told it is done.
                    break
                failures.append((decoded(record.target), error))
        if failures:
            raise _unfinished(path, failures)
    end(group, [directory for directory, _ in work], [records for _, records in work])
    for directory, record in pairs:
        for table in record.tables if isinstance(record, MergeRecord) else []:
            remove_if_dead(decoded(table.part), directory.fd)


def _do_one(directory: Directory, record: Record, group: str) -> None:
    why = why_not_at_hand(directory, record)
    if why is not None:
        raise refusal("committing", directory.path / decoded(record.target), why, "")
    perform(directory, record, group)


def _unfinished(path: Path, failures: list[tuple[str, Exception]]) -> SinkError:
    targets = tuple(target for target, _ in failures)
    said = "; ".join(str(getattr(error, "text", error)) for _, error in failures)
    return incomplete(path, f"not all that was decided can be done now: {said}", targets)


def end(group: str, directories: Sequence[Directory], records: Sequence[Sequence[Record]]) -> None:
    """All is done. The home's journal, in the first directory, goes first: without it nothing is done again."""
    for directory in directories:
        directory.unlink(journal_name(group))
        if directory is directories[0]:
            directory.sync()
    for directory, listed in zip(directories, records, strict=True):
        for record in listed:
            if isinstance(record, MergeRecord):
                forget(directory, record, group)
