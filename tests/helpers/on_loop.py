"""The asyncio surface under the names and the manners of the blocking one, so that one test text serves both.

`Pool` here is an `AsyncPool` with a loop of its own, which runs for as long as each call takes; between two calls the
loop stands still, as it does while a task blocks it.
"""

from __future__ import annotations

import asyncio

import lean_worker as lw


class Loops:
    """The loops of one test; `close` ends them, after which the pools are of no use."""

    def __init__(self):
        self._loops = []

    def new(self):
        loop = asyncio.new_event_loop()
        self._loops.append(loop)
        return loop

    def close(self):
        for loop in self._loops:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def Pool(self, *args, **options):
        return Pool(self.new(), *args, **options)


class _Entered:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._loop.run_until_complete(self._it.__aexit__(kind, error, trace))


class Pool(_Entered):
    def __init__(self, loop, *args, **options):
        self._loop = loop
        self._it = lw.AsyncPool(*args, **options)
        self.snapshot = self._it.snapshot

    def lease(self, capability, **options):
        async def grant():
            return await self._it.lease(capability, **options)

        return Lease(self._loop, self._loop.run_until_complete(grant()))

    def call(self, *args, **options):
        return self._loop.run_until_complete(self._it.call(*args, **options))

    def collect(self, *args, **options):
        return self._loop.run_until_complete(self._it.collect(*args, **options))

    def prewarm(self, *args, **options):
        self._loop.run_until_complete(self._it.prewarm(*args, **options))

    def map(self, *args, **options):
        return Iterated(self._loop, self._it.map(*args, **options))

    def stream_many(self, *args, **options):
        return Iterated(self._loop, self._it.stream_many(*args, **options))

    def close(self, **options):
        self._loop.run_until_complete(self._it.close(**options))


class Lease(_Entered):
    def __init__(self, loop, it):
        self._loop = loop
        self._it = it

    def __getattr__(self, name):
        """`call`, `run`, `collect`, `metadata`, `doctor`, `release`."""
        method = getattr(self._it, name)
        return lambda *args, **options: self._loop.run_until_complete(method(*args, **options))

    @property
    def is_stale(self):
        return self._it.is_stale

    @property
    def _core(self):
        return self._it._core

    def stream(self, *args, **options):
        rows = self._it.stream(*args, **options)
        # The blocking one sends its request at once.
        self._loop.run_until_complete(rows.__aenter__())
        return Iterated(self._loop, rows)


class Iterated(_Entered):
    """The rows of a stream, or the outcomes of many requests."""

    def __init__(self, loop, it):
        self._loop = loop
        self._it = it

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._loop.run_until_complete(self._it.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self):
        self._loop.run_until_complete(self._it.close())

    def turn(self):
        """Let the loop run for a moment: who waits for what its tasks do has to."""
        self._loop.run_until_complete(asyncio.sleep(0.001))

    def __getattr__(self, name):
        return getattr(self._it, name)
