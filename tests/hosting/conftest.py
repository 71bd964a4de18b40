"""Fixtures of tests of kept scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lean_worker.child import olean_cache
from support import copy_of_cache, embedded_library


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the cache, for this module."""
    return copy_of_cache(tmp_path_factory.mktemp("kept") / "cache")


@pytest.fixture
def kept(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of kept scripts; nothing is there."""
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(compiled))
    directory = compiled / "scripts"
    shutil.rmtree(directory, ignore_errors=True)
    yield directory
    if directory.is_file():
        directory.unlink()


@pytest.fixture
def own_modules(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = olean_cache.prepare(embedded_library())
    monkeypatch.setenv("LEAN_PATH", str(directory))
    return directory
