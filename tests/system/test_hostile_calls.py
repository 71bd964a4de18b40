"""Every public call with hostile arguments: each ends well, or with a documented error.

The cases are found by introspection. A public name, method or parameter without a case fails the first test.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import inspect
import math
import os
import pathlib
import sys
import threading

import pytest

import lean_worker as lw
from lean_worker.testing import Answer, fake_worker
from many_requests import ECHO, NO_LIMITS, ROWS
from support import FUNCTIONS

pytestmark = [pytest.mark.supervision, pytest.mark.timeout(120)]

NUL, SURROGATE = "nul\0nul", "surrogate\udcff\ud800"
HOSTILE = [
    None, True, 0, -1, 2**63, 10**400, 0.5, 1e308, math.nan, math.inf, -math.inf,
    "", " ", NUL, SURROGATE, "x" * 100_000, b"\xff\0", pathlib.Path(NUL), pathlib.Path(SURROGATE),
    object(), [], [None], [NUL], [SURROGATE], {}, {1: 2}, {NUL: NUL}, {"a": object()}, (1, 2, 3), lambda: 1, int, iter([]),
]  # fmt: skip


def values(rand):
    """A third of the values for each parameter; all with LEAN_WORKER_ALL_HOSTILE=1."""
    if os.environ.get("LEAN_WORKER_ALL_HOSTILE") == "1":
        return HOSTILE
    return rand.sample(HOSTILE, len(HOSTILE) // 3)


def shown(value):
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}…"


class Place:
    """What calls are made on: a pool, a lease and outcomes that live through all of them."""

    def __init__(self, directory, fake):
        self.directory = directory
        self.fake = fake
        limits = lw.Timeouts(queue=0.5, request=5, inactivity=5, cancel_grace=1, shutdown=1, drain=1, startup=5)
        self.options = {"restarts": NO_LIMITS, "timeouts": limits}
        self.pool = lw.Pool(2, **self.options)
        self._lease = None

    @property
    def lease(self):
        if self._lease is None or self._lease.is_stale:
            if self._lease is not None:
                self._lease.release()
            self._lease = self.pool.lease(FUNCTIONS, timeout=30)
        return self._lease

    def close(self):
        if self._lease is not None:
            self._lease.release()
        self.pool.close()


def exhausted(outcomes):
    with outcomes:
        for outcome, _ in zip(outcomes, range(3)):
            if outcome.error is not None:
                raise outcome.error


def streamed(stream):
    with stream:
        for _, _ in zip(stream, range(3)):
            pass


def made(kind, **given):
    with contextlib.closing(kind(**given)):
        pass


REQUEST = {"command": ECHO, "request": 1}
STREAM = {"command": ROWS, "request": {"count": 2}}
MANY = {"capability": FUNCTIONS, "requests": [1]}
ROW = lambda *_: None  # noqa: E731

# For each public call: what makes it, and good arguments. Every parameter is then given every hostile value in turn.
CALLS = {
    "Pool": (lambda at: lambda **given: made(lw.Pool, **given), {}),
    "Pool.lease": (lambda at: lambda **given: at.pool.lease(**given).release(), {"capability": FUNCTIONS}),
    "Pool.prewarm": (lambda at: at.pool.prewarm, {"capability": FUNCTIONS}),
    "Pool.close": (lambda at: lambda **given: lw.Pool().close(**given), {}),
    "Pool.map": (lambda at: lambda **given: exhausted(at.pool.map(**given)), {"command": ECHO, **MANY}),
    "Pool.stream_many": (
        lambda at: lambda **given: exhausted(at.pool.stream_many(**given)),
        {"command": ROWS, **MANY, "requests": [{"count": 2}], "on_row": ROW},
    ),
    "Pool.call": (lambda at: at.pool.call, {"capability": FUNCTIONS, **REQUEST}),
    "Pool.collect": (lambda at: at.pool.collect, {"capability": FUNCTIONS, **STREAM}),
    "Lease.call": (lambda at: at.lease.call, REQUEST),
    "Lease.metadata": (lambda at: at.lease.metadata, {"name": "metadata"}),
    "Lease.doctor": (lambda at: at.lease.doctor, {"name": "doctor"}),
    "Lease.stream": (lambda at: lambda **given: streamed(at.lease.stream(**given)), STREAM),
    "Lease.run": (lambda at: at.lease.run, {**STREAM, "on_row": ROW}),
    "Lease.collect": (lambda at: at.lease.collect, STREAM),
    "Lease.cycle": (lambda at: at.lease.cycle, {}),
    "JsonCommand": (lambda at: lambda **given: at.lease.call(lw.JsonCommand(**given), 1), {"name": "echo"}),
    "StreamingCommand": (
        lambda at: lambda **given: at.lease.collect(lw.StreamingCommand(**given), {"count": 2}),
        {"name": "rows"},
    ),
    "Timeouts": (lambda at: lambda **given: made(lw.Pool, timeouts=lw.Timeouts(**given)), {}),
    "Limits": (lambda at: lw.Limits, {}),
    "MemoryPolicy": (lambda at: lw.MemoryPolicy, {}),
    "RestartPolicy": (lambda at: lw.RestartPolicy, {}),
    "Sandbox": (lambda at: lambda **given: lw.Sandbox(**given).arguments(), {}),
    "PythonCapability": (lambda at: lambda **given: leased(at, lw.PythonCapability(**given)), {"registry": "json:x"}),
    "ProcessCapability": (
        lambda at: lambda **given: leased(at, lw.ProcessCapability(**given)),
        {"argv": [sys.executable, "-c", ""]},
    ),
    "LinesCapability": (lambda at: lambda **given: lw.LinesCapability(**given).launch(), {"commands": ["true"]}),
    "LeanCapability": (lambda at: lambda **given: lw.LeanCapability(**given).launch(), {"script": "no/such.lean"}),
    "HostSession": (lambda at: lambda **given: lw.hosting.HostSession(**given).request(), {"project_root": "."}),
    "MetadataExpectation": (lambda at: lw.hosting.MetadataExpectation, {"command": "metadata"}),
    "check": (lambda at: lambda **given: next(lw.check(**given), None), {"files": ["no/such.lean"]}),
    "verify": (
        lambda at: lambda **given: next(lw.verify(**given), None),
        {"candidates": [("a", "prelude\n")], "statement": "no/such.lean"},
    ),
    "to_table": (lambda at: lw.tables.to_table, {"rows": [{"a": 1}]}),
    "testing.fake_worker": (lambda at: lambda **given: entered(fake_worker(**given)), {"commands": {"a": [Answer(1)]}}),
    "testing.FakeWorker.open_gate": (lambda at: at.fake.open_gate, {}),
    "toolchains.resolve": (lambda at: lw.toolchains.resolve, {}),
}
ASYNC_CALLS = {
    "AsyncPool": (lambda at: lambda **given: amade(**given), {}),
    "AsyncPool.sharing": (lambda at: lambda **given: asked(lw.AsyncPool.sharing(**given)), {}),
    "AsyncPool.lease": (lambda at: lambda **given: aleased(at.apool.lease(**given)), {"capability": FUNCTIONS}),
    "AsyncPool.prewarm": (lambda at: at.apool.prewarm, {"capability": FUNCTIONS}),
    "AsyncPool.close": (lambda at: lambda **given: lw.AsyncPool().close(**given), {}),
    "AsyncPool.map": (lambda at: lambda **given: aexhausted(lambda: at.apool.map(**given)), {"command": ECHO, **MANY}),
    "AsyncPool.stream_many": (
        lambda at: lambda **given: aexhausted(lambda: at.apool.stream_many(**given)),
        {"command": ROWS, **MANY, "requests": [{"count": 2}], "on_row": ROW},
    ),
    "AsyncPool.call": (lambda at: at.apool.call, {"capability": FUNCTIONS, **REQUEST}),
    "AsyncPool.collect": (lambda at: at.apool.collect, {"capability": FUNCTIONS, **STREAM}),
    "AsyncLease.call": (lambda at: lambda **given: at.on_lease("call", **given), REQUEST),
    "AsyncLease.metadata": (lambda at: lambda **given: at.on_lease("metadata", **given), {"name": "metadata"}),
    "AsyncLease.doctor": (lambda at: lambda **given: at.on_lease("doctor", **given), {"name": "doctor"}),
    "AsyncLease.stream": (lambda at: lambda **given: at.on_lease("stream", **given), STREAM),
    "AsyncLease.run": (lambda at: lambda **given: at.on_lease("run", **given), {**STREAM, "on_row": ROW}),
    "AsyncLease.collect": (lambda at: lambda **given: at.on_lease("collect", **given), STREAM),
    "AsyncLease.cycle": (lambda at: lambda **given: at.on_lease("cycle", **given), {}),
}
NO_ARGUMENTS = {
    "RowStream.last", "AsyncRowStream.last",
    "CancelToken", "CancelToken.cancel", "AsyncLease.release", "Lease.release", "AsyncOutcomes.close", "Outcomes.close",
    "AsyncRowStream.close", "RowStream.close", "Pool.snapshot", "AsyncPool.snapshot", "CapabilityReport.raise_for_error",
    "CapabilityReport.to_builtins", "Outcome.raise_for_error", "JobReport.raise_for_error", "Collected.to_arrow",
    "Collected.to_pandas", "Collected.to_polars", "check_capability", "LeanCapability.launch",
    "ProcessCapability.launch", "PythonCapability.launch",
    "LinesCapability.launch", "HostSession.request", "Sandbox.arguments", "Capability.launch", "Toolchain.banner",
    "Toolchain.describe", "LeanCapability.resolve_toolchain", "testing.FakeWorker.launch", "FileSettings.describe", "FileSettings.lean_arguments",
    "FileSettings.lean_setup", "LeanCapability.project_settings",
}  # fmt: skip
"""They have nothing to give them; `test_after_the_end` calls those that have an end."""
GIVEN_OUT = {
    "AsyncLease", "AsyncOutcomes", "AsyncRowStream", "Lease", "Outcomes", "RowStream", "CheckResult", "CheckMessage", "CheckPosition",
    "CapabilityReport", "CapabilityFinding", "DataRow", "Diagnostic", "Progress", "StreamRow", "JobReport", "JobItem", "LakeModule",
    "CloseReport", "HolderSnapshot", "PoolEvent", "PoolSnapshot", "Timing", "MapProgress", "Outcome", "Batch", "Plan", "RequestBatch", "RequestPlan", "OpeningReport", "NodeToolchain", "Collected",
    "StreamSummary", "Proof", "VerifyResult", "verification.Proof", "verification.VerifyResult", "verify_async", "verification.verify_async", "check_async", "Capability", "Command", "Sink", "testing.FakeWorker", "testing.ReceivedRequest", "LakeProject", "OpenSink", "DoctorEnvelope", "DoctorFinding", "ImportStats", "MetadataEnvelope", "NamedVersion", "toolchains.Toolchain", "toolchains.Toolchain.program",
    "toolchains.Toolchain.banner", "toolchains.Toolchain.describe",
}  # fmt: skip
"""Values and objects that the package hands out: their constructors are no calls of users, and check nothing."""
INTERNAL = {
    "Timing.plus", "LeanCapability.modules", "LeanCapability.project_settings", "LeanCapability.search_path",
    "MetadataExpectation.check", "LeanCapability.script_path", "LeanCapability.script_text",
    "StreamSummary.shown_facts", "Sandbox.with_readable",
}  # fmt: skip
"""Of values, for other parts of the package."""
ELSEWHERE = {
    # Files, and what stores rows: tests/sinks/test_sinks.py, tests/batch/test_job.py, tests/pool/test_live.py
    "CallableSink", "JsonLinesSink", "ParquetSink", "SqliteSink", "Job", "serve_snapshot",
    # Reads files of a project: tests/lake/test_lake_project.py, tests/projects/test_planning.py; a cluster: tests/distributed/test_distributed.py
    "FileSettings", "LakeGlob", "LakeLibrary", "plan", "plan_items", "RayPool",
    # Rows about Lean code: tests/extraction/test_extract.py
    "Goal", "GoalRow", "GoalsRequest", "Hypothesis", "Import", "Option", "goal_extractor",
    "extract", "Declaration", "Dependencies", "Edge", "Extracted", "ModuleRow", "Place", "Request", "SourceMessage",
    "extractor", "extraction.Declaration", "extraction.Dependencies", "extraction.Edge", "extraction.Extracted",
    "extraction.ModuleRow", "extraction.Place", "extraction.Request", "extraction.SourceMessage", "extraction.extractor",
    # Shows figures: tests/pool/test_metrics.py, tests/system/test_progress.py
    "PoolCollector", "progress.Bar", "progress.bar", "recover",
}  # fmt: skip


QUALIFIED = {"progress", "testing", "toolchains"}


def public_calls():
    """Every name that users can call: of the package, of its public modules, and each public method."""
    found = {}
    for name in lw.__all__:
        value = getattr(lw, name)
        if inspect.ismodule(value):
            if name == "errors":
                continue  # errors are raised, not called
            for member in value.__all__:
                thing = getattr(value, member)
                if name != "testing" or getattr(thing, "__module__", "").endswith(
                    "scripted_worker"
                ):  # its steps are plain values
                    found[f"{name}.{member}" if name in QUALIFIED else member] = thing
        else:
            found[name] = value
    for name, value in list(found.items()):
        if not callable(value) or (isinstance(value, type) and issubclass(value, (BaseException, enum.Enum))):
            del found[name]
        elif isinstance(value, type):
            for method, thing in inspect.getmembers(value, callable):
                if not method.startswith("_"):
                    found[f"{name}.{method}"] = thing
    return found


def leased(at, capability):
    with at.pool.lease(capability):
        pass


def entered(block):
    with block:
        pass


async def amade(**given):
    await lw.AsyncPool(**given).close()


async def asked(pool):
    pool.snapshot()


async def aleased(granting):
    await (await granting).release()


async def aexhausted(make):
    async with make() as outcomes:
        async for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error


def test_every_public_call_has_a_case():
    known = {*CALLS, *ASYNC_CALLS, *NO_ARGUMENTS, *GIVEN_OUT, *INTERNAL, *ELSEWHERE}
    of_others = ELSEWHERE | {"Sink", "OpenSink", "LakeProject"}
    missing = {name for name in public_calls() if name not in known and name.rpartition(".")[0] not in of_others}
    assert not missing, sorted(missing)
    assert {*CALLS, *ASYNC_CALLS, *INTERNAL} <= set(public_calls()), "a case of what is not there any more"


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with fake_worker({"a": [Answer(1)]}) as fake:
        place = Place(tmp_path_factory.mktemp("calls"), fake)
        yield place
        place.close()


@pytest.fixture(autouse=True)
def pool(at):
    """So that the check for leftovers knows that workers stay warm from test to test."""
    return at.pool


def parameters_of(name):
    call = public_calls()[name]
    return [
        parameter for parameter in inspect.signature(call).parameters if parameter not in ("self", "args", "kwargs")
    ]


def may_raise(error, value, parameter):
    """Whether a call may end so: in an error of the package, or in what the caller's own code raised."""
    if isinstance(error, lw.LeanWorkerError):
        return True
    # A function of the caller that cannot be called with what it is documented to be given.
    return callable(value) and isinstance(error, TypeError) and parameter.startswith(("on_", "sink", "timeout"))


class Findings:
    def __init__(self):
        self.found = []

    def note(self, name, parameter, value, error):
        self.found.append(f"{name}({parameter}={shown(value)}): {type(error).__name__}: {str(error)[:100]}")


def ask(at, name, make, good, findings, rand):
    for parameter in parameters_of(name):
        for value in values(rand):
            try:
                make(at)(**{**good, parameter: value})
            except Exception as error:
                if not may_raise(error, value, parameter):
                    findings.note(name, parameter, value, error)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_hostile_arguments(at, name, rand):
    findings = Findings()
    ask(at, name, *CALLS[name], findings, rand)
    assert not findings.found, "\n".join(findings.found)
    assert at.lease.call(ECHO, 1) == 1


@pytest.mark.parametrize("name", ASYNC_CALLS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_hostile_arguments_of_asyncio(at, name, rand):
    findings = Findings()
    make, good = ASYNC_CALLS[name]

    async def main():
        async with lw.AsyncPool(2, **at.options) as at.apool:
            held = None

            async def on_lease(method, **given):
                nonlocal held
                if held is None or held.is_stale:
                    if held is not None:
                        await held.release()
                    held = await at.apool.lease(FUNCTIONS, timeout=30)
                result = getattr(held, method)(**given)
                if method == "stream":
                    async with result as rows:
                        async for _ in rows:
                            break
                else:
                    await result

            at.on_lease = on_lease
            for parameter in parameters_of(name):
                for value in values(rand):
                    try:
                        await make(at)(**{**good, parameter: value})
                    except Exception as error:
                        if not may_raise(error, value, parameter):
                            findings.note(name, parameter, value, error)
            if held is not None:
                await held.release()

    asyncio.run(main())
    assert not findings.found, "\n".join(findings.found)


def test_the_resolved_toolchain_is_asked_for_programs():
    toolchain = lw.toolchains.resolve("embedded")
    assert toolchain.describe() and toolchain.program("no-such-program") is None


# -- after the end, and by several at once --


def ended_objects():
    """Objects whose end has come, and all that can be done with each."""
    pool = lw.Pool(1, restarts=NO_LIMITS)
    lease = pool.lease(FUNCTIONS)
    stream = lease.stream(ROWS, {"count": 2})
    stream.close()
    outcomes = pool.map(ECHO, [1], capability=FUNCTIONS)
    outcomes.close()
    token = lw.CancelToken()
    token.cancel()
    lease.release()
    pool.close()
    return pool, lease, stream, outcomes, token


USES = {
    "lease": lambda pool, lease, stream, outcomes, token: pool.lease(FUNCTIONS),
    "prewarm": lambda pool, lease, stream, outcomes, token: pool.prewarm(FUNCTIONS),
    "map": lambda pool, lease, stream, outcomes, token: list(pool.map(ECHO, [1], capability=FUNCTIONS)),
    "snapshot": lambda pool, lease, stream, outcomes, token: pool.snapshot(),
    "close": lambda pool, lease, stream, outcomes, token: pool.close(),
    "enter": lambda pool, lease, stream, outcomes, token: pool.__enter__().lease(FUNCTIONS),
    "call": lambda pool, lease, stream, outcomes, token: lease.call(ECHO, 1),
    "stream": lambda pool, lease, stream, outcomes, token: lease.stream(ROWS, {}),
    "run": lambda pool, lease, stream, outcomes, token: lease.run(ROWS, {}, on_row=ROW),
    "collect": lambda pool, lease, stream, outcomes, token: lease.collect(ROWS, {}),
    "metadata": lambda pool, lease, stream, outcomes, token: lease.metadata("metadata"),
    "doctor": lambda pool, lease, stream, outcomes, token: lease.doctor("doctor"),
    "release": lambda pool, lease, stream, outcomes, token: lease.release(),
    "facts": lambda pool, lease, stream, outcomes, token: (lease.opened, lease.is_stale, lease.rows_delivered),
    "next row": lambda pool, lease, stream, outcomes, token: next(stream, None),
    "summary": lambda pool, lease, stream, outcomes, token: stream.summary,
    "close stream": lambda pool, lease, stream, outcomes, token: stream.close(),
    "next outcome": lambda pool, lease, stream, outcomes, token: next(outcomes, None),
    "close outcomes": lambda pool, lease, stream, outcomes, token: outcomes.close(),
    "cancel": lambda pool, lease, stream, outcomes, token: token.cancel(),
}


@pytest.mark.parametrize("use", USES)
def test_after_the_end(use):
    ended = ended_objects()
    for _ in range(2):
        with contextlib.suppress(lw.LeanWorkerError):
            USES[use](*ended)


def test_several_threads_on_one_stream(at):
    """Only one thread may take rows. Others get a documented error, or rows; never anything else."""
    found, rows = [], []

    def take(stream):
        try:
            for row in stream:
                rows.append(row.payload["i"])
        except lw.LeanWorkerError:
            pass
        except BaseException as error:
            found.append(repr(error))

    for _ in range(30):
        with contextlib.suppress(lw.LeanWorkerError):
            with at.lease.stream(ROWS, {"count": 3000}) as stream:
                threads = [threading.Thread(target=take, args=(stream,)) for _ in range(3)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
    assert not found, set(found)
    assert at.lease.call(ECHO, 1) == 1
