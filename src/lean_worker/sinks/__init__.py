"""Where rows go for good: files and tables that hold all rows of a request, or nothing of them.

Nothing is visible under the final name until the request has ended in success and all is on the disk. A crash of the
worker, of this process or of the machine leaves what was there before, or all that is new. What a dead process left
beside the final name is removed when the next sink is opened in that directory.
"""

from __future__ import annotations

from .base import OpenSink, Sink
from .callables import CallableSink
from .json_lines import JsonLinesSink
from .parquet import ParquetSink
from .recovery import recover
from .sqlite import SqliteSink

__all__ = ["CallableSink", "JsonLinesSink", "OpenSink", "ParquetSink", "Sink", "SqliteSink", "recover"]
