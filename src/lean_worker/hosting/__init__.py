"""What a worker hosts, and what it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .capability import Capability as Capability
    from .capability import LeanCapability as LeanCapability
    from .capability import ProcessCapability as ProcessCapability
    from .capability import PythonCapability as PythonCapability
    from .host_session import HostSession as HostSession
    from .host_session import MetadataExpectation as MetadataExpectation
    from .host_session import OpeningReport as OpeningReport
    from .lines import LinesCapability as LinesCapability
    from .sandbox import Sandbox as Sandbox

__all__ = [
    "Capability",
    "HostSession",
    "LeanCapability",
    "LinesCapability",
    "MetadataExpectation",
    "OpeningReport",
    "ProcessCapability",
    "PythonCapability",
    "Sandbox",
]

__getattr__ = lazy_names(
    __name__,
    {
        "capability": (
            "Capability",
            "LeanCapability",
            "ProcessCapability",
            "PythonCapability",
        ),
        "host_session": (
            "HostSession",
            "MetadataExpectation",
            "OpeningReport",
        ),
        "lines": ("LinesCapability",),
        "sandbox": ("Sandbox",),
    },
)
