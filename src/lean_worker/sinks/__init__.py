"""Sinks: files and tables that hold all rows of a request or none.

Nothing is visible under the final name until the request has succeeded and all rows are on the disk. A crash of the
worker, of this process or of the machine leaves the old content or the complete new content. The next sink opened in a
directory removes the leftovers of dead processes.
"""

from __future__ import annotations

from .base import OpenSink, Sink
from .callables import CallableSink
from .json_lines import JsonLinesSink
from .parquet import ParquetSink
from .recovery import recover
from .sqlite import SqliteSink

__all__ = ["CallableSink", "JsonLinesSink", "OpenSink", "ParquetSink", "Sink", "SqliteSink", "recover"]
