"""`check`, `verify` and their twins for asyncio: what asks again after a failure or a close is not told that all is there."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
import weakref

import pytest

import lean_worker as lw
from each_moment import Interrupt
from lean_files import looping
from lean_worker.base.whole_results import WholeAsyncGenerator, WholeGenerator

pytestmark = pytest.mark.lean

HEADER = "prelude\nimport LeanWorker.Library\n"
GOOD = HEADER + "theorem goal : 1 = 1 := rfl\n"
STATEMENT = HEADER + "theorem goal : 1 = 1 := sorry\n"
ENDED = "the iteration has failed, or was closed, before its end"


def checking(files, **options):
    return lw.check(files, toolchain="embedded", in_order=True, jobs=1, **options)


def verifying(candidates, **options):
    return lw.verify(candidates, statement=STATEMENT, toolchain="embedded", in_order=True, jobs=2, **options)


class Stepwise:
    """An asyncio iteration that is driven step by step, so that both kinds pass the same tests."""

    def __init__(self, loop, results):
        self._loop = loop
        self._results = results

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._loop.run_until_complete(anext(self._results))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self):
        self._loop.run_until_complete(self._results.aclose())


@pytest.fixture(params=["check", "verify", "check_async", "verify_async"])
def results_of(request):
    with contextlib.closing(asyncio.new_event_loop()) as loop:

        def async_of(function, **fixed):
            return lambda items: Stepwise(loop, function(items, toolchain="embedded", in_order=True, jobs=2, **fixed))

        yield {
            "check": checking,
            "verify": verifying,
            "check_async": async_of(lw.checking.check_async),
            "verify_async": async_of(lw.verification.verify_async, statement=STATEMENT),
        }[request.param]
        loop.run_until_complete(loop.shutdown_default_executor())


def names_of(results):
    return [getattr(result, "name", None) or result.file for result in results]


def of_a_source_that_fails():
    yield "first", GOOD
    raise ValueError("mine")


def of_a_missing_file():
    return iter([("first", GOOD), "missing.lean", ("third", GOOD)])


ADAPTERS = {
    "next": next,
    "list": list,
    "enumerate": lambda results: list(enumerate(results)),
    "zip": lambda results: list(zip(results, range(9), strict=False)),
    "chain": lambda results: list(itertools.chain([], results)),
    "islice": lambda results: list(itertools.islice(results, 3)),
}


@pytest.mark.parametrize("items", [of_a_source_that_fails, of_a_missing_file])
def test_a_failure_is_no_end(results_of, items):
    results = results_of(items())
    with pytest.raises((ValueError, lw.UsageError), match=r"mine|missing\.lean"):
        names_of(results)
    for again in (*ADAPTERS.values(), *ADAPTERS.values()):
        with pytest.raises(lw.UsageError, match=ENDED):
            again(results)
    results.close()
    with pytest.raises(lw.UsageError, match=ENDED):
        next(results)


def test_a_close_ends_a_loop_in_progress_and_nothing_else(results_of):
    results = results_of([("first", GOOD), ("second", GOOD)])
    seen = []
    for result in results:
        seen.append(result)
        results.close()
    assert names_of(seen) == ["first"]
    for again in ADAPTERS.values():
        with pytest.raises(lw.UsageError, match=ENDED):
            again(results)
    unbegun = results_of([("first", GOOD)])
    unbegun.close()
    with pytest.raises(lw.UsageError, match=ENDED):
        next(unbegun)


def test_an_end_stays_an_end(results_of):
    results = results_of([("first", GOOD)])
    assert names_of(results) == ["first"]
    for _ in range(2):
        assert list(results) == []
        results.close()


def test_a_cancelled_wait_is_no_end():
    """As of `asyncio.wait_for`, which cancels the step that it waits for."""

    endless = looping(0).text.replace("LeanWorker.Prelude", "LeanWorker.Library")

    async def main():
        for function, fixed in (
            (lw.checking.check_async, {}),
            (lw.verification.verify_async, {"statement": STATEMENT}),
        ):
            results = function([("first", GOOD), ("second", endless)], toolchain="embedded", jobs=2, **fixed)
            assert (await anext(results)).verdict.value in ("accepted", "proved")
            step = asyncio.ensure_future(anext(results))
            await asyncio.sleep(0)
            with pytest.raises(lw.UsageError, match="another call has not returned"):
                await anext(results)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            for _ in range(2):
                with pytest.raises(lw.UsageError, match=ENDED):
                    await anext(results)

    asyncio.run(main())


def test_another_thread_and_a_handler_are_told_that_it_is_in_use():
    entered, release = threading.Event(), threading.Event()
    errors = []

    def items():
        for use in (lambda: next(results), results.close):
            with pytest.raises(lw.UsageError, match="another call has not returned") as caught:
                use()
            errors.append(caught.value)
        entered.set()
        release.wait(60)
        yield "first", GOOD

    results = checking(items())
    thread = threading.Thread(target=lambda: errors.append(next(results).verdict.value))
    thread.start()
    entered.wait(60)
    for use in (lambda: next(results), results.close):
        with pytest.raises(lw.UsageError, match="another call has not returned"):
            use()
    release.set()
    thread.join()
    assert errors[2:] == ["accepted"] and list(results) == []


# -- by itself --


def numbers(count):
    yield from range(count)


async def numbers_async(count):
    for number in range(count):
        yield number


def test_an_interrupt_at_any_moment_loses_no_result_unnoticed():
    """Whoever goes on after it has all results, or is told that one may be missing."""
    outcomes = set()
    for moment in itertools.count(1):
        results, seen = WholeGenerator("counting", numbers(3)), []
        with Interrupt(moment, {WholeGenerator.__next__.__code__.co_filename, __file__}) as interrupt:
            for _ in range(9):
                try:
                    for number in results:
                        seen.append(number)
                    break
                except KeyboardInterrupt:
                    continue
                except lw.UsageError:
                    seen.append("told")
                    break
        if interrupt.left > 0:
            break
        outcomes.add(str(seen))
        assert seen == [0, 1, 2] or (seen[-1] == "told" and seen[:-1] == list(range(len(seen) - 1))), (moment, seen)
    assert len(outcomes) > 1


def test_it_is_a_generator_to_python():
    results = WholeGenerator("counting", numbers(3))
    assert results.send(None) == 0
    with pytest.raises(KeyError):
        results.throw(KeyError("x"))
    with pytest.raises(lw.UsageError, match="counting: " + ENDED):
        results.send(None)
    with contextlib.closing(WholeGenerator("counting", numbers(3))) as closing:
        assert list(closing) == [0, 1, 2]
    reference = weakref.ref(closing)
    del closing
    gc.collect()
    assert reference() is None


def test_it_is_an_asynchronous_generator_to_python():
    async def main():
        results = WholeAsyncGenerator("counting", numbers_async(3))
        assert await results.asend(None) == 0
        with pytest.raises(KeyError):
            await results.athrow(KeyError("x"))
        with pytest.raises(lw.UsageError, match="counting: " + ENDED):
            await results.asend(None)
        async with contextlib.aclosing(WholeAsyncGenerator("counting", numbers_async(3))) as closing:
            assert [number async for number in closing] == [0, 1, 2]

    asyncio.run(main())
