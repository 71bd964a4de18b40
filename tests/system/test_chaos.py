"""Ten seconds of `chaos.py`; sixty by its own command."""

from __future__ import annotations

import pytest

import chaos

pytestmark = pytest.mark.supervision


@pytest.mark.once
def test_nothing_is_lost_or_doubled_while_workers_are_killed(capsys):
    figures = chaos.run(10)
    with capsys.disabled():
        print(f"\nchaos: {figures}")
    assert figures["kills"] >= 10 and figures["outcomes"]["ok"] >= 10
