"""Many requests: scheduling, outcomes, and resumable jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .job import Job as Job
    from .job import JobReport as JobReport
    from .ledger import JobItem as JobItem
    from .outcomes import MapProgress as MapProgress
    from .outcomes import Outcome as Outcome
    from .outcomes import Outcomes as Outcomes
    from .requests import RequestBatch as RequestBatch
    from .requests import RequestPlan as RequestPlan

__all__ = ["Job", "JobItem", "JobReport", "MapProgress", "Outcome", "Outcomes", "RequestBatch", "RequestPlan"]

__getattr__ = lazy_names(
    __name__,
    {
        "job": (
            "Job",
            "JobReport",
        ),
        "ledger": ("JobItem",),
        "outcomes": (
            "MapProgress",
            "Outcome",
            "Outcomes",
        ),
        "requests": (
            "RequestBatch",
            "RequestPlan",
        ),
    },
)
