"""The scripted worker of `lean_worker.testing` as a pytest fixture.

It is not loaded by itself; say so in a `conftest.py`: `pytest_plugins = ["lean_worker.pytest_plugin"]`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import pytest

from .testing import scripted_worker as testing
from .testing.script import Script


@pytest.fixture
def fake_worker() -> Iterator[Callable[..., testing.FakeWorker]]:
    """Makes fake workers for one test, with the arguments of `lean_worker.testing.fake_worker`.

    Close the pool that uses one before the test ends, as its `with` block does.
    """
    with contextlib.ExitStack() as fakes:

        def make(commands: Mapping[str, Script], *, startup: Script = ()) -> testing.FakeWorker:
            return fakes.enter_context(testing.fake_worker(commands, startup=startup))

        yield make
