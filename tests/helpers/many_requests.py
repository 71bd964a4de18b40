"""Commands, a plan of plain parts, and a look at the remains of a run, for the tests of many requests."""

from __future__ import annotations

import dataclasses
import threading

import lean_worker as lw
from support import HOSTS

ECHO = lw.JsonCommand("echo")
ABOUT = lw.JsonCommand("about_me")
ROWS = lw.StreamingCommand("rows")
PERFORM = lw.StreamingCommand("perform")
GATED = lw.StreamingCommand("row_then_gate")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
NO_LIMITS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


@dataclasses.dataclass
class Batch:
    capability: object
    requests: object


@dataclasses.dataclass
class Plan:
    batches: object


def counted(requests, taken):
    for request in requests:
        taken.append(request)
        yield request


def map_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("lean-worker-map")]


def no_worker_failed(pool):
    snapshot = pool.snapshot()
    return snapshot.failures == 0 and snapshot.leased == 0
