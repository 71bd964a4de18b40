"""Verifications at the same time on one pool: each holds a worker for its judge and needs another, and none waits for ever."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import signal
import sys
import threading

import psutil
import pytest

import lean_worker as lw
from support import FUNCTIONS
from verify_candidates import HEADER

pytestmark = [pytest.mark.lean, pytest.mark.once, pytest.mark.skipif(sys.platform != "linux", reason="Linux only")]

STATEMENT = HEADER + "theorem goal (p : Prop) (h : p) : p := by\n  sorry\n"
PROOFS = [lw.Proof("right", "exact h"), lw.Proof("wrong", "exact p"), lw.Proof("left out", "sorry")]
VERDICTS = ["proved", "not_proved", "forbidden_axiom"]


def results(pool):
    return lw.verify(PROOFS, statement=STATEMENT, toolchain="embedded", pool=pool, in_order=True)


def verdicts(pool):
    return [result.verdict.value for result in results(pool)]


@pytest.mark.parametrize("workers, calls", [(2, 2), (2, 5), (4, 4)])
def test_as_many_calls_as_one_likes_share_a_pool(workers, calls):
    with lw.Pool(workers) as pool, concurrent.futures.ThreadPoolExecutor(calls) as threads:
        assert list(threads.map(verdicts, [pool] * calls)) == [VERDICTS] * calls


def test_so_do_tasks():
    async def verdicts(pool):
        found = lw.verification.verify_async(
            PROOFS, statement=STATEMENT, toolchain="embedded", pool=pool, in_order=True
        )
        return [result.verdict.value async for result in found]

    async def main():
        with lw.Pool(2) as pool:
            assert await asyncio.gather(*(verdicts(pool) for _ in range(3))) == [VERDICTS] * 3

    asyncio.run(main())


def test_two_at_the_same_time_on_one_thread_need_one_worker_more():
    with lw.Pool(3) as pool:
        assert [one.verdict == other.verdict for one, other in zip(results(pool), results(pool))] == [True] * 3
    with lw.Pool(2) as pool:
        first = results(pool)
        next(first)
        with pytest.raises(lw.UsageError, match="waits for itself") as caught:
            next(results(pool))
        assert "Pool(max_workers=3)" in caught.value.hint
        assert [result.verdict.value for result in first] == VERDICTS[1:]


def test_a_call_that_waits_in_vain_says_how_many_workers_it_takes():
    with lw.Pool(2, timeouts=lw.Timeouts(queue=1)) as pool:
        first = results(pool)
        next(first)
        with pytest.raises(lw.errors.QueueTimeout, match="within 1 seconds") as caught:
            next(results(pool))
        assert "keeps a worker for its judge, and needs one more" in caught.value.hint
        first.close()


def test_others_are_served_while_a_call_waits_for_its_judge():
    with lw.Pool(2) as pool:
        first = results(pool)
        next(first)
        second = threading.Thread(target=verdicts, args=[pool])
        second.start()
        for _ in range(20):
            assert pool.call(FUNCTIONS, lw.JsonCommand("echo"), 1) == 1
        assert [result.verdict.value for result in first] == VERDICTS[1:]
        second.join()


@pytest.mark.supervision
def test_judges_that_are_killed_at_any_moment_keep_no_call_waiting():
    done = threading.Event()

    def kill_judges():
        chance = random.Random(0)
        ours = psutil.Process()
        while not done.wait(chance.uniform(0.2, 0.8)):
            for child in chance.sample(children := ours.children(), len(children) // 2):
                try:
                    if "judge" in child.cmdline():
                        child.send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:
                    continue

    def outcome(pool):
        try:
            return verdicts(pool)
        except lw.LeanWorkerError as error:  # the judge of the statement itself was killed
            return [type(error).__name__]

    restarts = lw.RestartPolicy(max_restarts=None, poison_after=None, backoff=0.0)
    killer = threading.Thread(target=kill_judges)
    with lw.Pool(3, restarts=restarts) as pool, concurrent.futures.ThreadPoolExecutor(4) as threads:
        killer.start()
        try:
            found = list(threads.map(outcome, [pool] * 24))
        finally:
            done.set()
            killer.join()
        for verdict, given in (
            (verdict, given) for each in found if len(each) > 1 for verdict, given in zip(each, VERDICTS)
        ):
            assert verdict in (given, "lost")
        assert {each[0] for each in found if len(each) == 1} <= {"ChildExited"}
        assert verdicts(pool) == VERDICTS
        assert VERDICTS in found and any(each != VERDICTS for each in found)  # some met a kill, and some did not
