"""Checking Lean files, and capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .async_files import check_async as check_async
    from .capability_report import CapabilityFinding as CapabilityFinding
    from .capability_report import CapabilityReport as CapabilityReport
    from .capability_report import check_capability as check_capability
    from .files import check as check
    from .results import CheckMessage as CheckMessage
    from .results import CheckPosition as CheckPosition
    from .results import CheckResult as CheckResult
    from .results import Verdict as Verdict

__all__ = [
    "CapabilityFinding",
    "CapabilityReport",
    "CheckMessage",
    "CheckPosition",
    "CheckResult",
    "Verdict",
    "check",
    "check_async",
    "check_capability",
]

__getattr__ = lazy_names(
    __name__,
    {
        "async_files": ("check_async",),
        "capability_report": (
            "CapabilityFinding",
            "CapabilityReport",
            "check_capability",
        ),
        "files": ("check",),
        "results": (
            "CheckMessage",
            "CheckPosition",
            "CheckResult",
            "Verdict",
        ),
    },
)
