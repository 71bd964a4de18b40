"""What elan would choose for a directory, found out without running elan.

elan's `lean` and `lake` are stand-ins: they download a toolchain that is not there as soon as they are run. So they are
never run. Owns reading what elan reads (`ELAN_TOOLCHAIN`, directory overrides, `lean-toolchain`, the default) and where
it keeps toolchains. Callers get a directory, or an error that names the command which installs it.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from .errors import ToolchainMissing

TOOLCHAIN_FILE = "lean-toolchain"
_ORIGIN = "leanprover/lean4"
_NAME = re.compile(r"(?:(?P<origin>[\w-]+/[\w-]+):)?(?P<release>[\w.-]+)", re.ASCII)
_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?")


@dataclasses.dataclass(frozen=True)
class Choice:
    """A toolchain that elan would use.

    Attributes:
        name: As it was written, such as "leanprover/lean4:v4.9.0".
        where: What asks for it, in words.
        base: Directory against which a name that is a relative path counts.
    """

    name: str
    where: str
    base: Path


def home() -> Path:
    """elan's directory; it need not exist."""
    chosen = os.environ.get("ELAN_HOME")
    return Path(chosen).expanduser() if chosen else Path(os.path.expanduser("~/.elan"))


def is_proxy(program: str | os.PathLike[str]) -> bool:
    """Whether `program` is one of elan's stand-ins, which are copies of or links to `elan` beside it."""
    path = Path(program)
    return path.resolve().name == "elan" or (path.parent / "elan").is_file()


def is_name(text: str) -> bool:
    """Whether `text` can name a toolchain rather than a directory."""
    return _NAME.fullmatch(text) is not None


def choice_for(directory: Path, *, or_default: bool = False) -> Choice | None:
    """What elan would use in `directory`; None if nothing asks for a toolchain there.

    Args:
        directory: Where `lean` would be run.
        or_default: Whether elan's default toolchain counts.
    """
    directory = directory.resolve()
    named = os.environ.get("ELAN_TOOLCHAIN")
    if named:
        return Choice(named, "the environment variable ELAN_TOOLCHAIN", directory)
    settings = _settings()
    overrides = settings.get("overrides")
    for place in (directory, *directory.parents):
        override = overrides.get(str(place)) if isinstance(overrides, dict) else None
        if isinstance(override, str):
            return Choice(override, f"elan's override for {place}", place)
        file = place / TOOLCHAIN_FILE
        name = _first_line(file)
        if name:
            return Choice(name, str(file), place)
    default = settings.get("default_toolchain")
    if or_default and isinstance(default, str):
        return Choice(default, "elan's default toolchain", directory)
    return None


def directory_of(choice: Choice) -> Path:
    """Where the chosen toolchain is installed.

    Raises:
        ToolchainMissing: It is not; the hint is the command that installs it.
    """
    toolchains = home() / "toolchains"
    matched = _NAME.fullmatch(choice.name)
    if matched is None:
        # elan 4.2 and newer take a path, relative to the file that holds it.
        directory = choice.base / choice.name
        if directory.is_dir():
            return directory.resolve()
        raise ToolchainMissing(
            f"looking for a Lean: {choice.where} asks for {choice.name!r}, which names no toolchain and no directory",
            hint=f"Write a name such as {_ORIGIN}:v4.9.0 into it.",
            toolchain=choice.name,
            asked_by=choice.where,
        )
    for directory in _candidates(toolchains, matched["origin"], matched["release"]):
        if directory.is_dir():
            return directory.resolve()
    raise ToolchainMissing(
        f"looking for a Lean: {choice.where} asks for the toolchain {choice.name!r}, which is not installed in "
        f"{toolchains}; lean-worker downloads nothing",
        hint=f"elan toolchain install {choice.name}",
        toolchain=choice.name,
        asked_by=choice.where,
        toolchains=str(toolchains),
    )


def _candidates(toolchains: Path, origin: str | None, release: str) -> list[Path]:
    if origin is None and (toolchains / release).is_symlink():
        return [toolchains / release]  # made by `elan toolchain link`
    linked = [] if origin is not None else [toolchains / release]
    origin = origin or _ORIGIN
    if release.startswith("nightly") and not origin.endswith("-nightly"):
        origin += "-nightly"
    if release[0].isdigit():
        release = "v" + release
    prefix = origin.replace("/", "--") + "---"
    found = [toolchains / (prefix + release), *linked]
    if release in ("stable", "beta", "nightly"):
        # elan asks the network what the channel means today; without it, the newest one that is there is meant.
        found += _newest(toolchains, prefix, release)
    return found


def _newest(toolchains: Path, prefix: str, channel: str) -> list[Path]:
    releases = [entry for entry in toolchains.glob(prefix + "*") if entry.is_dir()]
    if channel == "nightly":
        return sorted((entry for entry in releases if "---nightly-" in entry.name), reverse=True)
    ranked: list[tuple[tuple[float, ...], Path]] = []
    for entry in releases:
        release = _RELEASE.fullmatch(entry.name.removeprefix(prefix))
        if release is not None and (channel == "beta" or release[4] is None):
            rank = (*map(int, release.group(1, 2, 3)), float(release[4] or "inf"))
            ranked.append((rank, entry))
    return [entry for _, entry in sorted(ranked, reverse=True)]


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""


def _settings() -> dict[str, Any]:
    try:
        settings = msgspec.toml.decode((home() / "settings.toml").read_bytes())
    except (OSError, msgspec.DecodeError, ImportError):
        return {}
    return settings if isinstance(settings, dict) else {}
