"""Import of msgspec without typing_extensions, which imports `inspect`, `ast` and `dis`; imported first in a worker.

msgspec takes three names from typing_extensions if that is installed. From Python 3.11 on, typing has the same ones.
"""

from __future__ import annotations

import sys
from typing import Any, cast

if sys.version_info >= (3, 11) and "typing_extensions" not in sys.modules:
    modules = cast("dict[str, Any]", sys.modules)
    modules["typing_extensions"] = None
    try:
        import msgspec as msgspec
    finally:
        del modules["typing_extensions"]
