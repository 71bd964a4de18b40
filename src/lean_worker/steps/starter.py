"""The starter: one thread that starts child processes.

Linux sends a child its parent-death signal when the *thread* that started it ends. This thread lives as long as the
process: it does nothing else, and nothing that it runs can end it.
"""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Callable
from typing import Any, TypeVar

from ..base import threads
from ..base.system_errors import no_thread
from .waiting import Call

_T = TypeVar("_T")


class _Starter:
    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Call[Any]] = queue.SimpleQueue()
        self._runners: dict[int, object] = {}

    def start(self) -> None:
        if self._runners:
            return
        try:
            threads.start_bare(self._start_thread)
        except RuntimeError as error:
            raise no_thread("starting a worker", error) from error

    def _start_thread(self) -> None:
        # Off the main thread: there an interrupt could leave `Thread.start` in the middle.
        with contextlib.suppress(RuntimeError):  # the interpreter ends, or there is no thread: the next call asks again
            threads.start(self._run, "lean-worker-starter")

    def _run(self) -> None:
        me = object()
        if self._runners.setdefault(0, me) is not me:
            return
        while True:
            try:
                while True:
                    self.calls.get().run()
            except BaseException:
                continue  # not even an exception that is injected may end this thread


_starters: dict[int, _Starter] = {}


def submit(function: Callable[[], _T]) -> Call[_T]:
    """Run `function`, which starts a child, soon on the starter's thread.

    Raises:
        CapabilityError: The system gives no thread.
    """
    pid = os.getpid()  # a forked child has a starter of its own
    found = _starters.get(pid) or _starters.setdefault(pid, _Starter())
    found.start()
    call = Call(function)
    found.calls.put(call)
    return call
