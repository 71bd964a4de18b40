"""Names of files and what they say about the format: a sink writes no file under the name of another format."""

from __future__ import annotations

import os
from pathlib import Path

from ..base.trusted_files import path_of
from ..errors import UsageError

JSON_LINES = "JSON lines"
PARQUET = "Parquet"
SQLITE = "an SQLite database"
DATABASES = (".db", ".sqlite", ".sqlite3")
NOT_WRITTEN = (".csv", ".tsv", ".xlsx", ".arrow", ".feather", ".avro", ".orc")
"""Endings of formats for which there is no sink."""
OPEN_FILES = ("/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")
"""Beginnings of names that stand for an open file, whatever it is."""
_ENDINGS = {
    JSON_LINES: (".jsonl", ".ndjson", ".json"),
    PARQUET: (".parquet", ".pq"),
    SQLITE: DATABASES,
    "a source file": (".lean", ".py"),
    "a format that is not written": NOT_WRITTEN,
    "a compressed file, and rows are not compressed": (".gz", ".zst", ".bz2", ".xz", ".lz4", ".zip"),
}
_HINTS = {
    JSON_LINES: "Name the file .jsonl, or store the rows with a ParquetSink or an SqliteSink.",
    PARQUET: "Name the file .parquet, or store the rows with a JsonLinesSink or an SqliteSink.",
    SQLITE: "Name the file .db, or store the rows with a JsonLinesSink or a ParquetSink.",
}


def target_of(doing: str, path: str | os.PathLike[str], written: str) -> Path:
    """Return the path of a file that is to be written.

    Args:
        doing: What is being done, for errors.
        path: The file.
        written: Its format: `JSON_LINES`, `PARQUET` or `SQLITE`.

    Raises:
        UsageError: It is no path, or the name is that of an open file or of a directory, or has the ending of another
            format.
    """
    target = path_of(doing, path)
    if str(target).startswith(OPEN_FILES):
        raise UsageError(
            f"{doing}: expected the name of a file, got {target}, which stands for an open one",
            hint="Name the file itself: it is replaced as a whole, when all rows are there.",
        )
    if os.fspath(path).endswith(os.sep) or os.path.isdir(target):
        raise UsageError(
            f"{doing}: expected the name of a file, got {os.fspath(path)}, which is that of a directory",
            hint="Name a file in it, without a slash at the end.",
        )
    ending = target.suffix.lower()
    for named, endings in _ENDINGS.items():
        if named != written and ending in endings:
            raise UsageError(
                f"{doing}: it writes {written}, and the name {target.name} is that of {named}", hint=_HINTS[written]
            )
    return target
