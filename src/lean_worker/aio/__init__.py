"""Pool, lease, stream and many requests for asyncio.

The rules are the same steps as for threads. `loop` performs their waits on an event loop.
"""

from .pool import AsyncPool as AsyncPool
