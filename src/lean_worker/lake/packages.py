"""The state of a project's packages, looked at before Lake is run.

Lake brings packages to the manifest's commit before it does anything else: it clones those that are missing, and
fetches, cleans or deletes those that are at another commit or that git refuses to read. This module refuses such a run
with the command that repairs the project. It changes nothing itself.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import BuildFailed
from . import git_head, lakefile
from . import manifest as lake_manifest
from .manifest import LakePackage

_ANSWER_SECONDS = 30.0


def refuse_changes(project: Path, doing: str, environment: Mapping[str, str]) -> None:
    """Raise if Lake would change packages of `project`.

    Args:
        project: The project's directory.
        doing: What Lake is run for, for the error.
        environment: The environment in which Lake, and from it git, is run.

    Raises:
        BuildFailed: Lake would download, replace or delete packages; `packages` names them, and the hint is the command
            to run.
        CapabilityError: The manifest cannot be read.
    """
    packages = lake_manifest.read(project)
    if packages is None:
        _refuse_without_manifest(project, doing)
        return
    missing = [package for package in packages if not (package.repository or package.directory).is_dir()]
    fetched = sorted(package.name for package in missing if package.repository is not None)
    if fetched:
        places = sorted({str(package.repository.parent) for package in missing if package.repository is not None})
        raise _refusal(
            f"{doing}: Lake would have to download {', '.join(fetched)} into {' and '.join(places)}; "
            "lean-worker downloads nothing",
            f"cd {shlex.quote(str(project))} && lake build",
            fetched,
        )
    for package in missing:
        raise _refusal(
            f"{doing}: the package {package.name} has to be in {package.directory}, which is not there",
            f"Put it there, or correct its path in the lakefile and run: cd {shlex.quote(str(project))} && lake update",
            [package.name],
        )
    for package in packages:
        if package.repository is not None and package.revision is not None:
            _compare(package, package.repository, package.revision, doing, environment)


def _refuse_without_manifest(project: Path, doing: str) -> None:
    wanted = lakefile.fetched_requirements(project)
    if wanted:
        raise _refusal(
            f"{doing}: the project requires {', '.join(wanted)} and has no {lake_manifest.MANIFEST}; Lake would ask "
            "its registry or git servers, and lean-worker downloads nothing",
            f"cd {shlex.quote(str(project))} && lake update",
            list(wanted),
        )


def _compare(package: LakePackage, checkout: Path, revision: str, doing: str, environment: Mapping[str, str]) -> None:
    """Raise unless git, run by Lake, would say that `checkout` is at `revision`."""
    about = f"{doing}: the package {package.name} in {checkout}"
    shown = shlex.quote(str(checkout))
    if git_head.git_directory(checkout) is None:
        # Git would answer for a repository around it, such as the project's own.
        raise _refusal(
            f"{about} is no git checkout; Lake would delete the directory and clone it again",
            f"mv {shown} {shown}.bak && cd {shlex.quote(str(_project_of(checkout)))} && lake build",
            [package.name],
        )
    git = shutil.which("git", path=environment.get("PATH", os.defpath))
    if git is None:
        raise _refusal(
            f"{about} cannot be looked at: there is no git on PATH; Lake would delete the directory and clone it again",
            "Install git, and put its directory on PATH.",
            [package.name],
        )
    head = git_head.head_revision(checkout)
    words = ""
    if head is None or (head == revision and not _is_trusted(checkout)):
        head, words = _ask_git(git, checkout, environment)
    if head == revision:
        return
    if head is None:
        hint = f"git -C {shown} rev-parse --verify HEAD"
        if "safe.directory" in words or "dubious ownership" in words:
            hint = f"git config --global --add safe.directory {shown}"
        raise _refusal(
            f"{about} has no commit that git names ({words or 'git said nothing'}); Lake would delete the directory "
            "and clone it again",
            hint,
            [package.name],
        )
    raise _refusal(
        f"{about} is at commit {head}, the manifest asks for {revision}; Lake would fetch it, discard what is not "
        "committed, and may delete the directory",
        f"git -C {shown} checkout --detach {shlex.quote(revision)}",
        [package.name],
        head=head,
        revision=revision,
    )


def _is_trusted(checkout: Path) -> bool:
    """Whether git takes the checkout for ours without asking its configuration."""
    directory = git_head.git_directory(checkout)
    places = [checkout, checkout / ".git"] if directory is None else [checkout, checkout / ".git", directory]
    try:
        return all(place.lstat().st_uid == os.geteuid() for place in places)
    except OSError:
        return False


def _ask_git(git: str, checkout: Path, environment: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the commit and the complaint of the very question that Lake asks."""
    try:
        said = subprocess.run(
            [git, "rev-parse", "--verify", "HEAD"],
            cwd=checkout,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return None, str(error)
    return (said.stdout.strip(), "") if said.returncode == 0 else (None, " ".join(said.stderr.split()))


def _project_of(checkout: Path) -> Path:
    return next((place for place in checkout.parents if (place / lake_manifest.MANIFEST).is_file()), checkout.parent)


def _refusal(text: str, hint: str, packages: Sequence[str], **facts: object) -> BuildFailed:
    return BuildFailed(text, hint=hint, target="", exit_code=None, output="", packages=list(packages), **facts)
