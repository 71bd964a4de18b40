"""No error keeps alive what failed: a frame that holds the error that it raised is a cycle.

A lease that a caller drops after a failure would otherwise keep its place until the collector runs.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import re
import types
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import lean_worker as lw
from support import FUNCTIONS

SOURCES = Path(lw.__file__).parent
RAISES_NAME = re.compile(r"raise [a-z_]+$", re.MULTILINE)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows")
QUIET = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


# -- by the text: whoever raises a local name deletes it --


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions in it."""
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, (*FUNCTION, ast.ClassDef)):
            yield from own_nodes(node)


def deleted_by(statements: Iterable[ast.stmt]) -> set[str]:
    """The names that these statements delete, or set to None."""
    found: set[str] = set()
    for statement in statements:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Delete):
            targets = statement.targets
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            targets = statement.targets if statement.value.value is None else []
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def kept(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[int, str]]:
    """Each `raise name` of a local name that is not deleted on the way out, by its line."""
    arguments = function.args
    names = {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    names |= {node.id for node in own_nodes(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found: list[tuple[int, str]] = []

    def look(nodes: Iterable[ast.AST], deleted: set[str]) -> None:
        for node in nodes:
            if isinstance(node, (*FUNCTION, ast.ClassDef)):
                continue
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in names - deleted:
                found.append((node.lineno, node.exc.id))
            if not isinstance(node, ast.Try):
                look(ast.iter_child_nodes(node), deleted)
                continue
            inside = deleted | deleted_by(node.finalbody)
            look(node.body, inside)
            look(node.orelse, inside)
            look(node.finalbody, deleted)
            for handler in node.handlers:
                look(handler.body, inside | ({handler.name} if handler.name else set()))

    look(function.body, set())
    return found


def test_whoever_raises_a_local_name_deletes_it():
    found = [
        f"{path.relative_to(SOURCES)}:{line}: raise {name}"
        for path in sorted(SOURCES.rglob("*.py"))
        if RAISES_NAME.search(path.read_text())
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for line, name in kept(function)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(error):\n raise error", ["error"]),
        ("def f():\n error = ValueError()\n if error:\n  raise error", ["error"]),
        ("def f(error):\n try:\n  raise error\n finally:\n  del error", []),
        ("def f(error):\n try:\n  raise error\n finally:\n  error = None", []),
        ("def f(error):\n try:\n  pass\n finally:\n  raise error", ["error"]),
        ("def f():\n try:\n  pass\n except OSError as error:\n  raise error", []),
        ("def f(error):\n raise copy(error)", []),
        ("def f():\n raise KeyError", []),
    ],
)
def test_the_look_at_the_text_sees_it(text, names):
    assert [name for _, name in kept(ast.parse(text).body[0])] == names


# -- by the collector: failing calls leave it nothing to do --


def refused(lease):
    lease.call(lw.JsonCommand("fail"))


def unknown(lease):
    lease.call(lw.JsonCommand("no such command"))


def not_of_its_type(lease):
    lease.call(lw.JsonCommand("echo", response=int), "text")


def failing_stream(lease):
    list(lease.stream(lw.StreamingCommand("fail_after_rows")))


def failing_rows(lease):
    lease.collect(lw.StreamingCommand("wrong_type", row=dict[str, int]))


def failing_handler(lease):
    def on_row(row):
        raise ValueError("the handler says no")

    lease.run(ROWS, {"count": 3}, on_row=on_row)


def cancelled_before(lease):
    token = lw.CancelToken()
    token.cancel()
    lease.call(ECHO, 1, cancel=token)


def cancelled_meanwhile(lease):
    token = lw.CancelToken()
    for _ in lease.stream(lw.StreamingCommand("endless"), cancel=token):
        token.cancel()


def too_late(lease):
    lease.call(lw.JsonCommand("hang"), timeout=0.05)


def dying(lease):
    lease.collect(lw.StreamingCommand("die"), {"how": "SIGKILL"})


def stale(lease):
    with pytest.raises(lw.ChildExited):
        dying(lease)
    lease.call(ECHO, 1)


def released(lease):
    lease.release()
    lease.call(ECHO, 1)


def unwritable(lease):
    lease.run(ROWS, {"count": 3}, sink=lw.sinks.JsonLinesSink("/no/such/directory/rows.jsonl"))


FAILING = [
    refused, unknown, not_of_its_type, failing_stream, failing_rows, failing_handler, cancelled_before,
    cancelled_meanwhile, too_late, dying, stale, released, unwritable,
]  # fmt: skip


@pytest.fixture
def small_heap():
    """What is there before the test is no garbage of it, and takes the collector no time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def garbage_of(call) -> list[object]:
    """What only the collector could free after `call`: leases, and errors and frames of the package."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        call()
        gc.collect()
        return [
            one
            for one in gc.garbage
            if isinstance(one, lw.Lease | lw.RowStream)
            or (isinstance(one, lw.LeanWorkerError) and one.__traceback__ is not None)
            or (isinstance(one, types.FrameType) and one.f_code.co_filename.startswith(str(SOURCES)))
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.once
def test_failing_calls_leave_nothing_to_the_collector(small_heap):
    with lw.Pool(1, restarts=QUIET) as pool:
        for failing in FAILING:

            def call(failing=failing):
                with pool.lease(FUNCTIONS) as lease:
                    try:
                        failing(lease)
                    except (lw.LeanWorkerError, ValueError, OSError):
                        return
                    raise AssertionError(f"{failing.__name__} did not fail")

            call()  # what is made once is no garbage
            assert garbage_of(call) == [], failing.__name__
        with pytest.raises(lw.errors.PoolFull), pool.lease(FUNCTIONS), pool.lease(FUNCTIONS, timeout=0):
            pass


@pytest.mark.once
def test_failing_calls_on_a_loop_leave_nothing_to_the_collector(small_heap):
    async def failing(pool, kind):
        async with pool.lease(FUNCTIONS) as lease:
            if kind == "refused":
                await lease.call(lw.JsonCommand("fail"))
            elif kind == "stream":
                async for _ in lease.stream(lw.StreamingCommand("fail_after_rows")):
                    pass
            elif kind == "late":
                await lease.call(lw.JsonCommand("hang"), timeout=0.05)
            else:
                await asyncio.wait_for(lease.call(lw.JsonCommand("hang")), 0.05)

    async def main():
        loop = asyncio.get_running_loop()
        async with lw.AsyncPool(1, restarts=QUIET) as pool:
            for kind in ("refused", "stream", "late", "cancelled"):

                def call(kind=kind):
                    try:
                        asyncio.run_coroutine_threadsafe(failing(pool, kind), loop).result()
                    except (lw.LeanWorkerError, asyncio.TimeoutError, TimeoutError):
                        return
                    raise AssertionError(f"{kind} did not fail")

                await asyncio.to_thread(call)
                found = await asyncio.to_thread(garbage_of, call)
                assert found == [], kind

    asyncio.run(main())
