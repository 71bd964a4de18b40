"""SIGKILL at 20 random moments for each sink and each process, and at every step of a commit. More: `python tests/sink_kills.py parent 200`."""

from __future__ import annotations

import collections
import json
import subprocess
import sys

import pytest

from support import TESTS

KILLS = 20


def told_by(script, *arguments):
    command = [sys.executable, str(TESTS / script), *arguments]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.mark.once
@pytest.mark.parametrize("who", ["parent", "child"])
def test_the_final_name_holds_all_or_nothing(who):
    counted = told_by("sink_kills.py", who, str(KILLS))
    print(json.dumps(counted))
    for seen in counted.values():
        assert seen["kills"] == KILLS and seen["digest equal"] == 1
        assert sum(seen.get(name, 0) for name in ("nothing", "old", "new")) == KILLS
        assert who == "child" or seen["leftovers"]


@pytest.mark.once
def test_every_step_of_a_commit():
    outcomes = told_by("sink_crashes.py")
    print(collections.Counter((outcome["before"], outcome["after"]) for outcome in outcomes))
    after = [outcome["after"] for outcome in outcomes]
    turn = after.index("new")
    # One step decides; what is found half done after it is finished by the next start, never undone.
    assert after == ["old"] * turn + ["new"] * (len(after) - turn)
    assert {outcome["before"] for outcome in outcomes[:turn]} == {"old"}
    assert "mixed" in {outcome["before"] for outcome in outcomes[turn:]}
    assert not any(outcome["left"] for outcome in outcomes) and turn > 20
