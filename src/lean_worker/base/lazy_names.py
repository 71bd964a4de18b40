"""Names that a package offers and loads when they are first used.

A worker process, and a program that uses a part only, then load no more than they need; and a package that offers what
its modules define is in no circle with them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package.

    Args:
        package: The package's own name.
        homes: The names that each of its modules defines; modules are named from the package on
            (`.wire` is its sibling).
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{home}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
