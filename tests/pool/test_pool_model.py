"""A small model of the pool beside the real one: whatever is done to both, they agree.

Real child processes (`hosts/obedient.py`) serve the real pool. 30 examples by default;
`LEAN_WORKER_MODEL_EXAMPLES=500 pytest tests/pool/test_pool_model.py` for more.
"""

from __future__ import annotations

import collections
import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import lean_worker as lw
from support import HOSTS, wait_until

EXAMPLES = int(os.environ.get("LEAN_WORKER_MODEL_EXAMPLES", "30"))
pytestmark = [pytest.mark.supervision, pytest.mark.once, pytest.mark.timeout(120 + 2 * EXAMPLES)]

MAX_WORKERS = 2
TALK = lw.StreamingCommand("talk")
KINDS = [
    lw.ProcessCapability([sys.executable, str(HOSTS / "obedient.py")], env={"LEAN_WORKER_TEST_KEY": name})
    for name in "ab"
]
ROWS = st.integers(0, 5)


class MyError(Exception):
    """What a sink of the test raises."""


class ModelLease:
    def __init__(self, lease, kind, generation, requests):
        self.lease, self.kind, self.generation, self.requests = lease, kind, generation, requests
        self.gone = False


class PoolMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.max_requests = None
        self.pool = None
        self.leases = []
        self.idle = []  # (kind, generation, requests), least recently used first
        self.next_generation = collections.Counter()
        self.ended = collections.Counter()
        self.outcomes = collections.Counter()
        self.refused = collections.Counter()
        self.told = collections.Counter()
        self.started = self.rows = 0

    @precondition(lambda self: self.pool is None)
    @rule(max_requests=st.sampled_from([None, None, 1, 3]))
    def make(self, max_requests):
        self.max_requests = max_requests
        self.pool = lw.Pool(
            MAX_WORKERS,
            memory=lw.MemoryPolicy(max_requests=max_requests),
            restarts=lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None),
            timeouts=lw.Timeouts(cancel_grace=20, shutdown=20),
            on_event=lambda event: self.told.update([event.kind]),
        )

    def start(self, kind):
        generation = self.next_generation[kind]
        self.next_generation[kind] += 1
        self.started += 1
        return generation

    def used_up(self, requests):
        return self.max_requests is not None and requests >= self.max_requests

    # -- leases --

    def lent(self):
        """A place belongs to a living worker: the lease of a dead one takes up none."""
        return sum(not held.gone for held in self.leases)

    @precondition(lambda self: self.pool is not None)
    @rule(kind=st.integers(0, 1))
    def lease(self, kind):
        if self.lent() == MAX_WORKERS:
            with pytest.raises(lw.errors.PoolFull):
                self.pool.lease(KINDS[kind], timeout=0)
            self.refused["PoolFull"] += 1
            return
        lease = self.pool.lease(KINDS[kind], timeout=0)
        warm = next((entry for entry in reversed(self.idle) if entry[0] == kind), None)
        if warm is not None:
            self.idle.remove(warm)
            _, generation, requests = warm
        else:
            if self.lent() + len(self.idle) == MAX_WORKERS:
                self.idle.pop(0)
                self.ended["evicted"] += 1
            generation, requests = self.start(kind), 0
        self.leases.append(ModelLease(lease, kind, generation, requests))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data):
        held = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        held.lease.release()
        held.lease.release()
        if held.gone:
            return
        if not self.used_up(held.requests):
            self.idle.append((held.kind, held.generation, held.requests))
            return
        self.ended["policy"] += 1
        # The successor is started aside, unless a warm one is there already, which then was used last.
        warm = next((entry for entry in reversed(self.idle) if entry[0] == held.kind), None)
        if warm is not None:
            self.idle.remove(warm)
            self.idle.append(warm)
        else:
            self.idle.append((held.kind, self.start(held.kind), 0))
        wait_until(
            lambda: self.pool.snapshot().leased == self.lent()
        )  # whoever started it, or found the warm one, is gone
        idle = [worker.key for worker in self.pool._core.workers.idle]
        keys = {KINDS[kind].launch().key(): kind for kind in (0, 1)}
        assert [keys[key] for key in idle] == [kind for kind, _, _ in self.idle]

    # -- requests --

    def request(self, data):
        """A lease to run on; its worker is replaced first if it is used up. None if it turned out to be stale."""
        held = data.draw(st.sampled_from(self.leases))
        if held.gone:
            with pytest.raises(lw.errors.StaleLease) as caught:
                held.lease.run(TALK, {"rows": 1, "then": "ok"}, on_row=lambda row: None)
            assert caught.value.generation == held.generation
            return None
        if self.used_up(held.requests):
            self.ended["policy"] += 1
            held.generation, held.requests = self.start(held.kind), 0
        held.requests += 1
        return held

    def lost(self, held, reason):
        held.gone = True
        self.ended[reason] += 1

    def finish(self, held, outcome, rows):
        self.outcomes[outcome] += 1
        self.rows += rows

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), rows=ROWS)
    def succeed(self, data, rows):
        if held := self.request(data):
            done = held.lease.collect(TALK, {"rows": rows, "then": "ok"})
            assert [row.payload for row in done.rows] == list(range(rows))
            self.finish(held, "ok", rows)

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        rows=ROWS,
        how=st.sampled_from(
            [
                ("fail", lw.CommandFailed, None, None),
                ("exit", lw.ChildExited, "crashed", None),
                ("gap", lw.errors.SequenceGap, "protocol", None),
                ("hang", lw.RequestTimeout, "timeout", 0.25),
            ]
        ),
    )
    def fail(self, data, rows, how):
        then, kind, reason, timeout = how
        if held := self.request(data):
            seen = []
            with pytest.raises(kind) as caught:
                held.lease.run(TALK, {"rows": rows, "then": then}, on_row=seen.append, timeout=timeout or 60)
            if then != "hang":  # a busy machine may not have come to all rows by then
                assert len(seen) == rows
            assert [row.payload for row in seen] == list(range(len(seen)))
            assert (caught.value.rows_delivered, caught.value.generation) == (len(seen), held.generation)
            self.finish(held, kind.__name__, len(seen))
            if reason is not None:
                self.lost(held, reason)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), rows=ROWS, how=st.sampled_from(["break", "raise", "cancel"]))
    def stop(self, data, rows, how):
        if held := self.request(data):
            token = lw.CancelToken()
            seen = []

            def on_row(row):
                seen.append(row.payload)
                if len(seen) == rows + 1:
                    if how == "raise":
                        raise MyError
                    token.cancel()

            request = {"rows": rows, "then": "endless"}
            if how == "break":
                with held.lease.stream(TALK, request) as stream:
                    for row in stream:
                        seen.append(row.payload)
                        if len(seen) == rows + 1:
                            break
                outcome = "Cancelled"
            else:
                kind = MyError if how == "raise" else lw.Cancelled
                with pytest.raises(kind):
                    held.lease.run(TALK, request, on_row=on_row, cancel=token)
                outcome = kind.__name__
            assert seen == list(range(rows + 1))
            self.finish(held, outcome, rows + 1)
            assert not held.lease.is_stale

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def run_with_a_cancelled_token(self, data):
        held = data.draw(st.sampled_from(self.leases))
        if held.gone or self.used_up(held.requests):
            return
        token = lw.CancelToken()
        token.cancel()
        with pytest.raises(lw.Cancelled) as caught:
            held.lease.run(TALK, {"rows": 1, "then": "ok"}, on_row=lambda row: None, cancel=token)
        assert caught.value.entered_worker is False

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), late=st.booleans())
    def die_while_lent(self, data, late):
        held = data.draw(st.sampled_from(self.leases))
        if held.gone:
            return
        worker = held.lease._core.loan.worker
        if late and not self.used_up(held.requests):
            held.requests += 1
            held.lease.run(TALK, {"rows": 2, "then": "late_exit"}, on_row=lambda row: None)
            self.finish(held, "ok", 2)
        else:
            os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: worker._process.has_ended)
        # It is accounted for when the lease is given back.
        self.leases.remove(held)
        with pytest.raises(lw.errors.StaleLease):
            held.lease.run(TALK, {"rows": 1, "then": "ok"}, on_row=lambda row: None)
        held.lease.release()
        self.ended["crashed"] += 1

    # -- agreement --

    @invariant()
    def they_agree(self):
        if self.pool is None:
            return
        snapshot = self.pool.snapshot()
        assert (snapshot.leased, snapshot.idle, snapshot.queued) == (self.lent(), len(self.idle), 0)
        assert {name: count for name, count in snapshot.ended.items() if count} == dict(self.ended)
        assert dict(snapshot.outcomes) == dict(self.outcomes)
        assert dict(snapshot.refused) == dict(self.refused)
        assert snapshot.requests == sum(self.outcomes.values())
        assert (snapshot.started, snapshot.rows_delivered) == (self.started, self.rows)

    def teardown(self):
        if self.pool is None:
            return
        for held in self.leases:
            held.lease.release()
        self.pool.close()
        snapshot = self.pool.snapshot()
        assert (snapshot.leased, snapshot.idle) == (0, 0)
        assert sum(snapshot.ended.values()) == snapshot.started
        assert self.told["lease_granted"] == self.told["lease_released"]


TestPoolAgreesWithItsModel = PoolMachine.TestCase
TestPoolAgreesWithItsModel.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
