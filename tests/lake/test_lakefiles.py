"""Lakefiles in the shapes that people write: what can be read without Lake is read right, all else is an error."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.lake import lakefile_lean, lakefile_toml

FILE = Path("lakefile.lean")


def libraries(text: str) -> dict[str, tuple[str, list[str], list[str]]]:
    """Source directory, roots and globs of each target."""
    return {
        each.name: (each.src_dir, [str(root) for root in each.roots or ()], [str(glob) for glob in each.globs or ()])
        for each in lakefile_lean.read(FILE, text.encode())
    }


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


SHAPES = {
    "fields in the first column": (
        'package p where\nsrcDir := "src"\nname := "x"\n@[default_target]\nlean_lib A where\nroots := #[`A, `B]\nlean_lib B',
        {"A": ("src", ["A", "B"], ["A", "B"]), "B": ("src", ["B"], ["B"])},
    ),
    "a remark, then a field in the first column": (
        'lean_lib «A» where\n  -- add configuration here\n\nsrcDir := "deep"\nrequire x from git "u" @ "v"',
        {"A": ("deep", ["A"], ["A"])},
    ),
    "no field, then a command": (
        "lean_lib A where\n  -- nothing\nlean_lib B where\n",
        {"A": (".", ["A"], ["A"]), "B": (".", ["B"], ["B"])},
    ),
    "an empty block before a script": (
        'lean_lib A where\nscript run do\n  let srcDir := "no"\n  return 0\n',
        {"A": (".", ["A"], ["A"])},
    ),
    "a value that goes on in the first column": (
        "lean_lib A where\n  roots := #[\n`A,\n`B\n]\nlean_exe b where root := `Main\n",
        {"A": (".", ["A", "B"], ["A", "B"]), "b": (".", [], ["Main"])},
    ),
    "a value on the next line, in the first column": (
        'lean_lib A where\nsrcDir :=\n"src"\nroots :=\n#[`R]\nlean_lib B\n',
        {"A": ("src", ["R"], ["R"]), "B": (".", ["B"], ["B"])},
    ),
    "an else in the block's column": (
        'package p where\n  moreLinkArgs :=\n    if c then\n      #[]\n  else\n      #[]\n  srcDir := "s"\nlean_lib A\n',
        {"A": ("s", ["A"], ["A"])},
    ),
    "an assignment inside of a value": (
        'lean_lib A where\n  libName := Id.run do\n    let mut roots := 1\n    roots := 2\n    return s\n  srcDir := "s"\n',
        {"A": ("s", ["A"], ["A"])},
    ),
    "an operator further left": (
        "lean_lib A where\n  roots := #[`A]\n ++ #[`B]\nlean_lib C",
        {"A": (".", ["A", "B"], ["A", "B"]), "C": (".", ["C"], ["C"])},
    ),
    "two commands on one line": (
        'lean_lib A where srcDir := "a" lean_lib B',
        {"A": ("a", ["A"], ["A"]), "B": (".", ["B"], ["B"])},
    ),
    "empty blocks on one line": (
        "lean_lib A where lean_lib B where @[default_target] lean_lib C where\n",
        {name: (".", [name], [name]) for name in "ABC"},
    ),
    "fields separated by semicolons": ('lean_lib A where srcDir := "a"; roots := #[`R]\n', {"A": ("a", ["R"], ["R"])}),
    "packages that differ in what does not matter": (
        'meta if Platform.isWindows then\npackage p where\n  moreLinkArgs := #["-a"]\nelse\npackage p where\n  moreLinkArgs := #[]\n\nlean_lib A\n',
        {"A": (".", ["A"], ["A"])},
    ),
    "the same on one line": (
        'meta if c then package p where moreLinkArgs := #["-a"] else package p where moreLinkArgs := #[]\nlean_lib A\n',
        {"A": (".", ["A"], ["A"])},
    ),
    "packages after do": (
        "meta if c then do\n  package p where\n    preferReleaseBuild := true\nelse do\n  package p\n  require x\nlean_lib A\n",
        {"A": (".", ["A"], ["A"])},
    ),
    "names mapped to globs": (
        "lean_lib A where\n  globs := #[`A, `B].map Glob.one\nlean_lib B where\n  globs := (#[`C] ++ #[`D]).map .submodules\n"
        "lean_lib C where\n  globs := #[`E] |>.map Lake.Glob.andSubmodules\n"
        "lean_lib D where\n  globs := #[`F].map fun n => .andSubmodules n\nlean_lib E where\n  globs := #[`G].map (.submodules ·)\n",
        {
            "A": (".", ["A"], ["A", "B"]),
            "B": (".", ["B"], ["C.+", "D.+"]),
            "C": (".", ["C"], ["E.*"]),
            "D": (".", ["D"], ["F.*"]),
            "E": (".", ["E"], ["G.+"]),
        },
    ),
    "the same srcDir in both branches": (
        'meta if c then\npackage p where\n  srcDir := "a"\n  moreLinkArgs := f x\nelse\npackage p where\n  srcDir := "a"\nlean_lib A\n',
        {"A": ("a", ["A"], ["A"])},
    ),
    "the same srcDir in three branches": (
        "meta if c then do\n  package p where srcDir := dir\nelse meta if d then do\n  package q where srcDir := dir\n"
        'else do\n  package p where srcDir := dir\ndef dir := "a" / "b"\nlean_lib A where srcDir := "c"\n',
        {"A": ("a/b/c", ["A"], ["A"])},
    ),
    "map as a function": (
        "lean_lib A where\n  globs := Array.map Glob.one #[`A, `B]\nlean_lib B where\n  globs := Array.map .submodules mods\n"
        "lean_lib C where\n  globs := Array.map (fun (n : Lean.Name) => .andSubmodules n) (mods ++ #[`E]) ++ #[`F]\n"
        "lean_lib D where\n  globs := Array.map Glob.submodules <| mods ++ #[`E]\ndef mods := #[`C, `D]\n",
        {
            "A": (".", ["A"], ["A", "B"]),
            "B": (".", ["B"], ["C.+", "D.+"]),
            "C": (".", ["C"], ["C.*", "D.*", "E.*", "F"]),
            "D": (".", ["D"], ["C.+", "D.+", "E.+"]),
        },
    ),
    "map as an operator": (
        "lean_lib A where\n  globs := Glob.submodules <$> #[`A, `B] ++ #[`C]\n"
        "lean_lib B where\n  globs := #[.one `D] ++ (Glob.submodules ·) <$> mods\nabbrev mods := #[`C]\n",
        {"A": (".", ["A"], ["A.+", "B.+", "C"]), "B": (".", ["B"], ["D", "C.+"])},
    ),
    "functions with a type, and an argument after <|": (
        "lean_lib A where\n  globs := #[`A].map fun (n : Name) => .submodules n\n"
        "lean_lib B where\n  globs := #[`B].map (fun n : Lean.Name ↦ Glob.one <| n)\n"
        "lean_lib C where\n  globs := #[.submodules <| `C, Glob.one <| (`D)]\n"
        "lean_lib D where\n  globs := .submodules <| `E\nlean_lib E where\n  globs := #[`F].map (Glob.submodules <| ·)\n",
        {
            "A": (".", ["A"], ["A.+"]),
            "B": (".", ["B"], ["B"]),
            "C": (".", ["C"], ["C.+", "D"]),
            "D": (".", ["D"], ["E.+"]),
            "E": (".", ["E"], ["F.+"]),
        },
    ),
    "lists made arrays": (
        "lean_lib A where\n  roots := [`A, `B].toArray\n  globs := ([`A].map Glob.submodules).toArray\n"
        "lean_lib B where\n  roots := names.toArray\n  globs := names.toArray.map Glob.submodules ++ [.one `D].toArray\n"
        "lean_lib C where\n  globs := [`E].toArray.map .submodules\ndef names : List Lean.Name := [`C]\n"
        "lean_lib D where\n  globs := List.map Glob.submodules [`F] |>.toArray\n"
        "lean_lib E where\n  roots := [`G] ++ [`H] |>.toArray\n",
        {
            "A": (".", ["A", "B"], ["A.+"]),
            "B": (".", ["C"], ["C.+", "D"]),
            "C": (".", ["C"], ["E.+"]),
            "D": (".", ["D"], ["F.+"]),
            "E": (".", ["G", "H"], ["G", "H"]),
        },
    ),
    "paths that are wrapped": (
        'lean_lib A where\n  srcDir := FilePath.mk "a"\nlean_lib B where\n  srcDir := System.FilePath.mk ("b") / "c"\n'
        'lean_lib C where\n  srcDir := ("d" : FilePath) / ("e" : System.FilePath)\ndef dir := ("f" : FilePath)\n'
        "lean_lib D where\n  srcDir := dir\n",
        {name: (path, [name], [name]) for name, path in zip("ABCD", ("a", "b/c", "d/e", "f"), strict=True)},
    ),
    "names for values": (
        'def dir : FilePath := "src"\nabbrev mods := #[`A, `B]\nlean_lib A where\n  srcDir := dir\n  roots := mods\n'
        "  globs := mods.map Glob.one ++ #[.submodules `C]\n",
        {"A": ("src", ["A", "B"], ["A", "B", "C.+"])},
    ),
    "Unicode brackets in what does not matter": (
        "lean_lib A where\n  leanOptions := #[⟨`a, (fun x ↦ x) true⟩, ⟨`b, f 1, 2⟩]\n  roots := #[`R]\nlean_lib B\n",
        {"A": (".", ["R"], ["R"]), "B": (".", ["B"], ["B"])},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_lakefiles(shape):
    text, expected = SHAPES[shape]
    assert libraries(text) == expected


ONE_COMPUTED = [
    ("lakefile.lean", "lean_lib Good\nlean_lib Bad where\n  roots := modules x\n"),
    ("lakefile.lean", "meta if x then\nlean_lib Bad\nlean_lib Good\n"),
    ("lakefile.lean", "lean_lib Bad := make x\nlean_lib Good\n"),
    ("lakefile.lean", "lean_lib $name\nlean_lib Good\n"),
    ("lakefile.lean", 'macro "l" : command => `(lean_lib Other)\nlean_lib Good\n'),
    ("lakefile.lean", "lean_lib Good\nlean_exe bad where\n  root := f x\n"),
    ("lakefile.toml", '[[lean_lib]]\nname = "Good"\n[[lean_lib]]\nname = "Bad"\nroots = [1]\n'),
]


@pytest.mark.parametrize(("file", "text"), ONE_COMPUTED)
def test_a_library_can_be_chosen_beside_one_that_is_computed(tmp_path, file, text):
    root = write(tmp_path, {file: text, "Good.lean": "", "Good/Deep.lean": "", "Bad.lean": ""})
    project = lw.lake.LakeProject.discover(root, libraries=["Good"])
    assert [module.name for module in project.modules] == ["Good", "Good.Deep"]
    with pytest.raises(lw.errors.LakefileError):
        lw.lake.LakeProject.discover(root)
    with pytest.raises((lw.errors.LakefileError, lw.UsageError)):
        lw.lake.LakeProject.discover(root, libraries=["Unknown"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lean_lib A where\nroots := f x\n", 2),
        ("package p where\nsrcDir := f x\nlean_lib A\n", 2),
        ('meta if c then package p where srcDir := "a" else package p\nlean_lib A\n', 1),
        ("meta if c then\npackage p := make\nelse\npackage p\nlean_lib A\n", 2),
        ("lean_lib A where\n  roots := #[`A]\n ++ more\n", 2),
        ("lean_lib A where\n  globs := #[`A].map f\n", 2),
        ("lean_lib A where\n  globs := #[`A].map fun n => .one n.getPrefix\n", 2),
        ("lean_lib A where\n  globs := #[.one `A].map Glob.one\n", 2),
        ("def mods (x : Nat) := #[`A]\nlean_lib A where\n  roots := mods\n", 3),
        ('meta if c then package p where srcDir := "a" else package p where srcDir := "b"\nlean_lib A\n', 1),
        ('meta if c then package p where srcDir := "a"\nlean_lib A\n', 1),
        ("meta if c then\npackage p := make\nelse\npackage q := make\nlean_lib A\n", 2),
        ("meta if c then\npackage p where\n  srcDir := f x\nelse\npackage p where\n  srcDir := f x\nlean_lib A\n", 3),
        (
            'meta if c then do\n  def d := "a"\n  package p where srcDir := d\nelse do\n  def d := "b"\n'
            "  package p where srcDir := d\nlean_lib A\n",
            3,
        ),
        # A function or a type of the lakefile's own.
        ("def one (n : Name) := Glob.submodules n\nlean_lib A where\n  globs := #[one `A]\n", 3),
        ("def one (n : Name) := Glob.submodules n\nlean_lib A where\n  globs := #[`A].map one\n", 3),
        ("def one (n : Name) := Glob.submodules n\nlean_lib A where\n  globs := #[`A].map fun n => one n\n", 3),
        ("def Array.map := g\nlean_lib A where\n  globs := Array.map Glob.one #[`A]\n", 3),
        ("abbrev n := `X\nlean_lib A where\n  globs := #[`A].map fun n => .one (id n)\n", 3),
        ("abbrev n.x := `X\nlean_lib A where\n  globs := #[`A].map fun n => .one n.x\n", 3),
        ("lean_lib A where\n  globs := #[`A].map fun (n : Glob) => .one n\n", 2),
        ("lean_lib A where\n  globs := #[`A].map fun n m => .one n\n", 2),
        ("lean_lib A where\n  globs := #[`A].map fun | n => .one n\n", 2),
        ("lean_lib A where\n  globs := Array.map Glob.one #[`A] 0 1\n", 2),
        ("lean_lib A where\n  globs := Array.map Glob.one mods.attach\nabbrev mods := #[`A]\n", 2),
        ("lean_lib A where\n  globs := Array.mapMono #[`A] Glob.one\n", 2),
        ("lean_lib A where\n  globs := #[`A] |>.map <| Glob.one\n", 2),
        ("lean_lib A where\n  globs := #[`A] |>.map Glob.one |>.reverse\n", 2),
        ("lean_lib A where\n  globs := Glob.one <$> Glob.one <$> #[`A]\n", 2),
        ("lean_lib A where\n  globs := .one <| f `A\n", 2),
        ("lean_lib A where\n  roots := [`A].toArray.reverse\n", 2),
        ("lean_lib A where\n  roots := [`A].reverse.toArray\n", 2),
        ("lean_lib A where\n  roots := (#[`A]).push `B\n", 2),
        ('lean_lib A where\n  srcDir := FilePath.mk dir "x"\n', 2),
        ('lean_lib A where\n  srcDir := ("x" : Path)\n', 2),
        ('lean_lib A where\n  srcDir := FilePath.join "x"\n', 2),
        ('lean_lib A where\n  srcDir := "x" / / "y"\n', 2),
        ('lean_lib A where\n  srcDir := __dir__ / "y"\n', 2),
        ("meta if c then\ndef mods := #[`A]\nlean_lib A where\n  roots := mods\n", 4),
        ("def mods := mods\nlean_lib A where\n  roots := mods\n", 3),
        ("def one := two\ndef two := one\nlean_lib A where\n  globs := one.map Glob.one\n", 4),
        ('lean_lib A where srcDir := "x"\n  roots := #[`R]\n', 2),
        ('lean_lib A where\n    srcDir := "x"\n  roots := #[`R]\n', 3),
        ('lean_lib A where srcDir = "x"\n', 1),
        ("lean_lib A where\n  roots := mods\nwhere\n  mods := #[`A]\n", 2),
        ('lean_lib A where\n  srcDir := "a"\n  srcDir := "b"\n', 2),
        ("lean_lib A where\n  roots := if get_config? x |>.isSome && y then #[`A] else #[`B]\n", 2),
    ],
)
def test_what_cannot_be_known_is_an_error_that_says_where(text, line):
    with pytest.raises(lw.errors.LakefileError) as caught:
        lakefile_lean.read(FILE, text.encode())
    assert caught.value.line == line and "needs Lake" in str(caught.value) and caught.value.hint


def test_no_reading_depends_on_how_a_declaration_is_laid_out():
    """The same declaration in any layout means the same, or is an error; it never loses a field in silence."""
    random_source = random.Random(15)
    fields = {"srcDir": '"src"', "roots": "#[`R, `S]", "globs": "#[`R.+, .one `T]", "precompileModules": "true"}
    expected = ("src", ["R", "S"], ["R.+", "T"])
    after = [
        "",
        "lean_lib Z\n",
        "@[default_target] lean_exe z\n",
        "/-- doc -/\ndef x := 1\n",
        "script s do\n  return 0\n",
        "-- end",
    ]
    for indent, order, block, following in itertools.product((0, 1, 4), range(6), ("where", "{", ":="), after):
        names = random_source.sample(sorted(fields), len(fields))
        pad = " " * indent
        comma = "," if block != "where" and order % 2 else ""
        gap = random_source.choice(["\n", "\n\n", "\n  -- remark := 1\n", "\n/- srcDir := x -/\n"])
        lines = [
            f"{pad}{name} :={random_source.choice([' ', chr(10) + pad + '  '])}{fields[name]}{comma}" for name in names
        ]
        opening, closing = {"where": (" where", ""), "{": (" {", "}"), ":=": (" := {", "}")}[block]
        text = f"lean_lib L{opening}{gap}{gap.join(lines)}\n{closing}\n{following}"
        assert libraries(text)["L"] == expected, text


def test_links_in_a_circle_end(tmp_path):
    root = write(
        tmp_path, {"lakefile.toml": '[[lean_lib]]\nname = "A"\n', "A.lean": "", "A/B.lean": "", "A/C/D.lean": ""}
    )
    (root / "A" / "up").symlink_to("..", target_is_directory=True)
    (root / "A" / "C" / "self").symlink_to(".", target_is_directory=True)
    (root / "A" / "C" / "back").symlink_to("../../A", target_is_directory=True)
    (root / "A" / "again").symlink_to("C", target_is_directory=True)
    (root / "A" / "nowhere").symlink_to("gone")
    names = [module.name for module in lw.lake.LakeProject.discover(root).modules]
    assert names == ["A", "A.B", "A.C.D", "A.again.D"]


def test_links_that_make_too_many_paths_are_an_error(tmp_path, monkeypatch):
    from lean_worker.lake import project as lake_project

    monkeypatch.setattr(lake_project, "_MOST_DIRECTORIES", 50)
    for level in range(8):
        (tmp_path / "A" / f"l{level}").mkdir(parents=True)
        if level:
            for name in ("x", "y"):
                (tmp_path / "A" / f"l{level - 1}" / name).symlink_to(f"../l{level}", target_is_directory=True)
    write(tmp_path, {"lakefile.toml": '[[lean_lib]]\nname = "A"\n', "A.lean": ""})
    with pytest.raises(lw.errors.PlanningError, match="more than 50 directories"):
        lw.lake.LakeProject.discover(tmp_path)


def test_an_unreadable_link_is_no_hang(tmp_path):
    write(tmp_path, {"lakefile.lean": "lean_lib A", "A.lean": "", "A/B.lean": ""})
    os.symlink("loop", tmp_path / "A" / "loop")
    assert [module.name for module in lw.lake.LakeProject.discover(tmp_path).modules] == ["A", "A.B"]


REQUIREMENTS = [
    ('require a from git "https://x" @ "v" / "sub"\n', [("a", None)]),
    ('require "scope" / "b-c" @ git "main"\nrequire «d-e»\n', [("b-c", None), ("d-e", None)]),
    ('require near from ".." / "near" with NameMap.empty\n', [("near", "../near")]),
    ('meta if get_config? env = some "dev" then\nrequire «doc-gen4» from git "u"\n', [("doc-gen4", None)]),
    ('require near from __dir__ / "x"\n', [("near", None)]),
    ('-- require x\ndef s := "require y"\n', []),
]


@pytest.mark.parametrize(("text", "expected"), REQUIREMENTS)
def test_requirements(text, expected):
    found = lakefile_lean.declarations(FILE, text.encode()).requirements
    assert [(each.name, each.path) for each in found] == expected


def test_options_in_tables_and_lists():
    text = (
        'leanOptions = [["a.«b»", 1], {name = "c", value = "x"}]\n[[lean_lib]]\nname = "L"\nleanOptions.weak.d = true\n'
    )
    found = lakefile_toml.declarations(Path("lakefile.toml"), text.encode())
    assert found.settings().options == (("a.b", 1), ("c", "x"))
    assert found.targets[0].settings().options == (("weak.d", True),)
    for wrong in ("leanOptions = 1", "leanOptions = [1]", "leanOptions = {a = 1.5}", "leanOptions = {a = -1}"):
        with pytest.raises(lw.errors.LakefileError, match="the package: expected"):
            lakefile_toml.declarations(Path("lakefile.toml"), wrong.encode()).settings()


def test_functions_are_mapped_over_options_in_their_order():
    """`<|` takes all that follows, so what stands first there is applied last."""
    start = "lean_lib A where\n  leanOptions := "
    weak, strong = (f"fun s => {{ s with name := `{name} ++ s.name }}" for name in ("weak", "strong"))
    options = "#[⟨`a, true⟩]"
    for value, name in (
        (f"{options}.map ({weak})", "weak.a"),
        (f"{options} |>.map ({weak}) |>.map ({strong})", "strong.weak.a"),
        (f"Array.map ({weak}) <| {options} |>.map ({strong})", "weak.strong.a"),
        (f"Array.map ({weak}) ({options}.map ({strong}))", "weak.strong.a"),
        (f"({weak}) <$> ({strong}) <$> {options}", "weak.strong.a"),
        (f"{options}.map {weak.replace('fun s', 'fun (s : LeanOption)')}", "weak.a"),
    ):
        (target,) = lakefile_lean.declarations(FILE, f"{start}{value}\n".encode()).targets
        assert target.settings().options == ((name, True),), value
