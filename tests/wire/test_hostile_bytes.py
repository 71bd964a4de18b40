"""Three hundred cases of `hostile.py`, both ways; ten thousand each by its own commands."""

from __future__ import annotations

import pytest

import hostile

pytestmark = pytest.mark.once


def test_hostile_children_against_us():
    report = hostile.run_children(140, seed=1)
    assert report["wedged"] == 0
    outcomes = report["outcomes"]
    assert outcomes["ok"] > 5 and outcomes["MalformedFrame"] > 20 and outcomes["SequenceGap"] > 2


def test_hostile_clients_against_children():
    report = hostile.run_clients(140, seed=1)
    assert report["outcomes"]["content: answered"] > 25
    assert report["outcomes"]["body: ended, exit code 1"] > 10


@pytest.mark.lean
def test_hostile_clients_against_real_lean():
    report = hostile.run_clients(20, seed=1, lean=True)
    assert report["outcomes"]["content: answered"] > 3
