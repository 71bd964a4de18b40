"""Access to the core of a pool, lease, stream or outcomes.

A core holds the rules as steps, and is shared by the class for threads and the one for asyncio. Its methods are public
for the modules of this package and are no part of the API. A class that users hold creates its core, or gets it from
another core. The rule for everybody else: only a module that runs requests of a pool which its caller made asks
`core_of`; `tests/system/test_surfaces.py` names these modules.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

CoreT_co = TypeVar("CoreT_co", covariant=True)


class HasCore(Protocol[CoreT_co]):
    """A class that users hold, such as `Pool` or `AsyncLease`."""

    @property
    def _core(self) -> CoreT_co: ...


class HasBlockingCore(HasCore[CoreT_co], Protocol[CoreT_co]):
    """One of these that is for `with`, such as `Pool` or `RayPool`; those for asyncio are not."""

    def __enter__(self) -> Any: ...


def core_of(surface: HasCore[CoreT_co]) -> CoreT_co:
    """Return the core of a pool, lease, stream or outcomes."""
    return surface._core
