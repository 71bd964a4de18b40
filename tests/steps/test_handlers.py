"""Calls from signal handlers, finalizers and forked children, at moments that nobody chose."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import lean_worker as lw
from lean_worker.steps import monitor
from support import FUNCTIONS, HOSTS, is_running, wait_until

pytestmark = [pytest.mark.supervision, pytest.mark.once]

ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows")
ENDLESS = lw.StreamingCommand("endless")
PATIENT = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


def program(text: str, *arguments: str, seconds: float = 60, forks: bool = False) -> str:
    """Run a program in a process of its own, which ends with stacks if it hangs; what it prints."""
    head = f"""
        import faulthandler, gc, os, random, signal, sys, threading, time
        if not {forks}: faulthandler.dump_traceback_later({seconds - 5}, exit=True)  # hangs at the end of a fork
        import lean_worker as lw
        FUNCTIONS = lw.PythonCapability("functions:COMMANDS", path=[{str(HOSTS)!r}])
        ECHO, ROWS = lw.JsonCommand("echo"), lw.StreamingCommand("rows")
        PATIENT = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    """
    code = textwrap.dedent(head) + textwrap.dedent(text)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- signal handlers --


@pytest.mark.parametrize("what", ["cancel", "release", "close_stream"])
def test_a_signal_handler_may_end_a_request_at_any_moment(what):
    program(
        """
        what = sys.argv[1]
        token = lease = rows = None
        def handler(*_):
            if what == "cancel" and token is not None: token.cancel()
            if what == "release" and lease is not None: lease.release()
            if what == "close_stream" and rows is not None: rows.close()
        signal.signal(signal.SIGALRM, handler)
        seen = set()
        with lw.Pool(restarts=PATIENT, timeouts=lw.Timeouts(cancel_grace=2, shutdown=2)) as pool:
            lease = pool.lease(FUNCTIONS)
            ends = time.monotonic() + 2  # from here on: a start may take long on a busy machine
            while time.monotonic() < ends:
                token, rows = lw.CancelToken(), None
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + random.random() * 0.0008)
                try:
                    if what == "close_stream":
                        rows = lease.stream(ROWS, {"count": 200})
                        for row in rows:
                            pass
                    else:
                        lease.call(ECHO, 1, cancel=token)
                    seen.add("ok")
                except lw.LeanWorkerError as error:
                    seen.add(type(error).__name__)
                signal.setitimer(signal.ITIMER_REAL, 0)
                if lease.is_stale:
                    lease.release()
                    lease = pool.lease(FUNCTIONS, timeout=20)
            assert seen <= {"ok", "Cancelled", "StaleLease", "UsageError"}, seen
            assert seen - {"ok"}, seen
            lease.release()
            rows = None
            assert pool.snapshot().leased == 0
        """,
        what,
    )


def test_a_signal_handler_may_close_the_pool_at_any_moment():
    program(
        """
        pool = None
        def handler(*_):
            pool.close(drain=random.choice([0, 0.05]))
        signal.signal(signal.SIGALRM, handler)
        import psutil
        for number in range(8):
            pool = lw.Pool(restarts=PATIENT, timeouts=lw.Timeouts(shutdown=2))
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + random.random() * (0.1 if number % 2 else 0.3))
            begun = time.monotonic()
            try:
                while True:
                    with pool.lease(FUNCTIONS) as lease:
                        for _ in range(200):
                            lease.call(ECHO, 1)
            except (lw.UsageError, lw.errors.StaleLease):
                pass
            assert time.monotonic() - begun < 20
            pool.close(drain=0)
            ends = time.monotonic() + 20
            while psutil.Process().children():
                assert time.monotonic() < ends, psutil.Process().children()
                time.sleep(0.01)
        """
    )


# -- finalizers --


class Cyclic:
    """What only the collector can free."""

    def __init__(self, *held):
        self.held = held
        self.me = self


def test_streams_in_cycles_are_ended_on_whatever_thread_the_collector_runs():
    with lw.Pool(4, restarts=PATIENT, timeouts=lw.Timeouts(cancel_grace=1, shutdown=1)) as pool:
        gc.disable()
        try:
            with pool.lease(FUNCTIONS) as other:
                for _ in range(3):
                    lease = pool.lease(FUNCTIONS, timeout=20)
                    rows = lease.stream(ENDLESS, None)
                    next(rows)
                    Cyclic(rows, lease)
                    del rows, lease
                    collected = threading.Event()

                    def collect(collected=collected):
                        gc.collect()
                        collected.set()

                    with _quiet():
                        monitor.shared().post(collect)  # the worst thread of all
                        begun = time.monotonic()
                        with pytest.raises(lw.RequestTimeout):
                            other_lease = pool.lease(FUNCTIONS, timeout=20)
                            try:
                                other_lease.collect(ENDLESS, None, timeout=0.3)
                            finally:
                                other_lease.release()
                        assert time.monotonic() - begun < 5
                        assert collected.wait(10)
                assert other.call(ECHO, 1) == 1
        finally:
            gc.enable()
        wait_until(lambda: pool.snapshot().leased == 0)


def _quiet():
    import warnings

    caught = warnings.catch_warnings()

    class Quiet:
        def __enter__(self):
            caught.__enter__()
            warnings.simplefilter("ignore", ResourceWarning)

        def __exit__(self, *error):
            caught.__exit__(*error)

    return Quiet()


def test_a_dropped_stream_leaves_its_lease_usable():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        for number in range(20):
            for _ in lease.stream(ROWS, {"count": 1000}):
                break
            assert lease.call(ECHO, number) == number
        assert pool.snapshot().started == 1


# -- places --


def test_the_place_of_a_dead_worker_is_free_while_its_lease_is_held():
    with lw.Pool(1, restarts=PATIENT) as pool:
        for _ in range(3):
            lease = pool.lease(FUNCTIONS, timeout=20)
            pid = lease._core.loan.worker.pid
            os.kill(pid, signal.SIGKILL)
            with pool.lease(FUNCTIONS, timeout=20) as other:
                assert other.call(ECHO, 1) == 1
            with pytest.raises(lw.errors.StaleLease):
                lease.call(ECHO, 2)
            lease.release()
            assert pool.snapshot().leased == 0


def test_a_dropped_lease_frees_its_place_without_the_collector():
    with lw.Pool(1) as pool, _quiet():
        gc.disable()
        try:
            lease = pool.lease(FUNCTIONS)
            lease.call(ECHO, 1)
            del lease
            with pool.lease(FUNCTIONS, timeout=20) as other:
                assert other.call(ECHO, 1) == 1
        finally:
            gc.enable()
        assert pool.snapshot().started == 1


@pytest.mark.parametrize("how", ["refused", "rows", "unknown", "cancelled"])
def test_a_lease_that_is_dropped_after_a_failure_frees_its_place_without_the_collector(how):
    def fail(lease):
        if how == "refused":
            lease.call(lw.JsonCommand("fail"))
        elif how == "rows":
            lease.collect(lw.StreamingCommand("fail_after_rows"))
        elif how == "unknown":
            lease.call(lw.JsonCommand("misspelt"))
        else:
            token = lw.CancelToken()
            lease.run(lw.StreamingCommand("endless"), on_row=lambda row: token.cancel(), cancel=token)

    with lw.Pool(1) as pool, _quiet():
        gc.disable()
        try:
            lease = pool.lease(FUNCTIONS)
            with pytest.raises(lw.Cancelled if how == "cancelled" else lw.CommandFailed) as caught:
                fail(lease)
            del lease, caught
            with pool.lease(FUNCTIONS, timeout=20) as other:
                assert other.call(ECHO, 1) == 1
        finally:
            gc.enable()
        assert pool.snapshot().started == 1 or how == "cancelled"  # on a busy machine it may stop too late


# -- forks --


@pytest.mark.parametrize("how", ["close", "drop", "iterate", "exit", "all", "fork_in_row"])
def test_a_fork_in_the_middle_of_a_stream_disturbs_nobody(how, tmp_path):
    out = program(
        """
        how, folder = sys.argv[1:]
        token = lw.CancelToken()
        pool = lw.Pool()
        lease = pool.lease(FUNCTIONS)
        rows = lease.stream(ROWS, {"count": 50_000}, cancel=token)
        got = [next(rows).payload["i"] for _ in range(10)]
        pid = os.fork()
        if pid == 0:
            files = [open(f"{folder}/{number}", "w+") for number in range(30)]
            for file in files:
                file.write("own text")
                file.flush()
            refused = 0
            def use(call):
                global refused
                try:
                    call()
                except lw.UsageError as error:
                    assert "forked" in str(error), error
                    refused += 1
            if how in ("close", "all"):
                rows.close(); lease.release(); pool.close()
            if how in ("iterate", "all"):
                for call in (lambda: next(rows), lambda: lease.call(ECHO, 1), lambda: pool.lease(FUNCTIONS),
                             token.cancel, pool.snapshot):
                    use(call)
                assert refused >= (4 if how == "all" else 5), refused
            if how in ("drop", "all"):
                del rows, lease, pool, token
                gc.collect()
            if how == "all":
                with lw.Pool() as own, own.lease(FUNCTIONS) as mine:
                    assert mine.call(ECHO, "mine") == "mine"
            if how == "fork_in_row":
                os._exit(0)
            sys.exit(0)  # through atexit and the last collection
        assert os.waitpid(pid, 0)[1] == 0
        for number in range(30):
            path = f"{folder}/{number}"
            assert not os.path.exists(path) or open(path).read() == "own text", path
        got += [row.payload["i"] for row in rows]
        assert got == list(range(50_000)) and rows.summary.total_rows == 50_000
        assert lease.call(ECHO, 1) == 1
        lease.release()
        pool.close()
        print("undisturbed")
        """,
        how,
        str(tmp_path),
        forks=True,
    )
    assert out.endswith("undisturbed\n")


def test_multiprocessing_by_fork_leaves_the_parent_alone():
    out = program(
        """
        import multiprocessing
        def child(queue):
            with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
                queue.put(lease.call(ECHO, os.getpid()) == os.getpid())
        context = multiprocessing.get_context("fork")
        with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
            rows = lease.stream(ROWS, {"count": 1000})
            next(rows)
            queue = context.Queue()
            children = [context.Process(target=child, args=(queue,)) for _ in range(2)]
            for process in children: process.start()
            assert [queue.get(timeout=30) for _ in children] == [True, True]
            for process in children: process.join(30)
            assert [process.exitcode for process in children] == [0, 0]
            assert len(list(rows)) == 999
        print("fine")
        """,
        forks=True,
    )
    assert out.endswith("fine\n")


# -- the monitor --


def test_a_time_limit_of_ten_years_leaves_the_others_alone():
    years = 10 * 365 * 86_400.0
    with lw.Pool(2, timeouts=lw.Timeouts(write=years, queue=years, startup=years, inactivity=years)) as pool:
        with pool.lease(FUNCTIONS, timeout=years) as lease:
            assert lease.call(ECHO, 1, timeout=years) == 1
            with pytest.raises(lw.RequestTimeout):
                lease.collect(ENDLESS, None, timeout=0.2)
        with pool.lease(FUNCTIONS, timeout=years) as lease:
            assert lease.call(ECHO, 1, timeout=None) == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit])
def test_the_monitor_outlives_whatever_its_callbacks_raise(kind):
    watch = monitor.shared()

    def fail():
        raise kind("injected")

    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        pid = lease._core.loan.worker.pid
        watch.post(fail)
        watch.call_at(time.monotonic(), fail)
        assert watch.call(lambda: "still here") == "still here"
        with pytest.raises(lw.RequestTimeout):
            lease.collect(ENDLESS, None, timeout=0.2)
        wait_until(lambda: not is_running(pid))


def test_another_thread_takes_over_from_a_monitor_that_ended():
    out = program(
        """
        import ctypes
        from lean_worker.steps import monitor
        watch = monitor.shared()
        def inject():
            for thread in threading.enumerate():
                if thread.name == "lean-worker-monitor" and thread.ident is not None:  # it may just be starting
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
            pid = lease._core.loan.worker.pid
            for _ in range(60):
                inject()
                time.sleep(random.random() * 0.02)
                assert lease.call(ECHO, 1, timeout=20) == 1
            assert lease._core.loan.worker.pid == pid  # a worker does not die with a thread of ours
            watch._runners.clear()  # as if the thread had ended altogether
            watch.start()
            begun = time.monotonic()
            try:
                lease.collect(lw.StreamingCommand("endless"), None, timeout=0.3)
            except lw.RequestTimeout:
                assert time.monotonic() - begun < 10
            else:
                raise SystemExit("no deadline")
        print("watched")
        """
    )
    assert out.endswith("watched\n")
