"""`lean-worker extract` as a process."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from lean_worker.batch.ledger import Ledger, NewItem
from test_cli import ENV, RUN


@pytest.mark.lean
def test_after_an_interrupt_messages_tell_of_no_ledger(tmp_path):
    """One that lies there may be what another extraction into the same file has left."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    reads = f'#eval (do let text ← IO.FS.readFile "{gate}"; IO.println text : IO Unit)\n'
    (tmp_path / "waits.lean").write_text("prelude\nimport LeanWorker\nopen LeanWorker\n" + reads)
    with Ledger(tmp_path / "rows.jsonl.ledger", for_work=True) as left:
        left.ask_for([NewItem("another", "1", "declarations", "", "", "")])
    arguments = ["extract", "messages", "waits.lean", "--out", "rows.jsonl", "--toolchain", "embedded"]
    process = subprocess.Popen([*RUN, *arguments], cwd=tmp_path, env=ENV, stderr=subprocess.PIPE, text=True)
    with gate.open("wb"):  # it opens when Lean does
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said and "stored" not in said
    assert not (tmp_path / "rows.jsonl").exists()
