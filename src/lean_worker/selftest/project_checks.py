"""Checks of a user's project: Lake's answers compared with ours, a plan, and its heaviest import."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..errors import CapabilityError, HeaderError, LakefileError, PlanningError
from ..hosting.capability import LeanCapability
from ..lake import file_settings, project_settings
from ..lake import tool as lake
from ..lake.project import LakeModule, LakeProject
from ..policy import Timeouts
from ..projects.planning import plan
from ..toolchains import script_modules
from . import texts
from .registry import Found, Setting, Skipped, check, expect

_PLANNED = 10
_IMPORT_SECONDS = 1800.0


@check("project.search_path", "where the project's modules are, as Lake says and as we find them")
def search_path(setting: Setting) -> Found:
    project = setting.need_project()
    try:
        ours = _existing(lake.usual_module_path(project))
    except LakefileError as error:
        raise Skipped(f"the lakefile computes the places, so that only Lake can tell: {error}") from error
    if setting.toolchain.program("lake") is None:
        raise Skipped(f"this Lean has no lake; in the usual places are {len(ours)} directories")
    theirs = _existing(lake.module_path(setting.toolchain, project))
    missing = [str(place) for place in theirs if place not in ours]
    surplus = [str(place) for place in ours if place not in theirs]
    expect(not missing, f"Lake names directories that we do not find without it: {', '.join(missing)}")
    more = f"; {len(surplus)} more that Lake does not name" if surplus else ""
    return Found(f"{len(theirs)} directories", f"the same with and without Lake{more}")


def _existing(places: list[Path]) -> list[Path]:
    return [place.resolve() for place in places if place.is_dir()]


@check("project.modules", "the project's modules, and how many are built")
def modules(setting: Setting) -> Found:
    project = setting.need_project()
    found = LakeProject.discover(project).modules
    expect(bool(found), "no module of a library was found")
    places = lake.module_path(setting.toolchain, project)
    built = [module for module in found if _is_built(module, places)]
    return Found(f"{len(found)} modules", f"{len(built)} of them are built")


def _is_built(module: LakeModule, places: list[Path]) -> bool:
    file = Path(*module.name.replace("«", "").replace("»", "").split(".")).with_suffix(".olean")
    return any((place / file).is_file() for place in places)


@check("project.settings", "options and libraries for one of its files, as Lake says and as the lakefile does")
def settings(setting: Setting) -> Found:
    project = setting.need_project()
    found = LakeProject.discover(project).modules
    expect(bool(found), "no module of a library was found")
    file = min(found, key=lambda module: (module.name.count("."), module.name)).path
    try:
        ours = project_settings.ProjectSettings(setting.toolchain, project, "lakefile").of_file(file)
    except (CapabilityError, LakefileError) as error:
        raise Skipped(f"the lakefile computes them, so that only Lake can tell: {error}") from error
    theirs = project_settings.ProjectSettings(setting.toolchain, project).of_file(file)
    if theirs.source != "lake":
        raise Skipped(f"this Lean has no lake; the lakefile names {len(ours.options)} options")
    differ = sorted(name for name in {**ours.options, **theirs.options} if _differs(name, ours, theirs))
    expect(not differ, f"of {theirs.module or file.name}, Lake and the lakefile differ in {', '.join(differ)}")
    libraries = len(theirs.plugins) + len(theirs.dynlibs)
    return Found(f"{len(theirs.options)} options", f"the same in the lakefile; {libraries} libraries")


def _differs(name: str, ours: file_settings.FileSettings, theirs: file_settings.FileSettings) -> bool:
    shown = [file_settings.option_text(each.options.get(name, "")) for each in (ours, theirs)]
    return shown[0] != shown[1]


@check("project.plan", "a plan over ten of the project's modules")
def planned(setting: Setting) -> Found:
    project = setting.need_project()
    found = LakeProject.discover(project)
    script = _script(setting)
    names = [module.name for module in found.modules[:_PLANNED]]
    started = time.monotonic()
    try:
        batches = plan(
            found,
            capability=LeanCapability(script, project=project, toolchain=setting.lean),
            request=lambda module: module.name,
            modules=names,
        )
    except (HeaderError, PlanningError) as error:
        if setting.is_bare:
            raise Skipped(f"the project is for another Lean than this one: {error}") from error
        raise
    seconds = time.monotonic() - started
    expect(len(batches.items) == len(names), f"expected {len(names)} items, got {len(batches.items)}")
    return Found(f"{seconds * 1000:.0f} ms", f"{len(names)} modules in {batches.import_sets} sessions")


@check("project.import", "the project's heaviest import, in a worker")
def heaviest(setting: Setting) -> Found:
    project = setting.need_project()
    name, count = _heaviest_module(setting, project)
    capability = LeanCapability(_script(setting), project=project, toolchain=setting.lean, imports=[name])
    command: StreamingCommand[Any, Any, Any] = StreamingCommand("rows")
    started = time.monotonic()
    with Pool(timeouts=Timeouts(startup=_IMPORT_SECONDS)) as pool, pool.lease(capability) as lease:
        seconds = time.monotonic() - started
        rows = lease.collect(command).rows
        memory_kib = pool.snapshot().memory_kib
    expect(len(rows) == 1000, f"expected 1000 rows, got {len(rows)}")
    memory = "unknown memory" if memory_kib is None else f"{memory_kib / 1024:,.0f} MiB of its own memory"
    return Found(f"{seconds:.1f} s", f"{name}, with {count} modules: the worker was ready then, and holds {memory}")


def _heaviest_module(setting: Setting, project: Path) -> tuple[str, int]:
    """The built module that imports most others, directly or not, and how many."""
    places = lake.module_path(setting.toolchain, project)
    built = [module.name for module in LakeProject.discover(project).modules if _is_built(module, places)]
    if not built:
        raise Skipped("none of the project's modules is built: run `lake build`")
    search_path = [*places, *([setting.toolchain.modules] if setting.toolchain.modules else [])]
    best: tuple[int, str] = (0, "")
    # A library's root module imports the whole library; it has the shortest name.
    for name in sorted(built, key=lambda each: (each.count("."), each))[:_PLANNED]:
        closure = script_modules.close([name], search_path, setting.toolchain, places)
        best = max(best, (len(closure.modules) if closure is not None else 0, name))
    return best[1], best[0]


def _script(setting: Setting) -> Path:
    script = Path(setting.directory, "Selftest.lean")
    script.write_text(texts.script(setting), "utf-8")
    return script
