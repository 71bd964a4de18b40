"""Checked files that attack their judges and each other: only their own verdicts are theirs."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from lean_files import HEADER, accepted, runs_program
from lean_worker.base import landlock
from lean_worker.child.olean_cache import prepare
from support import HOSTS, copy_of_cache, wait_until

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux only")]

BAD = HEADER + "theorem t (p q : Prop) (h : And p q) : p := h.right\n"
GOOD = accepted(0).text
ATTACKS = (
    "take_descriptors", "open_descriptors", "list_descriptors", "signals", "trace", "limits",
    "write_shared", "leave_a_tree", "daemons", "many_processes", "forged_messages", "sockets",
)  # fmt: skip
ON_OTHERS = ("take_descriptors", "signals", "trace", "limits", "write_shared")
LEAVING = ("write_shared", "leave_a_tree", "daemons", "many_processes")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that may be lost, on a system that holds checked files."""
    if landlock.version() < landlock.LEAST_VERSION:
        pytest.skip("without Landlock a checked file may write what its user may")
    copy = copy_of_cache(tmp_path_factory.mktemp("own") / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAN_WORKER_CACHE_DIR", str(copy))
        yield


def snapshot(directories):
    """Everything of some directories that a file must not change; workers keep a note of files that they compared."""
    return {
        str(path): (path.stat().st_mode, path.stat().st_ino, path.read_bytes() if path.is_file() else None)
        for directory in directories
        for path in sorted(directory.rglob("*"))
        if path.name != "compared.json"
    }


class Contest:
    """Attackers between victims, and what came of all of them."""

    def __init__(self, directory, attacks, **options):
        self.directories = [directory, prepare(lw.toolchains.resolve("embedded").library)]
        targets = {"directories": [str(d) for d in self.directories], "text": GOOD, "processes": 100}
        self._directory = directory
        names = []
        for i, attack in enumerate(attacks):
            names.append(self._attack(f"{i}-attack", attack, targets))
            if attack in LEAVING:
                names.append(self._attack(f"{i}-look", "look_around", targets))
            names += [self._file(f"{i}-bad", BAD), self._file(f"{i}-good", GOOD)]
        before = snapshot(self.directories)
        self.outcomes = {
            Path(checked.file).stem: checked
            for checked in lw.check(names, toolchain="embedded", timeout=20, in_order=True, **options)
        }
        after = snapshot(self.directories)
        self.changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))

    def _file(self, name, text):
        file = self._directory / f"{name}.lean"
        file.write_text(text)
        return file

    def _attack(self, name, attack, targets):
        argv = [sys.executable, "-S", str(HOSTS / "judge_attacks.py"), attack, json.dumps(targets)]
        return self._file(name, runs_program(argv))

    def verdicts(self, kind):
        return {checked.verdict.value for name, checked in self.outcomes.items() if name.endswith(kind)}

    def said(self, kind):
        """The report of each of the attacks, by its name."""
        found = []
        for name, checked in self.outcomes.items():
            if name.endswith(kind):
                lines = [json.loads(line) for line in checked.output.splitlines() if line.startswith('{"attack"')]
                # A file that forges messages may lose its own, and its own verdict.
                found += lines[-1:]
        return found


def knows_scopes():
    return tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


def sandboxes(directory):
    return {"open": None, "locked": lw.Sandbox(readable=[HOSTS, directory])}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("how", ["open", "locked"])
def test_an_attack_changes_no_verdict_but_its_own(cache, tmp_path, how, jobs):
    attacks = ATTACKS if jobs == 1 else ON_OTHERS
    contest = Contest(tmp_path, attacks, jobs=jobs, sandbox=sandboxes(tmp_path)[how])
    assert contest.verdicts("bad") == {"rejected"}
    assert contest.verdicts("good") == {"accepted"}
    assert contest.changed == []
    reports = {report["attack"]: report for report in contest.said("attack")}
    assert {*reports, "forged_messages"} == {*attacks, "forged_messages"}
    for name in ON_OTHERS:
        if name != "signals" or knows_scopes():
            assert reports[name]["outcomes"] == {} and reports[name]["refused"] > 1, reports[name]
    # What the file's process holds leads to its own pipes, or nowhere.
    held = reports["list_descriptors"]["outcomes"] if "list_descriptors" in reports else {"0": "", "1": "", "2": ""}
    assert {"0", "1", "2"} <= held.keys()
    leads_nowhere = ("'anon_inode:[eventfd]'", "'/proc/")
    assert [link for number, link in held.items() if int(number) > 2 and not link.startswith(leads_nowhere)] == []
    looks = contest.said("look")
    assert len(looks) == len(set(LEAVING) & set(attacks))
    for look in looks:
        assert look["outcomes"]["temporary"] == []
        assert [name for name in look["outcomes"]["environment"] if name.startswith("LEAN_WORKER_RING")] == []
        if jobs == 1:
            assert look["outcomes"]["daemons"] == []
    wait_until(lambda: not _daemons())


def _daemons():
    return [p for p in psutil.process_iter(["cmdline"]) if "lean-worker-test-daemon" in (p.info["cmdline"] or ())]
