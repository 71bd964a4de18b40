"""Who may import whom: each folder is a layer, and imports point to layers before it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker
from support import HOSTS

PACKAGE = Path(lean_worker.__file__).parent
ROOT = Path(__file__).parents[2]

# In the order in which they may build on each other; a name is a folder or a module at top level.
LAYERS = (
    "version",
    "notebook",
    "errors",
    "events",
    "base",
    "wire",
    "policy",
    "tables",
    "results",
    "commands",
    "steps",
    "cancel",
    "toolchains",
    "lake",
    "hosting",
    "worker",
    "sinks",
    "pool",
    "batch",
    "blocking",
    "progress",
    "metrics",
    "aio",
    "projects",
    "checking",
    "extraction",
    "verification",
    "distributed",
    "testing",
    "pytest_plugin",
    "selftest",
    "cli",
    "__main__",
)
# What both sides of the pipe may use; a worker process loads nothing else of the package.
SHARED_WITH_CHILD = {"version", "notebook", "errors", "events", "base", "wire"}
# Imports that point upwards, each with its reason. One that is gone must go from here too.
UPWARD: dict[tuple[str, str], str] = {}


def load_structure():
    """The counts of `ci/structure`, as a module."""
    path = ROOT / "ci" / "structure"
    loader = importlib.machinery.SourceFileLoader("structure", str(path))
    spec = importlib.util.spec_from_loader("structure", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


TREE = load_structure().Tree(PACKAGE)
IMPORTS = {name: TREE.imports(name) for name in TREE.files if name != "__init__"}


def layer_of(module):
    return module.split(".")[0]


def test_every_layer_has_a_place_and_every_place_a_layer():
    assert {layer_of(name) for name in IMPORTS} == {*LAYERS, "child"}
    assert len(LAYERS) == len(set(LAYERS))


def upward():
    rank = {name: number for number, name in enumerate(LAYERS)}
    for name, imported in IMPORTS.items():
        here = layer_of(name)
        if here == "child":
            continue
        for other in imported:
            there = layer_of(other)
            if there == "child" or rank[there] > rank[here]:
                yield name, other


def test_imports_point_downwards():
    found = set(upward())
    assert found - set(UPWARD) == set()
    assert set(UPWARD) - found == set(), "these point upwards no more: take them out of the table"


def test_nothing_imports_in_a_circle():
    assert TREE.module_cycles() == []
    assert TREE.folder_cycles() == []


def test_one_place_asks_of_which_class_an_error_is():
    assert "RequestTimeout" in TREE.error_classes()
    assert TREE.classifiers() == {"cli.exit_codes"}


def test_docstrings_begin_with_their_verb_or_noun():
    assert list(TREE.question_docstrings()) == []


def test_the_two_sides_meet_in_shared_layers_only():
    for name, imported in IMPORTS.items():
        layers = {layer_of(other) for other in imported}
        if layer_of(name) == "child":
            assert layers <= SHARED_WITH_CHILD | {"child"}, name
        else:
            assert "child" not in layers, name


def test_importing_the_package_loads_nothing():
    code = "import sys, lean_worker; print(*sorted(m for m in sys.modules if m.startswith('lean_worker.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["lean_worker.version"]


# What an import of a pool's class loads: no other module of the package, and none of these, which cost most.
OF_THE_CLASS = {
    "base", "base.deferred", "base.interrupts", "base.lazy_names", "base.misuse", "base.system_errors",
    "base.time_limit", "batch", "batch.lease_source", "blocking", "blocking.many_requests", "blocking.pool", "errors",
    "errors.root", "steps", "steps.waiting", "version", "_interrupts",
}  # fmt: skip
OF_THE_ASYNC_CLASS = OF_THE_CLASS | {"aio", "aio.many_requests", "aio.pool", "base.arguments", "pool", "pool.cores"}
COSTLY = {
    "asyncio", "ctypes", "dataclasses", "hashlib", "importlib.metadata", "inspect", "json", "logging", "msgspec",
    "orjson", "pathlib", "psutil", "subprocess", "tempfile", "typing_extensions",
}  # fmt: skip


def loaded_by(code):
    """Run a program that prints modules, and return them in a set for each of its lines."""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return [set(line.split()) for line in shown.split("\n")]


@pytest.mark.compiled
@pytest.mark.parametrize(("name", "own"), [("Pool", OF_THE_CLASS), ("AsyncPool", OF_THE_ASYNC_CLASS)])
def test_a_pool_s_class_loads_next_to_nothing_and_its_first_instance_all(name, own):
    # Nothing may be looked for later: there may be no descriptor left then, or a signal handler may be running.
    uses = "use()" if name == "Pool" else "asyncio.run(use_async())"
    code = f"""
import sys
before = set(sys.modules)
import lean_worker as lw
lw.{name}
print(*set(sys.modules) - before)
capability, command = lw.PythonCapability("functions:COMMANDS", path={[str(HOSTS)]!r}), lw.StreamingCommand("rows")
async def use_async():
    async with lw.AsyncPool() as pool:
        before = set(sys.modules)
        async with pool.lease(capability) as lease:
            await lease.collect(command, {{"count": 2}})
        async with pool.map(command, [{{"count": 2}}], capability=capability) as outcomes:
            assert [outcome.value.summary.total_rows async for outcome in outcomes] == [2]
    print(*set(sys.modules) - before)
def use():
    with lw.Pool() as pool:
        before = set(sys.modules)
        with pool.lease(capability) as lease:
            lease.collect(command, {{"count": 2}})
        with pool.map(command, [{{"count": 2}}], capability=capability) as outcomes:
            assert [outcome.value.summary.total_rows for outcome in outcomes] == [2]
    print(*set(sys.modules) - before)
import asyncio
{uses}
"""
    of_class, later, _ = loaded_by(code)
    assert {module.removeprefix("lean_worker.") for module in of_class if module.startswith("lean_worker.")} <= own
    assert of_class & COSTLY == set()
    assert later == set()


@pytest.mark.compiled
@pytest.mark.parametrize("host", ["python_host", "lean_host"])
def test_a_worker_starts_without_what_few_requests_need(host):
    code = (
        "import sys; before = set(sys.modules); "
        f"import lean_worker.child.__main__, lean_worker.child.{host}; print(*set(sys.modules) - before)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    late = {"argparse", "json", "logging", "orjson", "shutil", "subprocess", "tempfile", "lean_worker.child.sandbox"}
    if sys.version_info >= (3, 11):
        late |= {"dataclasses", "inspect"}  # before, msgspec imports typing_extensions, and that imports these
    late |= {"platform", "textwrap"}  # msgspec gets stand-ins
    if host == "python_host":
        late |= {"ctypes", "pathlib"}
    assert set(shown) & late == set()


def test_every_public_name_is_there_and_documented():
    for name in lean_worker.__all__:
        value = getattr(lean_worker, name)
        if isinstance(value, type):
            assert value.__doc__, name
    with pytest.raises(AttributeError):
        _ = lean_worker.no_such_name
    assert set(lean_worker.__all__) <= set(dir(lean_worker))


def test_no_module_has_the_name_of_a_public_function():
    functions = {name for name in lean_worker.__all__ if callable(getattr(lean_worker, name))}
    assert functions & set(LAYERS) == set()


def test_a_name_that_moved_is_found_and_its_new_place_said():
    with pytest.warns(DeprecationWarning, match=r"lean_worker\.sinks\.JsonLinesSink"):
        assert lean_worker.JsonLinesSink is lean_worker.sinks.JsonLinesSink
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lean_worker.no_such_name
