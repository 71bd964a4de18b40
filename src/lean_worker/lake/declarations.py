"""Declarations of a lakefile; each value is evaluated on first use.

A lakefile may compute what one caller needs and another does not. So the readers find the declarations at once and
their values later, and an error about one library does not hide the others.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from ..errors import LakefileError
from .library import LakeLibrary, target_name

OptionValue: TypeAlias = "str | int | bool"


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """Settings with which Lake runs Lean for the modules of a package or target.

    Attributes:
        options: Lean options as pairs; a later pair of the same name wins.
        arguments: Further arguments of `lean`, the weak ones first.
        precompiles: Whether modules are compiled to machine code that importing files load.
        loads: Plugins and dynamic libraries that each of its modules loads, as the lakefile names them.
        is_debug: Whether the build type is debug; of several, the lowest counts.
    """

    options: tuple[tuple[str, OptionValue], ...] = ()
    arguments: tuple[str, ...] = ()
    precompiles: bool = False
    loads: tuple[str, ...] = ()
    is_debug: bool = False


class SettingsOf(Protocol):
    """Returns settings when they are asked for."""

    def __call__(self, *, with_options: bool = True) -> BuildSettings:
        """Return the settings; without options if those are known from elsewhere.

        Raises:
            LakefileError: They are computed.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Target:
    """A `lean_lib` or `lean_exe`.

    Attributes:
        name: Its name.
        kind: "lean_lib" or "lean_exe".
        library: Returns its modules, or raises `LakefileError` if they are computed.
        settings: Returns its own settings without the package's.
        is_default: Whether `lake build` builds it.
    """

    name: str
    kind: str
    library: Callable[[], LakeLibrary]
    settings: SettingsOf
    is_default: bool = False


@dataclasses.dataclass(frozen=True)
class Requirement:
    """A package that a lakefile requires.

    Attributes:
        name: Its name, without Lean's `«»`.
        path: Its directory, relative to the lakefile's; None if Lake has to fetch it, or if the path is computed.
    """

    name: str
    path: str | None


@dataclasses.dataclass(frozen=True)
class Declarations:
    """Declarations of one lakefile.

    Attributes:
        targets: Its libraries and executables, in the file's order.
        doubts: Places that may declare further targets, in a way that only Lake can work out.
        requirements: The packages that it requires, also those that it requires under a condition.
        settings: Returns the package's settings.
        library_directory: Returns `buildDir` and `leanLibDir`, each None for Lake's default, or raises `LakefileError`.
    """

    targets: tuple[Target, ...]
    doubts: tuple[LakefileError, ...]
    requirements: tuple[Requirement, ...]
    settings: SettingsOf
    library_directory: Callable[[], tuple[str | None, str | None]]

    def libraries(self) -> tuple[LakeLibrary, ...]:
        """Return the modules of all targets.

        Raises:
            LakefileError: One of them is computed, or there may be further targets.
        """
        for doubt in self.doubts:
            raise copy.copy(doubt)
        return tuple(target.library() for target in self.targets)

    def target(self, name: str) -> Target | None:
        """Return the target of that name, in any spelling; None if there is certainly none.

        Raises:
            LakefileError: There is none in plain sight, but there may be further targets.
        """
        wanted = target_name(name)
        for target in self.targets:
            if target.name == wanted:
                return target
        for doubt in self.doubts:
            raise copy.copy(doubt)
        return None


def merged(settings: Iterable[BuildSettings]) -> BuildSettings:
    """Return settings one after the other, the package's first, as Lake combines them."""
    listed = list(settings)
    is_debug = any(each.is_debug for each in listed)
    # As of `Lake.BuildType.leanOptions`; what the lakefile says of the option itself comes after it.
    of_build_type: dict[str, OptionValue] = {"debugAssertions": True} if is_debug else {}
    return BuildSettings(
        tuple({**of_build_type, **dict(pair for each in listed for pair in each.options)}.items()),
        tuple(argument for each in listed for argument in each.arguments),
        any(each.precompiles for each in listed),
        tuple(load for each in listed for load in each.loads),
        is_debug,
    )


BUILD_TYPES = ("debug", "relWithDebInfo", "minSizeRel", "release")
"""Lake's build types, the lowest first. Only the first one has Lean options."""
