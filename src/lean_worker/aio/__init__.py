"""Pool, lease, stream and many requests for asyncio.

The rules are the same steps as for threads. `driver` performs their waits on an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .lease import AsyncLease as AsyncLease
    from .many import AsyncOutcomes as AsyncOutcomes
    from .pool import AsyncPool as AsyncPool
    from .stream import AsyncRowStream as AsyncRowStream

__all__ = ["AsyncLease", "AsyncOutcomes", "AsyncPool", "AsyncRowStream"]

__getattr__ = lazy_names(
    __name__,
    {"lease": ("AsyncLease",), "many": ("AsyncOutcomes",), "pool": ("AsyncPool",), "stream": ("AsyncRowStream",)},
)
