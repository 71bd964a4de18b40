"""Projects whose lakefile, or whose Lake, says how Lean is run for their files; toolchains to ask for them."""

from __future__ import annotations

import json
from pathlib import Path

from fake_toolchain import make_project

MATHLIB_LIKE = """
import Lake
open Lake DSL

require "leanprover-community" / "batteries" @ git "main"

abbrev linters : Array LeanOption := #[
  ⟨`linter.someStyle, true⟩,
  ⟨`linter.style.longFile, .ofNat 1500⟩, -- a remark
]

/-- For the library and for the archive. -/
abbrev libraryOptions := #[
    ⟨`pp.unicode.fun, true⟩, -- `fun a ↦ b`
    ⟨`autoImplicit, false⟩,
    ⟨`maxRecDepth, .ofNat 5000⟩
  ] ++ -- what only the build checks
    linters.map fun s ↦ { s with name := `weak ++ s.name }

package mathlike where
  testDriver := "Tests"
  weakLeanArgs := if get_config? CI |>.isSome then #["-DwarningAsError=true"] else #[]

@[default_target]
lean_lib Mathlike where
  leanOptions := libraryOptions

lean_lib Plain
"""
OPTIONS = {
    "pp.unicode.fun": True,
    "autoImplicit": False,
    "maxRecDepth": 5000,
    "weak.linter.someStyle": True,
    "weak.linter.style.longFile": 1500,
}
# Accepted only where `autoImplicit` is true, as it is by default.
NEEDS_IMPLICIT = "prelude\naxiom f : (x : a) → Type\n"
# Accepted only with more than the default `maxRecDepth`.
NEEDS_DEPTH = (
    "prelude\naxiom A : Type\naxiom a : A\naxiom f : A → A\naxiom P : A → Type\n"
    f"axiom t : P {'(f ' * 400}a{')' * 400}\n"
)


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / (name.replace("__", "/") + ".lean")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


def answering(project: Path, answer: object, before: str = "") -> Path:
    """A project whose Lake answers so, after `before`."""
    make_project(project)
    (project / "answer").write_text(json.dumps(answer))
    (project / "setup").write_text(f"{before}\ncat answer\necho\necho 'info: more noise'\n")
    return project


def project_place(tmp_path: Path) -> Path:
    return tmp_path / "project" / ".lake" / "build" / "lib" / "lean"


def setup(**more: object) -> dict[str, object]:
    table = {"name": "_unknown", "isModule": False, "importArts": {}, "dynlibs": [], "plugins": [], "options": {}}
    return {**table, **more}
