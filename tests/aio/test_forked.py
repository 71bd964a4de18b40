"""A child that is forked in a coroutine, where asyncio knows of no running loop."""

from __future__ import annotations

import asyncio
import os
import signal

import lean_worker as lw
from aio_tasks import ECHO, ROWS
from support import FUNCTIONS


def test_a_child_forked_in_a_coroutine_is_refused_all_of_its_parents_and_may_end_it():
    async def main():
        async with lw.AsyncPool(1) as pool, pool.lease(FUNCTIONS) as lease:
            refused = {
                "call": lambda: pool.call(FUNCTIONS, ECHO, 1),
                "collect": lambda: pool.collect(FUNCTIONS, ROWS, {"count": 1}),
                "lease": lambda: pool.lease(FUNCTIONS),
                "prewarm": lambda: pool.prewarm(FUNCTIONS),
                "the lease's call": lambda: lease.call(ECHO, 1),
                "cycle": lease.cycle,
            }
            read_fd, write_fd = os.pipe()
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                words = []
                try:
                    for name, use in refused.items():
                        try:
                            await use()
                        except lw.UsageError as error:
                            words.append(name if "forked from" in str(error) else str(error))
                    await lease.release()
                    await pool.close()
                except BaseException as error:
                    words.append(repr(error))
                finally:
                    os.write(write_fd, "\n".join(words).encode())
                    os._exit(0)
            os.waitpid(child, 0)
            os.close(write_fd)
            assert os.read(read_fd, 4096).decode().splitlines() == [*refused]
            os.close(read_fd)
            assert await lease.call(ECHO, 1) == 1

    asyncio.run(main())
