"""The kept inputs of the fuzzer, and what it found once; `ci/fuzz` looks for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz import oracles

pytestmark = pytest.mark.compiled

FOLDER = Path(__file__).parents[1] / "fuzz"
TARGETS = oracles.targets()


@pytest.fixture(scope="module")
def twins():
    return oracles.twins()


@pytest.mark.parametrize("kept", ["corpus", "regressions"])
@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs(twins, target, kept):
    for name, data in oracles.kept_inputs(FOLDER / kept, target):
        try:
            TARGETS[target](*twins, data)
        except BaseException as error:
            raise AssertionError(f"{kept}/{target}/{name}") from error


def test_there_are_inputs_for_every_target():
    for target in TARGETS:
        assert len(list(oracles.kept_inputs(FOLDER / "corpus", target))) >= 10
