"""A library for the demonstration: some modules of generated theorems, compiled by the embedded Lean.

Owns the text of the modules and where they lie, in the form of a Lake project that was built.
"""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

from ..errors import CapabilityError
from ..toolchains.toolchain import Toolchain

NAME = "Sums"
_BUILT = Path(".lake", "build", "lib", "lean")
# Statement and proof by the number of the theorem.
_FORMS = (
    ("zero_add_{i}", "(n : Nat) : 0 + n + {i} = n + {i}", "congrArg (· + {i}) (Nat.zero_add n)"),
    ("comm_{i}", "(n : Nat) : n + {i} = {i} + n", "Nat.add_comm n {i}"),
    ("assoc_{i}", "(m n : Nat) : m + n + {i} = m + (n + {i})", "Nat.add_assoc m n {i}"),
    ("refl_{i}", "(xs : List Nat) : xs ++ [{i}] = xs ++ [{i}]", "rfl"),
    ("and_{i}", "(p q : Prop) (hp : p) (hq : q) : p ∧ q ∧ {i} = {i}", "⟨hp, hq, rfl⟩"),
    ("of_{i}", "(p : Nat → Prop) (h : ∀ n, p n) : p {i}", "h {i}"),
)


def module_text(number: int, theorems: int) -> str:
    """The text of the module with that number, each theorem with documentation of its own."""
    lines = ["prelude", "import LeanWorker", "", f"namespace {NAME}", ""]
    first = number * theorems
    for i in range(first, first + theorems):
        name, statement, proof = (part.format(i=i) for part in _FORMS[i % len(_FORMS)])
        lines += [f"/-- Number {i} of the generated theorems. -/", f"theorem {name} {statement} := {proof}", ""]
    return "\n".join([*lines, f"end {NAME}", ""])


def build(directory: Path, lean: Toolchain, lean_path: str, *, modules: int, theorems: int, jobs: int = 2) -> None:
    """Write the library's modules as a Lake project into a directory, and compile them.

    Args:
        directory: Where; made if it is not there.
        lean: The embedded Lean.
        lean_path: Where it finds its own modules.
        modules: How many modules.
        theorems: Of each.
        jobs: How many are compiled at once.

    Raises:
        CapabilityError: Lean refuses a module; its words are in the text.
    """
    built = directory / _BUILT / NAME
    built.mkdir(parents=True, exist_ok=True)
    (directory / NAME).mkdir(exist_ok=True)
    (directory / "lakefile.toml").write_text(
        f'name = "sums"\n\n[[lean_lib]]\nname = "{NAME}"\nglobs = ["{NAME}.+"]\n', "utf-8"
    )

    def compile_one(number: int) -> None:
        source = directory / NAME / f"Part{number}.lean"
        source.write_text(module_text(number, theorems), "utf-8")
        argv = [sys.executable, "-m", "lean_worker.child.lean_driver", str(lean.library)]
        argv += [f"--root={directory}", "-o", str(built / f"Part{number}.olean"), str(source)]
        env = {**os.environ, "LEAN_PATH": lean_path}
        said = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if said.returncode != 0:
            words = (said.stdout + said.stderr).decode("utf-8", "replace").strip()
            raise CapabilityError(f"compiling {source.name} of the demonstration: {words}")

    with concurrent.futures.ThreadPoolExecutor(jobs) as threads:
        list(threads.map(compile_one, range(modules)))
