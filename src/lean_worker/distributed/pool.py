"""A pool over the nodes of a Ray cluster: `map`, `stream_many` and `Job.run` beyond one machine."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ..base.misuse import Blocking
from ..blocking.many_requests import ManyRequests
from ..hosting.launch import Capability
from ..policy import Limits, MemoryPolicy, RestartPolicy, Timeouts
from ..pool.close_report import CloseReport
from ..pool.observer import PoolSnapshot
from .cluster import ClusterCore
from .node import NodeToolchain


class RayPool(Blocking, ManyRequests[ClusterCore]):
    """Workers on the nodes of a Ray cluster: one actor per node, each with a local pool. Threads may share it.

    `map`, `stream_many` with `on_row`, and `Job.run` work as on a `Pool`. A request whose node dies is sent again, at
    most three times, if none of its rows reached `on_row`. A lost actor is replaced while the other nodes continue: on
    the same node if that node lives, else on a node that has joined the cluster. The pool never uses more nodes than at
    its start; make a new pool to use more.

    The Lean of all nodes is compared before the first request of a capability, and that of a later actor before its
    first request. If they differ, requests end with `NodeMismatch`.

    Args:
        nodes: Number of nodes to use, 1 to 4096; None for all.
        workers_per_node: Workers on each node, 1 to 4096; Ray reserves one CPU for each.
        address: Address of the cluster; None for the one that this process is connected to, or the one on this
            machine.
        memory_bytes_per_node: Bytes that Ray reserves for an actor and its workers, 1 or more; None for none. Ray only
            counts them; `memory` enforces a limit.
        runtime_env: Ray's runtime environment of the actors: files that a capability needs besides its script. Their
            working directory is that of `working_dir`, and relative paths of a capability are looked up in it. Ray
            uploads directories when a connection is made: a process that is connected gives them to `ray.init`.
        timeouts: As of `Pool`, on each node, and for the queue here.
        limits: As of `Pool`.
        memory: As of `Pool`, on each node.
        restarts: As of `Pool`, on each node.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: A number is out of range, there is no such cluster, or Ray refuses the runtime environment.
        ClusterTooSmall: Fewer nodes than asked for have that many CPUs and that much memory, free or not.
        NodeMismatch: A node has another release of lean-worker.
        NodeLost: An actor does not start within 60 seconds, as on a node whose CPUs are in use.
    """

    _takes_sinks = False

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
        self._core = ClusterCore(
            nodes,
            workers_per_node,
            address=address,
            memory_bytes_per_node=memory_bytes_per_node,
            runtime_env=runtime_env,
            timeouts=timeouts,
            limits=limits,
            memory=memory,
            restarts=restarts,
        )

    def toolchains(self, capability: Capability) -> list[NodeToolchain]:
        """Return the Lean that hosts a capability on each node; empty for a capability without Lean.

        Raises:
            CapabilityError: A node has none.
        """
        return self._core.toolchains(capability)

    def snapshot(self) -> dict[str, PoolSnapshot]:
        """The figures of each node's pool, by Ray's id of the node; of those that answer."""
        return self._core.snapshot()

    def close(self) -> CloseReport:
        """End all workers and actors; legal twice. A connection that the pool made itself is given up.

        Returns:
            As `Pool.close`, of all nodes together; not complete if a node was lost or did not answer. The first report
            if it was closed before.
        """
        return self._core.close()

    def __enter__(self) -> RayPool:
        self._core.check_open("entering a pool")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
