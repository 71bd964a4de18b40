"""What a worker hosts, and what it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from ..wire.protocol import DoctorEnvelope as DoctorEnvelope
    from ..wire.protocol import DoctorFinding as DoctorFinding
    from ..wire.protocol import ImportStats as ImportStats
    from ..wire.protocol import MetadataEnvelope as MetadataEnvelope
    from ..wire.protocol import NamedVersion as NamedVersion
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
    "DoctorEnvelope",
    "DoctorFinding",
    "HostSession",
    "ImportStats",
    "LeanCapability",
    "LinesCapability",
    "MetadataEnvelope",
    "MetadataExpectation",
    "NamedVersion",
    "OpeningReport",
    "ProcessCapability",
    "PythonCapability",
    "Sandbox",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".wire.protocol": ("DoctorEnvelope", "DoctorFinding", "ImportStats", "MetadataEnvelope", "NamedVersion"),
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
