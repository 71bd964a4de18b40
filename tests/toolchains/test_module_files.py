"""A look at compiled modules before Lean loads them: who wrote them, all of their parts, and every change."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from descriptors import descriptors_left
from fake_toolchain import make_prefix
from lean_modules import compile_module, script_that_answers, text_module
from lean_worker.base import olean
from lean_worker.child import module_compiler, olean_cache, own_modules
from lean_worker.toolchains import module_files, script_modules, toolchain
from olean_files import COMMIT, write_graph, write_olean
from support import embedded_library

pytestmark = [pytest.mark.lean, pytest.mark.once]

PARTS = ["olean", "olean.server", "olean.private", "ir.sig", "ir"]


@pytest.fixture(autouse=True)
def no_elan(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    monkeypatch.delenv("LEAN_PATH", raising=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Three modules, each of which imports the one before it."""
    root = tmp_path_factory.mktemp("modules")
    compile_module(root, "Demo.Base", text_module(name="Demo.base", value='"1"'))
    compile_module(root, "Demo.Middle", text_module("Demo.Base", name="Demo.middle", value="Demo.base"))
    compile_module(root, "Demo.Top", text_module("Demo.Middle", name="Demo.top", value="Demo.middle"))
    return root


def full(tmp_path: Path, version: str, commit: str = COMMIT, **form) -> Path:
    """A toolchain whose modules say that another stage's compiler wrote them."""
    prefix = make_prefix(tmp_path / "toolchain", real=True)
    write_olean(prefix / "lib" / "lean" / "Init.olean", ["Init.Prelude"], version=version, commit=commit, **form)
    write_olean(prefix / "lib" / "lean" / "Init" / "Prelude.olean", version=version, commit=commit, **form)
    return prefix


def look(root: Path, toolchain: Path | str = "embedded", *roots: str) -> script_modules.Closure:
    lean = lw.toolchains.resolve(toolchain)
    places = [root, *([lean.modules] if lean.modules else [])]
    closure = script_modules.close(roots or ["Demo.Top"], places, lean, [root])
    assert closure is not None
    return closure


def wrong(closure: script_modules.Closure) -> list[script_modules.Problem]:
    """What is wrong; the tests write files in any order."""
    return [problem for problem in closure.problems if problem.reason != "stale"]


def reasons(closure: script_modules.Closure) -> set[tuple[str, str]]:
    return {(problem.reason, problem.module) for problem in wrong(closure)}


# -- who wrote a file --


@pytest.mark.parametrize("version", ["4.35.0-pre", "4.36.0-rc2", "", "4.35.0"])
def test_the_commit_counts_and_the_version_does_not(built, tmp_path, version):
    prefix = full(tmp_path, version)
    assert reasons(look(built, prefix)) == set()
    found = lw.toolchains.resolve(prefix)
    assert (found.version, found.commit) == ("4.35.0", COMMIT)
    damaged = shutil.copytree(built, tmp_path / "damaged")
    file = damaged / "Demo" / "Base.olean"
    file.write_bytes(file.read_bytes()[:1000])
    assert reasons(look(damaged, prefix)) == {("damaged", "Demo.Base")}


@pytest.mark.parametrize("commit", ["", "0" * 40, "1" * 40], ids=["none", "zeros", "another"])
def test_a_lean_that_does_not_look_at_commits(built, tmp_path, commit):
    """Its own modules are of another commit than itself, or of none, and it loads them."""
    prefix = full(tmp_path, "4.35.0", commit)
    assert reasons(look(built, prefix)) == set()
    assert not lw.toolchains.resolve(prefix).checks_commits


def test_files_of_another_commit_or_form_and_what_is_below_them(built, tmp_path):
    prefix = full(tmp_path, "4.35.0-pre")
    root = shutil.copytree(built, tmp_path / "modules")
    write_olean(root / "Demo" / "Middle.olean", ["Demo.Base"], commit="1" * 40)
    assert reasons(look(root, prefix)) == {("incompatible", "Demo.Middle")}
    before = look(root, prefix).digest
    file = root / "Demo" / "Base.olean"
    file.write_bytes(file.read_bytes()[:1000])
    assert reasons(look(root, prefix)) == {("incompatible", "Demo.Middle"), ("damaged", "Demo.Base")}
    assert look(root, prefix).digest != before
    for form in ({"flags": 0}, {"layout": 1}):
        write_olean(root / "Demo" / "Base.olean", **form)
        assert ("incompatible", "Demo.Base") in reasons(look(root, prefix))


@pytest.mark.parametrize("root_last", [True, False])
def test_old_files_have_a_commit_and_no_version(tmp_path, root_last):
    file = write_olean(tmp_path / "A.olean", ["B", "C.D"], layout=1, root_last=root_last, size_bytes=100_000)
    assert olean.read_imports(file) == ["B", "C.D"]
    header = olean.read_header(file)
    assert (header.version, header.commit, header.form) == ("", COMMIT, (1, 0))


def test_a_module_below_the_roots_that_was_built_again_takes_a_new_worker(built, tmp_path):
    prefix = full(tmp_path, "4.35.0-pre")
    root = shutil.copytree(built, tmp_path / "modules")
    before = look(root, prefix)
    assert set(before.modules) == {"Demo.Top", "Demo.Middle", "Demo.Base"}
    compile_module(root, "Demo.Base", text_module(name="Demo.base", value='"2"'))
    assert look(root, prefix).digest != before.digest


def test_thousands_of_files_of_another_lean_are_a_few_findings(tmp_path):
    project = tmp_path / "project"
    root = project / ".lake" / "build" / "lib" / "lean"
    write_graph(root, 300, 0)
    for file in root.rglob("*.olean"):
        data = bytearray(file.read_bytes())
        data[40:80] = b"1" * 40
        file.write_bytes(data)
    path = script_that_answers(project / "Script.lean", '"1"', "Synthetic")
    errors = lw.checking.check_capability(lw.LeanCapability(path, project=project, toolchain="embedded")).errors
    assert 1 < len(errors) < 10
    assert "and 296 more modules like this" in errors[-1].message


# -- the parts of a module --


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A module of the module system, and one that imports it."""
    root = tmp_path_factory.mktemp("parts")
    for name, text in {
        "Part": "module\nprelude\npublic import LeanWorker\npublic section\n"
        'def Part.value : String := "1"\nprivate def Part.hidden : String := "2"\n',
        "Whole": "module\nprelude\npublic import Part\npublic section\ndef Whole.value : String := Part.value\n",
    }.items():
        compile_module(root, name, text)
    assert all((root / f"Part.{suffix}").exists() for suffix in PARTS)
    return root


def test_whole_parts_are_no_problem(parts):
    assert reasons(look(parts, "embedded", "Whole")) == set()


@pytest.mark.parametrize("suffix", PARTS)
def test_no_cut_of_a_part_goes_unnoticed(parts, tmp_path, suffix):
    """Lean dies of most of them without a word."""
    root = shutil.copytree(parts, tmp_path / "parts")
    file = root / f"Part.{suffix}"
    whole = file.read_bytes()
    before = look(root, "embedded", "Whole").digest
    for length in sorted(
        {0, 5, 50, 88, 95, len(whole) - 1, len(whole) - 8, *range(96, len(whole), 1 + len(whole) // 12)}
    ):
        file.write_bytes(whole[:length])
        (problem,) = wrong(look(root, "embedded", "Whole"))
        assert (problem.reason, problem.module, problem.file) == ("damaged", "Part", str(file)), length
        assert str(file) in problem.text
    file.write_bytes(bytes(len(whole)))
    assert wrong(look(root, "embedded", "Whole"))[0].file == str(file)
    file.write_bytes(whole)
    assert wrong(look(root, "embedded", "Whole")) == []
    assert look(root, "embedded", "Whole").digest != before  # the file is another one
    script = script_that_answers(tmp_path / "Script.lean", "Whole.value", "Whole")
    file.write_bytes(whole[: len(whole) - 9])
    capability = lw.LeanCapability(script, toolchain="embedded", env={"LEAN_PATH": str(root)})
    with pytest.raises(lw.errors.ModuleRefused, match=rf"Part\.{suffix.replace('.', '[.]')}") as caught:
        capability.launch()
    assert (caught.value.reason, caught.value.file) == ("damaged", str(file))


@pytest.mark.parametrize("suffix", PARTS[1:])
def test_a_part_that_comes_or_goes_is_a_change(parts, tmp_path, suffix):
    root = shutil.copytree(parts, tmp_path / "parts")
    file = root / f"Part.{suffix}"
    away = tmp_path / "away"
    digests = [look(root, "embedded", "Whole").digest]
    file.rename(away)
    digests.append(look(root, "embedded", "Whole").digest)
    away.rename(file)
    digests.append(look(root, "embedded", "Whole").digest)
    if suffix != "olean.private":
        assert digests[0] != digests[1] != digests[2]
    file.write_bytes(file.read_bytes())
    digests.append(look(root, "embedded", "Whole").digest)
    assert digests[2] != digests[3]


def test_a_private_part_without_a_server_part_is_not_loaded(parts, tmp_path):
    root = shutil.copytree(parts, tmp_path / "parts")
    (root / "Part.olean.server").unlink()
    (root / "Part.olean.private").write_bytes(b"nothing")
    assert reasons(look(root, "embedded", "Whole")) == set()


def test_a_part_of_another_lean_is_named(parts, tmp_path):
    root = shutil.copytree(parts, tmp_path / "parts")
    data = bytearray((root / "Part.olean.server").read_bytes())
    data[40:80] = b"1" * 40
    (root / "Part.olean.server").write_bytes(data)
    (problem,) = wrong(look(root, "embedded", "Whole"))
    assert (problem.reason, problem.file) == ("incompatible", str(root / "Part.olean.server"))


# -- changes and their cost --


def test_no_change_goes_unnoticed_however_quick(tmp_path):
    """Each file has the same length and time as the one before it, and comes right after it."""
    chance = random.Random(5)
    seen: dict[str, str] = {}
    file = tmp_path / "A.olean"
    for i in range(40):
        name = f"B{i % 10}{chance.randrange(10)}{i // 10}"
        other = tmp_path / "other"
        write_olean(other, [name])
        if chance.random() < 0.5:
            other.replace(file)
        else:
            file.write_bytes(other.read_bytes())
        if chance.random() < 0.7:
            os.utime(file, ns=(10**18, 10**18))
        digest = look(tmp_path, "embedded", "A").digest
        assert seen.setdefault(digest, name) == name
        assert name in {problem.module for problem in look(tmp_path, "embedded", "A").problems}
        if chance.random() < 0.5:
            assert look(tmp_path, "embedded", "A").digest == digest
    assert len(seen) >= 35


def test_a_native_library_that_was_built_again_takes_a_new_worker(tmp_path):
    library = tmp_path / "libDemo.so"
    path = script_that_answers(tmp_path / "Script.lean", '"1"')
    keys = []
    for text in (b"first", b"other"):
        library.write_bytes(text)
        os.utime(library, ns=(10**18, 10**18))
        capability = lw.LeanCapability(path, toolchain="embedded", native_libraries=[library])
        keys += [capability.launch().key(), capability.launch().key()]
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_modules_that_were_unpacked_in_any_order_are_one_warning(tmp_path):
    roots = write_graph(tmp_path, 400, 0)
    chance = random.Random(3)
    for file in tmp_path.rglob("*.olean"):
        time_ns = 10**18 + chance.randrange(10**12)
        os.utime(file, ns=(time_ns, time_ns))
    (problem,) = look(tmp_path, "embedded", *roots).problems
    assert problem.reason == "stale"
    assert " of 401 modules are older than one that they import" in problem.text
    assert "lake build" in problem.hint


def test_each_file_is_opened_once(tmp_path):
    """Counted by the interpreter itself, in a process of its own: an audit hook cannot be taken away."""
    write_graph(tmp_path, 200, 4000)
    program = (
        "import sys, collections\n"
        "from pathlib import Path\n"
        "from lean_worker.toolchains import module_files, script_modules, toolchain\n"
        "opened = collections.Counter()\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('.olean'):\n"
        "        opened[str(arguments[0])] += 1\n"
        "lean = toolchain.resolve('embedded'); lean.commit\n"
        "sys.addaudithook(hook)\n"
        "root = Path(sys.argv[1])\n"
        "for _ in range(3):\n"
        "    closure = script_modules.close(['Synthetic'], [root], lean, [root])\n"
        "assert len(closure.modules) == 201 and not closure.problems, closure.problems\n"
        "assert len(opened) == 201 and set(opened.values()) == {1}, opened.most_common(3)\n"
    )
    for file in tmp_path.rglob("*.olean"):
        os.utime(file, ns=(10**18, 10**18))
    subprocess.run(["sleep", "0.05"], check=True)  # until no file can change without another time
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)


@pytest.mark.parametrize("is_full", [False, True], ids=["embedded", "full"])
def test_what_could_not_be_looked_at_for_a_moment_is_looked_at_again(built, tmp_path, is_full):
    """Neither a Lean, nor a script's imports, nor a directory or a file of modules is given up for good."""
    library = tmp_path / "project" / ".lake" / "build" / "lib" / "lean"
    top = library / "Demo" / "Top.olean"
    prefix = full(tmp_path, "4.35.0") if is_full else None
    told = []
    for count in range(12):
        # All are new to this process: the Lean's directory, the script, and the modules.
        lean = "embedded"
        if prefix is not None:
            lean = tmp_path / f"lean-{count}"
            lean.symlink_to(prefix)
        shutil.rmtree(library, ignore_errors=True)
        shutil.copytree(built, library)
        script = script_that_answers(tmp_path / f"s{count}.lean", "Demo.top", "Demo.Top")
        capability = lw.LeanCapability(script, project=tmp_path / "project", toolchain=lean, settings="none")
        with descriptors_left(count):
            try:
                told.append(capability.launch().content)
            except lw.LeanWorkerError as error:
                told.append(type(error).__name__)
        content = capability.launch().content
        assert told[-1] in ("ResourceExhausted", content), (count, told)
        shutil.copy(built / "Demo" / "Top.olean", tmp_path / "again")
        (tmp_path / "again").replace(top)
        assert capability.launch().content != content, count
        top.write_bytes(b"olean")
        with pytest.raises(lw.errors.ModuleRefused):
            capability.launch()
    assert told[0] == "ResourceExhausted" != told[-1]


# -- what a script imports --


@pytest.mark.parametrize(
    "answer",
    [
        '{"imports":[{"errors":[],"result":{"imports":[{"importAll":false,"isExported":true,"isMeta":false,"module":"A.B"},'
        '{"module":"C"}],"isModule":false}}]}',
        '{"imports": [{"imports": [{"runtimeOnly": false, "module": "A.B"}, {"module": "C"}], "errors": []}]}',
    ],
    ids=["since 4.22", "before"],
)
def test_both_forms_of_an_answer_about_imports(answer):
    import msgspec

    (file,) = msgspec.json.decode(answer, type=script_modules.Answer).imports
    assert [each.module for each in file.all_imports()] == ["A.B", "C"]


def test_an_answer_about_another_text_is_not_kept(tmp_path):
    """A script was saved after it was read, and before Lean read it; then the edit was taken back."""
    lean, script = lw.toolchains.resolve("embedded"), tmp_path / "s.lean"
    read = b"prelude\nimport LeanWorker\nimport Mine\n"
    script.write_bytes(b"prelude\nimport LeanWorker\n")
    script_modules.imports_of(lean, script, read)
    script.write_bytes(read)
    assert script_modules.imports_of(lean, script, read) == ("LeanWorker", "Mine")


def test_the_typed_layer_is_provided_where_lean_has_its_json(tmp_path):
    from lean_worker.projects.import_graph import CompiledModules

    prefix = full(tmp_path, "4.35.0")
    lean = lw.toolchains.resolve(prefix)
    assert CompiledModules(lean, None, "").provide("LeanWorker")
    assert not CompiledModules(lean, None, "").provide("LeanWorker.Json")
    write_olean(prefix / "lib" / "lean" / "Lean" / "Data" / "Json.olean")
    assert CompiledModules(lean, None, "").provide("LeanWorker.Json")


# -- scripts with a module header --


MODULE_SCRIPT = """module
prelude
public import LeanWorker
import Part
open LeanWorker
def answer : Command where
  name := "answer"
  run _ := return Part.value
public def main : IO Unit := serve (List.cons answer List.nil)
"""


@pytest.mark.parametrize("header", ["public import LeanWorker\nimport Part", "import LeanWorker\nimport Part"])
def test_a_script_with_a_module_header(parts, tmp_path, header):
    script = tmp_path / "Script.lean"
    script.write_text(MODULE_SCRIPT.replace("public import LeanWorker\nimport Part", header))
    capability = lw.LeanCapability(script, toolchain="embedded", env={"LEAN_PATH": str(parts)})
    with lw.Pool() as pool, pool.lease(capability) as lease:
        assert lease.call(lw.JsonCommand("answer")) == 1
    script.write_text(script.read_text().replace("import Part\n", ""))
    added = lw.LeanCapability(script, toolchain="embedded", env={"LEAN_PATH": str(parts)}, imports=["Part"])
    with lw.Pool() as pool, pool.lease(added) as lease:
        assert lease.call(lw.JsonCommand("answer")) == 1


def test_a_main_that_is_not_public_is_explained(parts, tmp_path):
    script = tmp_path / "Script.lean"
    script.write_text(
        MODULE_SCRIPT.replace("import Part\n", "").replace("Part.value", '"1"').replace("public def", "def")
    )
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="public def main"):
        pool.lease(lw.LeanCapability(script, toolchain="embedded"))


def test_the_shipped_module_is_one_of_the_module_system():
    entry = olean_cache.prepare(embedded_library())
    assert (entry / "LeanWorker.olean.private").is_file() and (entry / "LeanWorker" / "Prelude.ir").is_file()


def test_a_directory_in_which_other_files_come_and_go_takes_no_new_worker(built, tmp_path):
    root = shutil.copytree(built, tmp_path / "modules")
    digests = set()
    for i in range(30):
        (root / f"output{i}.jsonl").write_text("{}")
        digests.add(look(root).digest)
        (root / "Demo" / f"other{i}.txt").write_text("")
    assert len(digests) == 1
    compile_module(root, "Demo.New", text_module("Demo.Base", name="Demo.new", value="Demo.base"))
    write_olean(root / "Demo" / "Top.olean", ["Demo.Middle", "Demo.New"])
    assert "Demo.New" in look(root).modules


@pytest.mark.parametrize("as_module", [True, False])
@pytest.mark.parametrize("is_bare", [True, False])
@pytest.mark.parametrize("module", ["LeanWorker", "LeanWorker/Json"])
def test_messages_name_the_lines_of_the_shipped_files(module, is_bare, as_module):
    shipped = own_modules.source(module).read_text("utf-8").splitlines()
    compiled = module_compiler.text_of(module, as_module=as_module, is_bare=is_bare).splitlines()
    first = next(i for i, line in enumerate(shipped) if line.startswith(("/-!", "prelude"))) + 1
    assert len(compiled) == len(shipped) and compiled[first:] == shipped[first:]
    assert compiled[0].startswith("module") is as_module


# -- modules of packages --


def manifest(project: Path, revision: str) -> None:
    entry = {
        "url": "https://example.org/a", "type": "git", "subDir": None, "rev": revision, "name": "a", "scope": "",
        "inputRev": "main", "inherited": False, "configFile": "lakefile.toml",
    }  # fmt: skip
    table = {"version": "1.1.0", "packagesDir": ".lake/packages", "packages": [entry], "name": "p", "lakeDir": ".lake"}
    (project / "lake-manifest.json").write_text(json.dumps(table))


@pytest.mark.parametrize("is_package", [False, True], ids=["project in .lake/packages", "its package"])
def test_a_package_that_is_built_again_takes_a_new_worker(tmp_path, is_package):
    project = tmp_path / "project" if is_package else tmp_path / "outer" / ".lake" / "packages" / "mathlib"
    home = project / ".lake" / "packages" / "a" if is_package else project
    built = home / ".lake" / "build" / "lib" / "lean"
    built.mkdir(parents=True)
    (project / "lakefile.toml").write_text('name = "p"\n')
    if is_package:
        manifest(project, "1" * 40)
    path = script_that_answers(project / "Script.lean", "A.v", "A")
    compile_module(built, "A", text_module(name="A.v", value='"1"'))
    answer = lw.JsonCommand("answer")
    with lw.Pool() as pool:
        for value in (1, 2):
            with pool.lease(lw.LeanCapability(path, project=project, toolchain="embedded")) as lease:
                assert lease.call(answer) == value
            compile_module(built, "A", text_module(name="A.v", value='"2"'))
            if is_package:
                manifest(project, "2" * 40)
        file = built / "A.olean"
        file.write_bytes(file.read_bytes()[:1000])
        with pytest.raises(lw.errors.ModuleRefused):
            pool.lease(lw.LeanCapability(path, project=project, toolchain="embedded"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".olean", ".olean.server", ".olean.private", ".ir"])
def test_a_fifo_where_a_file_should_be_is_no_wait(tmp_path, suffix):
    write_olean(tmp_path / "K.olean")
    if suffix == ".olean":
        (tmp_path / "K.olean").unlink()
    os.mkfifo(tmp_path / f"K{suffix}")
    if suffix == ".olean.private":
        write_olean(tmp_path / "K.olean.server")
    closure = script_modules.close(["K"], [tmp_path], toolchain.resolve("embedded"), [tmp_path])
    assert closure.problems


@pytest.mark.parametrize("how", ["a link to nothing", "a directory"])
def test_what_is_no_file_is_damaged_and_can_heal(tmp_path, how):
    """Unlike one that cannot be opened now, of which nothing is known."""
    path = tmp_path / "A.olean"
    path.symlink_to("nowhere") if "link" in how else path.mkdir()
    assert module_files.read([str(path)], (None,), parts=True).reason == "damaged"
    path.unlink() if "link" in how else path.rmdir()
    write_olean(path, [])
    state = (path.stat().st_ctime_ns, path.stat().st_mtime_ns, path.stat().st_size, path.stat().st_ino)
    assert module_files.read([str(path)], (state,), parts=True).reason != "damaged"
