"""Pool, lease, stream and many requests for asyncio.

`loop` performs on an event loop the waits that `waits.run` performs on a thread; the rules are the same steps.
"""

from .pool import AsyncPool as AsyncPool
