"""Capabilities: the programs that workers host, their sessions, sandboxes and temporary directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from ..wire.protocol import DoctorEnvelope as DoctorEnvelope
    from ..wire.protocol import DoctorFinding as DoctorFinding
    from ..wire.protocol import ImportStats as ImportStats
    from ..wire.protocol import MetadataEnvelope as MetadataEnvelope
    from ..wire.protocol import NamedVersion as NamedVersion
    from .capability import LeanCapability as LeanCapability
    from .capability import ProcessCapability as ProcessCapability
    from .capability import PythonCapability as PythonCapability
    from .host_session import HostSession as HostSession
    from .host_session import MetadataExpectation as MetadataExpectation
    from .host_session import OpeningReport as OpeningReport
    from .launch import Capability as Capability
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
        "launch": ("Capability",),
        "capability": (
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
