"""The bar: what it counts, when it is silent, and what it says when rich is missing."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

import lean_worker as lw
from lean_worker.testing import Crash, Gate, Progress, Row, Rows
from support import wait_until

ROWS = lw.StreamingCommand("rows")


def drawn(console):
    """The numbers of rows that were shown, one after the other."""
    return re.findall(r"([\d,]+) rows", console.file.getvalue())


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=160)


def test_rows_phase_and_memory_are_shown_while_rows_come(fake_worker):
    fake = fake_worker({"rows": [Progress("elaborate", 3, 4), Rows(1234), Gate()]})
    console = terminal()

    def shown():
        return console.file.getvalue()

    with lw.Pool() as pool, lw.progress.bar("start", pool=pool, console=console) as bar, pool.lease(fake) as lease:
        assert bar.is_shown and bar.follow(lease) is lease
        with lease.stream(ROWS, on_progress=bar.on_progress, timeout=60) as rows:
            for row in rows:
                if row.sequence == 1233:
                    wait_until(lambda: "1,234 rows" in shown() and "75%" in shown() and "MiB" in shown())
                    fake.open_gate()
    assert "start" in shown() and "elaborate" in shown()


def test_a_followed_lease_counts_all_its_rows_also_those_between_two_looks(fake_worker):
    fake = fake_worker({"rows": [Rows(1000)]})
    console = terminal()
    with lw.Pool() as pool, pool.lease(fake) as lease:
        lease.collect(ROWS)  # before somebody looks
        with lw.progress.bar("rows", console=console) as bar:
            bar.follow(lease)
            lease.collect(ROWS)
            lease.collect(ROWS)
        assert lease.rows_delivered == 0 and lease.rows_delivered_in_all == 3000
        assert drawn(console)[-1] == "2,000"
        with lw.progress.bar("rows", console=console) as bar:
            for _ in range(2):
                with lease.stream(ROWS) as rows:
                    bar.follow(rows)
                    assert len(list(rows)) == 1000
        assert drawn(console)[-1] == "2,000"


def test_many_requests_failures_and_lost_workers(fake_worker):
    fake = fake_worker({"rows": [Row(1), Crash()]})
    console = terminal()
    policy = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(restarts=policy) as pool, lw.progress.bar("items", pool=pool, console=console) as bar:
        outcomes = list(pool.map(ROWS, range(3), capability=fake, on_done=bar.on_done))
        wait_until(lambda: "3 workers lost" in console.file.getvalue())
    assert [outcome.ok for outcome in outcomes] == [False] * 3
    assert "3 rows" in console.file.getvalue() and "3 failed" in console.file.getvalue()
    assert "100%" in console.file.getvalue()


@pytest.mark.parametrize("options", [{"console": Console(file=io.StringIO())}, {"show": False}, {}])
def test_it_is_quiet_where_nobody_looks(options, capfd):
    with lw.progress.bar("quiet", **options) as bar:
        bar.on_progress(Progress("phase", 1, 2))
        assert not bar.is_shown
    assert capfd.readouterr() == ("", "")


def test_a_missing_rich_is_named():
    code = (
        "import sys; sys.modules['rich'] = None\n"
        "import lean_worker as lw\n"
        "try: lw.progress.bar()\n"
        "except lw.errors.MissingExtra as error: print(error.hint)\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.stdout == "pip install 'lean-worker[cli]'\n"
