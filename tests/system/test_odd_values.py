"""Each argument of each public name, with odd values: accepted, or refused at the call with an error that says why."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import inspect
import math
import pathlib
import sys
import warnings

import pytest

import lean_worker as lw
from lean_worker import checking, extraction, hosting, lake, metrics, progress, projects, sinks, tables, testing
from support import FUNCTIONS

COUNT = lw.StreamingCommand("count")
ECHO = lw.JsonCommand("echo")


class Hostile:
    """Raises whatever it is asked."""

    __hash__ = None

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    def __bool__(self):
        raise RuntimeError("bool")

    def __eq__(self, other):
        raise RuntimeError("eq")


async def coroutine_function():
    raise AssertionError("nobody awaits this")


def ended():
    generator = (each for each in [1])
    list(generator)
    return generator


VALUES = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "7": 7,
    "10**30": 10**30,
    "-1.5": -1.5,
    "nan": math.nan,
    "inf": math.inf,
    "''": "",
    "a name": "x",
    "no": "no",
    "a line break": "a\nb",
    "NUL": "a\0b",
    "a surrogate": "\ud800",
    "10,000 characters": "x" * 10_000,
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "Path": pathlib.Path("x"),
    "[]": [],
    "[1]": [1],
    "[None]": [None],
    "[10,000 characters]": ["x" * 10_000],
    "[NUL]": ["a\0b"],
    "{}": {},
    "{'a': 1}": {"a": 1},
    "{1: 2}": {1: 2},
    "an ended generator": ended(),
    "object": object(),
    "Hostile": Hostile(),
    "a class": lw.Timeouts,
    "a function of nothing": lambda: None,
    "a coroutine function": coroutine_function,
    "Decimal": decimal.Decimal("NaN"),
    "timedelta": datetime.timedelta(1),
    "complex": 1j,
    "a capability": FUNCTIONS,
    "a command": COUNT,
    "CancelToken": lw.CancelToken(),
}


def closing(make):
    """Make something that has to be closed, or that runs only when it is iterated over."""

    def call(**arguments):
        made = make(**arguments)
        if hasattr(made, "close") and not isinstance(made, type):
            made.close()

    return call


def entered(**arguments):
    with testing.fake_worker(**arguments):
        pass


def stepped(kind):
    """Make a step and give it to a fake worker, which is where it is looked at."""

    def call(**arguments):
        with testing.fake_worker({"a": [kind(**arguments)]}):
            pass

    return call


# Name: what is called, and arguments that are right.
CALLS = {
    **{kind.__name__: (kind, kind, {}) for kind in (lw.Timeouts, lw.Limits, lw.MemoryPolicy, lw.RestartPolicy)},
    "Pool": (lw.Pool, closing(lw.Pool), {}),
    "JsonCommand": (lw.JsonCommand, lw.JsonCommand, {"name": "x"}),
    "StreamingCommand": (lw.StreamingCommand, lw.StreamingCommand, {"name": "x"}),
    "LeanCapability": (lw.LeanCapability, lw.LeanCapability, {"script": "a.lean"}),
    "PythonCapability": (lw.PythonCapability, lw.PythonCapability, {"registry": "m:C"}),
    "ProcessCapability": (lw.ProcessCapability, lw.ProcessCapability, {"argv": ["true"]}),
    "LinesCapability": (lw.LinesCapability, lw.LinesCapability, {"commands": ["true"]}),
    "Sandbox": (lw.Sandbox, lw.Sandbox, {}),
    "HostSession": (hosting.HostSession, hosting.HostSession, {"project_root": "."}),
    "MetadataExpectation": (hosting.MetadataExpectation, hosting.MetadataExpectation, {"command": "x"}),
    "Proof": (lw.Proof, lw.Proof, {"name": "x", "text": "y"}),
    "CallableSink": (sinks.CallableSink, sinks.CallableSink, {"on_row": print}),
    "JsonLinesSink": (sinks.JsonLinesSink, sinks.JsonLinesSink, {"path": "x"}),
    "ParquetSink": (sinks.ParquetSink, sinks.ParquetSink, {"path": "x"}),
    "SqliteSink": (sinks.SqliteSink, sinks.SqliteSink, {"path": "x"}),
    "recover": (sinks.recover, sinks.recover, {"directory": "no-such"}),
    "Job": (lw.Job, lw.Job, {"path": "j", "command": COUNT, "capability": FUNCTIONS}),
    "check": (lw.check, closing(lw.check), {"files": []}),
    "check_async": (checking.check_async, checking.check_async, {"files": []}),
    "verify": (lw.verify, closing(lw.verify), {"candidates": [], "statement": "a\n"}),
    "extract": (lw.extract, lw.extract, {"what": "declarations", "out": "x.jsonl", "toolchain": "no/such"}),
    "extractor": (extraction.extractor, extraction.extractor, {"toolchain": "no/such"}),
    "goal_extractor": (extraction.goal_extractor, extraction.goal_extractor, {"toolchain": "no/such"}),
    "to_table": (tables.to_table, tables.to_table, {"rows": [], "kind": "polars"}),
    "bar": (progress.bar, progress.bar, {}),
    "PoolCollector": (metrics.PoolCollector, metrics.PoolCollector, {"pools": {}}),
    "resolve": (lw.toolchains.resolve, lw.toolchains.resolve, {"choice": "no/such"}),
    "LakeGlob": (lake.LakeGlob, lake.LakeGlob, {"module": "A"}),
    "LakeLibrary": (lake.LakeLibrary, lake.LakeLibrary, {"name": "A"}),
    "discover": (lake.LakeProject.discover, lake.LakeProject.discover, {"path": "no/such"}),
    "plan_items": (
        projects.plan_items,
        projects.plan_items,
        {"items": [1], "capability": FUNCTIONS, "request": lambda item: None},
    ),
    "check_capability": (
        checking.check_capability,
        checking.check_capability,
        {"capability": lw.ProcessCapability(["no/such"])},
    ),
    "fake_worker": (testing.fake_worker, entered, {"commands": {"a": []}}),
    "Row": (testing.Row, stepped(testing.Row), {"payload": 1}),
    "Crash": (testing.Crash, stepped(testing.Crash), {}),
    "Fail": (testing.Fail, stepped(testing.Fail), {}),
    "Print": (testing.Print, stepped(testing.Print), {"text": "x"}),
    "Handshake": (testing.Handshake, stepped(testing.Handshake), {}),
}
# Values that every argument with this name takes nowhere.
NEVER = {
    "in_order reject_sorry reuse_imports edges steps transient itself submodules allow_incomplete keep_parts": "no",
    "with_stream network fresh_each_request": "no",
    "files candidates items rows targets": "{'a': 1}",
    "jobs max_workers memory_mib threads cpu_seconds file_size_kib address_space_kib": "10**30",
    "timeout build_timeout startup request_timeout queue drain": "nan",
    "path out project script project_root cwd": "''",
    "on_row on_event on_stderr on_message first_accepted request_of on_done on_build commit": "a function of nothing",
}
# Arguments that are types: msgspec itself asks them for their names.
TYPES = ("request", "response", "row", "summary")
ALWAYS_REFUSED = {name: value for names, value in NEVER.items() for name in names.split()}


def faults_of(name, value, call, arguments):
    """Return what is wrong with what a call did with a value; None if nothing is."""
    try:
        call(**arguments)
    except lw.UsageError as error:
        if not error.hint:
            return f"no hint: {error.text}"
        return None if "\n" not in error.text and len(error.text) < 700 else f"the text is {error.text!r}"
    except lw.LeanWorkerError as error:
        return None if error.text else "no text"
    except Exception as error:
        return f"raised {error!r}"
    return "was accepted" if ALWAYS_REFUSED.get(name) == value else None


@pytest.mark.parametrize("name", CALLS)
def test_an_odd_value_is_taken_or_refused_at_the_call(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    signature_of, call, right = CALLS[name]
    faults = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for parameter in inspect.signature(signature_of).parameters:
            for label, value in VALUES.items():
                if parameter in TYPES and label == "Hostile":
                    continue
                fault = faults_of(parameter, label, call, {**right, parameter: value})
                if fault is not None:
                    faults[f"{parameter}={label}"] = fault
    assert faults == {}
    assert list(tmp_path.iterdir()) == []


def test_a_text_is_never_longer_than_a_page_and_on_one_line():
    """The text quotes the value: of any length, with any characters, and even if it cannot be shown."""
    for value in ("x\n" * 10_000, ["\n" * 5000], Hostile(), type("Odd", (), {"__repr__": lambda self: "\n\x1b[31m"})()):
        with pytest.raises(lw.UsageError) as caught:
            lw.Pool(value)
        assert len(caught.value.text) < 400 and caught.value.text.isprintable()


def test_arguments_of_programs_may_be_long():
    """They are no paths: only the system's own limit holds."""
    code = "print('{}') #" + "x" * 5000
    for capability in (
        lw.ProcessCapability([sys.executable, "-c", code]),
        lw.LinesCapability([sys.executable, "-c", code]),
    ):
        assert capability.launch().argv
    with lw.Pool() as pool:
        done = pool.collect(lw.LinesCapability([sys.executable, "-c", code]), lw.StreamingCommand("lines"))
    assert done.summary.total_rows == 1


def test_the_loop_is_not_needed_to_refuse_a_call():
    async def main():
        async with lw.AsyncPool() as pool:
            with pytest.raises(lw.UsageError):
                pool.map(ECHO, ended(), capability=FUNCTIONS)

    asyncio.run(main())
