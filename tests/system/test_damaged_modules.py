"""A compiled module that was cut off: Lean would crash, and everything that imports it says which file it is."""

from __future__ import annotations

import pytest

import lean_worker as lw
from lean_modules import compile_module
from lean_worker import extraction

pytestmark = pytest.mark.lean

HEADER = "prelude\nimport Mine\n"
THEOREM = "theorem goal : True := "


@pytest.fixture
def project(tmp_path):
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    build = tmp_path / ".lake" / "build" / "lib" / "lean"
    damaged = compile_module(build, "Mine.A", "prelude\nimport LeanWorker\ndef one := 1\n")
    compile_module(build, "Mine", "prelude\nimport Mine.A\n")
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    (tmp_path / "Proof.lean").write_text(f"{HEADER}{THEOREM}by\n  trivial\n")
    return tmp_path


def test_it_is_named_by_everything_that_would_import_it(project):
    options = {"project": project, "toolchain": "embedded"}
    file = project / ".lake" / "build" / "lib" / "lean" / "Mine" / "A.olean"
    proof, out = project / "Proof.lean", project / "rows.jsonl"
    calls = [
        *(
            lambda what=what: lw.extract(what, ["Mine"], out=out, **options)
            for what in ("declarations", "dependencies", "modules")
        ),
        lambda: lw.extract("goals", [proof], out=out, **options),
        lambda: list(lw.verify([proof], statement=f"{HEADER}{THEOREM}by\n  sorry\n", **options)),
        lambda: lw.Pool().lease(extraction.extractor(["Mine"], **options)),
    ]
    for call in calls:
        with pytest.raises(lw.errors.ModuleRefused, match="cannot be loaded") as caught:
            call()
        assert (caught.value.reason, caught.value.module, caught.value.file) == ("damaged", "Mine.A", str(file))
        assert caught.value.hint
    assert not out.exists()
    for source in (str(proof), ("text", proof.read_text())):
        (checked,) = lw.check([source], **options)
        assert checked.verdict is lw.checking.Verdict.UNCHECKED and "Mine.A cannot be loaded" in checked.cause
        assert checked.hint
    good = ("good", "prelude\nimport LeanWorker\n")
    assert [each.verdict.value for each in lw.check([good, str(proof)], in_order=True, **options)] == [
        "accepted",
        "unchecked",
    ]
