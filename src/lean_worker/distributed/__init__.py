"""A pool over the nodes of a Ray cluster.

`pool` is the driver's side, `member` one node's actor as the driver sees it, `node` what runs in that actor, and
`lease` what stands on the driver for one place of it.
"""

from .pool import RayPool as RayPool
