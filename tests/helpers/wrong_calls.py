"""Tables of wrong calls of the public API, by their names, and objects that they are made with.

Each call takes a pool. `test_wrong_calls` makes them.
"""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import functools

import pydantic

import lean_worker as lw
from lean_worker.testing import Attempts, Crash, MalformedRow, Print, RawBytes, Row, fake_worker
from support import FUNCTIONS

COUNT = lw.StreamingCommand("count")
ECHO = lw.JsonCommand("echo")
NEEDS = lw.StreamingCommand("count", request=dict[str, int])
ECHO_NEEDS = lw.JsonCommand("echo", request=list[int])


async def coroutine_function(*_):
    raise AssertionError("nobody awaits this")


async def async_generator_function(*_):
    yield


def generator_function(*_):
    yield


class AsyncCallable:
    async def __call__(self, *_):
        raise AssertionError("nobody awaits this")


NEVER_RUN = {
    "coroutine": coroutine_function,
    "partial": functools.partial(functools.partial(coroutine_function), 1),
    "object": AsyncCallable(),
    "partial of object": functools.partial(AsyncCallable()),
    "method": AsyncCallable().__call__,
    "async generator": async_generator_function,
    "generator": generator_function,
}


class Plain:
    pass


class NoLaunch:
    def launch(self):
        return None


class Unclear(collections.abc.Collection):
    """As an array of NumPy: several things, which are neither true nor false."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        return iter(self.items)

    def __contains__(self, item):
        return item in self.items

    def __bool__(self):
        raise ValueError("the truth of several things is ambiguous")


class Model(pydantic.BaseModel):
    n: int = pydantic.Field(validation_alias="N")


@dataclasses.dataclass
class Two:
    models: int | Plain


def pooled(call):
    return call


def leased(call):
    def run(pool):
        with pool.lease(FUNCTIONS) as lease:
            call(lease)

    return run


def apooled(call):
    def run(pool):
        async def main():
            result = call(lw.AsyncPool.sharing(pool))
            if asyncio.iscoroutine(result):
                await result

        asyncio.run(main())

    return run


def aleased(call):
    def run(pool):
        async def main():
            async with lw.AsyncPool.sharing(pool).lease(FUNCTIONS) as lease:
                result = call(lease)
                if asyncio.iscoroutine(result):
                    await result

        asyncio.run(main())

    return run


async def closed_wrongly():
    async with lw.AsyncPool() as pool:
        await pool.close(drain="x")


POOL = {  # for both kinds of pool
    "lease('script.lean')": lambda p: p.lease("script.lean"),
    "lease(LeanCapability)": lambda p: p.lease(lw.LeanCapability),
    "lease(None)": lambda p: p.lease(None),
    "lease(command)": lambda p: p.lease(COUNT),
    "lease(timeout='x')": lambda p: p.lease(FUNCTIONS, timeout="x"),
    "lease(timeout=-1)": lambda p: p.lease(FUNCTIONS, timeout=-1),
    "lease(timeout=nan)": lambda p: p.lease(FUNCTIONS, timeout=float("nan")),
    "lease(cancel=True)": lambda p: p.lease(FUNCTIONS, cancel=True),
    "call(swapped)": lambda p: p.call(ECHO, FUNCTIONS),
    "call(StreamingCommand)": lambda p: p.call(FUNCTIONS, COUNT),
    "call('echo')": lambda p: p.call(FUNCTIONS, "echo"),
    "call(class)": lambda p: p.call(FUNCTIONS, lw.JsonCommand),
    "call(script)": lambda p: p.call("x.lean", ECHO),
    "call(object)": lambda p: p.call(FUNCTIONS, ECHO, object()),
    "call(set of objects)": lambda p: p.call(FUNCTIONS, ECHO, {object()}),
    "call(nan)": lambda p: p.call(FUNCTIONS, ECHO, float("nan")),
    "call without its request": lambda p: p.call(FUNCTIONS, ECHO_NEEDS),
    "call(None)": lambda p: p.call(FUNCTIONS, ECHO_NEEDS, None),
    "collect without its request": lambda p: p.collect(FUNCTIONS, NEEDS),
    "collect(JsonCommand)": lambda p: p.collect(FUNCTIONS, ECHO),
    "collect(None)": lambda p: p.collect(FUNCTIONS, None),
    "collect(script)": lambda p: p.collect("x.lean", COUNT),
    "prewarm(0)": lambda p: p.prewarm(FUNCTIONS, 0),
    "prewarm(5)": lambda p: p.prewarm(FUNCTIONS, 5),
    "prewarm('2')": lambda p: p.prewarm(FUNCTIONS, "2"),
    "prewarm('x.lean')": lambda p: p.prewarm("x.lean"),
    "map(one text)": lambda p: p.map(ECHO, "Init", capability=FUNCTIONS),
    "map(one dict)": lambda p: p.map(ECHO, {"a": 1}, capability=FUNCTIONS),
    "map(5)": lambda p: p.map(ECHO, 5, capability=FUNCTIONS),
    "map(None)": lambda p: p.map(ECHO, None, capability=FUNCTIONS),
    "map without capability": lambda p: p.map(ECHO, [1]),
    "map(capability='x')": lambda p: p.map(ECHO, [1], capability="x.lean"),
    "map(swapped)": lambda p: p.map(FUNCTIONS, ECHO),
    "map('echo')": lambda p: p.map("echo", [1], capability=FUNCTIONS),
    "map(in_flight=0)": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, in_flight=0),
    "map(retries=-1)": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, retries=-1),
    "map(retries='1')": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, retries="1"),
    "map(timeout='1')": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, timeout="1"),
    "map(cancel=1)": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, cancel=1),
    "map(on_done=1)": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, on_done=1),
    "map(on_progress=1)": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, on_progress=1),
    "map(on_diagnostic=1)": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, on_diagnostic=1),
    "map(ordered='no')": lambda p: p.map(ECHO, [1], capability=FUNCTIONS, ordered="no"),
    "stream_many(JsonCommand)": lambda p: p.stream_many(ECHO, [1], capability=FUNCTIONS, on_row=print),
    "stream_many without sink": lambda p: p.stream_many(COUNT, [1], capability=FUNCTIONS),
    "stream_many(both)": lambda p: p.stream_many(COUNT, [1], capability=FUNCTIONS, on_row=print, sink=print),
    "stream_many(sink)": lambda p: p.stream_many(COUNT, [1], capability=FUNCTIONS, sink=lw.sinks.JsonLinesSink("x")),
    "stream_many(on_row=1)": lambda p: p.stream_many(COUNT, [1], capability=FUNCTIONS, on_row=1),
}
LEASE = {
    "call(StreamingCommand)": lambda at: at.call(COUNT),
    "call('echo')": lambda at: at.call("echo"),
    "call(None)": lambda at: at.call(None),
    "call(timeout='x')": lambda at: at.call(ECHO, 1, timeout="x"),
    "call(timeout=True)": lambda at: at.call(ECHO, 1, timeout=True),
    "call(cancel=1)": lambda at: at.call(ECHO, 1, cancel=1),
    "call(on_progress=1)": lambda at: at.call(ECHO, 1, on_progress=1),
    "call(on_diagnostic='x')": lambda at: at.call(ECHO, 1, on_diagnostic="x"),
    "call(object)": lambda at: at.call(ECHO, object()),
    "call without its request": lambda at: at.call(ECHO_NEEDS),
    "collect without its request": lambda at: at.collect(NEEDS),
    "stream without its request": lambda at: at.stream(NEEDS),
    "stream(request=None)": lambda at: at.stream(NEEDS, request=None),
    "run without its request": lambda at: at.run(NEEDS, on_row=print),
    "run into a sink without its request": lambda at: at.run(NEEDS, sink=lw.sinks.JsonLinesSink("x")),
    "collect(JsonCommand)": lambda at: at.collect(ECHO),
    "collect('rows')": lambda at: at.collect("rows"),
    "run without sink": lambda at: at.run(COUNT),
    "run(both)": lambda at: at.run(COUNT, on_row=print, sink=print),
    "run(on_row=1)": lambda at: at.run(COUNT, on_row=1),
    "run(sink='rows.jsonl')": lambda at: at.run(COUNT, sink="rows.jsonl"),
    "run(sink=class)": lambda at: at.run(COUNT, sink=lw.sinks.JsonLinesSink),
    "run(sink={})": lambda at: at.run(COUNT, sink={}),
    "run(sink={1: …})": lambda at: at.run(COUNT, sink={1: print}),
    "run(sink of another stream)": lambda at: at.run(lw.StreamingCommand("x", row={"a": int}), sink={"b": print}),
    "run(two sinks, one file)": lambda at: at.run(
        COUNT, sink={"a": lw.sinks.JsonLinesSink("x"), "b": lw.sinks.JsonLinesSink("x")}
    ),
    "run(JsonCommand)": lambda at: at.run(ECHO, on_row=print),
    "stream(JsonCommand)": lambda at: at.stream(ECHO),
    "stream(timeout='x')": lambda at: at.stream(COUNT, timeout="x"),
    "stream(cancel=1)": lambda at: at.stream(COUNT, cancel=1),
    "metadata(1)": lambda at: at.metadata(1),
    "metadata('')": lambda at: at.metadata(""),
    "doctor(None)": lambda at: at.doctor(None),
    "doctor(surrogate)": lambda at: at.doctor("\ud800"),
    "metadata(surrogate)": lambda at: at.metadata("\ud800"),
    "cycle(cancel=1)": lambda at: at.cycle(cancel=1),
}
CALLS = {
    # commands
    "JsonCommand('')": lambda: lw.JsonCommand(""),
    "JsonCommand(5)": lambda: lw.JsonCommand(5),
    "JsonCommand(None)": lambda: lw.JsonCommand(None),
    "JsonCommand(request=Plain)": lambda: lw.JsonCommand("x", request=Plain),
    "JsonCommand(response=list[Plain])": lambda: lw.JsonCommand("x", response=list[Plain]),
    "JsonCommand(request=Two)": lambda: lw.JsonCommand("x", request=Two),
    "JsonCommand(request=Model)": lambda: lw.JsonCommand("x", request=Model),
    "JsonCommand(request=5)": lambda: lw.JsonCommand("x", request=5),
    "JsonCommand(request='int')": lambda: lw.JsonCommand("x", request="no such name"),
    "JsonCommand(request=object())": lambda: lw.JsonCommand("x", request=object()),
    "StreamingCommand(row=Plain)": lambda: lw.StreamingCommand("x", row=Plain),
    "StreamingCommand(row=complex)": lambda: lw.StreamingCommand("x", row=complex),
    "StreamingCommand(row=print)": lambda: lw.StreamingCommand("x", row=print),
    "StreamingCommand(row={})": lambda: lw.StreamingCommand("x", row={}),
    "StreamingCommand(row={1: int})": lambda: lw.StreamingCommand("x", row={1: int}),
    "StreamingCommand(row={'': int})": lambda: lw.StreamingCommand("x", row={"": int}),
    "StreamingCommand(row={'a': Plain})": lambda: lw.StreamingCommand("x", row={"a": Plain}),
    "StreamingCommand(row=[int])": lambda: lw.StreamingCommand("x", row=[int]),
    "StreamingCommand(summary=Plain)": lambda: lw.StreamingCommand("x", summary=Plain),
    # pools and policies
    "Pool(0)": lambda: lw.Pool(0),
    "Pool('2')": lambda: lw.Pool("2"),
    "Pool(1.0)": lambda: lw.Pool(1.0),
    "Pool(timeouts=5)": lambda: lw.Pool(timeouts=5),
    "Pool(limits={})": lambda: lw.Pool(limits={"open_files": 5}),
    "Pool(memory=5)": lambda: lw.Pool(memory=5),
    "Pool(restarts=5)": lambda: lw.Pool(restarts=5),
    "Pool(on_event=5)": lambda: lw.Pool(on_event=5),
    "Pool(on_stderr='x')": lambda: lw.Pool(on_stderr="x"),
    "Pool.close(drain='x')": lambda: lw.Pool().close(drain="x"),
    "Pool.close(drain=-1)": lambda: lw.Pool().close(drain=-1),
    "AsyncPool.close(drain='x')": lambda: asyncio.run(closed_wrongly()),
    "AsyncPool(timeouts=5)": lambda: lw.AsyncPool(timeouts=5),
    "AsyncPool.sharing(AsyncPool)": lambda: lw.AsyncPool.sharing(5),
    "RayPool('x')": lambda: lw.RayPool("x"),
    "RayPool(0)": lambda: lw.RayPool(0),
    "RayPool(workers_per_node='x')": lambda: lw.RayPool(1, "x"),
    "RayPool(memory_bytes_per_node='4G')": lambda: lw.RayPool(memory_bytes_per_node="4G"),
    "RayPool(address=5)": lambda: lw.RayPool(address=5),
    "RayPool(timeouts=5)": lambda: lw.RayPool(timeouts=5),
    "RayPool(limits=5)": lambda: lw.RayPool(limits=5),
    "RayPool(memory=5)": lambda: lw.RayPool(memory=5),
    "RayPool(restarts=5)": lambda: lw.RayPool(restarts=5),
    "RayPool(runtime_env='x')": lambda: lw.RayPool(runtime_env="x"),
    "Timeouts('5')": lambda: lw.Timeouts(request="5"),
    "Timeouts(-1)": lambda: lw.Timeouts(queue=-1),
    "Timeouts(inf)": lambda: lw.Timeouts(request=float("inf")),
    "Limits(max_frame_bytes=1)": lambda: lw.Limits(max_frame_bytes=1),
    "Limits(open_files=1)": lambda: lw.Limits(open_files=1),
    "Limits(cpu_seconds='x')": lambda: lw.Limits(cpu_seconds="x"),
    "MemoryPolicy(kill_above_kib=-1)": lambda: lw.MemoryPolicy(kill_above_kib=-1),
    "MemoryPolicy(sample_interval=0)": lambda: lw.MemoryPolicy(sample_interval=0),
    "RestartPolicy(window=0)": lambda: lw.RestartPolicy(window=0),
    "RestartPolicy(window='x')": lambda: lw.RestartPolicy(window="x"),
    # capabilities
    "LeanCapability(5)": lambda: lw.LeanCapability(5),
    "LeanCapability(None)": lambda: lw.LeanCapability(None),
    "LeanCapability('')": lambda: lw.LeanCapability(""),
    "LeanCapability(arguments='x')": lambda: lw.LeanCapability("x.lean", arguments="x"),
    "LeanCapability(imports='Init')": lambda: lw.LeanCapability("x.lean", imports="Init"),
    "LeanCapability(imports=['a b'])": lambda: lw.LeanCapability("x.lean", imports=["a b.c/d"]),
    "LeanCapability(imports={…})": lambda: lw.LeanCapability("x.lean", imports={"A", "B"}),
    "LeanCapability(arguments=array)": lambda: lw.LeanCapability("x.lean", arguments=Unclear(["a"])),
    "LeanCapability(options=None)": lambda: lw.LeanCapability("x.lean", options={"maxRecDepth": None}),
    "LeanCapability(env=5)": lambda: lw.LeanCapability("x.lean", env=5),
    "LeanCapability(env={'A': 1})": lambda: lw.LeanCapability("x.lean", env={"A": 1}),
    "LeanCapability(env={'A=B': ''})": lambda: lw.LeanCapability("x.lean", env={"A=B": ""}),
    "LeanCapability(options='x')": lambda: lw.LeanCapability("x.lean", options="x"),
    "LeanCapability(sandbox=True)": lambda: lw.LeanCapability("x.lean", sandbox=True),
    "LeanCapability(toolchain=None)": lambda: lw.LeanCapability("x.lean", toolchain=None),
    "LeanCapability(project=5)": lambda: lw.LeanCapability("x.lean", project=5),
    "LeanCapability(build alone)": lambda: lw.LeanCapability("x.lean", build="Lib"),
    "LeanCapability(settings='x')": lambda: lw.LeanCapability("x.lean", settings="x"),
    "LeanCapability(metadata='x')": lambda: lw.LeanCapability("x.lean", metadata="x"),
    "PythonCapability({…})": lambda: lw.PythonCapability({"echo": print}),
    "PythonCapability(5)": lambda: lw.PythonCapability(5),
    "PythonCapability('module')": lambda: lw.PythonCapability("module"),
    "PythonCapability(path='dir')": lambda: lw.PythonCapability("m:C", path="dir"),
    "PythonCapability(sandbox='x')": lambda: lw.PythonCapability("m:C", sandbox="x"),
    "ProcessCapability('true')": lambda: lw.ProcessCapability("true"),
    "ProcessCapability([])": lambda: lw.ProcessCapability([]),
    "ProcessCapability([1])": lambda: lw.ProcessCapability([1]),
    "ProcessCapability(session=5)": lambda: lw.ProcessCapability(["true"], session=5),
    "LinesCapability('')": lambda: lw.LinesCapability(""),
    "LinesCapability([])": lambda: lw.LinesCapability([]),
    "LinesCapability({})": lambda: lw.LinesCapability({}),
    "LinesCapability({…})": lambda: lw.LinesCapability({"grep", "-n"}),
    "LinesCapability([''])": lambda: lw.LinesCapability([""]),
    "LinesCapability({'a': ['']})": lambda: lw.LinesCapability({"a": [""]}),
    "LinesCapability(array)": lambda: lw.LinesCapability(Unclear([])),
    "ProcessCapability(array)": lambda: lw.ProcessCapability(Unclear([])),
    "ProcessCapability(frozenset)": lambda: lw.ProcessCapability(frozenset(["a"])),
    "PythonCapability(path=array)": lambda: lw.PythonCapability("m:C", path=Unclear([])),
    "LinesCapability(5)": lambda: lw.LinesCapability(5),
    "Sandbox(readable='x')": lambda: lw.Sandbox(readable="x"),
    "Sandbox(network='no')": lambda: lw.Sandbox(network="no"),
    "Sandbox(writable=5)": lambda: lw.Sandbox(writable=5),
    # sinks
    "JsonLinesSink(5)": lambda: lw.sinks.JsonLinesSink(5),
    "JsonLinesSink(mode='w')": lambda: lw.sinks.JsonLinesSink("x", mode="w"),
    "JsonLinesSink(with_stream=1)": lambda: lw.sinks.JsonLinesSink("x", with_stream=1),
    "SqliteSink(5)": lambda: lw.sinks.SqliteSink(5),
    "SqliteSink(table='')": lambda: lw.sinks.SqliteSink("x", ""),
    "SqliteSink(table=5)": lambda: lw.sinks.SqliteSink("x", 5),
    "SqliteSink(mode='a')": lambda: lw.sinks.SqliteSink("x", mode="a"),
    "ParquetSink(None)": lambda: lw.sinks.ParquetSink(None),
    "ParquetSink(row_group_rows=0)": lambda: lw.sinks.ParquetSink("x", row_group_rows=0),
    "ParquetSink(compression=5)": lambda: lw.sinks.ParquetSink("x", compression=5),
    "ParquetSink(row=Plain)": lambda: lw.sinks.ParquetSink("x", row=Plain),
    "CallableSink(5)": lambda: lw.sinks.CallableSink(5),
    "CallableSink(commit=5)": lambda: lw.sinks.CallableSink(print, commit=5),
    "CallableSink(abort='x')": lambda: lw.sinks.CallableSink(print, abort="x"),
    "JsonLinesSink('x.lean')": lambda: lw.sinks.JsonLinesSink("x.lean"),
    "for_stream(None)": lambda: lw.sinks.JsonLinesSink("x").for_stream(None),
    "for_stream(['a'])": lambda: lw.sinks.JsonLinesSink("x").for_stream(["a"]),
    "recover(5)": lambda: lw.sinks.recover(5),
    # jobs
    "Job(JsonCommand)": lambda: lw.Job("x", ECHO, FUNCTIONS),
    "Job('x')": lambda: lw.Job("x", "count", FUNCTIONS),
    "Job(5)": lambda: lw.Job(5, COUNT, FUNCTIONS),
    "Job(capability='x')": lambda: lw.Job("x", COUNT, "x.lean"),
    "Job(max_deaths=0)": lambda: lw.Job("x", COUNT, FUNCTIONS, max_deaths=0),
    "Job(parts_as='csv')": lambda: lw.Job("x", COUNT, FUNCTIONS, parts_as="csv"),
    "Job(out=5)": lambda: lw.Job("x", COUNT, FUNCTIONS, out=5),
    "Job(out=parquet)": lambda: lw.Job("x", COUNT, FUNCTIONS, out="x.Parquet"),
    "Job(out=db)": lambda: lw.Job("x", COUNT, FUNCTIONS, out="rows/x.db"),
    "Job(directory)": lambda: lw.Job("/tmp", COUNT, FUNCTIONS),
    "Job(out=directory)": lambda: lw.Job("x", COUNT, FUNCTIONS, out="/tmp"),
    "Job.retry(0)": lambda: lw.Job("x", COUNT, FUNCTIONS).retry(0),
    "Job.retry('ab')": lambda: lw.Job("x", COUNT, FUNCTIONS).retry("ab"),
    "Job.retry(['a'])": lambda: lw.Job("x", COUNT, FUNCTIONS).retry(["a"]),
    "Job.retry([True])": lambda: lw.Job("x", COUNT, FUNCTIONS).retry([True]),
    "Job(version=5)": lambda: lw.Job("x", COUNT, FUNCTIONS, version=5),
    "Job(several streams)": lambda: lw.Job("x", lw.StreamingCommand("x", row={"a": int}), FUNCTIONS),
    "Job.run(no pool)": lambda: lw.Job("x", COUNT, FUNCTIONS).run(None, [1]),
    "Job.run(AsyncPool)": lambda: lw.Job("x", COUNT, FUNCTIONS).run(lw.AsyncPool, [1]),
    "Job.run(one text)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, "Init")),
    "Job.run(bytearray)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, bytearray(b"ab"))),
    "Job.run(memoryview)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, memoryview(b"ab"))),
    "Job.run(no launch)": pooled(lambda p: lw.Job("x", COUNT, NoLaunch()).run(p, [1])),
    "Job.run(5)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, 5)),
    "Job.run(nothing)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p)),
    "Job.run(timeout='x')": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, [1], timeout="x")),
    "Job.run(on_done=5)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, [1], on_done=5)),
    "Job.run(object)": pooled(lambda p: lw.Job("x", COUNT, FUNCTIONS).run(p, [object()])),
    # check, verify, extract
    "check([1])": lambda: lw.check([1]),
    "check([None])": lambda: lw.check([None]),
    "check([('a',)])": lambda: lw.check([("a",)]),
    "check([('a', 1)])": lambda: lw.check(("x.lean", ("a", 1))),
    "check('x.lean')": lambda: lw.check("x.lean"),
    "check(5)": lambda: lw.check(5),
    "check([surrogate])": lambda: lw.check([("a", "prelude\n"), ("b", "\ud800")]),
    "check([surrogate name])": lambda: lw.check([("\ud800", "prelude\n")]),
    "check(options={…: None})": lambda: lw.check([], options={"maxRecDepth": None}),
    "check(options={…: 1.5})": lambda: lw.check([], options={"maxRecDepth": 1.5}),
    "check(options={'a=b': 1})": lambda: lw.check([], options={"a=b": 1}),
    "check([b'x'])": lambda: lw.check([b"x"]),
    "check(jobs=0)": lambda: lw.check([], jobs=0),
    "check(pool=5)": lambda: lw.check([], pool=5),
    "check(pool, jobs)": pooled(lambda p: lw.check([], pool=p, jobs=2)),
    "check(timeout='x')": lambda: lw.check([], timeout="x"),
    "check(options=[])": lambda: lw.check([], options=["a"]),
    "check(on_message=5)": lambda: lw.check([], on_message=5),
    "check(settings='x')": lambda: lw.check([], settings="x"),
    "check(toolchain=None)": lambda: lw.check([], toolchain=None),
    "check_async([1])": lambda: lw.checking.check_async([1]),
    "check_async(timeout='x')": lambda: lw.checking.check_async([], timeout="x"),
    "verify([1])": lambda: lw.verify([1], statement="theorem a : True := sorry\n"),
    "verify([None])": lambda: lw.verify([None], statement="theorem a : True := sorry\n"),
    "verify([('a',)])": lambda: lw.verify([("a",)], statement="theorem a : True := sorry\n"),
    "verify('x')": lambda: lw.verify("x.lean", statement="theorem a : True := sorry\n"),
    "verify(statement=5)": lambda: lw.verify([], statement=5),
    "verify(statement='no file')": lambda: lw.verify([], statement="no-such-file.lean"),
    "verify(allowed_axioms='x')": lambda: lw.verify([], statement="a\n", allowed_axioms="propext"),
    "verify(allowed_axioms=[1])": lambda: lw.verify([], statement="a\n", allowed_axioms=[1]),
    "verify(surrogate)": lambda: lw.verify([], statement="a\n\ud800"),
    "verify(axiom with a surrogate)": lambda: lw.verify([], statement="a\n", allowed_axioms=["\ud800"]),
    "verify(jobs='x')": lambda: lw.verify([], statement="a\n", jobs="x"),
    "verify_async(cancel=5)": lambda: lw.verification.verify_async([], statement="a\n", cancel=5),
    "verify_async([1])": lambda: lw.verification.verify_async([1], statement="a\n"),
    "Proof(5)": lambda: lw.Proof(5, "x"),
    "extract('x')": lambda: lw.extract("x", ["Init"], out="x.jsonl"),
    "extract('declarations', 'Init')": lambda: lw.extract("declarations", "Init", out="x.jsonl"),
    "extract([1])": lambda: lw.extract("declarations", [1], out="x.jsonl"),
    "extract(5)": lambda: lw.extract("declarations", 5, out="x.jsonl"),
    "extract(out=5)": lambda: lw.extract("declarations", ["Init"], out=5),
    "extract(workers=0)": lambda: lw.extract("declarations", ["Init"], out="x.jsonl", workers=0),
    "extract(pool=5)": lambda: lw.extract("declarations", ["Init"], out="x.jsonl", pool=5),
    "extract(request of modules)": lambda: lw.extract(
        "modules", ["Init"], out="x.jsonl", request=lw.extraction.Request(width=80)
    ),
    "extract(request of messages)": lambda: lw.extract(
        "messages", ["x.lean"], out="x.jsonl", request=lw.extraction.Request()
    ),
    "extract(ledger of messages)": lambda: lw.extract("messages", ["x.lean"], out="x.jsonl", ledger="l"),
    "extract(ledger of modules)": lambda: lw.extract("modules", ["Init"], out="x.jsonl", ledger="l"),
    "extract(steps)": lambda: lw.extract("declarations", ["Init"], out="x.jsonl", steps=False),
    "extract(imports twice)": lambda: lw.extract(
        "declarations", ["Init"], out="x.jsonl", request=lw.extraction.Request(imports=("Init",))
    ),
    "extractor([''])": lambda: lw.extraction.extractor([""]),
    "extractor(['../x'])": lambda: lw.extraction.extractor(["Init", "../x"]),
    "extract(edges)": lambda: lw.extract("declarations", ["Init"], out="x.jsonl", edges=True),
    # tables, tests, progress, metrics
    "to_table(kind)": lambda: lw.tables.to_table([], "excel"),
    "to_table(5)": lambda: lw.tables.to_table(5),
    "to_table(row=Plain)": lambda: lw.tables.to_table([], row=Plain),
    "to_table(row={…})": lambda: lw.tables.to_table([], row={"a": int}),
    "fake_worker(5)": lambda: fake_worker(5).__enter__(),
    "fake_worker({'a': 5})": lambda: fake_worker({"a": 5}).__enter__(),
    "fake_worker({'a': [5]})": lambda: fake_worker({"a": [5]}).__enter__(),
    "fake_worker(object)": lambda: fake_worker({"a": [Row(object())]}).__enter__(),
    "Attempts()": lambda: fake_worker({"a": Attempts()}).__enter__(),
    "Crash('x')": lambda: fake_worker({"a": [Crash("x")]}).__enter__(),
    "bar.follow(5)": lambda: lw.progress.bar().follow(5),
    "bar.follow(Lease)": lambda: lw.progress.bar().follow(lw.Lease),
    "bar.follow(pool)": pooled(lambda p: lw.progress.bar().follow(p)),
    "bar.on_done(Progress)": lambda: lw.progress.bar().on_done(lw.events.Progress("a", 1)),
    "bar.on_progress(5)": lambda: lw.progress.bar().on_progress(5),
    "Print(bytes)": lambda: fake_worker({"a": [Print(b"x")]}).__enter__(),
    "MalformedRow(bytes)": lambda: fake_worker({"a": [MalformedRow(b"{")]}).__enter__(),
    "RawBytes(base64)": lambda: fake_worker({"a": [RawBytes("eA==")]}).__enter__(),
    "serve_snapshot(directory)": pooled(lambda p: lw.metrics.serve_snapshot(p, "/tmp")),
    "serve_snapshot(5)": lambda: lw.metrics.serve_snapshot(5),
    "bar(pool=5)": lambda: lw.progress.bar("x", pool=5),
    "bar(console=5)": lambda: lw.progress.bar("x", console=5),
    "plan(5)": lambda: lw.projects.plan(5, capability=FUNCTIONS, request=str),
    "plan('dir')": lambda: lw.projects.plan("dir", capability=FUNCTIONS, request=str),
    "plan_items(5)": lambda: lw.projects.plan_items(5, capability=FUNCTIONS, request=str),
    "plan_items('x')": lambda: lw.projects.plan_items("x", capability=FUNCTIONS, request=str),
    "plan_items(capability='x')": lambda: lw.projects.plan_items([1], capability="x", request=str),
    "plan_items(request=5)": lambda: lw.projects.plan_items([1], capability=FUNCTIONS, request=5),
    "plan_items(request=None)": lambda: lw.projects.plan_items([1], capability=FUNCTIONS, request=None),
    "plan_items(workers='x')": lambda: lw.projects.plan_items([1], capability=FUNCTIONS, request=str, workers="x"),
    "plan_items(cost=5)": lambda: lw.projects.plan_items([1], capability=FUNCTIONS, request=str, cost=5),
    "plan_items(import_order)": lambda: lw.projects.plan_items(
        [1], capability=FUNCTIONS, request=str, import_order="x"
    ),
    "LakeGlob(5)": lambda: lw.lake.LakeGlob(5),
    "HostSession(surrogate)": lambda: lw.hosting.HostSession(".", package="\ud800", lib_name="A"),
    "HostSession(imports=[surrogate])": lambda: lw.hosting.HostSession(".", imports=["\ud800"]),
    "HostSession(root with a surrogate)": lambda: lw.hosting.HostSession("\udc80"),
    "MetadataExpectation(surrogate)": lambda: lw.hosting.MetadataExpectation("\ud800"),
    "MetadataExpectation(version)": lambda: lw.hosting.MetadataExpectation("a", commands={"a": "\udc80"}),
    "MetadataExpectation(request without a form)": lambda: lw.hosting.MetadataExpectation("a", request=object()),
    "MetadataExpectation(exact without a form)": lambda: lw.hosting.MetadataExpectation("a", exact={"a": object()}),
    "PythonCapability(doctor=surrogate)": lambda: lw.hosting.PythonCapability("a:B", doctor="\udc80"),
    "to_arrow([])": lambda pool: pool.collect(FUNCTIONS, lw.StreamingCommand("one_row"), {}).to_arrow([]),
    "to_polars({})": lambda pool: pool.collect(FUNCTIONS, lw.StreamingCommand("one_row"), {}).to_polars({}),
    "LakeLibrary(None)": lambda: lw.lake.LakeLibrary(None),
    "LakeLibrary.of_executable(5)": lambda: lw.lake.LakeLibrary.of_executable(5),
    "LakeLibrary(roots='x')": lambda: lw.lake.LakeLibrary("x", roots="x"),
    "check_capability(no launch)": lambda: lw.checking.check_capability(NoLaunch()),
    "check_capability(5)": lambda: lw.checking.check_capability(5),
    "check_capability('x.lean')": lambda: lw.checking.check_capability("x.lean"),
    "resolve(None)": lambda: lw.toolchains.resolve(None),
    "resolve(5)": lambda: lw.toolchains.resolve(5),
}
GROUPS = {
    "plain": {
        name: call if call.__code__.co_argcount else (lambda pool, call=call: call()) for name, call in CALLS.items()
    },
    "Pool": {name: pooled(call) for name, call in POOL.items()},
    "AsyncPool": {name: apooled(call) for name, call in POOL.items()},
    "Lease": {name: leased(call) for name, call in LEASE.items()},
    "AsyncLease": {name: aleased(call) for name, call in LEASE.items()},
    # An AsyncPool's lease that nobody awaited, used at once.
    "unawaited": {name: apooled(lambda pool, call=call: call(pool.lease(FUNCTIONS))) for name, call in LEASE.items()},
}
