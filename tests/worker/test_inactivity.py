"""`Timeouts.inactivity` counts whole frames of any kind, on both surfaces."""

from __future__ import annotations

import pytest

import lean_worker as lw
from fakes import fake
from lean_worker.testing import Diagnostic, Hang, Progress, RawBytes, Row, Sleep
from support import FUNCTIONS

ROWS = lw.StreamingCommand("rows")
FRAME = b'{"version":10,"message":{"type":"data_row","body":{"stream":"rows","sequence":1,"payload":{}}}}'


@pytest.fixture(params=["pipe", "ring"])
def transport(request, monkeypatch):
    if request.param == "pipe":
        monkeypatch.setenv("LEAN_WORKER_NO_RING", "1")


@pytest.mark.supervision
def test_bytes_of_a_frame_are_no_frame(Pool):
    """A worker that sends a byte now and then, but never a whole frame, is inactive."""
    drips = [step for byte in FRAME for step in (RawBytes(bytes([byte])), Sleep(0.05))]
    worker = fake({"rows": [Row({"i": 0}), RawBytes(len(FRAME).to_bytes(4, "big")), *drips, Hang()]})
    with Pool(timeouts=lw.Timeouts(inactivity=0.6)) as pool, pool.lease(worker) as lease:
        with pytest.raises(lw.RequestTimeout, match="no frame came") as caught:
            lease.run(ROWS, {}, on_row=lambda row: None, timeout=60)
    assert (caught.value.kind, caught.value.rows_delivered) == ("inactivity", 1)
    assert len(drips) // 2 * 0.05 > 4  # the frame would have been whole long after


@pytest.mark.supervision
@pytest.mark.parametrize(
    "event", [Row({}), Progress("p", 1), Diagnostic("a.b", "m")], ids=["row", "progress", "diagnostic"]
)
def test_every_kind_of_frame_counts(Pool, event):
    steps = [step for _ in range(12) for step in (event, Sleep(0.25))]
    worker = fake({"rows": steps})
    with Pool(timeouts=lw.Timeouts(inactivity=2)) as pool, pool.lease(worker) as lease:
        summary = lease.run(ROWS, {}, on_row=lambda row: None, timeout=60)
    assert summary.total_rows == (12 if isinstance(event, Row) else 0)


@pytest.mark.supervision
def test_a_silent_stream_is_inactive_by_either_way(Pool, transport):
    silent = lw.StreamingCommand("row_then_hang")
    with Pool(timeouts=lw.Timeouts(inactivity=0.5)) as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.RequestTimeout) as caught:
            lease.run(silent, on_row=lambda row: None, timeout=60)
    assert (caught.value.kind, caught.value.rows_delivered) == ("inactivity", 1)
