"""Forks while other threads prepare launches, and prints whether a child hangs: `python fork_while_launching.py SECONDS`.

A lock that one of the threads holds at the moment is held for ever in the child.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback

from lean_worker.hosting.launch import launch_of
from support import FUNCTIONS, HELD_INTEROP, INTEROP

CAPABILITIES = [FUNCTIONS, INTEROP, HELD_INTEROP]


def launch_all():
    for capability in CAPABILITIES:
        launch_of("testing", capability)


def repeat(until):
    while time.monotonic() < until:
        launch_all()


def child():
    try:
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(10)
        launch_all()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(seconds):
    launch_all()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=repeat, args=[until]) for _ in range(3)]
    for thread in threads:
        thread.start()
    children, hanging = 0, False
    while time.monotonic() < until and not hanging:
        pid = os.fork()
        if not pid:
            child()
        children += 1
        hanging = os.waitpid(pid, 0)[1] != 0
    for thread in threads:
        thread.join()
    assert children > 3, "too few children to say anything"
    if hanging:
        print("a child hangs, or failed")


if __name__ == "__main__":
    main(float(sys.argv[1]))
