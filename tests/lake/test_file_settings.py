"""The options and libraries with which a project runs Lean: from Lake in each form of its answer, or from the lakefile."""

from __future__ import annotations

import json

import pytest

import lean_worker as lw
from fake_toolchain import lake_runs, make_prefix
from lean_worker.lake.file_settings import FileSettings
from lean_worker.lake.project_settings import ProjectSettings
from lean_worker.toolchains import toolchain
from settings_projects import MATHLIB_LIKE, NEEDS_DEPTH, NEEDS_IMPLICIT, OPTIONS, answering, project_place, setup, write


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    write(root, lakefile=MATHLIB_LIKE, Mathlike__Bad=NEEDS_IMPLICIT, Mathlike__Good=NEEDS_DEPTH, Plain=NEEDS_IMPLICIT)
    return root


@pytest.fixture
def lean(tmp_path):
    return toolchain.resolve(make_prefix(tmp_path / "toolchain"))


@pytest.fixture
def lean_without_lake(tmp_path):
    return toolchain.resolve(make_prefix(tmp_path / "bare", lake=False))


# -- from the lakefile --


def test_a_lakefile_like_mathlib_s(project, lean_without_lake):
    settings = ProjectSettings(lean_without_lake, project)
    inside = settings.of_file(project / "Mathlike" / "Bad.lean")
    assert (inside.source, inside.module, dict(inside.options)) == ("lakefile", "Mathlike.Bad", OPTIONS)
    assert settings.of_file(project / "Plain.lean") == FileSettings("lakefile", "Plain")
    assert settings.of_file(project / "elsewhere.lean") == FileSettings("lakefile")
    assert settings.of_text("import Mathlike") == FileSettings("lakefile")
    assert inside.lean_arguments({"autoImplicit": True})[-1] == "-DautoImplicit=true"
    assert "-DautoImplicit=false" not in inside.lean_arguments({"weak.autoImplicit": True})
    assert ProjectSettings(lean_without_lake, project, "none").of_text("") == FileSettings()


TOML = """
name = "both"
leanOptions = { autoImplicit = false, pp.unicode.fun = true }
moreLeanArgs = ["-DwarningAsError=true"]
weakLeanArgs = ["--quiet"]
moreServerOptions = [["server.only", true]]

[[lean_lib]]
name = "Lib"
srcDir = "src"
leanOptions = [{name = "autoImplicit", value = true}, ["weak.«a».b", "text"]]
moreLeanArgs = ["-T0"]
precompileModules = true

[[lean_exe]]
name = "tool"
root = "Tool"
[lean_exe.leanOptions]
maxRecDepth = 7
"""
LEAN = """
def common : Array String := #["-DwarningAsError=true"]
package both {
  leanOptions := #[{ name := `autoImplicit, value := false }, ⟨`pp.unicode.fun, true⟩],
  moreLeanArgs := common
  weakLeanArgs := #["--quiet"]
  moreServerOptions := #[⟨`server.only, true⟩]
}
lean_lib Lib where
srcDir := "src"
leanOptions := #[⟨`autoImplicit, .ofBool true⟩, ⟨`weak ++ `a.b, "text"⟩]
moreLeanArgs := #["-T0"]
precompileModules := true
lean_exe tool where
  root := `Tool; leanOptions := #[⟨`maxRecDepth, 7⟩]
"""


@pytest.mark.parametrize(
    ("file", "text"), [("lakefile.toml", TOML), ("lakefile.lean", LEAN.replace("`weak ++ `a.b", "`weak.a.b"))]
)
def test_package_and_library_in_both_dialects(tmp_path, lean_without_lake, file, text):
    (tmp_path / file).write_text(text)
    settings = ProjectSettings(lean_without_lake, tmp_path)
    library = settings.of_file(tmp_path / "src" / "Lib" / "Deep.lean")
    assert library.module == "Lib.Deep" and list(library.options) == ["autoImplicit", "pp.unicode.fun", "weak.a.b"]
    assert dict(library.options) == {"autoImplicit": True, "pp.unicode.fun": True, "weak.a.b": "text"}
    assert library.arguments == ("--quiet", "-DwarningAsError=true", "-T0")
    assert [note for note in library.notes if "precompiled" in note]
    assert dict(settings.of_file(tmp_path / "Tool.lean").options)["maxRecDepth"] == 7
    outside = settings.of_file(tmp_path.parent / "Else.lean")
    assert (outside.module, dict(outside.options)) == (None, {"autoImplicit": False, "pp.unicode.fun": True})
    assert outside.arguments == ("--quiet", "-DwarningAsError=true") and not outside.notes


def test_a_root_of_a_program_in_a_library_is_the_library_s(tmp_path, lean_without_lake):
    write(
        tmp_path / "real",
        lakefile="lean_exe e where\n  root := `A.Main\n  leanOptions := #[⟨`a, 1⟩]\nlean_lib A where\n  leanOptions := #[⟨`a, 2⟩]\n",
    )
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    for project, file in (("real", "real"), ("link", "real"), ("real", "link")):
        settings = ProjectSettings(lean_without_lake, tmp_path / project)
        assert dict(settings.of_file(tmp_path / file / "A" / "Main.lean").options) == {"a": 2}


def test_a_package_of_the_manifest_has_its_own_lakefile(tmp_path, lean_without_lake):
    (tmp_path / "lakefile.toml").write_text("leanOptions = { autoImplicit = false }\n")
    package = tmp_path / ".lake" / "packages" / "dep"
    package.mkdir(parents=True)
    (package / "lakefile.toml").write_text('[[lean_lib]]\nname = "Dep"\nleanOptions = { maxRecDepth = 9 }\n')
    entry = {"type": "git", "name": "dep", "rev": "0" * 40, "url": "u", "inherited": False, "configFile": "lakefile"}
    (tmp_path / "lake-manifest.json").write_text(json.dumps({"version": "1.1.0", "packages": [entry]}))
    found = ProjectSettings(lean_without_lake, tmp_path).of_file(package / "Dep" / "A.lean")
    assert (found.module, dict(found.options)) == ("Dep.A", {"maxRecDepth": 9})


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("package p where\n  leanOptions := options x\n", 2, "leanOptions is computed: options x"),
        ("package p where\n  leanOptions := #[⟨`a, f 1⟩]\n", 2, "leanOptions is computed"),
        ("def o (x : Nat) := #[⟨`a, true⟩]\npackage p where\n  leanOptions := o\n", 3, "leanOptions is computed"),
        ("def o := #[⟨`a, true⟩]\ndef o := #[]\npackage p where\n  leanOptions := o\n", 4, "leanOptions is computed"),
        ("def o := o\npackage p where\n  leanOptions := o\n", 3, "leanOptions is computed"),
        ('package p where\n  moreLeanArgs := #[s!"-D{x}"]\n', 2, "moreLeanArgs is computed"),
        ("package p where\n  leanOptions := #[⟨`a, true⟩].map g\n", 2, "leanOptions is computed"),
        ("package p where\n  precompileModules := x\n", 2, "precompileModules is computed"),
        ("package p where\n  leanOptions := if x then #[] else #[]\n", 2, "leanOptions is computed"),
        ("meta if x then\npackage p where\n  leanOptions := #[]\nelse\npackage p\n", 2, "under a condition"),
        ("lean_lib X where\n  roots := f y\n", 2, "roots is computed"),
        ('macro "l" : command => `(lean_lib A)\n', 1, "inside of a term"),
    ],
)
def test_settings_that_only_lake_can_work_out(tmp_path, lean_without_lake, text, line, said):
    write(tmp_path, lakefile=text, A="")
    with pytest.raises(lw.CapabilityError) as caught:
        ProjectSettings(lean_without_lake, tmp_path).of_file(tmp_path / "A.lean")
    assert said in str(caught.value) and caught.value.line == line and 'settings="none"' in caught.value.hint


# -- from Lake --


def test_a_module_s_setup(tmp_path, lean):
    usual = ".lake/build/lib/lean/A/B.olean"
    place = usual.removesuffix(".olean")
    arts = {
        "A.B": [usual],
        "«C D»": [f"{tmp_path}/cache/0123.olean"],
        # Newer forms have lists of parts.
        "A.«B»": [[usual, f"{place}.olean.server", f"{project_place(tmp_path)}/A/B.olean.private"], [f"{place}.ir"]],
        "A.C": [[f"{tmp_path}/cache/4567.olean"], []],
        "A.D": [[usual]],
        "A.E": [[usual.replace("/B.", "/E."), f"{tmp_path}/cache/89.olean"]],
        "A.F": [],
    }
    kept = {name: arts[name] for name in ("«C D»", "A.C", "A.D", "A.E", "A.F")}
    answer = setup(
        name="Lib.X",
        options={"autoImplicit": False, "weak.x": 3},
        plugins=[".lake/build/lib/libpkg_Lib.so"],
        dynlibs=["/abs/libz.so"],
        importArts=arts,
    )
    project = answering(tmp_path / "project", answer, "echo 'info: noise'; echo 'warning: noise' >&2")
    found = ProjectSettings(lean, project).of_file(project / "Source.lean")
    assert (found.source, found.module, dict(found.options)) == ("lake", "Lib.X", {"autoImplicit": False, "weak.x": 3})
    assert found.plugins == (str(project / ".lake/build/lib/libpkg_Lib.so"),) and found.dynlibs == ("/abs/libz.so",)
    assert found.lean_arguments()[2:] == ["--load-dynlib=/abs/libz.so", f"--plugin={found.plugins[0]}"]
    text, beside = found.lean_setup({"autoImplicit": True})
    told = json.loads(text)
    assert told["options"] == {"weak.x": 3} and told["name"] == "Lib.X" and beside == ["-DautoImplicit=true"]
    # What Lean finds on its path anyway, thousands of files for Mathlib, is not told again.
    assert told["importArts"] == kept
    assert found.import_directories() == ()
    (tmp_path / "cache").mkdir()
    assert found.import_directories() == (str(tmp_path / "cache"),)
    assert f"setup-file --no-build {project / 'Source.lean'}" in lake_runs(project)


def test_libraries_of_a_setup_have_absolute_paths(tmp_path, lean):
    """The system's loader does not look for a name without a slash in the directory where it runs."""
    answer = setup(
        name="Lib.X",
        plugins=["libP.so", {"path": "sub/libQ.so", "initFn": "f"}, "/abs/libR.so", {"path": "U.so", "initFn": None}],
        dynlibs=["libS.so", "./libT.so"],
    )
    project = answering(tmp_path / "project", answer)
    found = ProjectSettings(lean, project).of_file(project / "Source.lean")
    told = json.loads(found.lean_setup()[0])
    assert told["plugins"] == [
        f"{project}/libP.so",
        {"path": f"{project}/sub/libQ.so", "initFn": "f"},
        "/abs/libR.so",
        {"path": f"{project}/U.so", "initFn": None},
    ]
    # A script has no setup: Lean's argument takes the name of the function behind the path.
    named = [f"{project}/libP.so", f"{project}/sub/libQ.so=f", "/abs/libR.so", f"{project}/U.so"]
    assert found.lean_arguments()[-4:] == [f"--plugin={each}" for each in named]
    assert told["dynlibs"] == [f"{project}/libS.so", f"{project}/libT.so"] == list(found.dynlibs)


def test_the_answer_of_a_lake_without_module_headers(tmp_path, lean):
    paths = {"oleanPath": [], "srcPath": [], "loadDynlibPaths": ["libold.so"]}
    project = answering(
        tmp_path / "project", {"paths": paths, "setupOptions": {"autoImplicit": False}}, 'echo "$*" >> asked'
    )
    (project / "Source.lean").write_text("import A.B\npublic import all C -- import D\n")
    found = ProjectSettings(lean, project).of_file(project / "Source.lean")
    assert (found.source, dict(found.options), found.setup) == ("lake", {"autoImplicit": False}, "")
    assert found.lean_arguments() == ["-DautoImplicit=false", f"--load-dynlib={project / 'libold.so'}"]
    source = project / "Source.lean"
    assert (project / "asked").read_text().splitlines() == [str(source), f"{source} A.B C D"]


def test_a_file_whose_imports_are_not_built_has_its_options_still(tmp_path, lean):
    stale = 'case "$2" in "") echo \'{"directImports":[]}\'; exit 3;; esac'
    project = answering(tmp_path / "project", setup(options={"autoImplicit": False}), stale)
    found = ProjectSettings(lean, project).of_file(project / "Source.lean")
    assert dict(found.options) == {"autoImplicit": False}
    assert "not built, or older" in found.notes[0]
    second = [run for run in lake_runs(project) if run.startswith("setup-file")][1]
    assert json.loads(second.split(" ", 3)[3]) == {"imports": [], "isModule": False}


def test_a_lake_that_refuses(tmp_path, lean):
    project = answering(tmp_path / "project", {}, "echo 'error: lakefile.lean:3:0: unexpected token' >&2; exit 1")
    with pytest.raises(lw.CapabilityError, match=r"lakefile\.lean:3:0: unexpected token"):
        ProjectSettings(lean, project).of_file(project / "Source.lean")


@pytest.mark.parametrize(
    "before", ["echo \"error: unknown command 'setup-file'\" >&2; exit 1", "exit 0", "echo '[]'; exit 0"]
)
def test_a_lake_that_does_not_know_the_question(tmp_path, lean, before):
    project = answering(tmp_path / "project", {}, before)
    (project / "lakefile.toml").write_text("leanOptions = { maxRecDepth = 9 }\n")
    found = ProjectSettings(lean, project).of_file(project / "Source.lean")
    assert (found.source, dict(found.options)) == ("lakefile", {"maxRecDepth": 9})


def test_arguments_of_the_build_are_added_to_lake_s_answer(tmp_path, lean):
    project = answering(tmp_path / "project", setup(options={"a": 1}))
    (project / "lakefile.toml").write_text('moreLeanArgs = ["-T0"]\nleanOptions = { b = 2 }\n')
    found = ProjectSettings(lean, project).of_file(project / "Source.lean")
    assert (dict(found.options), found.arguments) == ({"a": 1}, ("-T0",))
    (project / "lakefile.lean").write_text("package p where\n  moreLeanArgs := f x\n")
    (note,) = ProjectSettings(lean, project).of_file(project / "Source.lean").notes
    assert "moreLeanArgs" in note and "line 2" in note


def test_snippets_with_the_same_imports_are_asked_about_once(tmp_path, lean):
    project = answering(tmp_path / "project", setup(options={"a": 1}))
    settings = ProjectSettings(lean, project)
    texts = ["def x := 1", "def y := 2", "import A\ndef x := 1", "import A\ndef y := 1", "import A\nimport B\n"]
    for text in [*texts, "import A -- one\nimport\n  B\ndef x := 1"]:
        assert dict(settings.of_text(text).options) == {"a": 1}
    assert sum(run.startswith("setup-file") for run in lake_runs(project)) == 4


LIBRARIES = '[[lean_lib]]\nname = "Lib"\n[[lean_lib]]\nname = "Other"\n'


@pytest.mark.parametrize(
    ("lakefile", "answer", "before", "runs"),
    [
        (LIBRARIES, {}, "", 3),  # once for each library, and for the file outside
        (LIBRARIES + "precompileModules = false\n", {}, "", 3),
        (LIBRARIES + "precompileModules = true\n", {}, "", 5),
        (LIBRARIES, {"plugins": ["p.so"]}, "", 5),
        (LIBRARIES, {"importArts": {"A": ["/cache/1.olean"]}}, "", 5),
        (LIBRARIES, {"ofThisFile": 1}, "", 5),
        (LIBRARIES, {}, '[ -z "$2" ] && exit 3', 10),
        ('name = "says_nothing"\n', {}, "", 5),
        (LIBRARIES, None, "echo 'error: unknown command' >&2; exit 1", 1),
    ],
)
def test_lake_is_asked_once_for_a_library_if_nothing_depends_on_imports(tmp_path, lean, lakefile, answer, before, runs):
    project = answering(tmp_path / "project", setup(**(answer or {}), options={"a": 1}), before)
    # As Lake does, name the module.
    (project / "setup").write_text(
        f"{before}\n"
        'module=$(echo "${1#"$PWD/"}" | sed "s/[.]lean$//; s,/,.,g"); case $module in Lib*|Other*) ;; *) module=_unknown;; esac\n'
        'sed "s/_unknown/$module/" answer\n'
    )
    (project / "lakefile.toml").write_text(lakefile)
    settings = ProjectSettings(lean, project)
    names = ["Lib.A", "Lib.B", "Lib.C", "Other.A", "Script"]
    found = [settings.of_file(project / f"{name.replace('.', '/')}.lean") for name in names]
    assert sum(run.startswith("setup-file") for run in lake_runs(project)) == runs
    if answer is not None:
        assert [each.module for each in found] == [*names[:4], None]
        assert [json.loads(each.setup)["name"] for each in found] == [*names[:4], "_unknown"]
        assert all(dict(each.options) == {"a": 1} and each.source == "lake" for each in found)
