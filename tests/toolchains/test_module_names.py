"""Names of modules: parts, `«»`, and files."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_worker.errors import InvalidModuleName
from lean_worker.toolchains import module_names


@pytest.mark.parametrize(
    ("text", "parts", "canonical"),
    [
        ("Foo", ("Foo",), "Foo"),
        ("Foo.Bar_1.x'!?", ("Foo", "Bar_1", "x'!?"), "Foo.Bar_1.x'!?"),
        ("«Foo».Bar", ("Foo", "Bar"), "Foo.Bar"),
        ("Foo.«bar baz».«1.2»", ("Foo", "bar baz", "1.2"), "Foo.«bar baz».«1.2»"),
        ("αβ.ℕat.x₁.Čech", ("αβ", "ℕat", "x₁", "Čech"), "αβ.ℕat.x₁.Čech"),
        ("«λ».«日本»", ("λ", "日本"), "«λ».«日本»"),
    ],
)
def test_names_are_read_and_written_as_lean_does(text, parts, canonical):
    assert module_names.parse(text) == parts
    assert module_names.text(parts) == module_names.canonical(text) == canonical
    path = module_names.source_path(parts)
    assert path == PurePosixPath(*parts[:-1], parts[-1] + ".lean")
    assert module_names.of_path(path) == parts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "got the end"),
        ("Foo.", "got the end"),
        (".Foo", "got '.'"),
        ("Foo..Bar", "got '.'"),
        ("Foo Bar", "expected a dot"),
        ("1Foo", "got '1'"),
        ("λ", "got 'λ'"),
        ("Foo-bar", "expected a dot"),
        ("«Foo", "never closed"),
        ("«»", "no part"),
        ("«..».x", "no part"),
        ("«a/b»", "cannot stand"),
        ("«a\nb»", "cannot stand"),
        ("«a\0b»", "cannot stand"),
    ],
)
def test_what_is_no_name_says_why(text, reason):
    with pytest.raises(InvalidModuleName, match="reading the module name") as caught:
        module_names.parse(text)
    assert reason in caught.value.reason and caught.value.name == text


def test_a_file_that_no_module_can_have(tmp_path):
    with pytest.raises(InvalidModuleName):
        module_names.of_path(PurePosixPath("Foo/a»b.lean"))


PART = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\«»"), min_size=1)


@given(st.lists(PART.filter(lambda part: part not in (".", "..")), min_size=1).map(tuple))
def test_every_name_survives_both_ways(parts):
    assert module_names.parse(module_names.text(parts)) == parts
    assert module_names.of_path(module_names.source_path(parts)) == parts
