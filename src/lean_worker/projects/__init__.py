"""Lake projects: which modules one has, what they import, and work over them in batches.

In the order of the data: `lakefile_toml` or `lakefile_lean` (with `lakefile_tokens`) read what is declared
(`lake_library`), `lake_project` finds the modules, `lean_header` reads their imports, `import_graph` follows them,
`sessions` says what a capability will open, `balance` makes batches, `planning` is what callers use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .planning import Batch as Batch
    from .planning import Plan as Plan
    from .planning import plan as plan
    from .planning import plan_items as plan_items

__all__ = ["Batch", "Plan", "plan", "plan_items"]

__getattr__ = lazy_names(
    __name__,
    {
        "planning": (
            "Batch",
            "Plan",
            "plan",
            "plan_items",
        )
    },
)
