"""A Lake project's modules, from both dialects of lakefile, without Lake."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.lake import lakefile_lean
from lean_worker.lake.lakefile_tokens import TokenError, tokens


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


def names(project: lw.lake.LakeProject) -> list[str]:
    return [module.name for module in project.modules]


SOURCES = dict.fromkeys(
    (
        "src/Alpha.lean",
        "src/Alpha/One.lean",
        "src/Alpha/Deep/Two.lean",
        "src/lib/Beta/Core.lean",
        "src/lib/Beta/Core/Inner.lean",
        "src/lib/Beta/Extra.lean",
        "src/lib/Gamma.lean",
        "src/lib/Gamma/Sub.lean",
        "src/Delta/bar baz.lean",
        "src/Delta/Čech.lean",
        "src/Main.lean",
        "src/Stray.lean",
    ),
    "prelude\n",
)

TOML = """
name = "mixed"
srcDir = "src"
defaultTargets = ["Alpha"]

[[require]]
name = "mathlib"
scope = "leanprover-community"

[[lean_lib]]
name = "Alpha"

[[lean_lib]]
name = "betas"
srcDir = "lib"
roots = ["Beta.Core", "Gamma"]
globs = ["Beta.Core.+", "Beta.Core", "Gamma"]

[[lean_lib]]
name = "Delta"
globs = "Delta.+"

[[lean_exe]]
name = "run-it"
root = "Main"
"""

LEAN = """
import Lake
open Lake DSL System

/-- A package /- with a nested comment -/ that mentions lean_lib Nothing -/
package «mixed» where
  srcDir := "src"
  -- lean_lib Commented
  moreLeanArgs := #["-D", s!"x={String.join ["lean_lib ", "Fake"]}"]
  leanOptions := #[⟨`autoImplicit, false⟩]

require mathlib from git "https://example.org/mathlib4" @ "v4.35.0"

@[default_target] lean_lib Alpha

lean_lib betas where
  srcDir := ("." / "lib")
  roots := #[`Beta.Core, `Gamma]
  globs := #[.submodules `Beta.Core, .one `Beta.Core, Glob.one `Gamma]
  precompileModules := if System.Platform.isWindows then false else
    let x := true
    x

lean_lib Delta { globs := #[`Delta.+], buildType := .debug
  extraDepTargets := #[] }

lean_exe "run-it" where
  root := `Main
  supportInterpreter := true

script greet (args) do
  let name := "lean_lib Quoted where"
  IO.println s!"hello {name}"
  return 0
"""

EXPECTED = [
    "Alpha",
    "Alpha.Deep.Two",
    "Alpha.One",
    "Beta.Core",
    "Beta.Core.Inner",
    "Delta.«bar baz»",
    "Delta.Čech",
    "Gamma",
    "Gamma.Sub",
    "Main",
]


@pytest.mark.parametrize(("lakefile", "text"), [("lakefile.toml", TOML), ("lakefile.lean", LEAN)])
def test_both_dialects_declare_the_same_modules(tmp_path, lakefile, text):
    project = lw.lake.LakeProject.discover(write(tmp_path, {**SOURCES, lakefile: text}))
    assert names(project) == EXPECTED
    assert {module.name for module in project.modules if not module.is_target} == {
        "Alpha.One",
        "Alpha.Deep.Two",
        "Gamma.Sub",
    }
    assert project.module("«Gamma».Sub").path == tmp_path / "src/lib/Gamma/Sub.lean"
    for name in (None, 5, b"Gamma", Path("Gamma")):
        with pytest.raises(lw.UsageError, match="looking for a module: expected its name as"):
            project.module(name)
    assert {module.library for module in project.modules} == {"Alpha", "betas", "Delta", "«run-it»"}
    assert [str(glob) for glob in project.libraries[1].globs] == ["Beta.Core.+", "Beta.Core", "Gamma"]
    assert project == lw.lake.LakeProject.discover(tmp_path)
    assert hash(project) == hash(lw.lake.LakeProject.discover(tmp_path))


def test_the_two_dialects_give_equal_libraries(tmp_path):
    toml = lw.lake.LakeProject.discover(write(tmp_path / "a", {**SOURCES, "lakefile.toml": TOML}))
    lean = lw.lake.LakeProject.discover(write(tmp_path / "b", {**SOURCES, "lakefile.lean": LEAN}))
    assert toml.libraries == lean.libraries
    assert toml.sha256 != lean.sha256


def test_lakefile_lean_wins_as_it_does_for_lake(tmp_path):
    files = {"A.lean": "", "B.lean": "", "lakefile.toml": '[[lean_lib]]\nname="A"', "lakefile.lean": "lean_lib B"}
    project = lw.lake.LakeProject.discover(write(tmp_path, files))
    assert names(project) == ["B"] and project.lakefile.name == "lakefile.lean"


GLOBS = [
    ("#[`Foo]", ["Foo"]),
    ("`Foo.*", ["Foo.*"]),
    ("#[`Foo.+, ``Foo.«a b».*]", ["Foo.+", "Foo.«a b».*"]),
    ("#[.one `Foo, .submodules `Foo, .andSubmodules `Foo]", ["Foo", "Foo.+", "Foo.*"]),
    ('#[.submodules "Foo.Bar".toName]', ["Foo.Bar.+"]),
    ("#[Glob.submodules `Foo, (Lake.Glob.andSubmodules `Foo)]", ["Foo.+", "Foo.*"]),
    ("#[\n    -- a remark, with a comma\n    `Foo /- another -/,\n    `Bar.*,\n  ]", ["Foo", "Bar.*"]),
]


@pytest.mark.parametrize(("value", "expected"), GLOBS)
@pytest.mark.parametrize(
    "shape", ["lean_lib X where\n  globs := {}\n", "lean_lib X {{ globs := {} }}", "lean_lib X := {{ globs := {}, }}\n"]
)
def test_globs_of_a_lean_lakefile(value, expected, shape):
    (library,) = lakefile_lean.read(Path("lakefile.lean"), shape.format(value).encode())
    assert [str(glob) for glob in library.globs] == expected and library.roots == ("X",)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("def src := 1\nlean_lib A where\n  srcDir := src\n", 3, "the value of srcDir is computed: src"),
        ('lean_lib A where\n  srcDir := "a" ++ "b"\n', 2, 'computed: "a" ++ "b"'),
        ('lean_lib A where\n  srcDir := s!"{x}"\n', 2, "srcDir is computed"),
        ("lean_lib A where\n  roots := #[`A] ++ more\n", 2, "the array"),
        ("lean_lib A where\n  roots := modules.map toName\n", 2, "roots is computed"),
        ("lean_lib A where\n  globs := #[.submodules root]\n", 2, "globs is computed: root"),
        ("lean_lib A where\n  globs := if x then #[`A] else #[]\n", 2, "globs is computed"),
        ("package p where\n  srcDir := f x\nlean_lib A\n", 2, "srcDir is computed"),
        ("lean_exe e where\n  root := chosen\n", 2, "root is computed"),
        ("lean_lib A := mkLib\n", 1, "defined by a term"),
        ("lean_lib A : LeanLibConfig := {}\n", 1, "defined by a term"),
        ("lean_lib $name\n", 1, "is no identifier and no string"),
        ("meta if get_config? x |>.isSome then\nlean_lib A\n", 2, "under a condition"),
        ("meta if x then do\n  require a\n  lean_lib A\nlean_lib B\n", 3, "under a condition"),
        ("meta if x then\nrequire a\nelse\nlean_lib A\n", 4, "under a condition"),
        ('macro "libs" : command => `(command| lean_lib A)\n', 1, "inside of a term"),
        ('lean_lib A {\n  srcDir := "x"\n', 2, "the file ends inside"),
        ('lean_lib A where\n  srcDir := "x\n', 2, "this string is never closed"),
        ("/- /- -/ lean_lib A", 1, "this comment is never closed"),
        ("lean_lib «A", 1, "this « is never closed"),
        ("lean_lib A where\n  roots :=\n", None, "roots has no value"),
    ],
)
def test_what_a_lakefile_computes_is_an_error_not_a_guess(tmp_path, text, line, said):
    with pytest.raises(lw.errors.LakefileError) as caught:
        lw.lake.LakeProject.discover(write(tmp_path, {"A.lean": "", "lakefile.lean": text}))
    assert said in str(caught.value) and str(tmp_path / "lakefile.lean") in str(caught.value)
    assert caught.value.facts.get("line") == line


@pytest.mark.parametrize(
    "text",
    [
        "package p where\n  moreLeanArgs := f x\n  testDriver := let y := 1; y\nlean_lib A\n",
        'meta if get_config? env = some "dev" then\nrequire «doc-gen4» from git "x" @ "main"\n\nlean_lib A\n',
        "meta if x then do\n  require a\nlean_lib A\n",
        'def lean_libs := 1\n@[default_target]\nlean_lib «A» where\n  -- srcDir := "x"\n  leanOptions := opts\ndef srcDir := "y"\n',
        'lean_lib A where\n  leanOptions := #[\n⟨`a, true⟩]\ntarget x (pkg) : FilePath := do\n  let srcDir := "q"\n  pure srcDir\n',
        'def c := \'"\'\ndef d := r#"lean_lib "B" "#\nlean_lib A\n',
    ],
)
def test_what_decides_nothing_about_modules_may_be_computed(tmp_path, text):
    project = lw.lake.LakeProject.discover(write(tmp_path, {"A.lean": "", "lakefile.lean": text}))
    assert names(project) == ["A"]
    assert project.libraries == (lw.lake.LakeLibrary("A"),)


def test_a_computed_library_can_be_given(tmp_path):
    root = write(
        tmp_path, {"here/A.lean": "", "here/B/C.lean": "", "lakefile.lean": "lean_lib A where\n  srcDir := x\n"}
    )
    given = lw.lake.LakeLibrary("A", src_dir="here", globs=["A", "B.+"])
    assert names(lw.lake.LakeProject.discover(root, libraries=[given])) == ["A", "B.C"]


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"globs": "A.*"}, lw.UsageError, "expected globs as several names"),
        ({"globs": [1]}, lw.UsageError, "LakeGlob or text, got 1"),
        ({"globs": [".*"]}, lw.errors.InvalidModuleName, "got the end"),
        ({"roots": ["a b"]}, lw.errors.InvalidModuleName, "expected a dot"),
    ],
)
def test_a_library_that_is_none(how, error, said):
    with pytest.raises(error) as caught:
        lw.lake.LakeLibrary("A", **how)
    assert said in str(caught.value)


def test_chosen_libraries(tmp_path):
    root = write(tmp_path, {**SOURCES, "lakefile.toml": TOML})
    assert names(lw.lake.LakeProject.discover(root, libraries=["run-it"])) == ["Main"]
    with pytest.raises(lw.UsageError, match=r"declares no 'Omega', but Alpha, betas, Delta, «run-it»"):
        lw.lake.LakeProject.discover(root, libraries=["Omega"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "Invalid value"),
        ("[[lean_lib]]\n", "each lean_lib has a name"),
        ("[lean_lib]\nname = 'A'\n", "list of tables"),
        ("srcDir = 3\n", "expected srcDir as a string, got 3"),
        ("[[lean_lib]]\nname = 'A'\nroots = [1]\n", "lean_lib A: expected roots as a list of strings"),
        ("[[lean_lib]]\nname = 'A'\nglobs = ['A.**']\n", "lean_lib A: reading the module name"),
        ("[[lean_lib]]\nname = 'A'\nglobs = ['a b']\n", "expected a dot"),
        ("[[lean_exe]]\nname = 'A'\nroot = 'a b'\n", "lean_exe A"),
    ],
)
def test_a_broken_toml_lakefile(tmp_path, text, said):
    with pytest.raises(lw.errors.LakefileError) as caught:
        lw.lake.LakeProject.discover(write(tmp_path, {"lakefile.toml": text}))
    assert said in str(caught.value)


def test_no_lakefile(tmp_path):
    with pytest.raises(lw.errors.LakefileError, match="neither a lakefile.lean nor a lakefile.toml"):
        lw.lake.LakeProject.discover(tmp_path)


def test_a_library_without_its_root_is_no_error_as_long_as_it_has_modules(tmp_path):
    # As Mathlib has it: the library lends its modules to a program, and nobody builds it by its own name.
    lakefile = "lean_lib Cache\nlean_exe cache where\n  root := `Cache.Main\n  supportInterpreter := true\n"
    root = write(tmp_path, {"Cache/Main.lean": "", "Cache/IO.lean": "", "lakefile.lean": lakefile})
    project = lw.lake.LakeProject.discover(root)
    assert [(module.name, module.library, module.is_target) for module in project.modules] == [
        ("Cache.IO", "Cache", False),
        ("Cache.Main", "Cache", True),
    ]
    assert project.missing == ("Cache",)


def test_a_library_without_any_module(tmp_path):
    root = write(tmp_path, {"src/Foo.lean": "", "lakefile.lean": "lean_lib Foo\n"})
    with pytest.raises(lw.errors.ModuleMissing, match=r"lean_lib Foo has no module: there is no file .*Foo\.lean"):
        lw.lake.LakeProject.discover(root)


def test_programs_may_all_have_a_main(tmp_path):
    lakefile = (
        'lean_exe one where\n  root := `Main\n  srcDir := "a"\nlean_exe two where\n  root := `Main\nlean_exe none\n'
    )
    root = write(tmp_path, {"a/Main.lean": "", "Main.lean": "", "lakefile.lean": lakefile})
    project = lw.lake.LakeProject.discover(root)
    assert [module.path for module in project.modules] == [tmp_path / "a/Main.lean"]
    assert [(module.library, module.path) for module in project.shadowed] == [("two", tmp_path / "Main.lean")]
    assert project.missing == ("none",)
    (main,) = lw.lake.LakeProject.discover(root, libraries=["two"]).modules
    assert main.path == tmp_path / "Main.lean"


def test_one_name_for_two_files(tmp_path):
    lakefile = 'lean_lib A where\n  srcDir := "x"\nlean_lib B where\n  srcDir := "y"\n  roots := #[`A]\n'
    root = write(tmp_path, {"x/A.lean": "", "y/A.lean": "", "lakefile.lean": lakefile})
    with pytest.raises(lw.errors.PlanningError, match="are both the module A"):
        lw.lake.LakeProject.discover(root)
    assert names(lw.lake.LakeProject.discover(root, libraries=["B"])) == ["A"]


def test_a_file_that_can_be_no_module(tmp_path):
    root = write(tmp_path, {"A.lean": "", "A/x»y.lean": "", "lakefile.lean": "lean_lib A\n"})
    with pytest.raises(lw.errors.InvalidModuleName, match="cannot stand in a part"):
        lw.lake.LakeProject.discover(root)


def test_a_file_where_a_directory_could_be(tmp_path):
    root = write(tmp_path, {"A.lean": "", "A": "a program", "lakefile.lean": "lean_lib A\n"})
    assert names(lw.lake.LakeProject.discover(root)) == ["A"]


def test_a_linked_directory_is_looked_through(tmp_path):
    root = write(tmp_path, {"A.lean": "", "shared/B.lean": "", "lakefile.lean": "lean_lib A\n"})
    (root / "A").symlink_to("shared")
    assert names(lw.lake.LakeProject.discover(root)) == ["A", "A.B"]


def test_a_directory_that_cannot_be_listed_is_no_empty_one():
    nobody = 65534
    with tempfile.TemporaryDirectory() as directory:
        root = write(Path(directory), {"A.lean": "", "A/B/C.lean": "", "lakefile.lean": "lean_lib A\n"})
        root.chmod(0o755)
        (root / "A/B").chmod(0)
        user = os.geteuid()
        try:
            if user == 0:  # root may list every directory
                os.seteuid(nobody)
            with pytest.raises(lw.errors.PlanningError, match="Permission denied"):
                lw.lake.LakeProject.discover(root)
        finally:
            os.seteuid(user)
            (root / "A/B").chmod(0o755)


def test_the_digest_follows_what_pins_the_build_and_nothing_else(tmp_path):
    root = write(tmp_path / "a", {**SOURCES, "lakefile.toml": TOML})
    first = lw.lake.LakeProject.discover(root).sha256
    elsewhere = write(tmp_path / "b", {**SOURCES, "lakefile.toml": TOML})
    assert lw.lake.LakeProject.discover(elsewhere).sha256 == first
    os.utime(root / "lakefile.toml", (1, 1))
    assert lw.lake.LakeProject.discover(root).sha256 == first
    write(root, {"lean-toolchain": "leanprover/lean4:v4.35.0"})
    second = lw.lake.LakeProject.discover(root).sha256
    write(root, {"lake-manifest.json": "{}"})
    assert len({first, second, lw.lake.LakeProject.discover(root).sha256}) == 3


def test_tokens_know_where_they_stand():
    found = tokens('a.b «c d».e\n  `f.g.* r#"x"y"# "\\u03b1\\x41\\\n   z" #[1]')
    assert [(token.kind, token.value) for token in found] == [
        ("identifier", "a.b"),
        ("identifier", "«c d».e"),
        ("name", "f.g"),
        ("symbol", "."),
        ("symbol", "*"),
        ("string", 'x"y'),
        ("string", "αAz"),
        ("symbol", "#["),
        ("number", "1"),
        ("symbol", "]"),
    ]
    assert [(token.line, token.column, token.opens_line) for token in found[:4]] == [
        (1, 1, True),
        (1, 5, False),
        (2, 3, True),
        (2, 7, False),
    ]
    assert [token.glued for token in found[2:5]] == [False, True, True]
    with pytest.raises(TokenError, match="no escape"):
        tokens('"\\q"')
