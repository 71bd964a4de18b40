"""A scripted worker for the tests of programs that use lean-worker: real process, real pipe, no Lean.

    from lean_worker.testing import Crash, Attempts, Row, fake_worker

    def test_my_program_survives_a_crash():
        script = {"declarations": Attempts([Row({"name": "a"}), Crash("SIGSEGV")], [Row({"name": "a"})])}
        with fake_worker(script) as fake, lw.Pool() as pool:
            my_program(pool, capability=fake)
        assert [call.command for call in fake.requests] == ["declarations", "declarations"]

`lean_worker.testing.script` defines the steps. `lean_worker.pytest_plugin` provides a pytest fixture.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..base.arguments import check_path, check_text, shown
from ..errors import CapabilityError, UsageError
from ..hosting import temporary
from ..hosting.launch import Launch
from ..toolchains.environment import worker_environment
from .script import Script, ScriptPlan

_PLAYER = Path(__file__).parent.parent / "child" / "fake_worker.py"


class ReceivedRequest(msgspec.Struct, frozen=True):
    """A request that entered a fake worker.

    Attributes:
        command: The command's name.
        request: The request as plain JSON values.
    """

    command: str
    request: Any


class FakeWorker:
    """A capability whose workers play a script. Made by `fake_worker`; any thread may use it.

    Every pool starts real processes for it, as many as it wants; all of them share the counts of `Attempts`, the gates
    and the list of requests.
    """

    def __init__(self, directory: Path, gates: Collection[str] = ()) -> None:
        self._directory = directory
        self._gates = gates
        self._calls: list[ReceivedRequest] | None = None

    def launch(self) -> Launch:
        """See `Capability.launch`.

        Raises:
            CapabilityError: The `with` block of the fake has ended.
        """
        if self._calls is not None:
            raise CapabilityError(
                "hosting a fake worker: its with block has ended",
                hint="Create and close the pool inside the with block.",
            )
        # Isolated and without site-packages: it comes up at once, whatever is installed.
        argv = (sys.executable, "-I", "-S", str(_PLAYER), str(self._directory))
        return Launch(argv, worker_environment({}), None, "fake worker")

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests that entered workers so far, oldest first; a second attempt is listed again.

        They remain available after the block.
        """
        if self._calls is not None:
            return self._calls
        try:
            lines = (self._directory / "requests.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line, type=ReceivedRequest) for line in lines]

    def open_gate(self, name: str = "gate") -> None:
        """Let every worker pass that waits, or will wait, at `Gate(name)`.

        Raises:
            UsageError: No script has a gate of that name, or the `with` block of the fake has ended.
        """
        if not isinstance(name, str) or name not in self._gates:
            raise UsageError(
                f"opening a gate: expected one of the scripts' gates, {sorted(self._gates)}, got {shown(name)}",
                hint="Give the name that the script waits for.",
            )
        try:
            (self._directory / f"gate-{name}").touch()
        except FileNotFoundError as error:
            raise UsageError(
                "opening a gate: the with block of the fake worker has ended",
                hint="Open gates, and close the pool, inside the block.",
            ) from error


@contextlib.contextmanager
def fake_worker(
    commands: Mapping[str, Script], *, startup: Script = (), directory: Path | None = None
) -> Iterator[FakeWorker]:
    """A fake worker for the length of the block. Create and close the pool inside the block too.

    Args:
        commands: A script for each command's name. If a script does not end the request, the worker answers with
            success: a stream with a correct summary, a JSON command with null. Steps after the answer are played too.
            Commands not listed here raise `UnknownCommand` in the caller.
        startup: Steps before the worker is ready. It sends its handshake after them, unless the handshake is one of
            the steps.
        directory: Directory for the fake's files; it must exist and is not removed. By default a temporary one that is
            removed at the end; if this process is killed before, by the next process that starts a worker.

    Raises:
        CapabilityError: There can be no temporary directory.
        ResourceExhausted: There is no room, or no descriptor, for one.
        UsageError: A script contains something other than steps, or a value that a step cannot have.
    """
    if not isinstance(commands, Mapping):
        raise UsageError(
            f"scripting a worker: expected commands as a mapping to scripts, got {shown(commands)}",
            hint="Give a dict, as in {'count': [Answer(1)]}.",
        )
    for name in commands:
        check_text("scripting a worker", "the name of a command", name)
    check_path("scripting a worker", "directory", directory)
    if directory is not None and not Path(directory).is_dir():
        raise UsageError(
            f"scripting a worker: {shown(directory)} is no directory",
            hint="Give a directory that exists, or leave it out.",
        )
    plan = ScriptPlan()
    form = {
        "startup": plan.of(startup, "the start-up"),
        "commands": {name: plan.of(script, f"the command {name!r}") for name, script in commands.items()},
    }
    place = temporary.make("fake") if directory is None else Path(directory)
    (place / "script.json").write_bytes(msgspec.json.encode(form))
    fake = FakeWorker(place, plan.gates)
    try:
        yield fake
    finally:
        fake._calls = fake.requests
        if directory is None:
            shutil.rmtree(place, ignore_errors=True)
