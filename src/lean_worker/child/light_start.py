"""Import of msgspec without what it does not need; imported first in a worker.

msgspec takes three names from typing_extensions if that is installed, which imports `inspect`, `ast` and `dis`. From
Python 3.11 on, typing has the same ones. Its JSON schemas use `textwrap`. The `uuid` that it imports asks `platform`
for the name of the system. Hosted code that imports these modules later gets the modules themselves.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from ..base.deferred import Deferred


class _Platform(Deferred):
    """The module `platform`, imported when more than the system's name is asked for."""

    def __init__(self) -> None:
        super().__init__("platform")

    @staticmethod
    def system() -> str:
        return os.uname().sysname


stand_ins: dict[str, object] = {"platform": _Platform(), "textwrap": Deferred("textwrap")}
if sys.version_info >= (3, 11):
    stand_ins["typing_extensions"] = None
modules = cast("dict[str, Any]", sys.modules)
stand_ins = {name: stand_in for name, stand_in in stand_ins.items() if name not in modules}
modules.update(stand_ins)
try:
    import msgspec as msgspec
finally:
    for name in stand_ins:
        del modules[name]
