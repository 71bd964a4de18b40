"""A pool over the nodes of a Ray cluster.

`pool` is the driver's side, `member` one node's actor as the driver sees it, `node` what runs in that actor, and
`lease` what stands on the driver for one place of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .node import NodeToolchain as NodeToolchain
    from .pool import RayPool as RayPool

__all__ = ["NodeToolchain", "RayPool"]

__getattr__ = lazy_names(
    __name__,
    {"node": ("NodeToolchain",), "pool": ("RayPool",)},
)
