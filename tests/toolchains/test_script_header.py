"""The end of a script's header, and its imports: linear in its length, and as the pattern before it said."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_worker.base import script_header

# The pattern that found the header's words before; it takes exponential time, and knows no comment within a comment.
OLD = re.compile(r"(?:(?:\s|--[^\n]*\n|/-.*?-/)*\b(?:module|prelude)\b)*", re.DOTALL)

PIECES = [
    "module",
    "prelude",
    " ",
    "\n",
    "\t",
    "-- a\n",
    "--\n",
    "-- module\n",
    "/- b -/",
    "/-- c -/",
    "/- prelude -/",
    "\n\n",
]
ENDS = ["", "import A", "import A B", "def x := 1", "modules", "prelude' 1", "public import A", "-- no end", "_x"]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=7), st.sampled_from(ENDS))
def test_the_end_of_the_words_is_where_it_was(pieces, end):
    text = "".join(pieces) + end
    old = OLD.match(text)[0]
    words = re.sub(r"--[^\n]*\n|/-.*?-/", " ", old, flags=re.DOTALL).split()
    if any(word not in ("module", "prelude") for word in words) or re.search(r"(module|prelude)['_]", text):
        return  # two words in one, which the pattern took for one of them
    header = script_header.read(text)
    assert (header.words_end, list(header.words)) == (len(old), words)


@pytest.mark.parametrize(
    "text",
    [
        "/- a -/ -- b\n" * 20_000 + "def x := 1",
        "/- a -/\n" * 20_000 + "prelud",
        "/-" * 100_000,
        "/-" * 50_000 + "-/" * 50_000 + "module",
        "--" * 100_000,
        " \n" * 100_000 + "x",
        "module " * 30_000,
        "import A.B.C\n" * 20_000,
    ],
    ids=["comments", "almost", "unclosed", "nested", "line", "blanks", "words", "imports"],
)
def test_no_text_takes_long(text):
    """The pattern took 3.8 s for 22 comments, and twice as long for each one more."""
    started = time.process_time()
    header = script_header.read(text)
    assert time.process_time() - started < 2
    assert header.words_end <= len(text)


@pytest.mark.parametrize(
    ("text", "words", "imports"),
    [
        ("", (), ()),
        ("module\nprelude\nimport A\n", ("module", "prelude"), ("A",)),
        ("/- /- module -/ -/ module import A.B «c d».E", ("module",), ("A.B",)),
        (
            "module public import A public meta import B meta import all C import all D",
            ("module",),
            ("A", "B", "C", "D"),
        ),
        ("prelude -- x\nimport /- y -/ «a-b».C'\nimport D def import E", ("prelude",), ("«a-b».C'", "D")),
        ("module.x", (), ()),
        ("import A\nmodule", (), ("A",)),
        ("import «A", (), ()),
        ("modulé", (), ()),
        ("import«A»import«B»C", (), ("«A»", "«B»")),
        ("import A™.ℵ₀ import B²", (), ("A™.ℵ₀", "B")),
        ("import A.1", (), ("A",)),
        ("import A .B", (), ("A",)),
        ("import λA", (), ()),
        ("import A.«b.c»«d»", (), ("A.«b.c»",)),
        ("prelude import A import/- x -/B--\r\n  import\r\nC", ("prelude",), ("A", "B", "C")),
        ("import all", (), ("all",)),
    ],
)
def test_words_and_imports(text, words, imports):
    header = script_header.read(text)
    assert (header.words, header.imports) == (words, imports)
    assert header.is_module is ("module" in words) and header.has_prelude is ("prelude" in words)
