"""The holders of a pool: processes with the imports of a script, from which later workers are forked.

Owns for which keys there is one, since when, and until when. A holder is started in the background when the first worker
of a key is ready, and only used once it is ready itself. At most so many live at once; the one that was not used for the
longest time goes first. Everything runs on the monitor's thread.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterable

from ..base.holder_limits import is_off, most_holders
from ..hosting.launch import Launch
from ..steps.tasks import Task
from ..steps.waiting import Steps
from ..worker import memory
from ..worker.holder import Holder
from .observer import HolderSnapshot

_MOST_FAILURES = 3
_MOST_KEYS = 1024


def snapshot_of(holders: Iterable[Holder]) -> tuple[HolderSnapshot, ...]:
    """Return what is known of holders that are ready; from any thread."""
    return tuple(HolderSnapshot(each.imports, each.served, memory.private_kib(each.pid)) for each in holders)


class Holders:
    """See the module."""

    def __init__(self) -> None:
        self._held: collections.OrderedDict[str, Holder] = collections.OrderedDict()
        self._failures: collections.OrderedDict[str, int] = collections.OrderedDict()
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
            self._failed(key)
            self._drop(key)
        return None

    def worker_started(self, key: str, launch: Launch) -> None:
        """Take notice of a worker that is ready, and start a holder for the next one."""
        holder = self._held.get(key)
        if holder is not None and not holder.is_usable:
            self._failed(key)
            self._drop(key)
            holder = None
        if holder is not None or not self._may_start(key, launch):
            return
        assert self._most is not None
        while len(self._held) >= self._most:
            self._drop(next(iter(self._held)))
        self._held[key] = holder = Holder(launch)
        Task(self._starting(holder)).post()

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

    def _failed(self, key: str) -> None:
        self._failures[key] = self._failures.get(key, 0) + 1
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def _drop(self, key: str) -> None:
        Task(self._held.pop(key).closing()).post()

    def drop_oldest(self) -> Holder | None:
        """Take the least recently used holder out, and return it to be closed."""
        return self._held.popitem(last=False)[1] if self._held else None

    def closing(self) -> Steps[None]:
        """End all of them, and start no more."""
        self._is_closed = True
        while (holder := self.drop_oldest()) is not None:
            yield from holder.closing()

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
