"""The classes for threads and for asyncio: the same shape, no internals, and one written rule about their cores."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import lean_worker as lw

PACKAGE = Path(lw.__file__).parent
PAIRS = [
    (lw.Pool, lw.AsyncPool),
    (lw.Lease, lw.aio.AsyncLease),
    (lw.RowStream, lw.aio.AsyncRowStream),
    (lw.Outcomes, lw.aio.AsyncOutcomes),
]
ONLY_ASYNC = {"AsyncPool.sharing"}
"""A pool for threads that tasks use too; the other way round nobody needs."""
CORES_ARE_ASKED_IN = {"aio.pool", "batch.job", "distributed.node"}
"""Modules that run requests of a pool which their caller made."""


def members(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


def parameters(cls, name):
    return list(inspect.signature(getattr(cls, name)).parameters)


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS, ids=lambda cls: cls.__name__)
def test_both_surfaces_have_the_same_members(blocking, awaited):
    extra = {name.partition(".")[2] for name in ONLY_ASYNC if name.startswith(f"{awaited.__name__}.")}
    assert members(awaited) - members(blocking) == extra
    assert members(blocking) <= members(awaited)
    for name in members(blocking):
        if callable(getattr(blocking, name)):
            assert parameters(blocking, name) == parameters(awaited, name), name


def public_classes():
    for name in lw.__all__:
        value = getattr(lw, name)
        if inspect.ismodule(value):
            yield from (getattr(value, member) for member in getattr(value, "__all__", ()))
        else:
            yield value


def test_no_public_class_shows_steps():
    found = []
    for cls in {value for value in public_classes() if isinstance(value, type)}:
        for name in members(cls):
            function = inspect.getattr_static(cls, name)
            if isinstance(function, (classmethod, staticmethod)):
                function = function.__func__
            returns = str(getattr(function, "__annotations__", {}).get("return", ""))
            if re.match(r"Steps\b", returns) or (callable(function) and re.match(r"[a-z]+ing(_|$)", name)):
                found.append(f"{cls.__name__}.{name}")
    assert sorted(found) == ["AsyncPool.sharing"]  # a class method, and no steps


def test_the_reference_hides_nothing_but_private_names():
    page = PACKAGE.parent.parent / "mkdocs.yml"
    if not page.exists():
        pytest.skip("looks at sources, which a wheel's test has not")
    text = page.read_text()
    assert re.findall(r"^ *filters: (.*)$", text, re.MULTILINE) == ['["!^_"]']


def test_cores_are_asked_where_the_rule_says():
    asked = set()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and node.id == "core_of":
                asked.add(module)
            if isinstance(node, ast.Attribute) and node.attr == "_core" and module != "pool.cores":
                assert ast.unparse(node.value) in ("self", "shared"), f"{module}:{node.lineno}"
    assert asked == CORES_ARE_ASKED_IN
