"""Choice between the compiled framing, `_frames`, and its pure twin, `frames_py`.

The environment variable LEAN_WORKER_NO_EXTENSIONS=1 chooses the pure twin. `IMPLEMENTATION` names the one in use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

_NAMES = (
    "DEFAULT_FRAME_BYTES",
    "MAX_FRAME_BYTES",
    "MIN_FRAME_BYTES",
    "PROTOCOL_VERSION",
    "STATUS_CANCELLED",
    "STATUS_CLOSED",
    "STATUS_MALFORMED",
    "STATUS_NO_STREAM",
    "STATUS_OK",
    "STATUS_TOO_LARGE",
    "Flag",
    "FlatStruct",
    "FrameReader",
    "Row",
    "RowCursor",
    "RowIterator",
    "RowWriter",
    "encode_frame",
    "encode_message",
    "encode_row",
    "encode_rows",
    "is_json",
    "json_text",
    "resolve_row",
)

if TYPE_CHECKING:
    from .frames_py import *  # noqa: F403

IMPLEMENTATION = "py"

if not TYPE_CHECKING:
    _chosen = None
    if os.environ.get("LEAN_WORKER_NO_EXTENSIONS", "") in ("", "0"):
        try:
            _chosen = importlib.import_module("lean_worker._frames")
        except ModuleNotFoundError as error:
            # Absent is a choice of the installation; anything else that goes wrong is a broken build and must be seen.
            if error.name != "lean_worker._frames":
                raise
        except ImportError as error:
            raise ImportError(
                f"the compiled module lean_worker._frames is there but cannot be loaded: {error}. Rebuild it "
                "(pip install --force-reinstall --no-binary lean-worker lean-worker), or set "
                "LEAN_WORKER_NO_EXTENSIONS=1"
            ) from error
        else:
            IMPLEMENTATION = "c"
    if _chosen is None:
        from . import frames_py as _chosen
    globals().update({name: getattr(_chosen, name) for name in _NAMES})

__all__ = ["IMPLEMENTATION", *_NAMES]  # pyright: ignore[reportUnsupportedDunderAll]
