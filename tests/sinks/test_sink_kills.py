"""SIGKILL at 20 random moments for each sink and each process, for a job, and at every step of a commit.

More: `python tests/helpers/sink_kills.py parent 200`, `python tests/helpers/sink_kills.py child 200`, `python tests/helpers/job_kills.py 200`.
"""

from __future__ import annotations

import collections
import json
import subprocess
import sys

import pytest

from support import HELPERS

KILLS = 20


RUNS = {
    "parent": ("sink_kills.py", "parent", str(KILLS)),
    "child": ("sink_kills.py", "child", str(KILLS)),
    "job": ("job_kills.py", str(KILLS // 2)),
    "steps": ("sink_crashes.py",),
}


@pytest.fixture(scope="module")
def told_by():
    """The output of a run. All are started at once: they wait for processes to start more than they compute."""
    processes = {
        name: subprocess.Popen(
            [sys.executable, str(HELPERS / script), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (script, *arguments) in RUNS.items()
    }

    def tell(name):
        output, errors = processes[name].communicate(timeout=300)
        assert processes[name].returncode == 0, errors
        return json.loads(output)

    yield tell
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.mark.once
@pytest.mark.parametrize("who", ["parent", "child"])
def test_the_final_name_holds_all_or_nothing(who, told_by):
    counted = told_by(who)
    print(json.dumps(counted))
    assert len(counted) == 4
    for kind, seen in counted.items():
        assert seen["kills"] == KILLS and seen["digest equal"] == 1
        assert sum(seen.get(name, 0) for name in ("nothing", "old", "new")) == KILLS
        assert who == "child" or kind == "callable" or seen["leftovers"]


@pytest.mark.once
def test_a_job_that_is_killed_again_and_again(told_by):
    seen = told_by("job")
    print(json.dumps(seen))
    assert seen["kills"] >= KILLS // 2 and seen["digests equal"] == seen["jobs"] > 1
    assert seen["kills that found items done"] > 0


@pytest.mark.once
def test_every_step_of_a_commit(told_by):
    outcomes = told_by("steps")
    print(collections.Counter((outcome["before"], outcome["after"]) for outcome in outcomes))
    after = [outcome["after"] for outcome in outcomes]
    turn = after.index("new")
    # One step decides; what is found half done after it is finished by the next start, never undone.
    assert after == ["old"] * turn + ["new"] * (len(after) - turn)
    assert {outcome["before"] for outcome in outcomes[:turn]} == {"old"}
    assert "mixed" in {outcome["before"] for outcome in outcomes[turn:]}
    assert not any(outcome["left"] for outcome in outcomes) and turn > 20
