"""Views in a notebook, rows as tables, and a whole notebook run by Jupyter's own client."""

from __future__ import annotations

import collections
import dataclasses
import html.parser
import json
import subprocess
import sys
import warnings
from typing import Any

import msgspec
import pydantic
import pytest
import rich.console

import lean_worker as lw
from lean_worker.checking.results import CheckResult
from lean_worker.testing import Fail, Row, Rows, Summary
from test_guides import examples_of


class _Balanced(html.parser.HTMLParser):
    """Fails on a tag that is not closed, and keeps the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.tags = [], "", set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data + " "


EVIL = "<script>alert('x')</script> & \"quoted\""


def test_views_hold_the_facts_and_nothing_is_markup(fake_worker):
    script = [Row(1), Row(2, stream=EVIL), Summary({"note": EVIL}, elapsed_us=1_500_000)]
    fake = fake_worker({"rows": script, "fails": [Fail(EVIL, EVIL)]})
    with lw.Pool() as pool, pool.lease(fake) as lease:
        summary = lease.run(lw.StreamingCommand("rows"), on_row=lambda row: None)
        with pytest.raises(lw.CommandFailed) as caught:
            lease.call(lw.JsonCommand("fails"))
        snapshot = pool.snapshot()
    pages = [value._repr_html_() for value in (summary, caught.value, snapshot)]
    views = [_Balanced(page) for page in pages]
    assert all(view.tags == {"div", "b", "table", "tr", "th", "td"} for view in views)
    assert "2 rows" in views[0].words and "1.5" in views[0].words and EVIL in views[0].words
    assert "CommandFailed" in views[1].words and "command" in views[1].words and EVIL in views[1].words
    assert "CommandFailed: 1" in views[2].words and "1 lent, 0 warm, at most 1" in views[2].words
    assert "hint:" in lw.UsageError("text", hint="do this")._repr_html_()


def test_results_are_shown_in_short(fake_worker):
    class Odd:
        def __repr__(self):
            raise ValueError

    wide = {f"column {i}": "x" * 10_000 for i in range(100)}
    script = [Rows(5_498), Row(EVIL), Row(wide), Summary({"note": "y" * 100_000})]
    with lw.Pool() as pool, pool.lease(fake_worker({"rows": script})) as lease:
        kinds = [lease.collect(lw.StreamingCommand("rows", row=kind)) for kind in (None, bytes, Any)]
    for done in kinds:
        assert repr(done).startswith("Collected(5,500 rows: [") and len(repr(done)) < 1500
        page = _Balanced(done._repr_html_())
        assert "5,500 rows" in page.words and "and 5,490 more rows" in page.words
        assert len(done._repr_html_()) < 20_000
    large = kinds[0].rows[-1]
    assert repr(large).startswith("DataRow('rows', 5499, {'column 0': 'xxx") and len(repr(large)) < 400
    report = _Balanced(pool.close()._repr_html_())
    assert "1 worker ended" in report.words and "closed: 1" in report.words
    summary = kinds[0].summary
    for rows in ([EVIL, wide], [Struct(1, EVIL), Data(1), Model(n=3), Pair(1, 2)], [Odd()], [], [{"a": 1}, 5]):
        done = lw.Collected(rows, summary)
        assert len(repr(done)) < 1500 and f"{len(rows)} row{'s' * (len(rows) != 1)}" in repr(done)
        page = _Balanced(done._repr_html_())
        assert page.tags <= {"div", "b", "table", "tr", "th", "td"} and len(done._repr_html_()) < 20_000
    assert "and 80 more columns" in _Balanced(lw.Collected([wide], summary)._repr_html_()).words
    assert "n name 1 a" in " ".join(_Balanced(lw.Collected([Struct(1, "a")], summary)._repr_html_()).words.split())


def test_results_of_many_are_shown_in_short(fake_worker):
    with lw.Pool(1) as pool:
        capability = fake_worker({"rows": [Rows(5_000)]})
        (outcome,) = pool.map(lw.StreamingCommand("rows"), [{"text": "x" * 100_000}], capability=capability)
    assert outcome.ok and len(repr(outcome)) < 1500 and "5,000 rows" in repr(outcome)
    position = lw.checking.CheckPosition(1, 0)
    messages = tuple(lw.checking.CheckMessage("error", position, "z" * 10_000, EVIL) for _ in range(1_000))
    checked = CheckResult(0, EVIL, lw.Verdict.REJECTED, messages, 0.5)
    assert "1,000 messages" in repr(checked) and len(repr(checked)) < 1500
    page = _Balanced(checked._repr_html_())
    assert "and 990 more rows" in page.words and EVIL in page.words and len(checked._repr_html_()) < 20_000


class Struct(msgspec.Struct):
    n: int
    name: str | None = None


@dataclasses.dataclass
class Data:
    n: int
    name: str | None = None


class Model(pydantic.BaseModel):
    n: int
    name: str | None = None


Pair = collections.namedtuple("Pair", "n name")
KINDS = [Struct, Data, Model, Pair, lambda n, name: {"n": n, "name": name}]


@pytest.mark.parametrize("kind", KINDS)
def test_typed_rows_as_tables(kind):
    rows = [kind(1, "a"), kind(2**40, None)] if kind is not Model else [Model(n=1, name="a"), Model(n=2**40)]
    for table in (
        lw.tables.to_table(rows),
        lw.tables.to_table(rows, "polars").to_pandas(),
        lw.tables.to_table(rows, "arrow").to_pandas(),
    ):
        assert list(table.columns) == ["n", "name"]
        assert list(table["n"]) == [1, 2**40]
        assert table["name"][0] == "a" and table["name"].isna()[1]


def test_rows_without_a_type_as_tables(fake_worker):
    fake = fake_worker({"rows": [Row({"a": 1}), Row({"a": 2, "b": [{"c": 2}]})], "numbers": [Row(5), Row(6)]})
    with lw.Pool() as pool, pool.lease(fake) as lease:
        done = lease.collect(lw.StreamingCommand("rows"))
        numbers = lease.collect(lw.StreamingCommand("numbers"))
        empty = lease.collect(lw.StreamingCommand("rows", row=bytes))
    assert done.to_arrow().to_pylist()[0] == {"a": 1, "b": None}
    assert list(done.to_polars()["a"]) == [1, 2]
    assert list(numbers.to_pandas()["value"]) == [5, 6]
    assert empty.to_pandas()["value"][0] == '{"a":1}'
    assert len(lw.tables.to_table([], "arrow")) == 0


def test_tables_that_cannot_be_made():
    with pytest.raises(lw.UsageError, match="expected kind"):
        lw.tables.to_table([], "excel")
    with pytest.raises(lw.UsageError, match="row 0: <object object at .* no kind of column"):
        lw.tables.to_table([object()])
    with pytest.raises(lw.UsageError, match="column .a., row 1"):
        lw.tables.to_table([{"a": 1}, {"a": "x"}], "arrow")


def test_a_bar_in_a_notebook_says_what_it_needs(monkeypatch):
    console = rich.console.Console(force_jupyter=True)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.warns(UserWarning, match="needs ipywidgets") as warned:
        bar = lw.progress.bar("rows", console=console)
    assert not bar.is_shown and warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not lw.progress.bar("rows", console=console, show=False).is_shown


@pytest.mark.parametrize(("kind", "module"), [("pandas", "pandas"), ("polars", "polars"), ("arrow", "pyarrow")])
def test_a_missing_library_is_named(kind, module):
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import lean_worker as lw\n"
        f"try: lw.tables.to_table([], {kind!r})\n"
        "except lw.errors.MissingExtra as error: print(error.hint)\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.stdout == f"pip install 'lean-worker[{kind}]'\n"


RUN_NOTEBOOK = """
import json, sys
import nbclient, nbformat
cells = json.load(sys.stdin)
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, timeout=90, kernel_name="python3").execute()
json.dump([cell.outputs for cell in notebook.cells], sys.stdout)
"""


@pytest.mark.once
def test_the_page_on_notebooks_is_a_notebook_that_runs(tmp_path):
    cells = examples_of("notebooks.md", joined=False)
    outcome = subprocess.run(
        [sys.executable, "-c", RUN_NOTEBOOK],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stderr
    pages = [
        "".join(output.get("data", {}).get("text/html", "") for output in cell) for cell in json.loads(outcome.stdout)
    ]
    assert "2 rows" in pages[1]
    assert "2 rows" in pages[2] and "Nat.add_comm" in pages[2]
    assert "Nat.add_comm" in pages[3] and "<table" in pages[3]
    assert "Nat.add" in pages[4] and "Nat.add_comm" not in pages[4]
    assert "ChildExited" in pages[5] and "SIGSEGV" in pages[5]
    assert "crashed: 1" in pages[6]
