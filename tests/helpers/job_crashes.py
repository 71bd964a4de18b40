"""Ends a process at each step by which a job's ledger stores rows, and goes on with the job in another.

    python tests/helpers/job_crashes.py

A step is a call that changes a file. The output has to be absent, or that of a job that nobody disturbed, after each
crash; rows that were done are never asked for again.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lean_worker.batch import ledger as ledgers
from lean_worker.batch.job_output import write_output
from lean_worker.batch.ledger import Ledger, NewItem, Part

STEPS = ("write", "fsync", "rename", "replace", "unlink", "ftruncate")
ITEMS = 12
SHARED_BYTES = 60


def content_of(number: int) -> bytes:
    return b"".join(b'{"item":%d,"row":%d}\n' % (number, row) for row in range(number % 4))


def items(count: int) -> Iterator[NewItem]:
    for number in range(count):
        yield NewItem(f"{number:064x}", str(number), "rows", "", "", "")


def work(folder: Path, count: int, ran: Callable[[int], object], *, keep_parts: bool = False) -> None:
    """Do what a job does, its workers left out: what is due ends at once."""
    with Ledger(folder / "ledger", for_work=True) as ledger:
        ledger.ask_for(items(count))
        for key, request in ledger.due():
            ran(int(request))
            content = content_of(int(request))
            digest = hashlib.sha256(content).hexdigest()
            part = Part("", content.count(b"\n"), len(content), digest, 1, "null", content)
            ledger.add(key, part)
        ledger.flush()
        write_output(ledger, folder / "out", allow_incomplete=False, keep_parts=keep_parts)


def crash_at(step: int) -> None:
    """From here on, end this process at once in front of its `step`-th step."""
    left = [step]

    def ending(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return call

    for name in STEPS:
        setattr(os, name, ending(getattr(os, name)))
    # A transaction is a step too, at its beginning and at its end.
    transaction = Ledger.transaction
    Ledger.transaction = lambda ledger: _Transaction(transaction(ledger), ending(lambda: None))  # type: ignore[method-assign]


class _Transaction:
    def __init__(self, inner: object, step: Callable[[], object]) -> None:
        self._inner = inner
        self._step = step

    def __enter__(self) -> None:
        self._step()
        self._inner.__enter__()

    def __exit__(self, *exception: object) -> object:
        self._step()
        left = self._inner.__exit__(*exception)
        self._step()
        return left


def ends_at(folder: Path, count: int, step: int) -> bool:
    """Work in a process that crashes at a step; False if it has fewer steps and got to its end."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            # So that there are many flushes, several shared files, and several transactions that move rows.
            ledgers._ADDED_AT_ONCE = 2
            ledgers._ADDED_SECONDS = 1e9
            sys.modules["lean_worker.batch.packs"].PACK_BYTES = SHARED_BYTES
            sys.modules["lean_worker.batch.ledger_places"]._MOVED_AT_ONCE = 5
            with open(folder / "ran", "a") as ran:
                crash_at(step)
                work(folder, count, lambda number: print(number, file=ran, flush=True))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"step {step}: {status}"
    return os.WIFSIGNALED(status)


def output(count: int) -> bytes:
    return b"".join(map(content_of, range(count)))


def crash_everywhere(root: Path, before: int = 0, first: int = 1, every: int = 1) -> int:
    """Crash at each step of a job that had `before` items in an earlier output; return the number of steps.

    `first` and `every` choose some of the steps.
    """
    step = first - every
    while True:
        step += every
        folder = root / f"{before}-{step}"
        folder.mkdir()
        old = output(before)
        if before:
            work(folder, before, lambda number: None)
            assert (folder / "out").read_bytes() == old
        crashed = ends_at(folder, ITEMS, step)
        seen = (folder / "out").read_bytes() if (folder / "out").exists() else b""
        assert seen in (old, output(ITEMS)), step
        # Killed again, at some other step, and once more at the same.
        if step % 3 == 0:
            ends_at(folder, ITEMS, 1 + step // 2)
            ends_at(folder, ITEMS, step)
        work(folder, ITEMS, lambda number: None)
        assert (folder / "out").read_bytes() == output(ITEMS), step
        assert os.listdir(folder / "ledger.parts") == [".lock"], step
        again: list[int] = []
        work(folder, ITEMS, again.append)
        assert again == [], step
        ran = [int(line) for line in (folder / "ran").read_text().split()]
        assert all(number >= before for number in ran), (step, ran)
        if not crashed:
            return step - 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print({f"steps after {before} items": crash_everywhere(Path(name), before) for before in (0, 5)})
