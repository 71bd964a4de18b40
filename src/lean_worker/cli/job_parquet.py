"""Output of a job in Parquet: the parts of all items in one file."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from ..batch.incomplete_output import may_write, take_note
from ..batch.ledger import Ledger
from ..sinks.parquet import arrow_schema
from ..sinks.parts import Directory, refusal, storing
from ..wire.columns import Layout

_COPY_BYTES = 1 << 22


def write_parquet(ledger: Path, out: Path, *, allow_incomplete: bool) -> bool:
    """Write the rows of all done items to one file, in the order of the requests.

    Args:
        ledger: The ledger of a job with parts in Parquet and no row type.
        out: The file.
        allow_incomplete: As of `Job`.

    Returns:
        Whether it was written: not if it would replace a file with more items, or another one than this job's.

    Raises:
        SinkError: It cannot be written, or a part is not what it was; then its item is due again.
    """
    import pyarrow.parquet

    # Of the ledger's own name: who holds it may take the place of what a killed process has left.
    unfinished = out.with_name(f".{out.name}.{_name_of(ledger)}.part")
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Ledger(ledger, for_work=True))
        if not may_write(opened, out, allow_incomplete=allow_incomplete):
            return False
        stack.enter_context(storing("writing", out))
        unfinished.unlink(missing_ok=True)
        stack.callback(unfinished.unlink, missing_ok=True)
        file = stack.enter_context(unfinished.open("xb"))
        schema = arrow_schema(Layout(None).columns)
        with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for key, part, digest in opened.parts():
                with part.open("rb") as source:
                    if _digest_of(source) != digest:
                        opened.redo(key, "its part was damaged")
                        why = f"the part {part} is not what was committed; its item is due again"
                        raise refusal("committing", out, why, "Run the job again.")
                    source.seek(0)
                    for batch in pyarrow.parquet.ParquetFile(source).iter_batches():
                        writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())
        take_note(opened, os.fstat(file.fileno()))
        unfinished.replace(out)
        with Directory(out.parent.resolve()) as directory:
            directory.sync()
    return True


def _name_of(ledger: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(ledger))).hexdigest()[:12]


def _digest_of(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := source.read(_COPY_BYTES):
        digest.update(block)
    return digest.hexdigest()
