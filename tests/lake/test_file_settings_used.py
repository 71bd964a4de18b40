"""Checks, scripts, proofs and the command line run Lean with the options and libraries of the project."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from fake_toolchain import lake_runs, make_prefix, make_project
from lean_modules import compile_module, script_that_answers
from lean_worker.lake.project_settings import ProjectSettings
from lean_worker.toolchains import toolchain
from settings_projects import MATHLIB_LIKE, NEEDS_DEPTH, NEEDS_IMPLICIT, OPTIONS, answering, setup, write
from support import embedded_library


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    write(root, lakefile=MATHLIB_LIKE, Mathlike__Bad=NEEDS_IMPLICIT, Mathlike__Good=NEEDS_DEPTH, Plain=NEEDS_IMPLICIT)
    return root


@pytest.fixture
def lean(tmp_path):
    return toolchain.resolve(make_prefix(tmp_path / "toolchain"))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The directory of a toolchain that runs; shared, since the first run compiles modules for it."""
    return make_prefix(tmp_path_factory.mktemp("real") / "toolchain", real=True)


def verdicts(project: Path, files: list[object], **options: object) -> dict[str, tuple[str, str]]:
    outcomes = lw.check(files, project=project, **{"toolchain": "embedded", "jobs": 1, "timeout": 60, **options})
    return {Path(each.file).name: (each.verdict.value, each.settings.source) for each in outcomes}


@pytest.mark.lean
def test_verdicts_are_those_of_the_project(project):
    files = [project / "Mathlike" / "Bad.lean", project / "Mathlike" / "Good.lean", project / "Plain.lean"]
    expected = {"Bad.lean": "rejected", "Good.lean": "accepted", "Plain.lean": "accepted", "snippet": "accepted"}
    everything = [*files, ("snippet", NEEDS_IMPLICIT)]
    assert verdicts(project, everything) == {name: (verdict, "lakefile") for name, verdict in expected.items()}
    assert verdicts(project, files[:1], options={"autoImplicit": True}) == {"Bad.lean": ("accepted", "lakefile")}
    without = verdicts(project, files[:2], settings="none")
    assert without == {"Bad.lean": ("accepted", "none"), "Good.lean": ("rejected", "none")}


@pytest.mark.lean
@pytest.mark.parametrize("sandbox", [False, True])
def test_verdicts_with_lake_s_answer(tmp_path, real, sandbox):
    project = answering(
        tmp_path / "project", setup(name="Source", options={"autoImplicit": False, "maxRecDepth": 5000})
    )
    write(project, Source=NEEDS_IMPLICIT, Deep=NEEDS_DEPTH)
    files = [project / "Source.lean", project / "Deep.lean", ("snippet", NEEDS_IMPLICIT)]
    locked = lw.Sandbox(readable=[project]) if sandbox else None
    found = verdicts(project, files, toolchain=real, sandbox=locked)
    assert found == {
        "Source.lean": ("rejected", "lake"),
        "Deep.lean": ("accepted", "lake"),
        "snippet": ("rejected", "lake"),
    }
    found = verdicts(project, files[:1], toolchain=real, sandbox=locked, options={"autoImplicit": True})
    assert found == {"Source.lean": ("accepted", "lake")}


@pytest.mark.lean
def test_libraries_of_precompiled_modules_are_loaded_for_a_check(tmp_path):
    library = tmp_path / "libDemo.so"
    library.write_bytes((embedded_library().parent / "libInit_shared.so").read_bytes())
    snippet = ("snippet", "prelude\naxiom A : Type\n")
    (found,) = lw.check([snippet], toolchain="embedded", jobs=1, native_libraries=[library])
    assert found.verdict is lw.Verdict.ACCEPTED
    library.write_bytes(b"no library")
    (found,) = lw.check([snippet], toolchain="embedded", jobs=1, native_libraries=[library])
    assert found.verdict is lw.Verdict.LOST and "libDemo.so" in found.output
    library.unlink()
    with pytest.raises(lw.CapabilityError, match="native library .* does not exist"):
        list(lw.check([snippet], toolchain="embedded", native_libraries=[library]))
    with pytest.raises(lw.UsageError, match="native_libraries"):
        lw.check([snippet], native_libraries=library)
    with pytest.raises(lw.UsageError, match="settings"):
        lw.check([snippet], settings="some")


def shared_library(path: Path) -> Path:
    """A small library that Lean can load."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((embedded_library().parent / "libInit_shared.so").read_bytes())
    return path


@pytest.mark.lean
@pytest.mark.parametrize("named", ["outside the project", "by a link", "without a slash"])
@pytest.mark.parametrize("sandbox", [None, lw.Sandbox()])
def test_a_library_that_lake_names_is_loaded_wherever_it_is(tmp_path, real, monkeypatch, named, sandbox):
    if sandbox is not None and sys.platform != "linux":
        pytest.skip("only Linux has sandboxes")
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    near = shared_library(tmp_path / "near" / ".lake" / "build" / "lib" / "libnear_Near.so")
    project = make_project(tmp_path / "project")
    name = str(near)
    if named == "without a slash":
        name = shared_library(project / "libHere.so").name
    elif named == "by a link":
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / near.name).symlink_to(near)
        name = str(tmp_path / "links" / near.name)
    answering(project, setup(name="Source", dynlibs=[name]))
    source = project / "Source.lean"
    source.write_text("prelude\naxiom A : Type\n")
    (found,) = lw.check([source], project=project, toolchain=real, jobs=1, sandbox=sandbox)
    assert (found.verdict, found.messages, found.output) == (lw.Verdict.ACCEPTED, (), "")
    script = script_that_answers(project / "Script.lean", '"1"')
    capability = lw.LeanCapability(script, project=project, toolchain=real, sandbox=sandbox)
    with lw.Pool() as pool, pool.lease(capability) as lease:
        assert lease.call(lw.JsonCommand("answer")) == 1


@pytest.mark.lean
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sandboxes")
def test_a_sandbox_lets_the_caller_s_own_libraries_and_lake_s_cache_be_read(tmp_path, real, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    library = shared_library(tmp_path / "elsewhere" / "libDemo.so")
    compiled = compile_module(tmp_path / "modules", "Dep", "prelude\naxiom Dep : Type\n")
    cached = tmp_path / "cache" / "0123.olean"
    cached.parent.mkdir()
    compiled.rename(cached)
    project = answering(tmp_path / "project", setup(name="Source", isModule=False, importArts={"Dep": [[str(cached)]]}))
    source = project / "Source.lean"
    source.write_text("prelude\nimport Dep\naxiom a : Dep\n")
    more = {"project": project, "toolchain": real, "native_libraries": [library], "sandbox": lw.Sandbox()}
    (found,) = lw.check([source], jobs=1, **more)
    assert (found.verdict, found.messages, found.output) == (lw.Verdict.ACCEPTED, (), "")
    script = script_that_answers(project / "Script.lean", '"1"')
    with lw.Pool() as pool, pool.lease(lw.LeanCapability(script, **more)) as lease:
        assert lease.call(lw.JsonCommand("answer")) == 1
    # Nothing else beside the caller's library.
    beside = library.parent / "Beside.lean"
    beside.write_text("prelude\naxiom A : Type\n")
    (found,) = lw.check([beside], jobs=1, **more)
    assert found.verdict is lw.Verdict.LOST and "ermission denied" in found.cause
    more["sandbox"] = lw.Sandbox(readable=[library.parent])
    (found,) = lw.check([beside], jobs=1, **more)
    assert found.verdict is lw.Verdict.ACCEPTED


@pytest.mark.lean
@pytest.mark.parametrize("kind", ["plugins", "dynlibs"])
@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_a_library_of_the_project_that_cannot_be_loaded_is_no_verdict_on_the_file(tmp_path, real, kind, fault):
    library = tmp_path / "libBad.so"
    if fault == "damaged":
        library.write_bytes(b"no library")
    project = answering(tmp_path / "project", setup(name="Source", **{kind: [str(library)]}))
    source = project / "Source.lean"
    source.write_text("prelude\naxiom A : Type\n")
    (found,) = lw.check([source], project=project, toolchain=real, jobs=1)
    assert found.verdict is lw.Verdict.LOST and "could not load a library" in found.cause and "libBad.so" in found.cause


@pytest.mark.lean
def test_scripts_run_with_the_project_s_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    (tmp_path / "project").mkdir()
    script = script_that_answers(tmp_path / "project" / "Script.lean", '"1"')
    script.write_text(script.read_text() + "\naxiom needs : (x : implicit) → Type\n")
    (tmp_path / "project" / "lakefile.toml").write_text("leanOptions = { autoImplicit = false }\n")
    capability = lw.LeanCapability(script, project=tmp_path / "project", toolchain="embedded")
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="did not compile"):
        pool.lease(capability)
    report = lw.checking.check_capability(capability)
    (finding,) = [each for each in report.findings if each.code.endswith(".settings")]
    assert finding.message == "from the lakefile: autoImplicit=false"
    for more in ({"settings": "none"}, {"options": {"autoImplicit": True}}):
        chosen = lw.LeanCapability(script, project=tmp_path / "project", toolchain="embedded", **more)
        with lw.Pool() as pool, pool.lease(chosen) as lease:
            assert lease.call(lw.JsonCommand("answer")) == 1
    assert "settings by the lakefile" in chosen.launch().description
    with pytest.raises(lw.UsageError, match="settings"):
        lw.LeanCapability(script, settings="some")


def test_a_script_s_settings_are_asked_for_once(tmp_path, lean):
    project = answering(tmp_path / "project", setup(options={"a": 1}, plugins=["libp.so"]))
    script = project / "Script.lean"
    script.write_text("import A\n")
    capability = lw.LeanCapability(script, project=project, toolchain=lean.prefix, imports=["B.«c d»"])
    found = [capability.project_settings(lean) for _ in range(3)]
    assert found[0].lean_arguments() == ["-Da=1", f"--plugin={project / 'libp.so'}"] and found[0] is found[2]
    asked = [run for run in lake_runs(project) if run.startswith("setup-file")]
    assert len(asked) == 1 and [each["module"] for each in json.loads(asked[0].split(" ", 3)[3])["imports"]] == [
        "A",
        "B.«c d»",
    ]
    script.write_text("import C\n")
    capability.project_settings(lean)
    (project / "lakefile.toml").write_text('name = "changed"\n')
    capability.project_settings(lean)
    assert sum(run.startswith("setup-file") for run in lake_runs(project)) == 3


@pytest.mark.lean
def test_the_command_line_reports_the_settings(project):
    argv = [sys.executable, "-m", "lean_worker.cli", "check", "--json", "--toolchain", "embedded", "--project"]
    said = subprocess.run([*argv, str(project), str(project / "Mathlike" / "Bad.lean")], capture_output=True, text=True)
    assert said.returncode == 1, shlex.join(argv) + said.stderr
    (file,) = json.loads(said.stdout)["files"]
    assert file["settings"]["source"] == "lakefile" and file["settings"]["options"] == OPTIONS
    (project / "lakefile.lean").write_text("package p where\n  precompileModules := true\nlean_lib Plain\n")
    argv.remove("--json")
    said = subprocess.run([*argv, str(project), str(project / "Plain.lean")], capture_output=True, text=True)
    assert said.returncode == 0 and "note: Machine code of precompiled modules" in said.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("package", "library", "expected"),
    [
        ("debug", None, {"debugAssertions": True}),
        (None, "debug", {"debugAssertions": True}),
        ("release", "debug", {"debugAssertions": True}),
        ("relWithDebInfo", "minSizeRel", {}),
        (None, None, {}),
    ],
)
@pytest.mark.parametrize("dialect", ["toml", "lean"])
def test_the_build_type_is_an_option(tmp_path, dialect, package, library, expected):
    prefix = make_prefix(tmp_path / "toolchain", lake=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "A.lean").write_text("")
    if dialect == "toml":
        lines = ['name = "p"', f'buildType = "{package}"' if package else "", "[[lean_lib]]", 'name = "A"']
        lines.append(f'buildType = "{library}"' if library else "")
    else:
        lines = ["import Lake", "open Lake DSL", "package p where", f"  buildType := .{package}" if package else ""]
        lines += ["lean_lib A where", f"  buildType := BuildType.{library}" if library else '  srcDir := "."']
    (project / f"lakefile.{dialect}").write_text("\n".join(lines))
    found = ProjectSettings(toolchain.resolve(prefix), project).of_file(project / "A.lean")
    assert dict(found.options) == expected


@pytest.mark.lean
def test_verdicts_on_proofs_use_the_project_s_options(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "lakefile.toml").write_text(
        'name = "p"\n[leanOptions]\nautoImplicit = false\n[[lean_lib]]\nname = "A"\n'
    )
    header = "prelude\nimport LeanWorker.Library\n"
    statement = f"{header}theorem goal (a : Nat) : a = a := sorry\n"
    lemma = f"{header}theorem lemma {{x : t}} : x = x := rfl\ntheorem goal (a : Nat) : a = a := lemma\n"
    expected = {"auto": "not_proved", "none": "proved"}
    for settings, verdict in expected.items():
        given = {"project": project, "toolchain": "embedded", "jobs": 1}
        options = {"autoImplicit": True} if settings == "none" else {}
        (result,) = lw.verify([("c", lemma)], statement=statement, settings=settings, options=options, **given)
        assert result.verdict.value == verdict, result
