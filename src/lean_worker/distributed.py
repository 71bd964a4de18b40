"""A pool over the nodes of a Ray cluster: the surface of `Pool.map`, `stream_many` and `Job.run`, beyond one machine.

Owns which node gets a request, what is done about one that dies, and that all nodes run the same Lean. Which request
runs next, and what may be sent again, is the crew's to say. Hides actors. Callers decide about the cluster.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from .cancel import CancelToken
from .capability import Capability
from .crew import SENDS
from .errors import Cancelled, LeanWorkerError, MissingExtra, NodeLost, NodeMismatch, QueueTimeout, UsageError
from .lease import DEFAULT, Lease, Timeout, _Default
from .many import ManyRequests
from .observe import PoolSnapshot
from .policy import Limits, MemoryPolicy, RestartPolicy, Timeouts, check_timeout
from .ray_lease import AHEAD, ClusterPoison, RemoteLease, calls, lost
from .ray_node import NodeToolchain, Shipped, actor_class
from .version import __version__
from .waits import Changes, Steps, Until, aside

_CLOSE_SECONDS = 10.0
_START_SECONDS = 60.0


class Member:
    """One node's actor, as the driver sees it.

    Attributes:
        node_id: Ray's id of the node.
        address: Where it is.
        is_lost: The actor does not answer any more.
        free: Places that are not lent.
        warm: How many idle workers it has for each capability, as far as the driver knows.
    """

    def __init__(self, node_id: str, address: str, actor: Any, workers: int) -> None:
        self.node_id = node_id
        self.address = address
        self.is_lost = False
        self.free = list(range(workers))
        self.warm: Counter[Any] = Counter()
        self.checked: set[Any] = set()
        self._actor = actor
        self._shares: dict[Path, bool] = {}

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call the node and wait.

        Raises:
            NodeLost: Its actor is gone.
        """
        import ray

        try:
            return ray.get(getattr(self._actor, method).remote(*arguments))
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError as error:
            self.is_lost = True
            raise lost(self, f"asking for {method}", error, entered=method == "call") from error

    def hello(self) -> str:
        """The actor's release of lean-worker, when it is up.

        Raises:
            NodeLost: It does not come up: the node is gone, or has no free CPUs.
        """
        import ray

        try:
            return str(ray.get(self._actor.hello.remote(), timeout=_START_SECONDS)[0])
        except ray.exceptions.RayError as error:
            self.is_lost = True
            raise lost(self, f"starting an actor within {_START_SECONDS:g} seconds", error, entered=False) from error

    def tell(self, method: str, *arguments: Any) -> None:
        """Call the node and do not wait."""
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            getattr(self._actor, method).remote(*arguments)

    def stream(self, method: str, *arguments: Any) -> Iterator[Any]:
        """What the node answers bit by bit, at most `AHEAD` ahead of the caller.

        Raises:
            NodeLost: Its actor is gone.
        """
        import ray

        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": AHEAD}
        try:
            for reference in getattr(self._actor, method).options(**options).remote(*arguments):
                yield ray.get(reference)
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError as error:
            self.is_lost = True
            raise lost(self, "running a request", error, entered=True) from error

    def shares(self, folder: Path) -> bool:
        """Whether what the driver writes into a folder is there for the node too; asked once."""
        if folder not in self._shares:
            probe, content = folder / f".{secrets.token_hex(8)}.probe", secrets.token_bytes(16)
            probe.write_bytes(content)
            try:
                self._shares[folder] = self.ask("shares", str(probe), content)
            finally:
                probe.unlink()
        return self._shares[folder]

    def end(self) -> None:
        """End its workers and the actor."""
        import ray

        if not self.is_lost:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(self._actor.close.remote(), timeout=_CLOSE_SECONDS)
        with contextlib.suppress(ray.exceptions.RayError):
            ray.kill(self._actor)


class RayPool(ManyRequests):
    """Workers on the nodes of a Ray cluster: one actor a node, with a local pool in each. Threads may share it.

    `map`, `stream_many` with `on_row`, and `Job.run` work on it as on a `Pool`. A request whose node dies is sent
    again, at most three times, as long as no row of it was handed to `on_row`. An actor that dies alone is started
    anew on its node; nodes that join the cluster take the place of dead ones.

    Args:
        nodes: How many nodes to use; None for all that are there.
        workers_per_node: Lean workers on each, 1 or more; each is one CPU to Ray.
        address: Of the cluster; None for the one that this process is connected to, or the one on this machine.
        memory_bytes_per_node: What Ray reserves for an actor and its workers; None for nothing.
        runtime_env: Ray's runtime environment of the actors, for what a capability needs besides its script.
        timeouts: As of `Pool`, on each node, and for the queue here.
        limits: As of `Pool`.
        memory: As of `Pool`, on each node.
        restarts: As of `Pool`, on each node.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: A number is out of range, or there is no such cluster, or it has fewer nodes.
        NodeMismatch: A node has another release of lean-worker.
        NodeLost: An actor does not come up within a minute, as on a node whose CPUs are taken.
    """

    def __init__(
        self,
        nodes: int | None = None,
        workers_per_node: int = 1,
        *,
        address: str | None = None,
        memory_bytes_per_node: int | None = None,
        runtime_env: dict[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        memory: MemoryPolicy | None = None,
        restarts: RestartPolicy | None = None,
    ) -> None:
        for name, number in (("nodes", 1 if nodes is None else nodes), ("workers_per_node", workers_per_node)):
            if type(number) is not int or not 1 <= number <= 4096:
                raise UsageError(f"making a pool on a cluster: expected {name} from 1 to 4096, got {number!r}")
        self._ray = _import_ray()
        self._workers = workers_per_node
        self._timeouts = timeouts or Timeouts()
        self._pool_options = {"timeouts": timeouts, "limits": limits, "memory": memory, "restarts": restarts}
        self._actor_options: dict[str, Any] = {"num_cpus": workers_per_node, "max_concurrency": workers_per_node + 2}
        if memory_bytes_per_node is not None:
            self._actor_options["memory"] = memory_bytes_per_node
        if runtime_env is not None:
            self._actor_options["runtime_env"] = runtime_env
        self._changed = Changes()
        self._members: list[Member] = []
        self._poison = ClusterPoison(restarts or RestartPolicy())
        self._references: dict[Any, NodeToolchain] = {}
        self._queued = 0
        self._is_closed = False
        self._losses = 0
        self._is_own = self._connect(address)
        try:
            there = self._alive()
            wanted = len(there) if nodes is None else nodes
            if wanted > len(there) or not wanted:
                raise UsageError(
                    f"making a pool on a cluster: expected {wanted or 1} nodes with {workers_per_node} CPUs, "
                    f"found {len(there)}"
                )
            self._wanted = wanted
            self._max_workers = wanted * workers_per_node
            for node in there[:wanted]:
                self._members.append(self._start(node))
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str | None) -> bool:
        ray = self._ray
        if ray.is_initialized():
            return False
        try:
            ray.init(address=address or "auto", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"making a pool on a cluster: cannot connect to {address or 'one on this machine'}: {error}",
                hint="Start one with `ray start --head`, or give its address.",
            ) from error
        return True

    def _alive(self) -> list[dict[str, Any]]:
        return [
            node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= self._workers
        ]

    def _start(self, node: dict[str, Any]) -> Member:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options = dict(self._actor_options)
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        actor = actor_class().options(**options).remote(node["NodeID"], self._workers, self._pool_options)
        member = Member(node["NodeID"], node["NodeManagerAddress"], actor, self._workers)
        try:
            release = member.hello()
        except NodeLost:
            member.end()
            raise
        if release != __version__:
            member.end()
            raise NodeMismatch(
                f"starting an actor on node {member.node_id[:12]}: it has lean-worker {release}, not {__version__}",
                node=member.node_id,
                expected=__version__,
                actual=release,
            )
        return member

    # -- what a crew asks of its pool --

    def granting(
        self, capability: Capability, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> Steps[Lease]:
        """A place on a node whose worker hosts `capability`: a warm one if there is one, else on the idlest node."""
        seconds = self._timeouts.queue if isinstance(timeout, _Default) else timeout
        check_timeout("timeout", seconds)
        shipped = yield from aside(lambda: Shipped.of(capability))
        key = shipped.key()
        member, place = yield from self._taking_place(key, seconds, cancel)
        try:
            yield from aside(lambda: self._prepare(member, place, shipped, key, cancel))
        except BaseException:
            self._give(member, place, None)
            raise
        lease = RemoteLease(member, place, lambda: self._give(member, place, key), key, self._poison)
        return cast("Lease", lease)

    def _taking_place(self, key: Any, seconds: float | None, cancel: CancelToken | None) -> Steps[tuple[Member, int]]:
        end = None if seconds is None else time.monotonic() + seconds

        def look_again() -> None:
            with self._changed:
                self._changed.notify_all()

        if cancel is not None:
            cancel._subscribe(look_again)
        self._queued += 1
        try:
            while True:
                if cancel is not None and cancel.is_cancelled:
                    raise Cancelled("taking a place on a node: cancelled by the caller", entered_worker=False)
                yield from aside(self._replace_lost)
                with self._changed:
                    if self._is_closed:
                        raise UsageError("taking a place on a node: the pool is closed", pool="closed")
                    free = [member for member in self._members if member.free and not member.is_lost]
                    if free:
                        member = max(free, key=lambda one: (one.warm[key] > 0, len(one.free)))
                        member.warm[key] -= member.warm[key] > 0
                        return member, member.free.pop()
                    if all(member.is_lost for member in self._members):
                        raise NodeLost("taking a place on a node: none is left", entered_worker=False)
                    news = self._changed.next
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise QueueTimeout(f"taking a place on a node: none came free within {seconds:g} seconds")
                yield Until(news, left)
        finally:
            self._queued -= 1
            if cancel is not None:
                cancel._unsubscribe(look_again)

    def _prepare(self, member: Member, place: int, shipped: Shipped, key: Any, cancel: CancelToken | None) -> None:
        if key not in member.checked:
            self._compare(member.ask("toolchain", shipped), shipped, key)
            member.checked.add(key)
        call = next(calls)
        stop = lambda: member.tell("cancel", call)  # noqa: E731
        if cancel is not None:
            cancel._subscribe(stop)
        try:
            _value(member.ask("lend", place, call, shipped))
        finally:
            if cancel is not None:
                cancel._unsubscribe(stop)

    def _compare(self, answer: Any, shipped: Shipped, key: Any) -> None:
        found: NodeToolchain | None = _value(answer)
        if found is None:
            return
        with self._changed:
            known = self._references.setdefault(key, found)
        if (found.kind, found.version, found.commit) != (known.kind, known.version, known.commit):
            raise NodeMismatch(
                f"hosting {shipped.name} on node {found.node[:12]} ({found.host}): its Lean is {found.kind} "
                f"{found.version} {found.commit}, that of node {known.node[:12]} is {known.kind} {known.version} "
                f"{known.commit}",
                hint="Install the same Lean on all nodes, or name one that all have.",
                node=found.node,
                expected=known,
                actual=found,
            )

    def _give(self, member: Member, place: int, key: Any) -> None:
        with self._changed:
            member.free.append(place)
            if key is not None:
                member.warm[key] += 1
            self._changed.notify_all()

    def _replace_lost(self) -> None:
        """A new actor for each that was lost, on its node if that lives, else on one that is not used yet."""
        with self._changed:
            gone = [member for member in self._members if member.is_lost]
            if not gone or self._is_closed or self._losses > SENDS * self._wanted * 4:
                return
            self._members = [member for member in self._members if not member.is_lost]
            self._losses += len(gone)
            used = {member.node_id for member in self._members}
            for node in self._alive():
                if node["NodeID"] not in used and len(self._members) < self._wanted:
                    with contextlib.suppress(LeanWorkerError):
                        self._members.append(self._start(node))
            self._members += gone[:1] if not self._members else []
            self._changed.notify_all()

    def _is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        return False

    def running_item(self, lease: Any, *arguments: Any) -> Steps[Any]:
        """See `job.running_item`."""
        return cast("Steps[Any]", lease.making_part(*arguments))

    # -- the pool itself --

    def toolchains(self, capability: Capability) -> list[NodeToolchain]:
        """Which Lean hosts a capability, on each node; nothing for one that hosts no Lean.

        Raises:
            CapabilityError: A node has none.
        """
        shipped = Shipped.of(capability)
        found = [_value(member.ask("toolchain", shipped)) for member in self._living()]
        return [one for one in found if one is not None]

    def snapshot(self) -> dict[str, PoolSnapshot]:
        """The figures of each node's pool, by Ray's id of the node; of those that answer."""
        snapshots = {}
        for member in self._living():
            with contextlib.suppress(NodeLost):
                snapshots[member.node_id] = member.ask("snapshot")
        return snapshots

    def _living(self) -> list[Member]:
        with self._changed:
            return [member for member in self._members if not member.is_lost]

    def close(self) -> None:
        """End all workers and actors; legal twice. A connection that the pool made itself is given up."""
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            members, self._members = self._members, []
            self._changed.notify_all()
        if was_closed:
            return
        for member in members:
            member.end()
        if self._is_own:
            self._ray.shutdown()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _value(answer: Any) -> Any:
    ok, value = answer
    if not ok:
        raise value
    return value


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "making a pool on a cluster: Ray is not installed", hint="pip install 'lean-worker[ray]'", extra="ray"
        ) from error
    return ray
