"""Callbacks that return what nothing would run: a coroutine, from a lambda that no check at the call sees through."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

import lean_worker as lw
from lean_worker.base.callbacks import result_of
from support import FUNCTIONS

EVENTS = lw.StreamingCommand("events")
ECHO = lw.JsonCommand("echo")


async def coroutine(*_):
    raise AssertionError("nobody awaits this")


async def async_generator(*_):
    yield


def generator(*_):
    yield


RESULTS = {
    "a coroutine": lambda *_: coroutine(),
    "an asynchronous generator": lambda *_: async_generator(),
    "a generator": lambda *_: generator(),
}


class Lines(lw.sinks.Sink):
    """A sink of a user's own, one of whose methods returns what nothing would run."""

    def __init__(self, **results):
        self.results = results

    def row_type(self, command):
        return bytes

    def open(self, command, group, number):
        return self.results["open"]() if "open" in self.results else OpenLines(self.results)


class OpenLines(lw.sinks.OpenSink):
    def __init__(self, results):
        self.results = results

    def write(self, rows, size_bytes):
        return self.results.get("write", lambda: None)()

    def prepare(self, summary):
        return self.results.get("prepare", list)()

    def close(self, keep_part):
        pass


def refused(outcomes):
    (outcome,) = outcomes
    outcome.raise_for_error()


def sink_of(f):
    return lw.sinks.CallableSink(lambda row: None, commit=f)


def with_lease(call):
    def run(pool, f):
        with pool.lease(FUNCTIONS) as lease:
            call(lease, f)

    return run


def with_async_lease(call):
    async def run(pool, f):
        async with lw.AsyncPool.sharing(pool).lease(FUNCTIONS) as lease:
            await call(lease, f)

    return lambda pool, f: asyncio.run(run(pool, f))


def many(**options):
    def run(pool, f):
        given = {"capability": FUNCTIONS, "on_row": print} | options
        given = {name: f if value is ... else value for name, value in given.items() if value is not None}
        refused(pool.stream_many(EVENTS, [None], **given))

    return run


def plan(**given):
    options = {"capability": FUNCTIONS, "request": lambda item: 1} | given
    return lambda pool, f: lw.projects.plan_items([1], **{k: f if v is ... else v for k, v in options.items()})


ALL = {
    "Lease.run(on_row)": with_lease(lambda at, f: at.run(EVENTS, on_row=f)),
    "Lease.run(sink)": with_lease(lambda at, f: at.run(EVENTS, sink=f)),
    "Lease.run(sink={})": with_lease(lambda at, f: at.run(EVENTS, sink={"rows": f})),
    "Lease.run(commit)": with_lease(lambda at, f: at.run(EVENTS, sink=sink_of(f))),
    "Lease.run(Sink.open)": with_lease(lambda at, f: at.run(EVENTS, sink=Lines(open=f))),
    "Lease.run(OpenSink.write)": with_lease(lambda at, f: at.run(EVENTS, sink=Lines(write=f))),
    "Lease.run(OpenSink.prepare)": with_lease(lambda at, f: at.run(EVENTS, sink=Lines(prepare=f))),
    "Lease.stream(on_diagnostic)": with_lease(lambda at, f: list(at.stream(EVENTS, on_diagnostic=f))),
    "Lease.collect(on_progress)": with_lease(lambda at, f: at.collect(EVENTS, on_progress=f)),
    "AsyncLease.run(sink)": with_async_lease(lambda at, f: at.run(EVENTS, sink=f)),
    "AsyncLease.collect(on_progress)": with_async_lease(lambda at, f: at.collect(EVENTS, on_progress=f)),
    "stream_many(on_row)": many(on_row=...),
    "stream_many(sink)": many(on_row=None, sink=...),
    "stream_many(timeout)": many(timeout=...),
    "stream_many(on_diagnostic)": many(on_diagnostic=...),
    "plan(request)": plan(request=...),
    "plan(cost)": plan(cost=...),
    "plan(source)": plan(source=...),
}


@pytest.fixture(scope="module")
def pool():
    with lw.Pool() as pool:
        yield pool


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_that_nothing_would_run_ends_the_request(kind, pool):
    with pool.lease(FUNCTIONS) as lease:
        first = lease.opened
    for name, call in ALL.items():
        with pytest.raises(lw.UsageError, match=f"expected a plain function, got one that returns {kind}") as caught:
            call(pool, RESULTS[kind])
        called = name.partition("(")[2].rstrip("{}=)")
        assert {called, "on_row" if called == "sink" else ""} & set(caught.value.text.split(":")[0].split()), name
        assert caught.value.hint
    gc.collect()
    with pool.lease(FUNCTIONS) as lease:
        assert lease.call(ECHO, 1) == 1 and lease.opened is first  # the worker that was there before


def test_what_may_be_awaited_or_iterated_over_is(pool):
    taken = []

    async def take(row):
        await asyncio.sleep(0)
        taken.append(row.payload)

    async def main():
        async with lw.AsyncPool.sharing(pool).lease(FUNCTIONS) as lease:
            await lease.run(EVENTS, on_row=lambda row: take(row))
            task = []
            await lease.run(EVENTS, on_row=lambda row: task.append(asyncio.ensure_future(take(row))))
            await asyncio.gather(*task)
            with pytest.raises(lw.UsageError, match="returns an asynchronous generator"):
                await lease.run(EVENTS, on_row=lambda row: async_generator())

    asyncio.run(main())
    assert taken == [{"i": 0}] * 2
    batches = lw.projects.plan_items([1], capability=FUNCTIONS, request=str, imports=lambda item: (n for n in ()))
    assert batches.requests == ("1",)
    with pytest.raises(lw.UsageError, match="calling imports: expected a plain function, got one that returns a coro"):
        lw.projects.plan_items([1], capability=FUNCTIONS, request=str, imports=lambda item: coroutine())


def test_a_result_that_nobody_waits_for_is_logged(tmp_path, caplog):
    heard = lambda *_: coroutine()  # noqa: E731
    with caplog.at_level(logging.ERROR, "lean_worker"):
        with lw.Pool(on_event=heard, on_stderr=heard) as pool:
            assert [outcome.ok for outcome in pool.map(ECHO, [1], capability=FUNCTIONS, on_done=heard)] == [True]
            with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.CommandFailed):
                failing = lw.sinks.CallableSink(print, abort=heard)
                lease.run(lw.StreamingCommand("fail"), sink=failing)  # whose traceback goes to stderr
    logged = {str(record.exc_info[1]) for record in caplog.records if record.exc_info}
    for name in ("on_event", "on_stderr", "on_done", "abort"):
        assert any(text.startswith(f"calling {name}: expected a plain function") for text in logged), (name, logged)


@pytest.mark.lean
def test_a_group_of_files_is_a_value(tmp_path):
    (tmp_path / "A.lean").write_text("")
    for wrong in (*RESULTS.values(), lambda name: [name]):
        with pytest.raises(lw.UsageError, match="calling first_accepted: expected a"):
            list(lw.check([tmp_path / "A.lean"], first_accepted=wrong))


def test_a_hosted_coroutine_function_says_so(pool, tmp_path):
    (tmp_path / "asynchronous.py").write_text(
        "async def answer(request): return 1\nasync def rows(request): yield 1\n"
        "COMMANDS = {'answer': answer, 'rows': rows, 'hidden': lambda request: answer(request)}\n"
    )
    hosted = lw.PythonCapability("asynchronous:COMMANDS", path=[tmp_path])
    with pool.lease(hosted) as lease:
        for name in ("answer", "rows", "hidden"):
            for run, command in ((lease.call, lw.JsonCommand(name)), (lease.collect, lw.StreamingCommand(name))):
                with pytest.raises(lw.CommandFailed, match=f"{name} is asynchronous, and nothing awaits it here"):
                    run(command)


def test_results_of_all_other_kinds_are_returned():
    for value in (None, 0, "x", [1], object, iter([]), map(str, [])):
        assert result_of("f", value) is value
