"""Building and asking a project: output, deadline, once as long as nothing changes, never from the network."""

from __future__ import annotations

import json
import os
import threading

import pytest

import lean_worker as lw
from fake_toolchain import lake_runs, make_prefix, make_project
from lean_worker.lake import tool as lake
from lean_worker.toolchains import toolchain
from support import is_running, wait_until


@pytest.fixture
def lean(tmp_path):
    return toolchain.resolve(make_prefix(tmp_path / "toolchain"))


def test_a_build_tells_its_lines_and_is_done_once(lean, tmp_path):
    project = make_project(tmp_path / "project")
    lines = []
    first = lake.build(lean, project, "demo", timeout=30, on_line=lines.append)
    assert lines == ["[1/2] Building demo", "Build completed successfully."]
    assert lake.build(lean, project, "demo", timeout=30) == first
    assert lake_runs(project) == ["build demo"]
    (project / "Source.lean").write_text("def one : Nat := 2\n")
    assert lake.build(lean, project, "demo", timeout=30) != first
    lake.build(lean, project, "demo:shared", timeout=30)
    assert lake_runs(project) == ["build demo", "build demo", "build demo:shared"]


@pytest.mark.parametrize(("edits", "runs"), [(1, 2), (3, 3)])
def test_an_edit_while_a_build_runs_is_built(lean, tmp_path, edits, runs):
    edit = f'[ $(wc -l < .lake/log) -gt {edits} ] || echo "-- $(wc -l < .lake/log)" >> Source.lean'
    project = make_project(tmp_path / "project", behaviour=f"cp Source.lean .lake/read; {edit}")
    lake.build(lean, project, "demo", timeout=30)
    assert len(lake_runs(project)) == runs
    built = lake.build(lean, project, "demo", timeout=30)
    assert (project / ".lake" / "read").read_text() == (project / "Source.lean").read_text()
    assert lake.build(lean, project, "demo", timeout=30) == built and len(lake_runs(project)) == edits + 1


def test_sources_elsewhere_are_looked_at(lean, tmp_path):
    project = make_project(tmp_path / "project")
    for place in ("real/Deep", "near", "far", "common", "other"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "M.lean").write_text("def one : Nat := 1\n")
        os.utime(tmp_path / place / "M.lean", (1, 1))
    (project / "Src").symlink_to("../real")
    (tmp_path / "real" / "back").symlink_to(project)
    (project / "lakefile.toml").write_text(
        '[[lean_lib]]\nname = "M"\nsrcDir = "../common"\n[[require]]\nname = "near"\npath = "../near"\n'
    )
    (tmp_path / "near" / "lakefile.lean").write_text('require far from ".." / "far"\n')
    (tmp_path / "far" / "lakefile.toml").write_text('name = "far"\n')

    def counts_edits(*places):
        for place in places:
            before = len(lake_runs(project))
            lake.build(lean, project, "demo", timeout=30)
            assert len(lake_runs(project)) == before
            (tmp_path / place / "M.lean").write_text("def one : Nat := 23\n")
            lake.build(lean, project, "demo", timeout=30)
            assert len(lake_runs(project)) == before + 1, place

    lake.build(lean, project, "demo", timeout=30)
    counts_edits("real/Deep", "near", "far", "common")
    packages = [{"name": name, "type": "path", "dir": f"../{name}"} for name in ("near", "other")]
    (project / "lake-manifest.json").write_text(json.dumps({"version": "1.1.0", "packages": packages}))
    (tmp_path / "near" / "M.lean").write_text("")
    lake.build(lean, project, "demo", timeout=30)
    counts_edits("near", "other")


def test_a_link_to_other_files_of_the_same_age_starts_a_build(lean, tmp_path):
    project = make_project(tmp_path / "project")
    for place, text in (("one", "def one : Nat := 1\n"), ("two", "def one : Nat := 2\n")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "M.lean").write_text(text)
        os.utime(tmp_path / place / "M.lean", (1, 1))
    (project / "Src").symlink_to("../one")
    lake.build(lean, project, "demo", timeout=30)
    (project / "Src").unlink()
    (project / "Src").symlink_to("../two")
    lake.build(lean, project, "demo", timeout=30)
    assert len(lake_runs(project)) == 2


def test_links_to_too_many_directories_are_an_error(lean, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    monkeypatch.setattr(lake, "_MOST_LINKED", 3)
    for number in range(4):
        (tmp_path / "data" / str(number)).mkdir(parents=True)
    (project / "data").symlink_to("../data")
    with pytest.raises(lw.CapabilityError, match="links lead to more than 3 directories"):
        lake.build(lean, project, "demo", timeout=30)


def test_threads_that_want_the_same_build_share_it(lean, tmp_path):
    project = make_project(tmp_path / "project")
    threads = [threading.Thread(target=lake.build, args=(lean, project, "demo")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake_runs(project) == ["build demo"]


def test_a_failed_build_has_lake_s_own_words(lean, tmp_path):
    project = make_project(tmp_path / "project", behaviour="echo 'error: Source.lean:1:0: type mismatch' >&2; exit 1")
    with pytest.raises(lw.errors.BuildFailed) as caught:
        lake.build(lean, project, "demo", timeout=30)
    assert "error: Source.lean:1:0: type mismatch" in caught.value.output
    assert "exit code 1" in str(caught.value) and "type mismatch" in str(caught.value)
    assert (caught.value.exit_code, caught.value.target) == (1, "demo")
    with pytest.raises(lw.errors.BuildFailed):
        lake.build(lean, project, "demo", timeout=30)
    assert len(lake_runs(project)) == 2


def test_a_build_that_takes_too_long_is_ended_with_what_it_started(lean, tmp_path):
    project = make_project(tmp_path / "project", behaviour="sleep 600 & echo $! > .lake/pid; echo waiting; wait")
    with pytest.raises(lw.errors.BuildFailed, match=r"had not ended after 0\.5 seconds") as caught:
        lake.build(lean, project, "demo", timeout=0.5)
    assert caught.value.exit_code is None and "waiting" in caught.value.output
    started = int((project / ".lake" / "pid").read_text())
    wait_until(lambda: not is_running(started))


def test_an_exception_of_the_callback_ends_the_build(lean, tmp_path):
    project = make_project(tmp_path / "project", behaviour="echo $$ > .lake/pid; sleep 600")

    def refuse(line):
        file = project / ".lake" / "pid"
        wait_until(lambda: file.exists() and file.read_text().strip())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lake.build(lean, project, "demo", on_line=refuse)
    assert not is_running(int((project / ".lake" / "pid").read_text()))


def test_long_output_is_kept_in_bounds(lean, tmp_path):
    project = make_project(tmp_path / "project", behaviour="seq 1 5000; exit 1")
    with pytest.raises(lw.errors.BuildFailed) as caught:
        lake.build(lean, project, "demo", timeout=30)
    assert len(caught.value.output.splitlines()) == 400 and caught.value.output.endswith("5000")


def test_a_package_that_is_not_there_is_not_fetched(lean, tmp_path):
    project = make_project(tmp_path / "project")
    packages = [{"name": "mathlib", "type": "git"}, {"name": "near", "type": "path"}]
    (project / "lake-manifest.json").write_text(json.dumps({"version": "1.1.0", "packages": packages}))
    with pytest.raises(lw.errors.BuildFailed, match=r"would have to download mathlib") as caught:
        lake.build(lean, project, "demo")
    assert caught.value.hint == f"cd {project} && lake build"
    with pytest.raises(lw.errors.BuildFailed, match="mathlib"):
        lake.module_path(lean, project)
    assert lake_runs(project) == []
    (project / ".lake" / "packages" / "mathlib").mkdir(parents=True)
    lake.build(lean, project, "demo", timeout=30)


def test_whether_it_is_built(lean, tmp_path):
    project = make_project(tmp_path / "project")
    assert lake.is_up_to_date(lean, project, "demo", timeout=30)[0] is False
    lake.build(lean, project, "demo", timeout=30)
    assert lake.is_up_to_date(lean, project, "demo", timeout=30)[0] is True
    (project / "Source.lean").write_text("def one : Nat := 2\n")
    assert lake.is_up_to_date(lean, project, "demo", timeout=30)[0] is False


def test_the_modules_of_a_project_are_those_that_lake_names(lean, tmp_path):
    project = make_project(tmp_path / "project")
    found = [str(path) for path in lake.module_path(lean, project)]
    assert found == [str(project / ".lake" / "build" / "lib" / "lean"), "/elsewhere"]
    lake.module_path(lean, project)
    assert lake_runs(project) == ["env printenv LEAN_PATH"]
    (project / "lakefile.toml").write_text('name = "other"\n')
    lake.module_path(lean, project)
    assert len(lake_runs(project)) == 2
    (project / "lakefile.toml").write_text('name = "broken"\n')
    (project / "broken").touch()
    with pytest.raises(lw.CapabilityError, match=r"lakefile\.lean:3:0: unexpected token"):
        lake.module_path(lean, project)


def test_a_lake_that_does_not_answer_is_ended_with_what_it_started(lean, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    (project / "hang").touch()
    monkeypatch.setattr(lake, "_ENVIRONMENT_SECONDS", 0.5)
    with pytest.raises(lw.CapabilityError, match="timed out after 0.5 seconds"):
        lake.module_path(lean, project)
    wait_until(lambda: not is_running(int((project / ".lake" / "pid").read_text())))


def test_a_build_that_was_deleted_is_made_again_once_that_is_known(lean, tmp_path):
    project = make_project(tmp_path / "project")
    lake.build(lean, project, "demo", timeout=30)
    (project / ".lake" / "built").unlink()
    assert lake.is_up_to_date(lean, project, "demo", timeout=30)[0] is False
    lake.build(lean, project, "demo", timeout=30)
    assert (project / ".lake" / "built").exists()


def test_without_a_lake_the_usual_places_are_taken(tmp_path):
    lean = toolchain.resolve(make_prefix(tmp_path / "toolchain", lake=False))
    project = make_project(tmp_path / "project")
    usual = project / ".lake" / "build" / "lib" / "lean"
    usual.mkdir(parents=True)
    assert usual in lake.module_path(lean, project)
    with pytest.raises(lw.CapabilityError, match="has no lake"):
        lake.build(lean, project, "demo")


def test_a_directory_that_is_no_project(lean, tmp_path):
    with pytest.raises(lw.CapabilityError, match=r"neither lakefile\.toml nor lakefile\.lean"):
        lake.build(lean, tmp_path, "demo")
    project = make_project(tmp_path / "project")
    with pytest.raises(lw.UsageError, match="got an option"):
        lake.build(lean, project, "--help")


def test_lake_finds_the_toolchain_s_own_programs_first(lean):
    env = lake.environment(lean)
    assert env["PATH"].split(os.pathsep)[0] == str(lean.prefix / "bin")
    assert (env["GIT_ALLOW_PROTOCOL"], env["LAKE_NO_CACHE"]) == ("file", "1")
