"""The memory of what keeps failing: kinds of workers that die too often, and requests that kill whoever takes them.

Owns the memory of failures, bounded, and the rule for when enough is enough. Knows no process: the pool tells it what
ended how, on the monitor's thread.
"""

from __future__ import annotations

import collections
import time

from ..errors import LeanWorkerError, PoisonRequest, RestartLimitExceeded
from ..policy import RestartPolicy

_KEPT_KEYS = 4096
_KEPT_REQUESTS = 4096


class History:
    """The history of all workers with one session key."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._failures: collections.deque[float] = collections.deque()
        self._failures_in_a_row = 0
        self._last_failure = ""
        self.next_generation = 0

    def fail(self, why: str) -> None:
        """A worker ended other than planned, or did not start."""
        self._failures.append(time.monotonic())
        self._failures_in_a_row += 1
        self._last_failure = why
        self._forget_old()

    def succeed(self) -> None:
        """A request ended as it should."""
        self._failures_in_a_row = 0

    def admit(self, description: str) -> float:
        """Ask to start a worker.

        Returns:
            Seconds to wait before it, often 0.

        Raises:
            RestartLimitExceeded: Too many have failed within the window.
        """
        policy = self._policy
        self._forget_old()
        if policy.max_restarts is not None and len(self._failures) > policy.max_restarts:
            # Room comes when all but `max_restarts` of the failures are older than the window.
            leaves_at = self._failures[-policy.max_restarts - 1] + policy.window
            raise RestartLimitExceeded(
                f"starting a worker for {description}: {len(self._failures)} workers of this kind failed within "
                f"{policy.window:g} seconds, at most {policy.max_restarts} restarts are allowed; "
                f"the last failure: {self._last_failure}",
                hint="Find out why they fail, or allow more with RestartPolicy(max_restarts=…).",
                restarts=len(self._failures),
                limit=policy.max_restarts,
                window=policy.window,
                retry_after=round(max(0.0, leaves_at - time.monotonic()), 3),
                last_failure=self._last_failure,
            )
        if self._failures_in_a_row < 2:
            return 0.0
        # The exponent is bounded as well: a float has no room for the two-thousandth doubling.
        return min(policy.max_backoff, float(policy.backoff * 2 ** min(self._failures_in_a_row - 2, 60)))

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self._policy.window
        while self._failures and self._failures[0] < oldest:
            self._failures.popleft()
        if self._policy.max_restarts is None:
            self._failures.clear()


class Histories:
    """A `History` for each session key; the least recently used ones are forgotten."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._histories: collections.OrderedDict[str, History] = collections.OrderedDict()

    def of(self, key: str) -> History:
        """The history of `key`, new if there is none."""
        history = self._histories.setdefault(key, History(self._policy))
        self._histories.move_to_end(key)
        if len(self._histories) > _KEPT_KEYS:
            self._histories.popitem(last=False)
        return history


class Poison:
    """The workers that each request has ended in a row; a request is known by a digest of all that it asks for."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._limit = policy.poison_after
        self._kills: collections.OrderedDict[bytes, tuple[int, str]] = collections.OrderedDict()

    @property
    def knows_any(self) -> bool:
        """Whether any request has ended a worker lately; nothing has to be asked before."""
        return bool(self._kills)

    def check(self, request: bytes, command: str) -> None:
        """Refuse a request that has ended too many workers.

        Raises:
            PoisonRequest: It has.
        """
        kills, last_failure = self._kills.get(request, (0, ""))
        if self._limit is not None and kills >= self._limit:
            raise PoisonRequest(
                f"running {command}: this request ended {kills} workers, one after the other, and is not sent again; "
                f"the last failure: {last_failure}",
                hint="Leave it out, or give it another time limit; RestartPolicy(poison_after=None) never refuses.",
                command=command,
                kills=kills,
                last_failure=last_failure,
                entered_worker=False,
                rows_delivered=0,
            )

    def killed(self, request: bytes, error: LeanWorkerError) -> None:
        """It ended a worker; the error is told how many that makes."""
        if self._limit is None:
            return
        kills = self._kills.get(request, (0, ""))[0] + 1
        error.add_facts(kills=kills)
        self._kills[request] = (kills, error.text)
        self._kills.move_to_end(request)
        if len(self._kills) > _KEPT_REQUESTS:
            self._kills.popitem(last=False)

    def survived(self, request: bytes) -> None:
        """It ended without ending a worker."""
        self._kills.pop(request, None)
