"""Many requests over a pool: each has exactly one outcome, whatever happens to it, to its worker, or to the caller."""

from __future__ import annotations

import collections
import itertools
import re
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

import lean_worker as lw
from lean_worker.sinks import JsonLinesSink
from many_requests import (
    ECHO,
    GATED,
    NO_LIMITS,
    OTHER,
    PERFORM,
    ROWS,
    Batch,
    Plan,
    counted,
    map_threads,
    no_worker_failed,
)
from support import FUNCTIONS, INTEROP, wait_until


@pytest.fixture
def two():
    with lw.Pool(2, restarts=NO_LIMITS) as pool:
        yield pool


# -- order, and how far ahead --


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("in_flight", [None, 1, 3, 100])
def test_outcomes_come_in_order(workers, in_flight):
    with lw.Pool(workers) as pool:
        with pool.map(ECHO, range(60), capability=FUNCTIONS, in_flight=in_flight) as outcomes:
            assert outcomes.total == 60
            seen = list(outcomes)
        assert [(o.index, o.request, o.value, o.ok) for o in seen] == [(i, i, i, True) for i in range(60)]
        assert all(o.seconds > 0 for o in seen)
        assert next(outcomes, None) is None
        assert not map_threads() and no_worker_failed(pool)


def test_outcomes_as_they_come(two, tmp_path):
    gates = [str(tmp_path / "shut"), *[str(tmp_path / "open")] * 5]
    (tmp_path / "open").touch()
    with two.map(GATED, [{"gate": gate} for gate in gates], capability=FUNCTIONS, ordered=False) as outcomes:
        early = [next(outcomes).index for _ in range(5)]
        assert sorted(early) == [1, 2, 3, 4, 5]
        (tmp_path / "shut").touch()
        assert next(outcomes).index == 0
        assert list(outcomes) == []


def test_requests_begin_in_order_whichever_thread_gets_the_worker():
    with lw.Pool(3) as pool, pool.lease(FUNCTIONS), pool.lease(FUNCTIONS):  # one worker is left for three threads
        for _ in range(50):
            outcomes = pool.map(ECHO, range(3), capability=FUNCTIONS, ordered=False)
            assert [outcome.index for outcome in outcomes] == [0, 1, 2]


def test_in_order_the_first_is_waited_for(two, tmp_path):
    gates = [str(tmp_path / "shut"), *[str(tmp_path / "open")] * 5]
    (tmp_path / "open").touch()
    with two.map(GATED, [{"gate": gate} for gate in gates], capability=FUNCTIONS) as outcomes:
        opener = threading.Thread(target=lambda: (wait_until(lambda: outcomes.done == 5), (tmp_path / "shut").touch()))
        opener.start()
        assert [o.index for o in outcomes] == [0, 1, 2, 3, 4, 5]
        opener.join()


@pytest.mark.parametrize("ordered", [True, False])
def test_an_endless_source_is_read_only_as_far_as_needed(two, ordered):
    taken = []
    source = counted(itertools.count(), taken)
    with two.map(ECHO, source, capability=FUNCTIONS, in_flight=3, ordered=ordered) as outcomes:
        assert taken == [] and not map_threads() and outcomes.total is None
        for handed_out in range(1, 30):
            assert next(outcomes).ok
            assert handed_out <= len(taken) <= handed_out + 3
    with pytest.raises(lw.UsageError, match="before its end"):
        next(outcomes)
    assert next(source) == len(taken) - 1  # it was not closed, and is the caller's


def test_a_slow_consumer_slows_everything(two):
    taken = []
    with two.map(ECHO, counted(itertools.count(), taken), capability=FUNCTIONS, in_flight=5) as outcomes:
        assert next(outcomes).value == 0
        wait_until(lambda: outcomes.done == len(taken) and two.snapshot().leased == 0)  # workers are given back
        assert len(taken) <= 6 and two.snapshot().requests == len(taken)


def test_a_source_that_raises_comes_last(two):
    def source():
        yield from range(10)
        raise LookupError("no more")

    seen = []
    with pytest.raises(LookupError, match="no more"):
        for outcome in two.map(ECHO, source(), capability=FUNCTIONS):
            seen.append(outcome.value)
    assert seen == list(range(10)) and not map_threads()


def test_a_source_may_feed_on_outcomes(two):
    work = collections.deque([3])
    done = []

    def source():
        while work:
            yield work.popleft()

    for outcome in two.map(ECHO, source(), capability=FUNCTIONS, in_flight=1):
        done.append(outcome.value)
        work.extend([outcome.value - 1] * (outcome.value > 0))
    assert done == [3, 2, 1, 0]


# -- values --


def test_a_streaming_command_is_collected(two):
    outcomes = list(two.map(ROWS, ({"count": n} for n in range(6)), capability=FUNCTIONS))
    for n, outcome in enumerate(outcomes):
        collected = outcome.raise_for_error()
        assert [row.payload["i"] for row in collected.rows] == list(range(n))
        assert collected.summary.metadata == {"emitted": n}


@pytest.mark.lean
def test_on_real_lean(two):
    echo = lw.JsonCommand("echo")
    requests = [{"n": n} for n in range(20)]
    assert [o.raise_for_error() for o in two.map(echo, requests, capability=INTEROP)] == requests


@pytest.mark.lean
def test_streams_of_real_lean(two):
    many = lw.StreamingCommand("lean_rs_interop_consumer_worker_data_stream_many", row=bytes)
    rows = collections.Counter()
    outcomes = two.stream_many(many, [None] * 4, capability=INTEROP, on_row=lambda index, row: rows.update([index]))
    totals = {o.index: o.raise_for_error().total_rows for o in outcomes}
    assert rows == totals and len(totals) == 4 and min(totals.values()) > 0


def test_counts_while_it_runs(two):
    told = []
    requests = [{"rows": n, "then": "raise" if n % 2 else "ok"} for n in range(10)]
    with two.map(PERFORM, requests, capability=FUNCTIONS, on_done=told.append) as outcomes:
        list(outcomes)
    assert [done.done for done in told] == sorted(done.done for done in told)
    assert told[-1] == lw.batch.MapProgress(done=10, total=10, failed=5, rows=45)
    assert (outcomes.done, outcomes.failed, outcomes.rows) == (10, 5, 45)


def test_what_on_done_raises_is_logged(two, caplog):
    def on_done(done):
        raise ValueError("the bar is broken")

    assert all(o.ok for o in two.map(ECHO, range(5), capability=FUNCTIONS, on_done=on_done))
    assert "the bar is broken" in caplog.text


def test_diagnostics_and_progress_say_whose_they_are(two):
    events = collections.defaultdict(list)
    command = lw.StreamingCommand("events")
    outcomes = two.map(
        command,
        [None] * 4,
        capability=FUNCTIONS,
        on_diagnostic=lambda index, event: events[index].append(event.code),
        on_progress=lambda index, event: events[index].append(event.current),
    )
    assert all(o.ok for o in outcomes)
    assert events == {i: ["scan.started", 1, 2, "scan.finished"] for i in range(4)}


# -- rows, live --


def test_rows_are_live_and_in_order(two, tmp_path):
    gates = [str(tmp_path / name) for name in "ab"]
    rows = collections.defaultdict(list)
    threads = collections.defaultdict(set)

    def on_row(index, row):
        rows[index].append(row.payload["i"])
        threads[index].add(threading.current_thread())

    with two.stream_many(GATED, [{"gate": gate} for gate in gates], capability=FUNCTIONS, on_row=on_row) as outcomes:

        def open_gates():
            wait_until(lambda: rows == {0: [0], 1: [0]})  # both run, and neither has ended
            assert outcomes.rows == 2 and outcomes.done == 0
            for gate in gates:
                open(gate, "w").close()

        opener = threading.Thread(target=open_gates)
        opener.start()
        summaries = [o.raise_for_error() for o in outcomes]
        opener.join()
    assert [summary.total_rows for summary in summaries] == [2, 2]
    assert rows == {0: [0, 1], 1: [0, 1]} and outcomes.rows == 4
    assert len(threads[0]) == len(threads[1]) == 1 and threads[0] != threads[1]


def test_no_row_is_held(two):
    seen = collections.Counter()
    requests = [{"count": 30_000}] * 4
    outcomes = two.stream_many(
        ROWS, requests, capability=FUNCTIONS, on_row=lambda index, row: seen.update([index]), in_flight=2
    )
    assert next(outcomes).ok
    tracemalloc.start()
    try:
        assert all(o.value.total_rows == 30_000 for o in outcomes)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == dict.fromkeys(range(4), 30_000)
    assert peak_bytes < 4_000_000  # what was read and not handed out; all rows would be five times that


def test_what_on_row_raises_ends_its_request_only(two):
    def on_row(index, row):
        if index == 1 and row.payload["i"] == 2:
            raise LookupError("not this one")

    requests = [{"rows": 3, "then": "endless" if n == 1 else "ok"} for n in range(6)]
    outcomes = list(two.stream_many(PERFORM, requests, capability=FUNCTIONS, on_row=on_row))
    assert [o.ok for o in outcomes] == [True, False, True, True, True, True]
    with pytest.raises(LookupError, match="not this one"):
        outcomes[1].raise_for_error()
    assert no_worker_failed(two)


# -- rows into sinks --


def test_rows_of_each_request_go_to_a_sink_of_its_own(two, tmp_path):
    requests = [{"rows": n, "then": "raise" if n == 2 else "ok"} for n in range(5)]
    with two.stream_many(
        PERFORM,
        requests,
        capability=FUNCTIONS,
        sink=lambda index, request: JsonLinesSink(tmp_path / f"{index}-{request['rows']}.jsonl"),
    ) as outcomes:
        seen = list(outcomes)
    assert [o.index for o in seen if not o.ok] == [2] and outcomes.rows == 10
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{n}-{n}.jsonl": "".join(f'{{"i":{i}}}\n' for i in range(n)) for n in (0, 1, 3, 4)
    }


def test_a_lost_request_gets_another_sink(two, tmp_path):
    asked = collections.Counter()

    def sink(index, request):
        asked[index] += 1
        return JsonLinesSink(tmp_path / f"{index}.jsonl")

    requests = [{"rows": 2, "then": "SIGKILL", "once": str(tmp_path / "killed")}, {"rows": 1}]
    outcomes = two.stream_many(PERFORM, requests, capability=FUNCTIONS, sink=sink, retries=1)
    assert [o.raise_for_error().total_rows for o in outcomes] == [2, 1]
    assert asked == {0: 2, 1: 1}
    assert (tmp_path / "0.jsonl").read_text() == '{"i":0}\n{"i":1}\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jsonl", "1.jsonl", "killed"]


def test_a_sink_that_cannot_be_is_the_outcome_of_its_request(two, tmp_path):
    outcomes = two.stream_many(
        PERFORM, [{}, {}], capability=FUNCTIONS, sink=lambda index, request: JsonLinesSink(tmp_path / "no" / "way")
    )
    assert [type(o.error) for o in outcomes] == [lw.SinkError] * 2
    assert no_worker_failed(two)


# -- plans --


def test_a_batch_runs_in_order_on_one_worker(two):
    order = collections.defaultdict(list)
    both = threading.Barrier(2)

    def note(request):
        # Called on the thread that runs the batch: the first two, and the last two, begin side by side.
        if request["n"] == 0:
            both.wait(30)
        order[request["batch"]].append(request["n"])
        return 60.0

    plan = Plan(
        [
            Batch(capability, [{"batch": b, "n": n} for n in range(8)])
            for b, capability in enumerate([FUNCTIONS, OTHER, FUNCTIONS, OTHER])
        ]
    )
    with two.map(PERFORM, plan, timeout=note) as outcomes:
        assert outcomes.total == 32
        seen = list(outcomes)
    assert sorted(o.index for o in seen) == list(range(32))
    assert all(o.request == {"batch": o.index // 8, "n": o.index % 8} for o in seen)
    assert order == {b: list(range(8)) for b in range(4)}
    pids = collections.defaultdict(set)
    for o in seen:
        pids[o.request["batch"]].add(o.raise_for_error().summary.metadata["pid"])
    assert all(len(of_batch) == 1 for of_batch in pids.values())
    # Two workers, two sets: each was opened once, and served both of its batches.
    assert two.snapshot().started == 2 and pids[0] == pids[2] != pids[1] == pids[3]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_plan_in_order(workers):
    with lw.Pool(workers) as pool:
        plan = Plan(Batch(FUNCTIONS, range(b * 5, b * 5 + 5 * (b != 2))) for b in range(5))
        seen = list(pool.map(ECHO, plan, ordered=True, in_flight=2))
        assert [o.index for o in seen] == list(range(20))
        assert [o.value for o in seen] == [*range(10), *range(15, 25)]


def test_a_crash_in_a_batch_goes_on_with_its_next(two):
    plan = Plan([Batch(FUNCTIONS, [{"then": "SIGKILL" if n == 2 else "ok", "id": n} for n in range(5)])] * 2)
    seen = list(two.map(PERFORM, plan))
    assert sorted(o.index for o in seen if not o.ok) == [2, 7] and len(seen) == 10


def test_a_slow_consumer_of_a_plan(two):
    plan = Plan([Batch(FUNCTIONS, range(100))])
    with two.map(ECHO, plan, in_flight=3) as outcomes:
        next(outcomes)
        wait_until(lambda: outcomes.done == 4 and two.snapshot().leased == 0)
        assert two.snapshot().requests == 4
        assert len(list(outcomes)) == 99


# -- all at once --


@pytest.mark.once
def test_two_thousand_requests_and_random_crashes(rand):
    """Each request has exactly the outcome that it asked for, once."""
    retries = rand.randrange(2)
    ends = ["ok"] * 190 + ["raise"] * 7 + ["SIGKILL", "SIGABRT", "hang"]
    requests = [{"id": n, "rows": rand.randrange(4), "then": rand.choice(ends)} for n in range(2000)]
    expected = {"ok": type(None), "raise": lw.CommandFailed, "hang": lw.RequestTimeout}
    rows = collections.Counter()
    with lw.Pool(2, restarts=NO_LIMITS) as pool:
        outcomes = pool.map(
            PERFORM,
            iter(requests),
            capability=FUNCTIONS,
            ordered=rand.choice([True, False]),
            in_flight=rand.choice([1, 2, 7, 50]),
            timeout=lambda r: 0.1 if r["then"] == "hang" else 60,
            retries=retries,
        )
        seen = list(outcomes)
        assert sorted(o.index for o in seen) == list(range(2000)), rand
        for o in seen:
            assert o.request is requests[o.index]
            assert type(o.error) is expected.get(o.request["then"], lw.ChildExited), (rand, o)
            if o.ok:
                rows["delivered"] += len(o.value.rows)
                assert [row.payload["i"] for row in o.value.rows] == list(range(o.request["rows"]))
        lost = sum(r["then"] not in ("ok", "raise") for r in requests)
        assert pool.snapshot().requests == 2000 + lost * retries
        assert (outcomes.done, outcomes.failed) == (2000, sum(r["then"] != "ok" for r in requests))


# -- wrong calls --


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_flight": 0}, "in_flight"),
        ({"in_flight": 1.5}, "in_flight"),
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"timeout": -1}, "timeout"),
        ({"capability": None}, "capability"),
        ({"requests": 5}, "iterable"),
        ({"requests": Plan([])}, "capability"),
        ({"requests": Plan([SimpleNamespace(capability=FUNCTIONS)]), "capability": None}, "requests of a batch"),
        (
            {"requests": Plan([SimpleNamespace(capability=FUNCTIONS, requests="ab")]), "capability": None},
            "got one: 'ab'",
        ),
        (
            {"requests": Plan([SimpleNamespace(capability="x", requests=[1])]), "capability": None},
            "capability of a batch",
        ),
        ({"command": "echo"}, "JsonCommand"),
    ],
)
def test_wrong_arguments(two, arguments, message):
    call = {"command": ECHO, "requests": [1], "capability": FUNCTIONS, **arguments}
    with pytest.raises(lw.UsageError, match=message):
        two.map(call.pop("command"), call.pop("requests"), **call)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"on_row": print, "sink": lambda index, request: print}, {"on_row": print, "retries": 1}, {"command": ECHO}],
)
def test_wrong_arguments_of_streams(two, arguments):
    with pytest.raises(lw.UsageError):
        two.stream_many(arguments.pop("command", PERFORM), [1], capability=FUNCTIONS, **arguments)


# -- documentation --


def test_the_page_on_many_requests(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "many.md").read_text()
    module, *examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (output,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tasks.py").write_text(module)
    program = "\n".join(examples)
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, output), done.stderr


@pytest.mark.parametrize("command", [ECHO, ROWS], ids=["call", "rows"])
def test_leaving_a_run_early_keeps_its_workers_warm(command):
    """Also where the request in flight ends in the moment in which it is stopped."""
    with lw.Pool() as pool:
        for number in range(30):
            requests = itertools.repeat({"count": 3})
            with pool.map(command, requests, capability=FUNCTIONS) as outcomes:
                for _ in itertools.islice(outcomes, 1 + number % 7):
                    pass
        assert pool.call(FUNCTIONS, ECHO, 1) == 1
        assert pool.snapshot().started == 1
