"""The toolchain that elan would choose for a directory, found without running elan.

elan's `lean` and `lake` are proxies that download a missing toolchain as soon as they run, so they are never run. This
module reads what elan reads (`ELAN_TOOLCHAIN`, directory overrides, `lean-toolchain`, the default) and finds elan's
toolchains. Callers get a directory, or an error that names the command which installs it.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..base.regular_files import read_regular
from ..base.system_errors import of_system
from ..errors import ToolchainMissing

TOOLCHAIN_FILE = "lean-toolchain"
_ORIGIN = "leanprover/lean4"
_EXAMPLE = f"{_ORIGIN}:v4.9.0"
_CHANNELS = ("stable", "beta", "nightly")
# A release of dots alone would be a directory around the toolchains.
_NAME = re.compile(r"(?:(?P<origin>[\w-]+/[\w-]+):)?(?P<release>(?!\.+\Z)[a-zA-Z0-9.-]+)", re.ASCII)
_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?")
_INSTALLABLE = re.compile(
    r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?|nightly-\d{4}-\d{2}-\d{2}(?:-rev\d+)?|stable|beta|nightly"
)
_FILE_NAME_BYTES = 255
# These say that nobody could look now, or not this user, and nothing about what is there.
_SAYING_NOTHING = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
_HINT_HOME = (
    "Set ELAN_HOME, or HOME, to a directory that this user may read; or name the Lean: toolchain='embedded', or the "
    "directory of one."
)
_HINT_FILE = "Let this user read the file, or name the Lean: toolchain=…."
_SHOWN_CHARACTERS = 200


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
    return Path(os.path.expanduser(chosen or "~/.elan"))


def is_there() -> bool:
    """Whether elan's directory exists.

    Raises:
        CapabilityError: The system does not say, as of a directory below one that this user may not enter.
    """
    place = home()
    try:
        return stat.S_ISDIR(os.stat(place).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise of_system(f"looking for a Lean: looking for elan's directory {place}", error, _HINT_HOME) from error


def is_proxy(program: str | os.PathLike[str]) -> bool:
    """Whether `program` is one of elan's proxies, which are copies of or links to `elan` beside it."""
    beside = os.path.join(os.path.dirname(program), "elan")
    # A link may lead into a directory that this user may not enter, and a proxy is never run.
    is_beside = os.path.lexists(beside) and not os.path.isdir(beside)
    return os.path.basename(os.path.realpath(program)) == "elan" or is_beside


def is_name(text: str) -> bool:
    """Whether `text` can name a toolchain rather than a directory."""
    return _NAME.fullmatch(text) is not None


def is_release(name: str) -> bool:
    """Whether `elan toolchain install` can install a toolchain of that name, as far as the name tells."""
    matched = _NAME.fullmatch(name)
    if matched is None or matched["release"] == TOOLCHAIN_FILE or len(name) > 100:
        return False
    # Other repositories (forks, pull requests' releases) may call their releases what they like.
    is_elsewhere = matched["origin"] not in (None, _ORIGIN)
    return is_elsewhere or _INSTALLABLE.fullmatch(matched["release"]) is not None


def choice_for(directory: Path, *, or_default: bool = False) -> Choice | None:
    """Return the toolchain that elan would use in `directory`; None if nothing asks for a toolchain there.

    Args:
        directory: Where `lean` would be run.
        or_default: Whether elan's default toolchain counts.

    Raises:
        ToolchainMissing: A `lean-toolchain` file is empty, its first line is blank, or elan's settings are broken.
        CapabilityError: The system does not let this user read such a file, or a directory above it.
    """
    directory = Path(os.path.realpath(directory))
    named = os.environ.get("ELAN_TOOLCHAIN")
    if named:
        return Choice(named, "the environment variable ELAN_TOOLCHAIN", directory)
    settings = _settings()
    overrides = settings.get("overrides")
    toolchains = Path(os.path.realpath(home())) / "toolchains"
    for place in (directory, *directory.parents):
        override = overrides.get(str(place)) if isinstance(overrides, dict) else None
        if isinstance(override, str):
            return Choice(override, f"elan's override for {place}", place)
        file = place / TOOLCHAIN_FILE
        name = _first_line(file)
        if name is not None:
            if not name:
                raise ToolchainMissing(
                    f"looking for a Lean: {file} names no toolchain: its first line is blank",
                    hint=f"Write a name such as {_EXAMPLE} into {file}, or delete the file.",
                    toolchain="",
                    asked_by=str(file),
                )
            return Choice(name, str(file), place)
        if place.parent == toolchains:
            return Choice(str(place), f"the toolchain's own directory {place}", place)
    default = settings.get("default_toolchain")
    if or_default and isinstance(default, str):
        return Choice(default, "elan's default toolchain", directory)
    return None


def directory_of(choice: Choice) -> Path:
    """Return the directory of the chosen toolchain.

    A directory with `bin/lean` comes first, then a linked toolchain, then an installed one, as in elan 4.2. The
    channels `stable`, `beta` and `nightly` mean the newest release, pre-release and nightly that is installed.

    Raises:
        ToolchainMissing: It is not installed; the hint is the command that installs it, if there is one.
    """
    toolchains = home() / "toolchains"
    path = choice.base / os.path.expanduser(choice.name)
    if os.path.isfile(path / "bin" / "lean"):
        return path.resolve()
    matched = _NAME.fullmatch(choice.name)
    if matched is None or len(os.fsencode(choice.name)) > _FILE_NAME_BYTES:
        # A Lean that was not built by its own rules may have a library and no program.
        if matched is None and os.path.isdir(path / "lib"):
            return path.resolve()
        raise ToolchainMissing(
            f"looking for a Lean: {choice.where} asks for {_shown(choice.name)}, which names no toolchain and no "
            "directory with bin/lean",
            hint=f"Give a name such as {_EXAMPLE}, or a directory with bin/lean.",
            toolchain=choice.name,
            asked_by=choice.where,
        )
    for directory in _candidates(toolchains, matched["origin"] or _ORIGIN, matched["release"]):
        if os.path.isdir(directory):
            return directory.resolve()
    raise ToolchainMissing(
        f"looking for a Lean: {choice.where} asks for the toolchain {choice.name!r}, which is not installed in "
        f"{toolchains}; lean-worker downloads nothing",
        hint=_hint_for(choice.name, matched["release"]),
        toolchain=choice.name,
        asked_by=choice.where,
        toolchains=str(toolchains),
    )


def _hint_for(name: str, release: str) -> str:
    if is_release(name):
        return f"elan toolchain install {name}"
    if release == TOOLCHAIN_FILE:
        return "That name means a file on the network. Give the name that the file holds."
    return f"elan toolchain link {release} DIRECTORY, if it is a Lean of your own; else give a name such as {_EXAMPLE}."


def _shown(name: str) -> str:
    if len(name) <= _SHOWN_CHARACTERS:
        return repr(name)
    return f"{name[:_SHOWN_CHARACTERS]!r}… ({len(name)} characters)"


def _candidates(toolchains: Path, origin: str, release: str) -> Iterator[Path]:
    linked = toolchains / release
    if linked.is_symlink():
        yield linked  # made by `elan toolchain link`; its name counts whatever the origin
        return
    if release.startswith("nightly") and not origin.endswith("-nightly"):
        origin += "-nightly"
    if release[0].isdigit():
        release = "v" + release
    prefix = origin.replace("/", "--") + "---"
    yield toolchains / (prefix + release)
    yield linked
    if release in _CHANNELS:
        # elan asks the network what the channel means today; without it, the newest one that is there is meant.
        yield from _newest(toolchains, prefix, release)


def _newest(toolchains: Path, prefix: str, channel: str) -> list[Path]:
    releases = [entry for entry in toolchains.glob(prefix + "*") if os.path.isdir(entry)]
    if channel == "nightly":
        return sorted((entry for entry in releases if "---nightly-" in entry.name), reverse=True)
    ranked: list[tuple[tuple[Any, ...], Path]] = []
    for entry in releases:
        release = _RELEASE.fullmatch(entry.name.removeprefix(prefix))
        if release is not None and (channel == "beta") == (release[4] is not None):
            ranked.append(((*map(int, release.group(1, 2, 3)), _precedence(release[4] or "")), entry))
    return [entry for _, entry in sorted(ranked, reverse=True)]


def _precedence(suffix: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key for pre-releases: part by part, numbers by value and before words; "rc10" is "rc", 10."""
    parts = re.findall(r"\d+|[A-Za-z]+", suffix)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def _first_line(file: Path) -> str | None:
    """The first line without blanks around it; None if there is no such file."""
    try:
        text = read_regular(file).decode("utf-8", "replace")
    except OSError as error:
        if error.errno not in _SAYING_NOTHING:
            return None
        # Another Lean than the one that it names must not be used instead.
        raise of_system(f"looking for a Lean: reading {file}", error, _HINT_FILE, asked_by=str(file)) from error
    return text.partition("\n")[0].strip()


def _settings() -> dict[str, Any]:
    """elan's settings; none where it has no such file. elan too refuses one that it cannot read."""
    file = home() / "settings.toml"
    try:
        if not file.is_file():
            return {}
        settings = msgspec.toml.decode(read_regular(file))
    except (OSError, ValueError, RecursionError, ImportError) as error:  # of msgspec, and of what it uses
        if isinstance(error, OSError) and error.errno in _SAYING_NOTHING:
            doing = f"looking for a Lean: reading elan's settings {file}"
            raise of_system(doing, error, _HINT_HOME, asked_by=str(file)) from error
        raise ToolchainMissing(
            f"looking for a Lean: elan's settings {file} cannot be read: {error}",
            hint="Repair the file, or delete it and set elan's default and overrides again.",
            toolchain="",
            asked_by=str(file),
        ) from error
    return settings if isinstance(settings, dict) else {}
