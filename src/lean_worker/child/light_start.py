"""Imports without what the imported module does not need; imported first in a worker, to import msgspec so.

msgspec takes three names from typing_extensions if that is installed, which imports `inspect`, `ast` and `dis`. From
Python 3.11 on, typing has the same ones. Its JSON schemas and its `inspect` are for those who ask for a type's shape;
its other formats are for hosted code. The `uuid` that it imports asks `platform` for the name of the system. pathlib
takes one function from `urllib.parse`. Hosted code that imports these modules later gets the modules themselves.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, cast

from ..base.deferred import Deferred


def import_with(stand_ins: Mapping[str, object], module: str) -> None:
    """Import a module that finds stand-ins in the place of some others, as far as these are not imported.

    Args:
        stand_ins: What is there instead, by the module's name; None for a module that cannot be imported.
        module: What to import.
    """
    modules = cast("dict[str, Any]", sys.modules)
    used = {name: stand_in for name, stand_in in stand_ins.items() if name not in modules}
    modules.update(used)
    try:
        importlib.import_module(module)
    finally:
        for name, stand_in in used.items():
            if modules.get(name) is stand_in:
                del modules[name]


class StandIn(Deferred):
    """Stand-in that is found in the place of a module, and becomes the module when it is first used.

    Args:
        name: The module's absolute name.
        functions: The names of functions that are taken out of it by name: stand-ins too, which call the module's.
    """

    def __init__(self, name: str, *functions: str) -> None:
        super().__init__(name)
        for function in functions:
            setattr(self, function, self._caller(function))

    def _caller(self, function: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            return getattr(self.load(), function)(*arguments, **keywords)

        return call

    def load(self) -> ModuleType:
        """Import the module, once; another version of what takes this may use it at once."""
        modules = cast("dict[str, Any]", sys.modules)
        if modules.get(self._name) is self:
            del modules[self._name]
        return super().load()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks, which would find this again
            raise AttributeError(name)
        return super().__getattr__(name)


class _Platform(StandIn):
    """The module `platform`, imported when more than the system's name is asked for."""

    @staticmethod
    def system() -> str:
        return os.uname().sysname


_stand_ins: dict[str, object] = {
    "platform": _Platform("platform"),
    "msgspec.inspect": StandIn("msgspec.inspect"),
    "msgspec._json_schema": StandIn("msgspec._json_schema", "schema", "schema_components"),
    **{name: StandIn(name) for name in ("msgspec.msgpack", "msgspec.toml", "msgspec.yaml")},
}
if sys.version_info >= (3, 11):
    _stand_ins["typing_extensions"] = None
import_with(_stand_ins, "msgspec")


def import_pathlib() -> None:
    """Import pathlib without `urllib.parse`, which only `Path.as_uri` needs."""
    import_with({"urllib.parse": StandIn("urllib.parse", "quote_from_bytes")}, "pathlib")
