"""Libraries that a lakefile declares, and the modules that belong to each.

Owns the meaning of `srcDir`, `roots` and `globs`. The two readers of lakefiles make these values; discovery asks them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePosixPath

from ..base.arguments import check_choice, check_flag, check_path, check_several, check_text, shown
from ..errors import InvalidModuleName, UsageError
from ..toolchains import module_names


@dataclasses.dataclass(frozen=True)
class LakeGlob:
    """A set of module names: one module, its submodules, or both.

    Attributes:
        module: The name that the set is about.
        itself: Whether that module belongs to the set.
        submodules: Whether all modules below it do.
    """

    module: str
    itself: bool = True
    submodules: bool = False

    def __post_init__(self) -> None:
        check_text("making a glob", "module", self.module, is_empty_good=True)
        check_flag("making a glob", itself=self.itself, submodules=self.submodules)
        object.__setattr__(self, "module", module_names.canonical(self.module))

    @classmethod
    def parse(cls, text: str) -> LakeGlob:
        """Read Lake's text form: `Foo` is that module, `Foo.*` it and its submodules, `Foo.+` its submodules only.

        Raises:
            InvalidModuleName: What stands before the ending is no module name.
        """
        check_text("reading a glob", "the glob", text)
        if text.endswith((".*", ".+")):
            return cls(text[:-2], itself=text.endswith("*"), submodules=True)
        return cls(text)

    def __str__(self) -> str:
        return self.module + ("" if not self.submodules else ".*" if self.itself else ".+")

    def matches(self, parts: tuple[str, ...]) -> bool:
        """Whether the module of that name belongs to the set."""
        own = module_names.parse(self.module)
        if parts == own:
            return self.itself
        return self.submodules and parts[: len(own)] == own


@dataclasses.dataclass(frozen=True)
class LakeLibrary:
    """A `lean_lib`, or the root module of a `lean_exe`.

    Attributes:
        name: The target's name.
        kind: "lean_lib" or "lean_exe".
        src_dir: Its source directory, relative to the project's.
        roots: Modules whose submodules belong to the library.
        globs: What Lake builds of it, besides what that imports.

    Raises:
        UsageError: `roots` or `globs` is a string, or holds something else than names and globs.
        InvalidModuleName: One of them holds no module name.
    """

    name: str
    kind: str = "lean_lib"
    src_dir: str = "."
    roots: Sequence[str] | None = None
    globs: Sequence[LakeGlob | str] | None = None

    def __post_init__(self) -> None:
        check_text("making a library", "name", self.name)
        doing = "making a library"
        check_choice(doing, "kind", self.kind, ("lean_lib", "lean_exe"))
        check_path(doing, "src_dir", self.src_dir)
        if self.src_dir is None:
            raise UsageError(f"{doing}: expected src_dir as a path, got None", hint="Leave src_dir out for '.'.")
        for field in ("roots", "globs"):
            if getattr(self, field) is not None:
                check_several(doing, field, getattr(self, field), "names")
        for root in self.roots or ():
            check_text(doing, "a root", root)
        object.__setattr__(self, "name", target_name(self.name))
        roots = (self.name,) if self.roots is None else tuple(module_names.canonical(root) for root in self.roots)
        globs = roots if self.globs is None else self.globs
        object.__setattr__(self, "roots", roots)
        object.__setattr__(self, "globs", tuple(self._glob(glob) for glob in globs))
        object.__setattr__(self, "src_dir", str(PurePosixPath(self.src_dir)))

    def _glob(self, glob: object) -> LakeGlob:
        if isinstance(glob, str):
            return LakeGlob.parse(glob)
        if not isinstance(glob, LakeGlob):
            raise UsageError(
                f"library {self.name}: expected globs of LakeGlob or text, got {shown(glob)}",
                hint="Give globs as text, such as 'Lib.*'.",
            )
        return glob

    @classmethod
    def of_executable(cls, name: str, root: str | None = None, src_dir: str = ".") -> LakeLibrary:
        """The one module of a `lean_exe` that is not imported: its root."""
        check_text("making a library", "name", name)
        return cls(name, "lean_exe", src_dir, roots=(), globs=(target_name(name) if root is None else root,))

    def builds(self, parts: tuple[str, ...]) -> bool:
        """Whether Lake builds that module for this library even if nothing imports it."""
        return any(glob.matches(parts) for glob in self._globs)

    @property
    def _globs(self) -> tuple[LakeGlob, ...]:
        return tuple(glob for glob in self.globs or () if isinstance(glob, LakeGlob))

    def searched(self) -> tuple[LakeGlob, ...]:
        """Return the patterns of the library's modules: its globs, and everything at and below its roots."""
        return (*self._globs, *(LakeGlob(root, submodules=True) for root in self.roots or ()))

    def named(self) -> tuple[str, ...]:
        """Modules that globs name one by one."""
        return tuple(glob.module for glob in self._globs if glob.itself)


def target_name(text: str) -> str:
    """A target's name as Lake takes it: a name with dots if it reads as one, else all of it as one part."""
    try:
        return module_names.canonical(text)
    except InvalidModuleName:
        return module_names.canonical(f"«{text}»")
