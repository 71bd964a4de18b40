"""Planned replacement, memory limits, restart intensity, poison, prewarming, draining, forks, and what a pool tells."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import sys
import threading
import time
import warnings
from random import Random

import pytest

import lean_worker as lw
from support import FUNCTIONS, HOSTS, SANITIZED, is_running, wait_until

pytestmark = pytest.mark.supervision

ABOUT = lw.JsonCommand("about_me")
ECHO = lw.JsonCommand("echo")
HOLD = lw.JsonCommand("hold_memory")
DIE = lw.StreamingCommand("die")
OBEY = lw.StreamingCommand("obey")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
BROKEN = lw.PythonCapability("no_such_module:COMMANDS")
TOLERANT = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


def pid_of(lease):
    return lease.call(ABOUT)["pid"]


def die(pool, **request):
    with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.ChildExited) as caught:
        lease.run(DIE, {"how": "exit", "code": 3, **request}, on_row=lambda row: None)
    return caught.value


# -- memory and planned replacement --


def test_a_lease_goes_on_after_a_planned_replacement():
    with lw.Pool(memory=lw.MemoryPolicy(max_requests=2)) as pool:
        with pool.lease(FUNCTIONS) as lease:
            pids = [pid_of(lease) for _ in range(5)]
        assert [pids[0] == pids[1], pids[1] == pids[2], pids[2] == pids[3], pids[3] == pids[4]] == [
            True,
            False,
            True,
            False,
        ]
        snapshot = pool.snapshot()
        assert (snapshot.ended["policy"], snapshot.failures) == (2, 0)


def test_a_used_up_worker_is_replaced_before_somebody_waits_for_it():
    with lw.Pool(memory=lw.MemoryPolicy(max_requests=1)) as pool:
        with pool.lease(FUNCTIONS) as lease:
            first = pid_of(lease)
        wait_until(lambda: pool.snapshot().idle == 1)
        assert pool.snapshot().started == 2
        with pool.lease(FUNCTIONS) as lease:
            assert pid_of(lease) != first


def test_only_leases_that_were_granted_are_released():
    told = []
    with lw.Pool(memory=lw.MemoryPolicy(max_requests=1), on_event=told.append) as pool:
        for count in (2, 3):
            assert pool.call(FUNCTIONS, ECHO, 1) == 1
            wait_until(lambda started=count: (pool.snapshot().started, pool.snapshot().idle) == (started, 1))
    kinds = [event.kind for event in told if event.kind.startswith("lease")]
    assert kinds == ["lease_granted", "lease_released"] * 2


def test_a_worker_that_holds_too_much_is_replaced_between_requests():
    with lw.Pool(memory=lw.MemoryPolicy(cycle_above_kib=150 << 10)) as pool, pool.lease(FUNCTIONS) as lease:
        first = pid_of(lease)
        assert lease.call(HOLD, {"mib": 1}) == 1
        assert pid_of(lease) == first
        lease.call(HOLD, {"mib": 200})
        assert pid_of(lease) != first


def test_a_worker_that_grows_too_much_is_killed_in_its_request():
    with lw.Pool(memory=lw.MemoryPolicy(kill_above_kib=150 << 10, sample_interval=0.01)) as pool:
        with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.errors.MemoryLimitExceeded) as caught:
            lease.call(HOLD, {"mib": 200, "hang": True}, timeout=60)
        assert caught.value.used_kib > caught.value.limit_kib == 150 << 10
        assert caught.value.entered_worker is True
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(ECHO, 1) == 1
        assert pool.snapshot().ended["memory"] == 1


GROW = "import time; held = bytearray(200 << 20); print('{}', flush=True); time.sleep(600)"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of other processes")
@pytest.mark.parametrize("deep", [False, True], ids=["its program", "a process of its program"])
def test_what_a_worker_started_counts_with_it(deep):
    argv = [sys.executable, "-c", GROW]
    if deep:
        argv = [sys.executable, "-c", f"import subprocess; subprocess.run({argv!r})"]
    policy = lw.MemoryPolicy(kill_above_kib=150 << 10, sample_interval=0.01)
    with lw.Pool(memory=policy) as pool, pool.lease(lw.LinesCapability(argv)) as lease:
        with pytest.raises(lw.errors.MemoryLimitExceeded) as caught:
            lease.collect(lw.StreamingCommand("lines"), timeout=60)
        assert caught.value.used_kib > caught.value.limit_kib


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of other processes")
def test_memory_that_programs_share_counts_once():
    forking = "import os, time; held = b'x' * (60 << 20); os.fork(); os.fork(); time.sleep(0.3)"  # 240 MB if added up
    policy = lw.MemoryPolicy(kill_above_kib=150 << 10, sample_interval=0.01)
    with lw.Pool(memory=policy) as pool, pool.lease(lw.LinesCapability([sys.executable, "-c", forking])) as lease:
        assert not lease.collect(lw.StreamingCommand("lines"), timeout=60).rows


def test_shared_memory_is_not_held_against_a_worker(tmp_path):
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.write(b"x" * (200 << 20))
    policy = lw.MemoryPolicy(kill_above_kib=150 << 10, cycle_above_kib=150 << 10, sample_interval=0.01)
    with lw.Pool(memory=policy) as pool, pool.lease(FUNCTIONS) as lease:
        first = pid_of(lease)
        # Private is what no other process maps: the pages that two workers share are nobody's.
        with open(large, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert sum(mapped[i] for i in range(0, len(mapped), 4096)) > 0
            lease.call(lw.JsonCommand("map_shared"), {"path": str(large), "seconds": 0.1})
            assert pid_of(lease) == first


def test_a_pool_over_its_memory_budget_starts_no_worker():
    with lw.Pool(max_workers=2, memory=lw.MemoryPolicy(pool_budget_kib=100 << 10)) as pool:
        with pool.lease(FUNCTIONS) as lease:
            lease.call(HOLD, {"mib": 150})
            with pytest.raises(lw.errors.MemoryBudgetExceeded) as caught:
                pool.lease(FUNCTIONS)
            assert caught.value.used_kib >= caught.value.limit_kib == 100 << 10
            assert caught.value.workers == 1
        with pool.lease(OTHER) as lease:  # the idle one makes room
            assert lease.call(ECHO, 1) == 1
        assert pool.snapshot().ended["evicted"] == 1
        assert pool.snapshot().refused == {"MemoryBudgetExceeded": 1}


def test_an_idle_worker_is_retired():
    with lw.Pool(memory=lw.MemoryPolicy(max_idle=0.05)) as pool:
        with pool.lease(FUNCTIONS) as lease:
            pid = pid_of(lease)
        wait_until(lambda: not is_running(pid) and pool.snapshot().idle == 0)
        wait_until(lambda: pool.snapshot().ended["policy"] == 1)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes terabytes of addresses")
def test_a_request_beyond_the_frame_limit_says_which_and_that_it_was_not_sent():
    with lw.Pool(limits=lw.Limits(max_frame_bytes=1 << 16)) as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.errors.FrameTooLarge, match="running echo: the request takes 2001.. bytes") as caught:
            lease.call(ECHO, "x" * 200_000)
        assert (caught.value.command, caught.value.entered_worker) == ("echo", False)
        assert "Limits(max_frame_bytes=" in caught.value.hint and not lease.is_stale
        with pytest.raises(lw.DecodeError) as refused:
            lease.call(lw.JsonCommand("echo", request=int), "x")
        assert refused.value.entered_worker is False


def test_a_file_that_a_capability_of_ones_own_lacks_is_named(tmp_path):
    class Own:
        def launch(self):
            raise AssertionError((tmp_path / "settings.json").read_text())

    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="taking a lease: .*settings.json: No such file"):
        pool.lease(Own())


def test_an_address_space_limit_reaches_the_worker():
    with lw.Pool(memory=lw.MemoryPolicy(address_space_kib=3 << 20)) as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.CommandFailed, match="MemoryError"):
            lease.call(HOLD, {"mib": 4 << 10})


# -- restarts --


def test_too_many_restarts_are_refused_until_the_window_has_moved():
    policy = lw.RestartPolicy(max_restarts=2, window=1.5, backoff=0, poison_after=None)
    with lw.Pool(restarts=policy) as pool:
        for _ in range(3):
            die(pool)
        with pytest.raises(lw.errors.RestartLimitExceeded) as caught:
            pool.lease(FUNCTIONS)
        assert (caught.value.restarts, caught.value.limit, caught.value.window) == (3, 2, 1.5)
        assert 0 < caught.value.retry_after <= 1.5
        with pool.lease(OTHER) as lease:  # another kind is not affected
            assert lease.call(ECHO, 1) == 1
        wait_until(lambda: serves(pool))
        assert pool.snapshot().ended["crashed"] == 3


def serves(pool):
    try:
        with pool.lease(FUNCTIONS) as lease:
            return lease.call(ECHO, 1) == 1
    except lw.errors.RestartLimitExceeded:
        return False


def test_failed_starts_count_and_planned_replacements_do_not():
    policy = lw.RestartPolicy(max_restarts=1, backoff=0)
    with lw.Pool(restarts=policy, memory=lw.MemoryPolicy(max_requests=1)) as pool:
        for _ in range(2):
            with pytest.raises(lw.CapabilityError):
                pool.lease(BROKEN)
        with pytest.raises(lw.errors.RestartLimitExceeded):
            pool.lease(BROKEN)
        assert pool.snapshot().started == 0
        with pool.lease(FUNCTIONS) as lease:
            for _ in range(5):
                assert lease.call(ECHO, 1) == 1


def test_a_pause_follows_failures_in_a_row_and_a_success_ends_it():
    policy = lw.RestartPolicy(backoff=0.3, max_backoff=0.3, poison_after=None)
    with lw.Pool(restarts=policy) as pool:
        die(pool)
        die(pool)
        with pytest.raises(lw.errors.QueueTimeout) as caught:
            pool.lease(FUNCTIONS, timeout=0.01)
        assert caught.value.backoff == 0.3
        started = time.monotonic()
        with pool.lease(FUNCTIONS) as lease:
            assert time.monotonic() - started >= 0.3
            assert lease.call(ECHO, 1) == 1
        die(pool)
        with pool.lease(FUNCTIONS, timeout=0.2) as lease:
            assert lease.call(ECHO, 1) == 1


def test_a_request_that_kills_worker_after_worker_is_poison():
    with lw.Pool(restarts=lw.RestartPolicy(backoff=0, poison_after=2)) as pool:
        assert die(pool).kills == 1
        assert die(pool, code=4).kills == 1  # another request
        assert die(pool).kills == 2
        with pool.lease(FUNCTIONS) as lease:
            with pytest.raises(lw.errors.PoisonRequest) as caught:
                lease.run(DIE, {"how": "exit", "code": 3}, on_row=lambda row: None)
            assert (caught.value.kills, caught.value.entered_worker) == (2, False)
            assert lease.call(ECHO, 1) == 1
        assert pool.snapshot().refused == {"PoisonRequest": 1}


@pytest.mark.parametrize("seed", range(3))
def test_deaths_in_a_row_are_those_of_a_model(seed, tmp_path):
    """Three requests on two leases, each of which answers, fails, or ends its worker; at times somebody looks on.

    What requests came to is counted when somebody asks, and not by what has become of their workers since.
    """
    random = Random(seed)
    limit = random.randint(2, 4)
    policy = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=limit)
    in_a_row = dict.fromkeys(range(3), 0)
    number = -1
    with lw.Pool(2, restarts=policy) as pool, contextlib.ExitStack() as leases:
        held = [leases.enter_context(pool.lease(FUNCTIONS)) for _ in range(2)]
        for _ in range(40):
            if number not in in_a_row or random.random() < 0.4:
                number, place = random.choice(list(in_a_row)), random.randrange(2)
            file, then = tmp_path / str(number), random.choice(["ok", "raise", "SIGKILL", "SIGKILL"])
            file.write_text(then)
            request = {"file": str(file)}
            if in_a_row[number] == limit:
                with pytest.raises(lw.errors.PoisonRequest):
                    held[place].collect(OBEY, request)
                del in_a_row[number]
                in_a_row[number + 3] = 0
            elif then == "SIGKILL":
                in_a_row[number] += 1
                with pytest.raises(lw.ChildExited) as caught:
                    held[place].collect(OBEY, request)
                assert caught.value.kills == in_a_row[number]
                held[place].release()
                held[place] = leases.enter_context(pool.lease(FUNCTIONS))
            else:
                in_a_row[number] = 0
                with pytest.raises(lw.CommandFailed) if then == "raise" else contextlib.nullcontext():
                    for _ in range(random.choice([1, 1, 1, 280])):
                        held[place].collect(OBEY, request)
            if random.random() < 0.2:
                pool.snapshot()


def test_a_cancelled_request_is_no_poison():
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=0.05), restarts=lw.RestartPolicy(backoff=0, poison_after=1)) as pool:
        for _ in range(2):
            token = lw.CancelToken()
            with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.Cancelled):
                lease.run(
                    lw.StreamingCommand("row_then_hang"), on_row=lambda row, token=token: token.cancel(), cancel=token
                )
        assert pool.snapshot().ended["cancelled"] == 2


# -- time --


def test_a_stream_that_falls_silent_ends_by_inactivity():
    with lw.Pool(timeouts=lw.Timeouts(inactivity=0.5)) as pool:
        with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.RequestTimeout, match="no frame came") as caught:
            lease.run(lw.StreamingCommand("row_then_hang"), on_row=lambda row: None, timeout=60)
        assert (caught.value.kind, caught.value.rows_delivered) == ("inactivity", 1)
        with pool.lease(FUNCTIONS) as lease:
            # A slow sink is no inactivity of the worker.
            lease.run(lw.StreamingCommand("rows"), {"count": 2}, on_row=lambda row: time.sleep(0.7))


# -- the pool --


def test_prewarmed_workers_are_different_and_warm():
    with lw.Pool(max_workers=2) as pool:
        pool.prewarm(FUNCTIONS, 2)
        assert (pool.snapshot().idle, pool.snapshot().started) == (2, 2)
        with pool.lease(FUNCTIONS) as one, pool.lease(FUNCTIONS) as two:
            assert pid_of(one) != pid_of(two)
        assert pool.snapshot().started == 2
        with pytest.raises(lw.CapabilityError):
            pool.prewarm(BROKEN)
        with pytest.raises(lw.UsageError, match="count"):
            pool.prewarm(FUNCTIONS, 3)


def test_closing_kills_what_is_not_released_in_time():
    pool = lw.Pool()
    lease = pool.lease(FUNCTIONS)
    pid = pid_of(lease)
    errors = []
    first_row = threading.Event()

    def run():
        try:
            lease.run(lw.StreamingCommand("row_then_hang"), on_row=lambda row: first_row.set())
        except lw.errors.StaleLease as error:
            errors.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    first_row.wait()
    pool.close(drain=0.05)
    runner.join()
    assert not is_running(pid)
    assert "the pool was closed" in errors[0].text and errors[0].rows_delivered == 1
    assert errors[0].reason == errors[0].text and errors[0].hint
    lease.release()
    assert pool.snapshot().ended["closed"] == 1


def test_a_dropped_lease_is_released_with_a_warning():
    with lw.Pool() as pool:
        lease = pool.lease(FUNCTIONS)
        assert lease.call(ECHO, 1) == 1
        with pytest.warns(ResourceWarning, match="dropped without release"):
            del lease
            gc.collect()
        wait_until(lambda: pool.snapshot().idle == 1)
        with pool.lease(FUNCTIONS, timeout=5) as lease:
            assert lease.call(ECHO, 1) == 1


@pytest.mark.parametrize("attempt", range(10))
def test_a_stream_that_is_dropped_in_a_reference_cycle_is_stopped(attempt):
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        stream = lease.stream(lw.StreamingCommand("endless"))
        next(stream)
        cycle = [stream]
        cycle.append(cycle)
        del stream, cycle
        gc.collect()
        assert lease.call(ECHO, 1) == 1
        assert pool.snapshot().started == 1


def test_a_dropped_iterator_stops_its_request():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        before = pid_of(lease)
        for row in lease.stream(lw.StreamingCommand("endless")):
            if row.sequence == 3:
                break
        assert pid_of(lease) == before


def test_a_forked_child_touches_no_worker_of_its_parent():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        pid = pid_of(lease)
        uses = {
            "call": lambda: pool.call(FUNCTIONS, ECHO, 1),
            "collect": lambda: pool.collect(FUNCTIONS, lw.StreamingCommand("endless")),
            "lease": lambda: pool.lease(FUNCTIONS),
            "map": lambda: list(pool.map(ECHO, [1], capability=FUNCTIONS)),
            "prewarm": lambda: pool.prewarm(FUNCTIONS),
            "snapshot": pool.snapshot,
            "stream_many": lambda: list(
                pool.stream_many(lw.StreamingCommand("endless"), [1], capability=FUNCTIONS, on_row=print)
            ),
            "the lease's call": lambda: lease.call(ECHO, 1),
        }
        assert {name for name in dir(lw.Pool) if name[0] != "_"} - {*uses} == {"close", "is_closed", "max_workers"}
        read_fd, write_fd = os.pipe()
        child = os.fork()
        if child == 0:
            # Also when all workers of the parent's pool are lent, where one who asked would have to wait. By an alarm: a
            # watchdog of `faulthandler` would first wait for the one of the parent, whose thread is not here.
            signal.alarm(60)
            words = []
            try:
                for name, use in uses.items():
                    try:
                        use()
                    except lw.UsageError as error:
                        words.append(name if "forked from" in str(error) else str(error))
                lease.release()
                pool.close()
            except BaseException as error:
                words.append(repr(error))
            finally:
                os.write(write_fd, "\n".join(words).encode())
                os._exit(0)  # whatever comes: there is one run of the tests
        os.waitpid(child, 0)
        os.close(write_fd)
        assert os.read(read_fd, 4096).decode().splitlines() == [*uses]
        os.close(read_fd)
        assert pid_of(lease) == pid


# -- what it tells --


def test_events_tell_each_request_once():
    events = []
    with lw.Pool(on_event=events.append, restarts=TOLERANT) as pool:
        with pool.lease(FUNCTIONS) as lease:
            lease.call(ECHO, 1)
            lease.run(lw.StreamingCommand("rows"), {"count": 3}, on_row=lambda row: None)
        die(pool, rows=2)
    kinds = [event.kind for event in events]
    assert kinds.count("worker_started") == kinds.count("worker_failed") == 1
    ended = [event.facts for event in events if event.kind == "request_ended"]
    assert [(facts["command"], facts["outcome"], facts["rows_delivered"]) for facts in ended] == [
        ("echo", "ok", 0),
        ("rows", "ok", 3),
        ("die", "ChildExited", 2),
    ]
    assert kinds[-1] == "pool_closed"
    snapshot = pool.snapshot()
    assert snapshot.outcomes == {"ok": 2, "ChildExited": 1}
    assert snapshot.requests == sum(snapshot.outcomes.values())
    assert snapshot.rows_delivered == 5
    assert snapshot.received_bytes > 300


def test_a_callback_that_raises_disturbs_nothing(caplog):
    def raises(event):
        raise RuntimeError("mine")

    with lw.Pool(on_event=raises) as pool, pool.lease(FUNCTIONS) as lease:
        assert lease.call(ECHO, 1) == 1
    assert "a callback of the pool raised" in caplog.text


def test_stderr_comes_live_as_lines():
    lines = []
    with lw.Pool(on_stderr=lines.append) as pool, pool.lease(FUNCTIONS) as lease:
        with lease.stream(lw.StreamingCommand("stray_print")) as rows:
            next(rows)
            wait_until(lambda: "raw bytes on descriptor 1" in lines)
    assert lines[:2] == ["hello from hosted code", "raw bytes on descriptor 1"]


def test_the_last_words_on_stderr_need_no_newline():
    lines = []
    with lw.Pool(1, on_stderr=lines.append) as pool:
        for number in range(2):  # each worker's own
            with pool.lease(FUNCTIONS) as lease:
                lease.call(lw.JsonCommand("write_stderr"), f"line {number}\nlast words {number} €")
                lease.cycle()
    assert lines == ["line 0", "last words 0 €", "line 1", "last words 1 €"]


def test_backpressure_is_measured():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        lease.run(lw.StreamingCommand("rows"), {"count": 100}, on_row=lambda row: None)
        assert pool.snapshot().backpressure_us == 0
        pauses = iter([0.3])
        lease.run(
            lw.StreamingCommand("rows"), {"count": 60_000}, on_row=lambda row: time.sleep(next(pauses, 0)), timeout=60
        )
        assert pool.snapshot().backpressure_us >= 100_000


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: lw.MemoryPolicy(max_requests=0), "max_requests"),
        (lambda: lw.MemoryPolicy(sample_interval=0), "sample_interval"),
        (lambda: lw.MemoryPolicy(max_idle=-1), "max_idle"),
        (lambda: lw.RestartPolicy(max_restarts=True), "max_restarts"),
        (lambda: lw.RestartPolicy(window=0), "window"),
        (lambda: lw.RestartPolicy(backoff=None), "backoff"),
        (lambda: lw.Timeouts(inactivity=-1), "inactivity"),
    ],
)
def test_a_wrong_policy(make, text):
    with pytest.raises(lw.UsageError, match=text):
        make()


@pytest.mark.filterwarnings("ignore:a pool was dropped:ResourceWarning")
def test_a_pool_that_is_dropped_ends_its_workers():
    """As by a cell of a notebook that runs again; what still uses the pool keeps it."""
    pool = lw.Pool(2)
    with pool.lease(FUNCTIONS) as lease:
        pid = pid_of(lease)
    lease = pool.lease(FUNCTIONS)
    del pool
    gc.collect()
    assert pid_of(lease) == pid
    lease.release()
    assert is_running(pid)
    with pytest.warns(ResourceWarning, match="a pool was dropped without close: of at most 2 workers"):
        del lease
        gc.collect()
    wait_until(lambda: not is_running(pid))


def test_a_pool_without_workers_is_dropped_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lw.Pool(2)
        with lw.Pool(2) as pool, pool.lease(FUNCTIONS):
            pass
        del pool
        gc.collect()


@pytest.mark.filterwarnings("ignore:a pool was dropped:ResourceWarning")
def test_a_pool_that_has_served_is_dropped_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        pool = lw.Pool(1)
        with pool.lease(FUNCTIONS) as lease:
            pid = pid_of(lease)
        del lease
        assert pool.call(FUNCTIONS, ABOUT)["pid"] == pid
        del pool
        wait_until(lambda: not is_running(pid))
    finally:
        gc.enable()
