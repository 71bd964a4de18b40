"""Modules that are imported when they are first used, or at the latest when a program makes its first pool.

`import lean_worker` then does not pay for what only a running worker needs. An import needs descriptors, and must not
begin in a signal handler or a finalizer: `load_all` runs before there can be any of these.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class Deferred:
    """A stand-in for a module: the first attribute that is asked for imports it.

    Args:
        name: The module's absolute name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None
        _all.append(self)

    def load(self) -> ModuleType:
        """Import the module, once."""
        module = self._module
        if module is None:
            module = self._module = importlib.import_module(self._name)
        return module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.load(), name)


_all: list[Deferred] = []


def load_all() -> None:
    """Import every module that is still deferred."""
    for module in _all:
        module.load()
