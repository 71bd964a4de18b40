"""Many requests: scheduling, outcomes, and resumable jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from ..commands import Command as Command
    from .job import Job as Job
    from .job import JobReport as JobReport
    from .ledger import JobItem as JobItem
    from .outcome import MapProgress as MapProgress
    from .outcome import Outcome as Outcome
    from .requests import RequestBatch as RequestBatch
    from .requests import RequestPlan as RequestPlan

__all__ = ["Command", "Job", "JobItem", "JobReport", "MapProgress", "Outcome", "RequestBatch", "RequestPlan"]

__getattr__ = lazy_names(
    __name__,
    {
        ".commands": ("Command",),
        "job": (
            "Job",
            "JobReport",
        ),
        "ledger": ("JobItem",),
        "outcome": (
            "MapProgress",
            "Outcome",
        ),
        "requests": (
            "RequestBatch",
            "RequestPlan",
        ),
    },
)
