"""Many requests over a pool: each has exactly one outcome, whatever happens to it, to its worker, or to the caller."""

from __future__ import annotations

import collections
import dataclasses
import gc
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from pathlib import Path

import pytest

import lean_worker as lw
from fakes import liar
from lean_worker.sinks import JsonLinesSink
from support import FUNCTIONS, HOSTS, INTEROP, is_running, send_signal, wait_until

ECHO = lw.JsonCommand("echo")
ABOUT = lw.JsonCommand("about_me")
ROWS = lw.StreamingCommand("rows")
PERFORM = lw.StreamingCommand("perform")
GATED = lw.StreamingCommand("row_then_gate")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
NO_LIMITS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


@dataclasses.dataclass
class Batch:
    capability: object
    requests: object


@dataclasses.dataclass
class Plan:
    batches: object


@pytest.fixture
def two():
    with lw.Pool(2, restarts=NO_LIMITS) as pool:
        yield pool


def counted(requests, taken):
    for request in requests:
        taken.append(request)
        yield request


def map_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("lean-worker-map")]


def no_worker_failed(pool):
    snapshot = pool.snapshot()
    return snapshot.failures == 0 and snapshot.leased == 0


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
    assert next(outcomes, None) is None
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
    assert told[-1] == lw.Done(done=10, total=10, failed=5, rows=45)
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


# -- failures touch nobody else --


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_is_the_outcome_of_its_request(workers):
    with lw.Pool(workers, restarts=NO_LIMITS) as pool:
        requests = [{"rows": 2, "then": "SIGKILL" if n in (3, 4, 8) else "ok"} for n in range(12)]
        seen = list(pool.map(PERFORM, requests, capability=FUNCTIONS))
        assert [o.index for o in seen if not o.ok] == [3, 4, 8]
        for o in seen:
            if not o.ok:
                assert isinstance(o.error, lw.ChildExited) and o.error.rows_delivered == 2
                assert isinstance(o.error, lw.ChildExited) and o.value is None
        assert pool.snapshot().ended["crashed"] == 3


def test_a_verdict_is_an_outcome(two):
    seen = list(two.map(lw.JsonCommand("fail"), range(3), capability=FUNCTIONS))
    assert [type(o.error) for o in seen] == [lw.CommandFailed] * 3
    assert no_worker_failed(two)


def test_a_request_without_json_form_is_an_outcome(two):
    seen = list(two.map(ECHO, [1, object(), 2], capability=FUNCTIONS))
    assert [type(o.error) for o in seen] == [type(None), lw.UsageError, type(None)]


def test_lost_requests_are_sent_again_only_if_the_caller_says_so(two, tmp_path):
    def requests(name):
        return [{"then": "SIGKILL", "once": str(tmp_path / f"{name}{n}")} if n % 3 == 0 else {} for n in range(9)]

    assert [o.index for o in two.map(PERFORM, requests("a"), capability=FUNCTIONS) if not o.ok] == [0, 3, 6]
    assert all(o.ok for o in two.map(PERFORM, requests("b"), capability=FUNCTIONS, retries=1))
    assert two.snapshot().requests == 9 + 12


def test_a_poison_request_is_refused_in_the_end():
    with lw.Pool(2, restarts=lw.RestartPolicy(backoff=0, poison_after=2)) as pool:
        requests = [{"then": "SIGKILL", "id": 1} if n == 4 else {"id": n} for n in range(10)]
        seen = list(pool.map(PERFORM, requests, capability=FUNCTIONS, retries=10))
        assert [o.index for o in seen if not o.ok] == [4]
        assert isinstance(seen[4].error, lw.PoisonRequest)
        assert pool.snapshot().ended["crashed"] == 2


def test_a_worker_that_died_before_it_was_asked_is_replaced_unnoticed():
    with lw.Pool(1, restarts=NO_LIMITS) as pool:
        pids = []

        def kill_first(request):
            # Called between the lease and the request, on the thread that holds the lease.
            if request == 2:
                send_signal(pids[-1], signal.SIGKILL)
                wait_until(lambda: not os.path.exists(f"/proc/{pids[-1]}"))
            return 60.0

        seen = []
        for outcome in pool.map(ABOUT, range(4), capability=FUNCTIONS, timeout=kill_first, in_flight=1):
            seen.append(outcome)
            pids.append(outcome.raise_for_error()["pid"])
        assert len(seen) == 4 and len(set(pids)) == 2
        assert pool.snapshot().requests == 4  # nothing was sent twice


def test_sending_again_is_bounded():
    with lw.Pool(1, restarts=NO_LIMITS) as pool:

        def kill_it(request):
            # Each worker dies between the lease and the request.
            for worker in list(pool._workers):
                send_signal(worker.pid, signal.SIGKILL)
                wait_until(lambda worker=worker: worker._process.has_ended)
            return 60.0

        (outcome,) = pool.map(ECHO, [1], capability=FUNCTIONS, timeout=kill_it)
        assert isinstance(outcome.error, lw.StaleLease) and outcome.error.entered_worker is False
        assert (pool.snapshot().started, pool.snapshot().requests) == (4, 0)


def test_time_limits_of_single_requests(two):
    requests = [{"then": "hang" if n in (1, 5) else "ok", "id": n} for n in range(8)]
    limits = two.map(PERFORM, requests, capability=FUNCTIONS, timeout=lambda r: 0.2 if r["then"] == "hang" else 60)
    seen = list(limits)
    assert [o.index for o in seen if not o.ok] == [1, 5]
    assert all(isinstance(seen[n].error, lw.RequestTimeout) and seen[n].seconds >= 0.2 for n in (1, 5))
    (outcome,) = two.map(PERFORM, [{"then": "hang"}], capability=FUNCTIONS, timeout=0.2)
    assert isinstance(outcome.error, lw.RequestTimeout)
    (outcome,) = two.map(ECHO, [1], capability=FUNCTIONS, timeout=lambda request: request["no"])
    assert isinstance(outcome.error, TypeError)


def test_what_cannot_be_hosted_is_the_outcome_of_every_request(two):
    seen = list(two.map(ECHO, range(5), capability=lw.PythonCapability("no_such_module:COMMANDS")))
    assert [type(o.error) for o in seen] == [lw.CapabilityError] * 5


def test_a_run_that_gets_on_sits_out_the_restart_limit():
    with lw.Pool(2, restarts=lw.RestartPolicy(max_restarts=1, window=0.5, backoff=0)) as pool:
        requests = [{"then": "SIGKILL" if n % 3 == 0 else "ok", "id": n} for n in range(12)]
        seen = list(pool.map(PERFORM, requests, capability=FUNCTIONS))
        assert {type(o.error) for o in seen if o.index % 3 == 0} == {lw.ChildExited}
        assert all(o.ok for o in seen if o.index % 3)


def test_a_run_that_gets_nowhere_does_not_wait():
    with lw.Pool(2, restarts=lw.RestartPolicy(max_restarts=1, window=300, backoff=0)) as pool:
        started = time.monotonic()
        seen = list(pool.map(PERFORM, [{"then": "SIGKILL", "id": n} for n in range(9)], capability=FUNCTIONS))
        assert time.monotonic() - started < 60
        kinds = collections.Counter(type(o.error) for o in seen)
        assert kinds[lw.RestartLimitExceeded] >= 6 and kinds[lw.ChildExited] >= 2 and sum(kinds.values()) == 9


# -- sharing the pool --


def test_a_lease_that_the_caller_holds_holds_nothing_up(two):
    with two.lease(FUNCTIONS):
        assert [o.value for o in two.map(ECHO, range(20), capability=FUNCTIONS)] == list(range(20))
        wait_until(lambda: two.snapshot().queued == 0)


def test_others_get_a_worker_while_a_run_goes_on():
    with lw.Pool(1) as pool, pool.map(ECHO, itertools.count(), capability=FUNCTIONS) as outcomes:
        stop = threading.Event()

        def consume():
            while not stop.is_set():
                assert next(outcomes).ok

        consumer = threading.Thread(target=consume)
        consumer.start()
        try:
            for _ in range(2):
                with pool.lease(FUNCTIONS, timeout=30) as lease:
                    done = outcomes.done
                    assert lease.call(ECHO, "mine") == "mine"
                wait_until(lambda before=done: outcomes.done > before)
        finally:
            stop.set()
            consumer.join()


def test_no_worker_for_the_time_of_the_queue():
    with lw.Pool(1, timeouts=lw.Timeouts(queue=0.1)) as pool, pool.lease(FUNCTIONS) as lease:
        seen = list(pool.map(ECHO, range(3), capability=FUNCTIONS))
        assert [type(o.error) for o in seen] == [lw.QueueTimeout] * 3
        assert lease.call(ECHO, 1) == 1


def test_a_full_pool_that_is_not_waited_for():
    with lw.Pool(2, timeouts=lw.Timeouts(queue=0)) as pool, pool.lease(FUNCTIONS):
        assert [o.value for o in pool.map(ECHO, range(50), capability=FUNCTIONS)] == list(range(50))


def test_a_pool_that_is_closed_meanwhile_ends_the_iteration():
    with lw.Pool(1) as pool:
        outcomes = pool.map(ECHO, itertools.count(), capability=FUNCTIONS)
        assert next(outcomes).value == 0
        pool.close()
        with pytest.raises(lw.UsageError, match="the pool is closed"):
            for outcome in outcomes:
                assert outcome.ok or isinstance(outcome.error, lw.UsageError)
        assert not map_threads()


# -- stopping --


def test_leaving_early_stops_at_a_row_and_keeps_workers(two):
    def rows_have_come():
        if hasattr(outcomes, "turn"):
            outcomes.turn()  # asyncio's loop stands still between two calls
        return outcomes.rows > 10

    with two.map(PERFORM, [{"then": "ok"}, *[{"then": "endless"}] * 5], capability=FUNCTIONS) as outcomes:
        for outcome in outcomes:
            assert outcome.ok
            wait_until(rows_have_come)
            break
    assert not map_threads() and no_worker_failed(two)
    outcomes.close()


def test_cancelling_gives_each_that_was_taken_an_outcome(two):
    token = lw.CancelToken()
    taken = []
    running = set()

    def on_row(index, row):
        running.add(index)
        if len(running) == 2:
            token.cancel()

    requests = counted(({"then": "endless"} for _ in itertools.count()), taken)
    outcomes = two.stream_many(PERFORM, requests, capability=FUNCTIONS, on_row=on_row, cancel=token)
    seen = list(outcomes)
    assert [o.index for o in seen] == list(range(len(taken)))
    assert all(isinstance(o.error, lw.Cancelled) for o in seen)
    assert [o.error.entered_worker for o in seen].count(True) == 2
    assert no_worker_failed(two) and not map_threads()
    assert list(two.map(ECHO, range(3), capability=FUNCTIONS, cancel=token)) == []
    assert token._listeners == []


def test_closing_ends_a_wait_for_a_worker():
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        outcomes = pool.map(ECHO, range(3), capability=FUNCTIONS)
        consumer = threading.Thread(target=lambda: seen.extend(outcomes))
        seen = []
        consumer.start()
        wait_until(lambda: pool.snapshot().queued == 1)
        outcomes.close()
        consumer.join()
        assert seen == [] and not map_threads() and pool.snapshot().queued == 0
        assert lease.call(ECHO, 1) == 1 and dict(pool.snapshot().refused) == {}


def test_closing_ends_the_start_of_a_worker():
    with lw.Pool(1) as pool:
        outcomes = pool.map(ECHO, range(3), capability=liar("silent"))
        consumer = threading.Thread(target=lambda: list(outcomes))
        consumer.start()
        wait_until(lambda: any(hasattr(worker, "_process") for worker in list(pool._workers)))
        outcomes.close()
        consumer.join()
        assert not map_threads() and pool.snapshot().leased == 0


def test_a_row_handler_may_close(two):
    seen = []

    def on_row(index, row):
        seen.append(index)
        outcomes.close()

    outcomes = two.stream_many(PERFORM, [{"then": "endless"}] * 4, capability=FUNCTIONS, on_row=on_row)
    assert list(outcomes) == []
    assert 1 <= len(seen) <= 2
    outcomes.close()
    assert not map_threads() and no_worker_failed(two)


def test_an_interrupt_of_the_consumer(two):
    def on_row(index, row):
        if outcomes.rows == 10:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        with two.stream_many(PERFORM, [{"then": "endless"}], capability=FUNCTIONS, on_row=on_row) as outcomes:
            list(outcomes)
    assert not map_threads() and no_worker_failed(two)


def test_outcomes_that_are_dropped(two):
    outcomes = two.map(PERFORM, [{"then": "ok"}, {"then": "endless"}], capability=FUNCTIONS)
    assert next(outcomes).ok
    with pytest.warns(ResourceWarning, match="outcomes were dropped"):
        del outcomes
        gc.collect()
    wait_until(lambda: not map_threads() and two.snapshot().leased == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        two.map(ECHO, range(3), capability=FUNCTIONS)  # nothing had begun
        assert [o.value for o in two.map(ECHO, range(3), capability=FUNCTIONS)] == [0, 1, 2]
        gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_no_outcomes(two):
    with two.map(ECHO, range(100), capability=FUNCTIONS, in_flight=4) as outcomes:
        assert next(outcomes).value == 0
        child = os.fork()
        if child == 0:
            code = 1
            try:
                next(outcomes)
            except lw.UsageError as error:
                outcomes.close()
                code = 0 if "forked" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [o.value for o in outcomes] == list(range(1, 100))


def test_an_interpreter_may_end_in_the_middle(tmp_path):
    script = tmp_path / "user.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(HOSTS.parent)!r})\n"
        "import lean_worker as lw\nfrom support import FUNCTIONS\n"
        "pool = lw.Pool(2)\n"
        "outcomes = pool.map(lw.StreamingCommand('perform'), [{'then': 'ok'}, {'then': 'endless'}], capability=FUNCTIONS)\n"
        "print(next(outcomes).value.summary.metadata['pid'])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    wait_until(lambda: not is_running(int(done.stdout)))


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
        ({"command": "echo"}, "JsonCommand"),
        ({"command": lw.JsonCommand("echo", response=int | object)}, "declaring a type"),
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


# -- waiting for a lease can be cancelled --


def test_a_queued_lease_is_cancelled():
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS):
        token = lw.CancelToken()
        canceller = threading.Thread(target=lambda: (wait_until(lambda: pool.snapshot().queued == 1), token.cancel()))
        canceller.start()
        with pytest.raises(lw.Cancelled) as caught:
            pool.lease(FUNCTIONS, cancel=token)
        canceller.join()
        assert caught.value.entered_worker is False and pool.snapshot().queued == 0
        with pytest.raises(lw.Cancelled):
            pool.lease(FUNCTIONS, cancel=token)


def test_a_start_is_cancelled():
    with lw.Pool(1) as pool:
        token = lw.CancelToken()
        pids = []

        def cancel():
            wait_until(lambda: any(hasattr(worker, "_process") for worker in list(pool._workers)))
            pids.extend(worker.pid for worker in list(pool._workers))
            token.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(lw.Cancelled):
            pool.lease(liar("silent"), cancel=token)
        canceller.join()
        assert not is_running(pids[0]) and pool.snapshot().leased == 0
        assert pool.snapshot().failures == 0
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(ECHO, 1) == 1


# -- documentation --


def test_the_page_on_many_requests(tmp_path):
    page = (Path(__file__).parent.parent / "docs" / "many.md").read_text()
    module, *examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (output,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tasks.py").write_text(module)
    program = "\n".join(examples)
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, output), done.stderr
