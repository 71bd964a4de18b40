"""The versions of Lean that the extractor's text is written for, as `doctor` says them."""

from __future__ import annotations

import pytest

from lean_worker.extraction.versions import extracted_by, is_written_for


@pytest.mark.parametrize(
    ("version", "is_one"),
    [("4.22.0", True), ("4.35.0", True), ("4.100.0-rc1", True), ("5.0.0", True), ("4.21.9", False), (None, False)],
)
def test_which_versions(version, is_one):
    assert is_written_for(version) is is_one
    said = extracted_by(version)
    assert said.startswith("declarations") is is_one and ("4.22 and later" in said) is not is_one and "messages" in said
