"""Who may import whom: the two sides of the pipe share a few modules and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker

PACKAGE = Path(lean_worker.__file__).parent

SHARED = {
    "notebook",
    "errors",
    "removal",
    "envelope",
    "_frames",
    "_frames_py",
    "frames",
    "protocol",
    "events",
    "version",
    "process_tree",
}
ALLOWED = {
    "__init__": None,  # names every module, loads none: see test_importing_the_package_loads_nothing
    "errors": {"notebook"},
    "notebook": set(),
    "version": set(),
    "events": set(),
    "envelope": {"errors"},
    "_frames_py.__init__": {"envelope", "_frames_py.codec", "_frames_py.row_cursor", "_frames_py.row_writer"},
    "_frames_py.codec": {"envelope", "errors"},
    "_frames_py.row_cursor": {"envelope", "errors", "_frames_py.codec"},
    "_frames_py.row_writer": {"envelope", "errors", "_frames_py.codec"},
    "frames": {"_frames", "_frames_py", "_frames_py.*"},
    "protocol": {"envelope", "errors", "frames"},
    "steps": {"errors", "events"},
    "commands": {"errors"},
    "forks": {"errors"},
    "cancel": {"forks", "waits"},
    "policy": {"errors", "frames"},
    "olean": set(),
    "elan": {"errors"},
    "toolchain": {"elan", "errors", "olean"},
    "lake": {"elan", "environment", "errors", "lake_packages", "projects.lake_manifest", "projects.lake_paths", "toolchain"},
    "lake_packages": {"errors", "projects.git_head", "projects.lake_manifest", "projects.lakefile"},
    "module_files": {"olean"},
    "script_modules": {"errors", "module_files", "olean", "toolchain"},
    "environment": set(),
    "sandbox": {"errors"},
    "ownership": {"errors"},
    # A capability can be checked, which means to start it: the one pair that knows each other.
    "capability": {"checkup", "environment", "errors", "lake", "module_files", "module_names", "opening", "projects.file_settings", "projects.project_settings", "sandbox", "script_modules", "toolchain"},
    "checkup": {"capability", "decode", "elan", "errors", "lake", "leaving", "policy", "protocol", "script_modules", "stream", "supervisor", "tasks", "toolchain", "waits"},
    "opening": {"decode", "errors", "protocol", "terminal"},
    "host_failure": {"capability", "errors", "olean", "protocol"},
    "module_names": {"errors"},
    "projects.__init__": set(),
    "projects.lakefile_tokens": {"errors", "module_names"},
    "projects.lake_library": {"errors", "module_names"},
    "projects.git_head": set(),
    "projects.lake_manifest": {"errors"},
    "projects.lake_declarations": {"errors", "projects.lake_library"},
    "projects.lakefile_values": {"errors", "projects.lake_declarations", "projects.lake_library", "projects.lakefile_tokens", "module_names"},
    "projects.lakefile_toml": {"errors", "projects.lake_declarations", "projects.lake_library"},
    "projects.lakefile_lean": {"errors", "projects.lake_declarations", "projects.lake_library", "projects.lakefile_tokens", "projects.lakefile_values"},
    "projects.lakefile": {"errors", "projects.lake_declarations", "projects.lakefile_lean", "projects.lakefile_toml"},
    "projects.file_settings": {"errors", "module_names", "projects.lake_declarations"},
    "projects.project_settings": {"errors", "lake", "module_names", "projects.file_settings", "projects.lake_declarations", "projects.lake_manifest", "projects.lakefile", "toolchain"},
    "projects.lake_paths": {"errors", "projects.lake_manifest", "projects.lakefile"},
    "projects.lake_project": {"errors", "projects.lake_manifest", "projects.lake_declarations", "projects.lake_library", "projects.lakefile", "module_names"},
    "projects.lean_header": {"errors", "module_names", "toolchain"},
    "projects.import_graph": {"errors", "projects.lake_paths", "projects.lake_project", "projects.lean_header", "module_names", "toolchain"},
    "projects.balance": set(),
    "projects.sessions": {"capability", "errors", "projects.lake_manifest", "projects.import_graph", "projects.lake_project", "projects.lean_header", "module_names", "toolchain"},
    "projects.planning": {"projects.balance", "capability", "decode", "errors", "projects.import_graph", "projects.lake_project", "projects.lean_header", "projects.sessions"},
    "lines": {"capability", "environment", "errors", "sandbox"},
    "checking": {"cancel", "capability", "commands", "environment", "errors", "events", "lake", "policy", "pool", "projects.file_settings", "projects.project_settings", "sandbox", "toolchain"},
    "decode": {"errors", "events", "frames"},
    "waits": set(),
    "monitor": {"high_descriptors", "errors", "forks", "waits"},
    "starter": {"errors", "waits"},
    "tasks": {"monitor", "waits"},
    "leaving": {"_frames", "frames"},
    "lifelock": set(),
    "removal": set(),
    "scratch": {"errors", "lifelock", "monitor", "ownership", "removal"},
    "memory": set(),
    "state": set(),
    "restarts": {"errors", "policy"},
    "observe": {"notebook"},
    "live": {"errors", "observe", "ownership"},
    "progress": {"errors", "events", "observe", "outcomes"},
    "tables": {"errors", "events"},
    "metrics": {"errors", "observe"},
    "high_descriptors": set(),
    "pipe_writes": set(),
    "process_tree": set(),
    "exit_status": set(),
    "out_of_memory": set(),
    "clean_start": set(),
    "process": {"clean_start", "errors", "exit_status", "forks", "high_descriptors", "monitor", "out_of_memory", "process_tree", "protocol", "starter", "waits"},
    "ring": {"_frames", "frames", "high_descriptors", "protocol"},
    "channel": {"envelope", "errors", "forks", "frames", "high_descriptors", "pipe_writes", "process", "ring", "waits"},
    "supervisor": {"cancel", "capability", "channel", "envelope", "environment", "errors", "exchange", "frames", "host_failure", "memory", "monitor", "opening", "policy", "process", "protocol", "ring", "scratch", "state", "waits", "forks"},
    "terminal": {"errors", "protocol"},
    "stream": {"commands", "decode", "envelope", "errors", "events", "exchange", "frames", "notebook", "protocol", "supervisor", "tables", "terminal", "waits", "forks", "leaving", "tasks"},
    "lease": {"cancel", "commands", "decode", "errors", "exchange", "opening", "policy", "protocol", "sinks.opened", "stream", "waits", "forks", "leaving", "loan", "tasks"},
    "crew": {"cancel", "capability", "errors", "lease", "waits"},
    "outcomes": {"cancel", "commands", "crew", "errors", "monitor", "waits"},
    "many": {"cancel", "capability", "commands", "crew", "decode", "errors", "events", "lease", "outcomes", "policy", "sinks.opened", "stream", "waits"},
    "loan": {"leaving", "cancel", "capability", "errors", "pool", "protocol", "supervisor", "waits", "exchange", "monitor", "tasks"},  # a part of the pool
    "pool": {"cancel", "capability", "errors", "lease", "live", "loan", "many", "memory", "monitor", "observe", "policy", "protocol", "restarts", "supervisor", "waits", "forks", "leaving", "tasks"},
    "exchange": {"cancel", "channel", "envelope", "errors", "frames", "memory", "monitor", "protocol", "state", "supervisor", "waits", "forks"},  # a part of the supervisor
    "aio.__init__": {"aio.pool"},
    "aio.loop": {"waits"},
    "aio.stream": {"commands", "errors", "stream", "waits"},
    "aio.lease": {"aio.stream", "cancel", "commands", "errors", "lease", "aio.loop", "protocol", "sinks.opened", "stream", "waits"},
    "aio.many": {"aio.lease", "cancel", "capability", "commands", "crew", "lease", "aio.loop", "many", "outcomes", "pool", "sinks.opened", "stream"},
    "aio.pool": {"aio.lease", "aio.loop", "aio.many", "cancel", "capability", "lease", "monitor", "observe", "policy", "pool", "waits"},
    "sinks.__init__": {"sinks.base", "sinks.callables", "sinks.commit", "sinks.json_lines", "sinks.parquet", "sinks.recovery", "sinks.sqlite"},
    "sinks.parts": {"errors", "lifelock", "ownership"},
    "sinks.journal": {"errors", "ownership", "sinks.parts"},
    "sinks.tables": {"ownership", "sinks.journal", "sinks.parts"},
    "sinks.actions": {"sinks.journal", "sinks.parts", "sinks.tables"},
    "sinks.recovery": {"errors", "lifelock", "ownership", "sandbox", "sinks.actions", "sinks.journal", "sinks.parts", "sinks.tables"},
    "sinks.commit": {"errors", "lifelock", "ownership", "sinks.actions", "sinks.journal", "sinks.parts", "sinks.recovery"},
    "sinks.base": {"commands", "frames", "stream", "sinks.commit"},
    "sinks.callables": {"commands", "ownership", "stream", "sinks.base", "sinks.commit"},
    "sinks.json_lines": {"commands", "errors", "ownership", "stream", "sinks.base", "sinks.commit", "sinks.parts", "sinks.recovery"},
    "sinks.columns": {"decode", "errors", "events"},
    "sinks.sqlite": {"commands", "errors", "ownership", "stream", "sinks.base", "sinks.columns", "sinks.commit", "sinks.json_lines", "sinks.parts", "sinks.recovery", "sinks.tables"},
    "sinks.parquet": {"commands", "errors", "ownership", "stream", "sinks.base", "sinks.columns", "sinks.commit", "sinks.parts", "sinks.recovery"},
    "sinks.opened": {"commands", "decode", "errors", "ownership", "sinks.base", "sinks.callables", "sinks.commit", "sinks.parts", "stream", "waits"},
    "testing": {"capability", "environment", "errors", "events", "steps"},
    "pytest_plugin": {"steps", "testing"},
    "ledger_checks": {"errors", "ownership", "sinks.parts", "sinks.tables"},
    "ledger": {"errors", "ledger_checks", "lifelock", "ownership", "sandbox", "sinks.parts"},
    "job_items": {"capability", "commands", "decode", "ledger"},
    "job_output": {"ledger", "sinks.commit", "sinks.json_lines", "sinks.parts", "sinks.recovery", "stream"},
    "job": {"waits", "cancel", "capability", "commands", "crew", "errors", "job_items", "job_output", "lease", "ledger", "many", "outcomes", "ownership", "sinks.base", "sinks.json_lines", "sinks.parquet", "sinks.parts", "stream"},
    "distributed.__init__": {"distributed.pool"},
    "distributed.node": {"cancel", "capability", "commands", "errors", "job", "lease", "ledger", "observe", "pool", "scratch", "sinks.parts", "stream", "version", "waits"},
    "distributed.lease": {"cancel", "commands", "decode", "errors", "events", "job", "lease", "ledger", "policy", "distributed.member", "distributed.node", "restarts", "sinks.commit", "sinks.parts", "stream", "waits"},
    "distributed.member": {"errors", "distributed.node", "sinks.parts", "version"},
    "distributed.pool": {"cancel", "capability", "errors", "lease", "many", "observe", "policy", "distributed.lease", "distributed.member", "distributed.node", "waits"},
    "selftest.__init__": set(),
    "selftest.registry": {"toolchain"},
    "selftest.report": {"errors", "toolchain", "version", "selftest.registry"},
    "selftest.texts": {"selftest.registry"},
    "selftest.lean_checks": {"module_files", "script_modules", "selftest.registry"},
    "selftest.script_checks": {"cancel", "capability", "commands", "errors", "lease", "policy", "pool", "selftest.registry", "selftest.texts"},
    "selftest.file_checks": {"checking", "selftest.registry", "selftest.texts"},
    "selftest.project_checks": {"capability", "commands", "errors", "lake", "policy", "pool", "projects.file_settings", "projects.lake_project", "projects.planning", "projects.project_settings", "script_modules", "selftest.registry", "selftest.texts"},
    "child.__init__": set(),
    "child.__main__": {"errors", "frames", "protocol", "version", "child.descriptors", "child.inherited_state", "child.process_end", "child.loop", "child.lean_host", "child.python_host", "child.lines_host", "child.check_host", "child.olean_cache", "child.sandbox"},
    "child.descriptors": {"protocol"},
    "child.inherited_state": set(),
    "child.process_end": {"_lean", "process_tree"},
    "child.sandbox": {"errors", "child.landlock", "child.seccomp"},
    "child.landlock": set(),
    "child.seccomp": {"child.system_calls"},
    "child.system_calls": set(),
    "child.empty_directory": {"removal"},
    "child.hosted_descriptors": set(),
    "child.loop": {"protocol", "envelope", "errors", "frames", "child.process_end"},
    "child.python_host": {"protocol", "events", "frames", "child.loop"},
    "child.fake_worker": set(),
    "child.lean_host": {"protocol", "errors", "frames", "_lean", "child.lean_library", "child.lean_session", "child.olean_cache", "child.loop", "child.script_header"},
    "child.script_header": set(),
    "child.lean_driver": {"child.lean_library"},
    "child.lean_library": set(),
    "child.lean_session": {"protocol", "child.loop"},
    "child.keeper": {"errors", "process_tree", "child.empty_directory", "child.hosted_descriptors", "child.lean_driver", "child.lean_library", "child.sandbox"},
    "child.output": {"frames"},
    "child.programs": {"errors", "frames", "process_tree", "protocol", "child.output", "child.process_end", "child.sandbox"},
    "child.lines_host": {"errors", "frames", "protocol", "child.loop", "child.output", "child.programs", "child.sandbox"},
    "child.check_host": {"errors", "frames", "protocol", "child.loop", "child.lines_host", "child.olean_cache", "child.output", "child.programs", "child.sandbox"},
    "child.olean_cache": {"errors"},
}  # fmt: skip

MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}


def imports_of(name, path):
    """Our own modules that a file imports, anywhere in it."""
    found = set()
    folder = name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level == 1 and folder:
                base = f"{folder}.{base}".strip(".")
            elif node.level == 0:
                if base.split(".")[0] != "lean_worker":
                    continue
                base = base.removeprefix("lean_worker").lstrip(".")
            elif node.level == 0:
                continue
            if base in MODULES or base == "_lean":
                found.add(base)
            else:
                found |= {f"{base}.{alias.name}".strip(".") for alias in node.names}
    return {module for module in found if module in MODULES or module.startswith("_")}


def test_every_module_has_a_place():
    # The command line is the outermost layer: it may use everything, and is used by nothing.
    assert {name for name in MODULES if not name.startswith("cli.")} == set(ALLOWED)


@pytest.mark.parametrize("name", sorted(name for name, allowed in ALLOWED.items() if allowed is not None))
def test_imports_go_one_way(name):
    assert imports_of(name, MODULES[name]) - {"__init__"} <= ALLOWED[name]


def test_the_two_sides_meet_in_the_shared_modules_only():
    for name, path in MODULES.items():
        if name == "__init__" or name.startswith("cli."):
            continue
        imported = imports_of(name, path)
        if name.startswith("child."):
            assert {module for module in imported if not module.startswith("child.")} <= SHARED | {"_lean"}, name
        else:
            assert not any(module.startswith("child") for module in imported), name
        assert not any(module.startswith("cli") for module in imported), name


def test_importing_the_package_loads_nothing():
    code = "import sys, lean_worker; print(*sorted(m for m in sys.modules if m.startswith('lean_worker.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["lean_worker.version"]


def test_every_public_name_is_there_and_documented():
    for name in lean_worker.__all__:
        value = getattr(lean_worker, name)
        if isinstance(value, type):
            assert value.__doc__, name
    with pytest.raises(AttributeError):
        _ = lean_worker.no_such_name
    assert set(lean_worker.__all__) <= set(dir(lean_worker))
