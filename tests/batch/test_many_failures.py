"""Many requests over a pool when something fails, others want workers, or the caller has enough."""

from __future__ import annotations

import collections
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

import lean_worker as lw
from fakes import liar
from many_requests import (
    ABOUT,
    ECHO,
    NO_LIMITS,
    PERFORM,
    counted,
    map_threads,
    no_worker_failed,
)
from support import FUNCTIONS, HELPERS, is_running, send_signal, wait_until


@pytest.fixture
def two():
    with lw.Pool(2, restarts=NO_LIMITS) as pool:
        yield pool


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
        assert isinstance(seen[4].error, lw.errors.PoisonRequest)
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
            for worker in list(pool._core.workers):
                send_signal(worker.pid, signal.SIGKILL)
                wait_until(lambda worker=worker: worker._process.has_ended)
            return 60.0

        (outcome,) = pool.map(ECHO, [1], capability=FUNCTIONS, timeout=kill_it)
        assert isinstance(outcome.error, lw.errors.StaleLease) and outcome.error.entered_worker is False
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
        assert kinds[lw.errors.RestartLimitExceeded] >= 6 and kinds[lw.ChildExited] >= 2 and sum(kinds.values()) == 9


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
        assert [type(o.error) for o in seen] == [lw.errors.QueueTimeout] * 3
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
    seen = []
    with pytest.raises(lw.Cancelled, match="were taken"):
        for outcome in outcomes:
            seen.append(outcome)
    assert [o.index for o in seen] == list(range(len(taken)))
    assert all(isinstance(o.error, lw.Cancelled) for o in seen)
    assert [o.error.entered_worker for o in seen].count(True) == 2
    assert no_worker_failed(two) and not map_threads()
    with pytest.raises(lw.Cancelled, match="after 0 of 3 were taken"):
        list(two.map(ECHO, range(3), capability=FUNCTIONS, cancel=token))
    assert not token._event._callbacks


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
        wait_until(lambda: any(worker.pid for worker in list(pool._core.workers)))
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
        f"import sys; sys.path.insert(0, {str(HELPERS)!r})\n"
        "import lean_worker as lw\nfrom support import FUNCTIONS\n"
        "pool = lw.Pool(2)\n"
        "outcomes = pool.map(lw.StreamingCommand('perform'), [{'then': 'ok'}, {'then': 'endless'}], capability=FUNCTIONS)\n"
        "print(next(outcomes).value.summary.metadata['pid'])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    wait_until(lambda: not is_running(int(done.stdout)))


# -- waiting for a lease can be cancelled --


@pytest.mark.parametrize("total", [2, 3, 40])
def test_a_cancelled_run_does_not_look_complete(two, total):
    """A slow consumer cancels when all that was taken has succeeded: only the end can say that others are left."""
    token, seen = lw.CancelToken(), []

    def consume():
        for outcome in two.map(ECHO, range(total), capability=FUNCTIONS, in_flight=2, cancel=token, ordered=True):
            seen.append(outcome)
            wait_until(lambda: two.snapshot().leased == 0)
            token.cancel()

    if total == 2:
        consume()
    else:
        with pytest.raises(lw.Cancelled, match=f"of {total} were taken"):
            consume()
    assert [outcome.index for outcome in seen] == list(range(len(seen))) and all(outcome.ok for outcome in seen)


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
            wait_until(lambda: any(worker.pid for worker in list(pool._core.workers)))
            pids.extend(worker.pid for worker in list(pool._core.workers))
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


AT_THE_END = """
import atexit, itertools, threading
begun = threading.Event()
atexit.register(lambda: worker.join(30))  # after what lean-worker does then
import lean_worker as lw
from support import FUNCTIONS

def iterate():
    try:
        for outcome in pool.map(lw.JsonCommand("echo"), itertools.count(), capability=FUNCTIONS):
            begun.set()
        print("complete")
    except lw.Cancelled as error:
        print(error.text)

pool = lw.Pool()
worker = threading.Thread(target=iterate, daemon=True)
worker.start()
assert begun.wait(30)
"""


def test_a_run_that_the_end_of_the_interpreter_stops_does_not_look_complete():
    path = os.pathsep.join([str(HELPERS), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "running many requests: stopped by the end of its tasks or of the interpreter, after" in done.stdout, done
