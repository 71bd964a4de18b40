"""Objects used in the way of their twins, too early, too late, or somewhere else: each is refused with `UsageError`."""

from __future__ import annotations

import asyncio
import copy
import pickle
from types import SimpleNamespace

import pytest

import lean_worker as lw
from lean_worker import sinks
from support import FUNCTIONS, HOSTS

ROWS = lw.StreamingCommand("rows")
ECHO = lw.JsonCommand("echo")


@pytest.fixture
def pool():
    with lw.Pool() as pool:
        yield pool


def refused(call, said):
    with pytest.raises(lw.UsageError) as caught:
        call()
    assert said in caught.value.text and caught.value.hint, str(caught.value)


async def entering(value):
    async with value:
        raise AssertionError("it was entered")


async def iterating(value):
    async for _ in value:
        raise AssertionError("it gave a value")


def entered(value):
    with value:
        raise AssertionError("it was entered")


def test_objects_for_threads_say_so_in_asyncio(pool):
    outcomes = pool.map(ECHO, [1], capability=FUNCTIONS)
    for value in (pool, outcomes):
        refused(lambda value=value: asyncio.run(entering(value)), "it is for `with`, got `async with`")
    with pool.lease(FUNCTIONS) as lease, lease.stream(ROWS, {"count": 1}) as rows:
        for value in (outcomes, rows):
            refused(lambda value=value: asyncio.run(iterating(value)), "it is for `for`, got `async for`")
        for value in (lease, rows):
            refused(lambda value=value: asyncio.run(entering(value)), "it is for `with`, got `async with`")


def test_objects_for_asyncio_say_so_elsewhere(tmp_path):
    async def waited(value):
        await value

    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            stream, outcomes = lease.stream(ROWS, {"count": 1}), pool.map(ECHO, [1], capability=FUNCTIONS)
            for value in (pool, pool.lease(FUNCTIONS), lease, stream, outcomes):
                refused(lambda value=value: entered(value), "it is for `async with`, got `with`")
            for value in (stream, outcomes):
                refused(lambda value=value: list(value), "it is for `async for`, got `for`")
                with pytest.raises(lw.UsageError, match="got `await`"):
                    await waited(value)
            for check in (lw.check, lw.checking.check_async):
                refused(lambda check=check: check([], pool=pool), "expected pool as a Pool, got <AsyncPool")
            job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)
            refused(lambda: job.run(pool, [{"count": 1}]), "expected pool as a Pool or a RayPool, got <AsyncPool")
            assert await lease.call(ECHO, 1) == 1

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_objects_that_stand_for_something_running_are_not_copied(pool):
    with pool.lease(FUNCTIONS) as lease, lease.stream(ROWS, {"count": 1}) as rows:
        outcomes = pool.map(ECHO, [], capability=FUNCTIONS)
        values = [pool, lease, rows, outcomes, lw.CancelToken(), lw.AsyncPool.sharing(pool)]
        for value in values:
            for way in (copy.copy, copy.deepcopy, pickle.dumps):
                refused(lambda value=value, way=way: way(value), f"copying or pickling {type(value).__name__}")


def test_closed_and_released_objects_are_not_entered_again(pool):
    lease = pool.lease(FUNCTIONS)
    lease.release()
    refused(lambda: entered(lease), "entering a lease: this lease was released")
    pool.close()
    refused(lambda: entered(pool), "entering a pool: the pool is closed")
    refused(lambda: pool.map(ECHO, [1], capability=FUNCTIONS), "the pool is closed")
    refused(lambda: pool.stream_many(ROWS, [1], capability=FUNCTIONS, on_row=print), "the pool is closed")

    async def main():
        pool = lw.AsyncPool()
        lease = await pool.lease(FUNCTIONS)
        await lease.release()
        with pytest.raises(lw.UsageError, match="was released"):
            await entering(lease)
        await pool.close()
        with pytest.raises(lw.UsageError, match="is closed"):
            await entering(pool)

    asyncio.run(main())


def test_a_generator_is_not_used_twice(pool):
    requests = (number for number in range(2))
    assert [outcome.value for outcome in pool.map(ECHO, requests, capability=FUNCTIONS)] == [0, 1]
    refused(lambda: pool.map(ECHO, requests, capability=FUNCTIONS), "got a generator that has ended")
    refused(lambda: lw.check(requests), "got a generator that has ended")
    assert list(pool.map(ECHO, iter([]), capability=FUNCTIONS)) == []


def test_what_comes_asynchronously_is_collected_first(pool):
    async def requests():
        yield 1

    for call in (lambda: pool.map(ECHO, requests(), capability=FUNCTIONS), lambda: lw.check(requests())):
        with pytest.raises(lw.UsageError, match="as an iterable of") as caught:
            call()
        assert "async for" in caught.value.hint


def test_the_classes_are_not_made_by_hand():
    for kind in (lw.Lease, lw.aio.AsyncLease, lw.Outcomes):
        refused(lambda kind=kind: kind(FUNCTIONS), f"making a {kind.__name__}")

    class Own(lw.Pool):
        def __init__(self):
            pass

    class OwnToken(lw.CancelToken):
        def __init__(self):
            pass

    for call in (
        lambda: Own().lease(FUNCTIONS),
        lambda: repr(Own()),
        lambda: entered(Own()),
        lambda: OwnToken().cancel(),
    ):
        refused(call, "its base was not initialised")
    assert not hasattr(lw.CancelToken(), "misspelt")


@pytest.mark.parametrize("launched", [5, None, "argv"])
def test_a_capability_of_one_s_own_has_to_launch_something(pool, launched):
    refused(lambda: pool.lease(SimpleNamespace(launch=lambda: launched)), "launch() to return a Launch")
    assert pool.call(FUNCTIONS, ECHO, 1) == 1


WRONG = {"none": lambda: None, "two": lambda one, two: None, "named": lambda *, row: None}


@pytest.mark.parametrize("kind", WRONG)
def test_a_function_that_does_not_take_the_arguments_is_refused_before_it_is_called(pool, kind):
    """Not at the first row: nothing runs, and what is only logged would never be seen."""
    wrong = WRONG[kind]
    said = "does not take these arguments"
    with pool.lease(FUNCTIONS) as lease:
        refused(lambda: lease.run(ROWS, {"count": 1}, on_row=wrong), said)
        refused(lambda: lease.run(ROWS, {"count": 1}, sink=wrong), said)
        refused(lambda: lease.collect(ROWS, {"count": 1}, on_progress=wrong), said)
        refused(lambda: lease.call(ECHO, 1, on_diagnostic=wrong), said)
    refused(lambda: pool.map(ECHO, [1], capability=FUNCTIONS, on_done=wrong), said)
    refused(lambda: pool.map(ECHO, [1], capability=FUNCTIONS, timeout=wrong), said)
    refused(lambda: lw.Pool(on_event=wrong), said)
    refused(lambda: lw.check([], on_message=wrong), said)
    refused(lambda: lw.check([], first_accepted=wrong), said)
    refused(lambda: sinks.CallableSink(wrong), said)
    refused(lambda: lw.projects.plan_items([1], capability=FUNCTIONS, request=wrong), said)
    one = WRONG["none"] if kind == "two" else wrong
    refused(lambda: pool.stream_many(ROWS, [1], capability=FUNCTIONS, on_row=one), said)
    refused(lambda: pool.stream_many(ROWS, [1], capability=FUNCTIONS, sink=one), said)
    refused(lambda: pool.map(ECHO, [1], capability=FUNCTIONS, on_progress=one), said)
    assert pool.snapshot().requests == 0


def test_functions_that_take_the_arguments_are_called(pool):
    class Own:
        def method(self, row, more=None):
            got.append(row)

    got = []
    with pool.lease(FUNCTIONS) as lease:
        for function in (got.append, Own().method, lambda *all_of_them: got.append(all_of_them), str):
            lease.run(ROWS, {"count": 1}, on_row=function)
    assert len(got) == 3


def test_a_function_for_sinks_that_gives_none_says_so(pool):
    (outcome,) = pool.stream_many(ROWS, [{"count": 1}], capability=FUNCTIONS, sink=lambda index, request: None)
    assert isinstance(outcome.error, lw.UsageError) and "expected a sink, got None" in outcome.error.text


HOSTED = """
class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def silent(request):
    raise Silent()

def wordy(request):
    raise ValueError("begins with the reason " + "\\0" * 3_000_000)

def wordy_rows(request):
    yield 1
    raise ValueError("begins with the reason " + "é" * 3_000_000)

COMMANDS = {"silent": silent, "wordy": wordy, "wordy_rows": wordy_rows}
NUMBERS = {"one": 1}
NAMELESS = {1: silent}
"""


def test_hosted_code_may_fail_to_say_why_or_say_too_much(tmp_path):
    """Neither costs the worker, and neither hides what happened."""
    (tmp_path / "odd_errors.py").write_text(HOSTED)
    hosted = lw.PythonCapability("odd_errors:COMMANDS", path=[tmp_path])
    with lw.Pool() as pool, pool.lease(hosted) as lease:
        with pytest.raises(lw.CommandFailed) as caught:
            lease.call(lw.JsonCommand("silent"))
        assert "Silent: (its text cannot be had: RuntimeError)" in caught.value.text
        assert caught.value.traceback.splitlines()[1].endswith("in silent")
        for command in (lw.JsonCommand("wordy"), lw.StreamingCommand("wordy_rows")):
            with pytest.raises(lw.CommandFailed) as caught:
                lease.call(command) if isinstance(command, lw.JsonCommand) else lease.collect(command)
            assert "ValueError: begins with the reason" in caught.value.text
            assert "characters in all)" in caught.value.text and len(caught.value.text) < 20_000
        assert pool.snapshot().started == 1
    for registry, words in (("NUMBERS", "has a int under 'one'"), ("NAMELESS", "has a function under 1")):
        with lw.Pool() as pool, pytest.raises(lw.CapabilityError) as caught:
            pool.lease(lw.PythonCapability(f"odd_errors:{registry}", path=[tmp_path, HOSTS]))
        assert words in str(caught.value)
