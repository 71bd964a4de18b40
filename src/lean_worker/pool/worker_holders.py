"""The holders of a pool: processes with the imports of a script, from which later workers are forked.

Owns for which keys there is one, since when, and until when. A holder costs as much as another worker. So it is
started when a second worker of a key was needed or will be, or when a worker is lent although as much time has passed
since its start as that took, at most five seconds: a pool that is not used further has none. A holder starts in the
background, and is only used once it is ready. The number of holders is limited; the one that was not used for the
longest time goes first. Everything runs on the monitor's thread.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterable

import msgspec

from ..base import process_tree
from ..base.holder_limits import is_off, most_holders
from ..hosting.launch import Launch
from ..steps.monitor import Monitor, Timer
from ..steps.tasks import Task
from ..steps.waiting import Steps, Until
from ..wire.protocol import HOLDERS_FILE
from ..worker import memory
from ..worker.worker import Worker
from ..worker.worker_holder import Holder
from .observer import HolderSnapshot

_MOST_FAILURES = 3
_MOST_DELAY_SECONDS = 5.0
_CLOSE_SECONDS = 30.0
"""The most seconds that the end of a pool waits for a holder that was given up before, or is being started."""
_MOST_KEYS = 1024
_MOST_REPORT_BYTES = 1 << 16
_SHOWN_IMPORTS = 20
_MOST_LOOKS = 3


class _Report(msgspec.Struct):
    """An entry of `HOLDERS_FILE`."""

    pid: int
    imports: list[str]
    served: int


def snapshot_of(holders: Iterable[Holder], workers: Iterable[Worker]) -> tuple[HolderSnapshot, ...]:
    """Return what is known of holders that are ready, and of those that workers have; from any thread."""
    found = [
        HolderSnapshot("workers", each.imports[:_SHOWN_IMPORTS], each.served, memory.private_kib(each.pid))
        for each in holders
    ]
    for worker in workers:
        for report in _reported_by(worker):
            # It may be a lie, or gone.
            if process_tree.parent(report.pid) == str(worker.pid):
                imports = tuple(report.imports[:_SHOWN_IMPORTS])
                found.append(HolderSnapshot("files", imports, report.served, memory.private_kib(report.pid)))
    return tuple(found)


def _reported_by(worker: Worker) -> list[_Report]:
    directory = worker.directory
    if directory is None:
        return []
    for _ in range(_MOST_LOOKS):
        try:
            with open(directory / HOLDERS_FILE, "rb", opener=_without_waiting) as file:
                return msgspec.json.decode(file.read(_MOST_REPORT_BYTES), type=list[_Report])
        except OSError:
            return []
        except msgspec.DecodeError:
            continue  # it is being written
    return []


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_of_older_files(one: Launch, other: Launch) -> bool:
    """Whether two launches of different keys differ in the states of files alone."""
    return dataclasses.replace(one, content=other.content, state=other.state).key() == other.key()


class Holders:
    """See the module.

    Args:
        monitor: Who watches them.
        is_lent: Whether a worker of a key is lent at this moment.
        on_lost: Told of a launch whose holder refused or ended, and why.
    """

    def __init__(
        self, monitor: Monitor, is_lent: Callable[[str], bool], on_lost: Callable[[Launch, str], None]
    ) -> None:
        self._monitor = monitor
        self._is_lent = is_lent
        self._on_lost = on_lost
        self._held: collections.OrderedDict[str, Holder] = collections.OrderedDict()
        self._failures: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._waiting: dict[str, Timer] = {}
        self._due: collections.OrderedDict[str, Launch] = collections.OrderedDict()
        self._aside: set[Task[None]] = set()
        self._most: int | None = None
        self._is_closed = False

    def of(self, key: str) -> Holder | None:
        """Return the holder from which a worker of `key` can be forked now; None if there is none."""
        holder = self._held.get(key)
        if holder is None:
            return None
        if holder.is_ready():
            self._held.move_to_end(key)
            return holder
        if not holder.is_usable:
            self._failed(key, holder)
        return None

    def worker_started(self, key: str, launch: Launch, seconds: float) -> None:
        """Take notice of a worker that is ready after so many seconds, and see that later ones have a holder."""
        holder = self._held.get(key)
        if holder is not None and not holder.is_usable:
            self._failed(key, holder)
            holder = None
        if holder is not None or not self._may_start(key, launch):
            return
        timer = self._waiting.get(key)
        if launch.serves_once:
            self._start(key, launch)
        elif timer is None:
            due = time.monotonic() + min(seconds, _MOST_DELAY_SECONDS)
            self._waiting[key] = self._monitor.call_at(due, lambda: self._has_waited(key, launch))
        else:
            timer.cancel()
            self._start(key, launch)

    def _has_waited(self, key: str, launch: Launch) -> None:
        if self._is_lent(key):
            self._start(key, launch)
            return
        self._due[key] = launch
        while len(self._due) > _MOST_KEYS:
            self._due.popitem(last=False)

    def worker_lent(self, key: str) -> None:
        """Take notice that a warm worker of `key` is used again."""
        launch = self._due.get(key)
        if launch is not None:
            self._start(key, launch)

    def _start(self, key: str, launch: Launch) -> None:
        self._waiting.pop(key, None)
        self._due.pop(key, None)
        if key in self._held or not self._may_start(key, launch):
            return
        assert self._most is not None
        for other, held in list(self._held.items()):
            if _is_of_older_files(held.launch, launch):
                self._drop(other)  # nobody asks for it any more
        while len(self._held) >= self._most:
            self._drop(next(iter(self._held)))
        self._held[key] = holder = Holder(launch, self._monitor)
        self._do_aside(self._starting(holder))

    def _do_aside(self, steps: Steps[None]) -> None:
        """Have the monitor drive steps that nobody waits for but the end of the pool."""
        task = Task(self._monitor, steps)
        self._aside.add(task)
        task.done.add_callback(lambda: self._aside.discard(task))
        task.post()

    def _may_start(self, key: str, launch: Launch) -> bool:
        if not launch.can_be_held or self._is_closed or sys.platform != "linux" or is_off():
            return False
        if self._most is None:
            self._most = most_holders()
        return self._most > 0 and self._failures.get(key, 0) < _MOST_FAILURES

    def _starting(self, holder: Holder) -> Steps[None]:
        try:
            yield from holder.starting()
        except Exception as error:
            holder.why = str(error) or repr(error)
            yield from holder.closing()
        if self._is_closed or holder not in self._held.values():
            yield from holder.closing()

    def _failed(self, key: str, holder: Holder) -> None:
        self._on_lost(holder.launch, holder.why_lost())
        self._drop(key)
        # One that has done its work may have been killed, or its modules were built again.
        self._failures[key] = 0 if holder.served else self._failures.get(key, 0) + 1
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def _drop(self, key: str) -> None:
        self._do_aside(self._held.pop(key).closing())

    def give_up_oldest(self) -> Holder | None:
        """Take the least recently used holder out, and return it to be closed; its key gets no other one."""
        if not self._held:
            return None
        key, holder = self._held.popitem(last=False)
        self._failures[key] = _MOST_FAILURES
        return holder

    def closing(self) -> Steps[None]:
        """End all of them, and start no more."""
        self._is_closed = True
        for timer in self._waiting.values():
            timer.cancel()
        while (holder := self.give_up_oldest()) is not None:
            yield from holder.closing()
        for task in list(self._aside):
            yield Until(task.done, _CLOSE_SECONDS)

    def pids(self) -> list[int]:
        """The processes that are there now; from any thread."""
        return [holder.pid for holder in self.all() if holder.pid]

    def all(self) -> list[Holder]:
        """All that are there now; from any thread."""
        while True:
            try:
                return list(self._held.values())
            except RuntimeError:
                continue  # it has changed meanwhile

    def ready(self) -> list[Holder]:
        """Return those from which workers can be forked now."""
        return [holder for holder in self.all() if holder.is_ready()]

    def leave_to_parent(self) -> None:
        """In a forked child: forget all, and hold nothing of it."""
        self._is_closed = True
        for holder in self.all():
            holder.leave_to_parent()
        self._held.clear()
