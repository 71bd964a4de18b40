"""One node's actor, as the driver sees it: how it is started, asked and ended.

Owns what Ray's errors mean, and how long an actor may take to come up or to end. Hides Ray's references. Callers decide
which nodes get an actor, and what is done about one that is lost.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import LeanWorkerError, NodeLost, NodeMismatch
from ..pool.close_report import CloseReport
from ..sinks.parts import storing
from ..version import __version__
from .node import actor_class

AHEAD = 4
"""Batches of rows that a node may send ahead of the driver."""
_CLOSE_SECONDS = 10.0
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.2
"""Seconds between two looks for an end to the start of actors."""


class Member:
    """One node's actor.

    Attributes:
        node_id: Ray's id of the node.
        address: Where it is.
        is_lost: The actor does not answer any more.
        free: Places that are not lent.
        warm: How many idle workers it has for each capability, as far as the driver knows.
        checked: The capabilities whose Lean was compared with that of the other nodes.
    """

    def __init__(self, node_id: str, address: str, actor: Any, workers: int, on_lost: Callable[[], object]) -> None:
        self.node_id = node_id
        self.address = address
        self.is_lost = False
        self.free = list(range(workers))
        self.warm: Counter[Any] = Counter()
        self.checked: set[Any] = set()
        self._actor = actor
        self._on_lost = on_lost
        self._shares: dict[Path, bool] = {}

    def begin(self, method: str, *arguments: Any) -> Any:
        """Call the node; `take` waits for what this returns."""
        return getattr(self._actor, method).remote(*arguments)

    def take(self, reference: Any, method: str) -> Any:
        """Wait for the answer of a call that was started.

        Raises:
            NodeLost: Its actor has ended.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return ray.get(reference)
        except RayTaskError:
            raise
        except RayError as error:
            raise self._lost(f"asking for {method}", error, entered=method == "call") from error

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call the node and wait.

        Raises:
            NodeLost: Its actor has ended.
        """
        return self.take(self.begin(method, *arguments), method)

    def tell(self, method: str, *arguments: Any) -> None:
        """Call the node and do not wait."""
        from ray.exceptions import RayError

        with contextlib.suppress(RayError):
            self.begin(method, *arguments)

    def stream(self, method: str, *arguments: Any) -> Iterator[Any]:
        """Yield the node's answers one by one, with at most `AHEAD` answers ahead of the caller.

        Raises:
            NodeLost: Its actor has ended.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": AHEAD}
        try:
            for reference in getattr(self._actor, method).options(**options).remote(*arguments):
                yield ray.get(reference)
        except RayTaskError:
            raise
        except RayError as error:
            raise self._lost("running a request", error, entered=True) from error

    def shares(self, folder: Path) -> bool:
        """Whether the node sees files that the driver writes into a folder; asked once."""
        if folder not in self._shares:
            probe, content = folder / f".{secrets.token_hex(8)}.probe", secrets.token_bytes(16)
            with storing("writing", probe):
                probe.write_bytes(content)
            try:
                self._shares[folder] = self.ask("shares", str(probe), content)
            finally:
                with contextlib.suppress(OSError):
                    probe.unlink()
        return self._shares[folder]

    def kill(self) -> None:
        """End the actor now, and with it its workers."""
        import ray
        from ray.exceptions import RayError

        self.is_lost = True
        with contextlib.suppress(RayError):
            ray.kill(self._actor)

    def _lost(self, doing: str, error: BaseException, *, entered: bool) -> NodeLost:
        self.is_lost = True
        self._on_lost()
        said = str(error).strip().partition("\n")[0]
        return NodeLost(
            f"{doing}: the actor on node {self.node_id[:12]} ({self.address}) is gone: {type(error).__name__}: {said}",
            node=self.node_id,
            entered_worker=entered,
        )

    def _greeted(self, reference: Any) -> LeanWorkerError | None:
        """Return the problem of an actor that has started or failed to start, or None."""
        try:
            release, _, _ = self.take(reference, "hello")
        except NodeLost as error:
            return error
        if release == __version__:
            return None
        return NodeMismatch(
            f"starting an actor on node {self.node_id[:12]}: it has lean-worker {release}, not {__version__}",
            node=self.node_id,
            expected=__version__,
            actual=release,
        )

    def _too_late(self, options: dict[str, Any]) -> NodeLost:
        asked = {name: options[name] for name in ("num_cpus", "memory") if name in options}
        return NodeLost(
            f"starting an actor on node {self.node_id[:12]} ({self.address}): it did not come up within "
            f"{_START_SECONDS:g} seconds; it asked for {asked}",
            hint="Others may hold the node's CPUs or memory: see `ray status`.",
            node=self.node_id,
            asked=asked,
            entered_worker=False,
        )


Started = Generator[tuple[Member, LeanWorkerError | None], None, None]
"""Actors that were started, with what is wrong with them; close it if it is not used up."""


def start_members(
    nodes: Iterable[dict[str, Any]],
    workers: int,
    options: dict[str, Any],
    pool_options: dict[str, Any],
    may_go_on: Callable[[], bool],
    on_lost: Callable[[], object],
) -> Started:
    """Start an actor on each node in parallel; yield each as it starts, or with its problem when it fails.

    Args:
        nodes: As Ray lists them.
        workers: Of each, 1 or more.
        options: Ray's options for each actor.
        pool_options: Arguments of each local `Pool`.
        may_go_on: Called repeatedly; once it returns False, actors that have not started are ended.
        on_lost: Called when an actor no longer answers, on the thread that notices it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    waiting: dict[Any, Member] = {}
    end = time.monotonic() + _START_SECONDS
    try:
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            kind = actor_class().options(**options, scheduling_strategy=there)
            actor = kind.remote(node["NodeID"], workers, pool_options)
            member = Member(node["NodeID"], node["NodeManagerAddress"], actor, workers, on_lost)
            waiting[member.begin("hello")] = member
        while waiting and may_go_on() and (left := end - time.monotonic()) > 0:
            ready, _ = ray.wait(list(waiting), timeout=min(left, _LOOK_SECONDS))
            for reference in ready:
                member = waiting.pop(reference)
                error = member._greeted(reference)
                if error is not None:
                    member.kill()
                yield member, error
        while waiting and may_go_on():
            _, member = waiting.popitem()
            member.kill()
            yield member, member._too_late(options)
    finally:
        for member in waiting.values():
            member.kill()


def end_members(members: Iterable[Member]) -> list[CloseReport]:
    """End the workers of all, then their actors; those that do not answer within ten seconds are killed.

    Returns:
        The reports of those that answered.
    """
    import ray
    from ray.exceptions import RayError

    members = list(members)
    reports: list[CloseReport] = []
    with contextlib.suppress(RayError):
        closing = [member.begin("close") for member in members if not member.is_lost]
        if closing:
            ready, _ = ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_SECONDS)
            for answer in ready:
                with contextlib.suppress(RayError):
                    reports.append(ray.get(answer))
    for member in members:
        member.kill()
    return reports
