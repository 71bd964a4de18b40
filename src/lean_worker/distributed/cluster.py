"""The core of a pool over the nodes of a Ray cluster.

Owns which node gets a request, what is done about one that dies, and that all nodes run the same Lean. Which request
runs next, and what may be sent again, is the scheduler's to say. Hides actors. Callers decide about the cluster.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Container
from typing import Any, cast

from ..base import threads
from ..base.arguments import check_kind, shown
from ..batch.job_items import HostedOnce
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..errors import Cancelled, ClusterTooSmall, MissingExtra, NodeLost, NodeMismatch, QueueTimeout, UsageError
from ..hosting.launch import Capability
from ..policy import (
    DEFAULT,
    DefaultTimeout,
    Limits,
    MemoryPolicy,
    RestartPolicy,
    Timeout,
    Timeouts,
)
from ..pool.close_report import NOTHING_ENDED, CloseReport
from ..pool.lease import LeaseCore
from ..pool.observer import PoolSnapshot
from ..pool.pool import check_lease
from ..steps import monitor
from ..steps.waiting import Changes, Event, Steps, Until, offload
from .lease import ClusterPoison, RemoteLease, calls
from .member import Member, Started, end_members, start_members
from .node import NodeToolchain, Shipped, ShippedOnce, actor_class

_log = logging.getLogger("lean_worker")
_AGAIN_SECONDS = 1.0
"""Seconds between two attempts to replace lost actors."""
_PAUSE_SECONDS = 30.0
"""Seconds without a new attempt on a node where no actor started."""


class ClusterCore:
    """The steps of `RayPool`, and its actors. The arguments are those of `RayPool`.

    Attributes:
        max_workers: Workers on all nodes.
        timeouts: Time limits, also of the queue here.
    """

    def __init__(
        self,
        nodes: int | None,
        workers_per_node: int,
        *,
        address: str | None,
        memory_bytes_per_node: int | None,
        runtime_env: dict[str, Any] | None,
        timeouts: Timeouts | None,
        limits: Limits | None,
        memory: MemoryPolicy | None,
        restarts: RestartPolicy | None,
    ) -> None:
        for name, number in (("nodes", 1 if nodes is None else nodes), ("workers_per_node", workers_per_node)):
            if type(number) is not int or not 1 <= number <= 4096:
                raise UsageError(
                    f"making a pool on a cluster: expected {name} from 1 to 4096, got {shown(number)}",
                    hint="Give an int from 1 to 4096.",
                )
        if memory_bytes_per_node is not None and (type(memory_bytes_per_node) is not int or memory_bytes_per_node < 1):
            raise UsageError(
                "making a pool on a cluster: expected memory_bytes_per_node from 1, "
                f"got {shown(memory_bytes_per_node)}",
                hint="Give an int in bytes, as in 4 << 30, or leave it out.",
            )
        for kind, name, value in (
            (str, "address", address),
            (dict, "runtime_env", runtime_env),
            (Timeouts, "timeouts", timeouts),
            (Limits, "limits", limits),
            (MemoryPolicy, "memory", memory),
            (RestartPolicy, "restarts", restarts),
        ):
            check_kind("making a pool on a cluster", name, value, kind)
        self.monitor = monitor.shared()
        self._ray = _import_ray()
        self._workers = workers_per_node
        self.timeouts = timeouts or Timeouts()
        self._pool_options = {"timeouts": timeouts, "limits": limits, "memory": memory, "restarts": restarts}
        self._actor_options: dict[str, Any] = {"num_cpus": workers_per_node, "max_concurrency": workers_per_node + 2}
        if memory_bytes_per_node is not None:
            self._actor_options["memory"] = memory_bytes_per_node
        self._changed = Changes()
        self._members: list[Member] = []
        self._poison = ClusterPoison(restarts or RestartPolicy())
        self._references: dict[Any, NodeToolchain | None] = {}
        self._comparing = threading.Lock()
        self._is_closed = False
        self._report = NOTHING_ENDED
        self._closing = Event()
        self._losses = 0
        self._mender: threading.Thread | None = None
        self._is_hopeless = False
        self._is_own = self._connect(address, runtime_env)
        try:
            there = self._fitting(nodes)
            self._wanted = len(there)
            self.max_workers = self._wanted * workers_per_node
            with contextlib.closing(self._starting(there)) as starting:
                for member, error in starting:
                    if error is not None:
                        try:
                            raise error
                        finally:
                            del error  # no cycle of an error, its traceback, and this frame
                    self._members.append(member)
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str | None, runtime_env: dict[str, Any] | None) -> bool:
        """Connect if this process is not; say whether the connection is the pool's own."""
        ray = self._ray
        if ray.is_initialized():
            self._take_environment(runtime_env)
            return False
        try:
            ray.init(address=address or "auto", runtime_env=runtime_env, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"making a pool on a cluster: cannot connect to {address or 'one on this machine'}: {error}",
                hint="Start one with `ray start --head`, or give its address.",
            ) from error
        return True

    def _take_environment(self, runtime_env: dict[str, Any] | None) -> None:
        """A runtime environment for the actors alone; Ray uploads directories only when a connection is made."""
        if runtime_env is None:
            return
        try:
            actor_class().options(runtime_env=runtime_env)
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"making a pool on a cluster: Ray does not take this runtime environment: {error}",
                hint="This process is already connected: pass it to ray.init, or let the pool connect.",
            ) from error
        self._actor_options["runtime_env"] = runtime_env

    def _fitting(self, nodes: int | None) -> list[dict[str, Any]]:
        """So many nodes as were asked for, of those that have what an actor asks for."""
        there = self._alive()
        fitting = [node for node in there if self._fits(node)]
        wanted = len(fitting) if nodes is None else nodes
        if wanted <= len(fitting) and wanted:
            return fitting[:wanted]
        asked = {"cpus": self._workers, "memory_bytes": self._actor_options.get("memory", 0)}
        have = [
            {
                "node": node["NodeID"],
                "address": node["NodeManagerAddress"],
                "cpus": int(node["Resources"].get("CPU", 0)),
                "memory_bytes": int(node["Resources"].get("memory", 0)),
            }
            for node in there
        ]
        largest = {name: max((int(str(one[name])) for one in have), default=0) for name in asked}
        raise ClusterTooSmall(
            f"making a pool on a cluster: expected {wanted or 1} nodes with {asked} each, found {len(fitting)} among "
            f"{len(have)}, of which the largest have {largest}",
            asked=asked,
            nodes=have,
        )

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _fits(self, node: dict[str, Any]) -> bool:
        has = node["Resources"]
        return bool(has.get("CPU", 0) >= self._workers and has.get("memory", 0) >= self._actor_options.get("memory", 0))

    def _starting(self, nodes: list[dict[str, Any]]) -> Started:
        may_go_on = lambda: not self._closing.is_set  # noqa: E731
        return start_members(
            nodes, self._workers, self._actor_options, self._pool_options, may_go_on, self._replace_lost
        )

    # -- what a scheduler asks of its pool --

    def check_open(self, doing: str) -> None:
        """Refuse a pool that is closed."""
        if self._is_closed:
            raise UsageError(f"{doing}: the pool is closed", hint="Make a new RayPool.", pool_is_closed=True)

    def granting(
        self, capability: Capability, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> Steps[LeaseCore]:
        """A place on a node whose worker hosts `capability`: a warm one if there is one, else on the idlest node."""
        seconds = self.timeouts.queue if isinstance(timeout, DefaultTimeout) else timeout
        check_lease(capability, timeout, cancel)
        shipped = yield from offload(lambda: Shipped.of(capability))
        key = shipped.key()
        if key not in self._references:
            yield from offload(lambda: self._compare_all(shipped, key))
        member, place = yield from self._taking_place(key, seconds, cancel)
        try:
            yield from offload(lambda: self._prepare(member, place, shipped, key, cancel))
        except BaseException:
            self._give(member, place, None)
            raise
        lease = RemoteLease(member, place, lambda: self._give(member, place, key), key, self._poison)
        return cast("LeaseCore", lease)

    def refuse_self_wait(self, doing: str) -> None:
        """Nothing: who holds a place of a cluster is not known here."""

    def _taking_place(self, key: Any, seconds: float | None, cancel: CancelToken | None) -> Steps[tuple[Member, int]]:
        end = None if seconds is None else time.monotonic() + seconds

        def look_again() -> None:
            with self._changed:
                self._changed.notify_all()

        add_cancel_callback(cancel, look_again)
        try:
            while True:
                if cancel is not None and cancel.is_cancelled:
                    raise Cancelled("taking a place on a node: cancelled by the caller", entered_worker=False)
                with self._changed:
                    if self._is_closed:
                        raise UsageError(
                            "taking a place on a node: the pool is closed",
                            hint="Make a new RayPool.",
                            pool_is_closed=True,
                        )
                    free = [member for member in self._members if member.free and not member.is_lost]
                    if free:
                        member = max(free, key=lambda one: (one.warm[key] > 0, len(one.free)))
                        member.warm[key] -= member.warm[key] > 0
                        return member, member.free.pop()
                    if self._is_hopeless:
                        raise NodeLost(
                            "taking a place on a node: no node of the pool is left, and none could be replaced",
                            entered_worker=False,
                        )
                    news = self._changed.next
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise QueueTimeout(f"taking a place on a node: none came free within {seconds:g} seconds")
                yield Until(news, left)
        finally:
            remove_cancel_callback(cancel, look_again)

    def _prepare(self, member: Member, place: int, shipped: Shipped, key: Any, cancel: CancelToken | None) -> None:
        if key not in member.checked:
            self._compare([_value(member.ask("toolchain", shipped))], shipped, key)
            member.checked.add(key)
        call = next(calls)
        stop = lambda: member.tell("cancel", call)  # noqa: E731
        add_cancel_callback(cancel, stop)
        try:
            _value(member.ask("lend", place, call, shipped))
        finally:
            remove_cancel_callback(cancel, stop)

    def _compare_all(self, shipped: Shipped, key: Any) -> None:
        """Compare the Lean of all nodes before anything runs, so that a wrong one is not found out hours later."""
        with self._comparing:  # once, and not by each dispatcher that begins
            if key in self._references:
                return
            found = self._toolchains(self._living(), shipped)
            if found:
                self._compare(list(found.values()), shipped, key)
                for member in found:
                    member.checked.add(key)

    def _toolchains(self, members: list[Member], shipped: Shipped) -> dict[Member, NodeToolchain | None]:
        """Return the Lean of each node for a capability; omit nodes that die meanwhile."""
        begun = [(member, member.begin("toolchain", shipped)) for member in members]
        found = {}
        for member, reference in begun:
            with contextlib.suppress(NodeLost):
                found[member] = _value(member.take(reference, "toolchain"))
        return found

    def _compare(self, found: list[NodeToolchain | None], shipped: Shipped, key: Any) -> None:
        known = self._references.get(key, found[0])
        other = next((one for one in found if _lean(one) != _lean(known)), None)
        if other is None or known is None:
            self._references[key] = known
            return
        raise NodeMismatch(
            f"hosting {shipped.name} on node {other.node[:12]} ({other.host}): its Lean is {other.kind} "
            f"{other.version} {other.commit}, that of node {known.node[:12]} ({known.host}) is {known.kind} "
            f"{known.version} {known.commit}",
            hint="Install the same Lean on all nodes, or name one that all have.",
            node=other.node,
            expected=known,
            actual=other,
            toolchains=found,
        )

    def _give(self, member: Member, place: int, key: Any) -> None:
        with self._changed:
            member.free.append(place)
            if key is not None:
                member.warm[key] += 1
            self._changed.notify_all()

    def _replace_lost(self) -> None:
        """Have what was lost replaced by a thread of its own, so that the other nodes go on."""
        with self._changed:
            is_needed = any(member.is_lost for member in self._members)
            if is_needed and self._mender is None and not self._is_closed:
                self._mender = threads.start(self._mending, "lean-worker-ray-mender")

    def _mending(self) -> None:
        failed_at: dict[str, float] = {}
        while self._ray.is_initialized():
            with self._changed:
                living = [member for member in self._members if not member.is_lost]
                self._losses += len(self._members) - len(living)
                self._members = living
                missing = self._wanted - len(living)
                if self._is_closed or not missing:
                    self._mender = None
                    return
                used = {member.node_id for member in living}
            try:
                used.update(name for name, then in failed_at.items() if time.monotonic() - then < _PAUSE_SECONDS)
                unused = [node for node in self._alive() if self._fits(node) and node["NodeID"] not in used]
                with contextlib.closing(self._starting(unused[:missing])) as starting:
                    for member, error in starting:
                        if error is None:
                            self._take_in(member)
                        else:
                            failed_at[member.node_id] = time.monotonic()
                            _log.warning("an actor could not be replaced: %s", error)
            except Exception:  # Ray itself: what waits for a place must not wait for ever
                _log.exception("replacing lost actors failed")
            with self._changed:
                self._is_hopeless = all(member.is_lost for member in self._members)
                self._changed.notify_all()
            self._closing.wait(_AGAIN_SECONDS)
        with self._changed:
            self._mender = None
            self._is_hopeless = True
            self._changed.notify_all()

    def _take_in(self, member: Member) -> None:
        with self._changed:
            if not self._is_closed:
                self._members.append(member)
                self._is_hopeless = False
                self._changed.notify_all()
                return
        member.kill()

    def is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Return False: the places of a cluster have one user."""
        return False

    def pinned(self, hosted: HostedOnce) -> Capability:
        """The capability of a run of a job, as it is sent to all nodes until the run ends."""
        return ShippedOnce(hosted)

    def running_item(self, lease: Any, *arguments: Any) -> Steps[Any]:
        """See `job.running_item`."""
        return cast("Steps[Any]", lease.making_part(*arguments))

    # -- the cluster itself --

    def toolchains(self, capability: Capability) -> list[NodeToolchain]:
        """See `RayPool.toolchains`."""
        found = self._toolchains(self._living(), Shipped.of(capability))
        return [one for one in found.values() if one is not None]

    def snapshot(self) -> dict[str, PoolSnapshot]:
        """See `RayPool.snapshot`."""
        snapshots = {}
        for member in self._living():
            with contextlib.suppress(NodeLost):
                snapshots[member.node_id] = member.ask("snapshot")
        return snapshots

    def _living(self) -> list[Member]:
        with self._changed:
            return [member for member in self._members if not member.is_lost]

    def close(self) -> CloseReport:
        """See `RayPool.close`."""
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            members, self._members = self._members, []
            mender = self._mender
            self._changed.notify_all()
        if was_closed:
            return self._report
        started = time.monotonic()
        self._closing.set()
        if mender is not None:
            mender.join()
        reports = end_members(members)
        if self._is_own:
            self._ray.shutdown()
        ended: collections.Counter[str] = collections.Counter()
        for report in reports:
            ended.update(report.ended)
        self._report = CloseReport(
            dict(ended),
            sum(report.killed for report in reports),
            round(time.monotonic() - started, 6),
            len(reports) == len(members) and all(report.is_complete for report in reports),
        )
        return self._report


def _lean(found: NodeToolchain | None) -> tuple[str | None, ...]:
    return () if found is None else (found.kind, found.version, found.commit)


def _value(answer: Any) -> Any:
    ok, value = answer
    if not ok:
        try:
            raise value
        finally:
            del value  # no cycle of an error, its traceback, and this frame
    return value


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "making a pool on a cluster: Ray is not installed", hint="pip install 'lean-worker[ray]'", extra="ray"
        ) from error
    return ray
