"""Work in directories that sandboxed code may write to, with no more rights there than that code has.

SQLite obeys journals that lie beside a database: it replays them, and deletes a file that one names. Sandboxed code
could put a journal there in the moment between our look and SQLite's, and have this process write where it may not
itself. So such work runs on a thread that can write only where that code can: Landlock binds single threads.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..base import landlock, threads
from ..base.system_errors import no_thread
from ..hosting.sandbox import granted_above
from ..steps.waiting import Call, Until, firmly, run

_T = TypeVar("_T")
_PR_SET_NO_NEW_PRIVS = 38


def within_rights(directory: Path, function: Callable[[], _T]) -> _T:
    """Call `function`, on a thread that can write only where sandboxed code can if that may write to `directory`.

    Interrupted, it waits for the function to end first.

    Raises:
        OSError: The thread cannot be confined.
        ResourceExhausted: The system gives no thread.
        BaseException: What the function raises.
    """
    granted = granted_above(os.path.realpath(directory))
    if not granted or landlock.version() < landlock.LEAST_VERSION:
        return function()  # without Landlock, no sandboxed code has started

    def confine() -> _T:
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "new privileges cannot be forbidden")
        landlock.restrict(["/"], granted)
        return function()

    call = Call(confine)
    try:
        threads.start(call.run, "lean-worker-store")
    except RuntimeError as error:
        raise no_thread(f"storing rows in {directory}", error) from error
    except BaseException:  # an interrupt: the thread runs, or soon will, or never
        if not call.call_off():
            run(firmly(Until(call.done, None)))
        raise
    run(firmly(Until(call.done, None)))
    return call.result()
