"""The processes of a worker are killed while it starts: nothing is blamed on what is hosted, and another try succeeds."""

from __future__ import annotations

import contextlib
import threading

import psutil
import pytest

import lean_worker as lw

pytestmark = [pytest.mark.lean, pytest.mark.once]
STATEMENT = "prelude\nimport LeanWorker.Library\ntheorem goal : True := sorry\n"
GOOD = STATEMENT.replace("sorry", "trivial")


@contextlib.contextmanager
def killing_first(word):
    """Kill the first process below this one whose command line has the word; provides a list of what was killed."""
    killed, is_over = [], threading.Event()

    def watch():
        while not is_over.is_set() and not killed:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if any(word in part for part in child.cmdline()):
                        child.kill()
                        killed.append(child.pid)
                        break

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        is_over.set()
        watcher.join()


def test_a_keeper_that_is_killed_while_its_worker_starts_costs_no_file():
    with killing_first("keeper_main") as killed:
        found = list(lw.check([(f"f{n}", GOOD) for n in range(3)], jobs=1, toolchain="embedded"))
    assert killed and [each.verdict for each in found] == ["accepted"] * 3


def test_a_judge_that_is_killed_while_it_starts_is_no_wrong_statement():
    def verify():
        return [each.verdict.value for each in lw.verify([("good", GOOD)], statement=STATEMENT, toolchain="embedded")]

    with killing_first("judge_process") as killed, pytest.raises(lw.ChildExited) as caught:
        verify()
    assert killed and caught.value.signal == "SIGKILL"
    assert verify() == ["proved"]
