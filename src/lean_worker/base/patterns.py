"""Regular expressions that are compiled when they are first used; each takes up to a third of a millisecond."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, AnyStr

from .deferred import Deferred

if TYPE_CHECKING:
    import re
else:
    re = Deferred("re")


@functools.cache
def compiled(pattern: AnyStr) -> re.Pattern[AnyStr]:
    """Return the compiled form of a pattern of the program's own; it is kept for good."""
    return re.compile(pattern)
