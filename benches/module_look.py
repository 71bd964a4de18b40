"""The cost of looking at a script's compiled modules before a worker starts: `python benches/module_look.py [MODULES]`.

Writes synthetic modules of 400 KB each (files with holes), looks at them as `LeanCapability.launch` does, and checks
what was found. Prints the processor time of the first look, and of those after it, with their spread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from lean_worker.toolchains import script_modules, toolchain
from olean_files import write_graph, write_olean

SIZE_BYTES = 400_000
LATER_LOOKS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", type=int, nargs="?", default=7000)
    count = parser.parse_args().modules
    lean = toolchain.resolve("embedded")
    assert lean.version is not None  # Lean is started once, which is not what is measured
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        roots = write_graph(root, count, SIZE_BYTES)
        time.sleep(0.1)
        first, closure = look(roots, root, lean)
        assert len(closure.modules) == count + 1, len(closure.modules)
        assert {problem.reason for problem in closure.problems} <= {"stale"}
        later = []
        for _ in range(LATER_LOOKS):
            milliseconds, again = look(roots, root, lean)
            assert again.digest == closure.digest
            later.append(milliseconds)
        write_olean(root / "Synthetic" / "Area0" / "Topic0" / "Module0.olean", size_bytes=SIZE_BYTES)
        changed, other = look(roots, root, lean)
        assert other.digest != closure.digest
    print(f"{count + 1} modules: first look {first:.0f} ms, after a change of one {changed:.0f} ms")
    print(f"later looks: median {statistics.median(later):.1f} ms, {min(later):.1f} to {max(later):.1f} ms (CPU)")


def look(roots: list[str], root: Path, lean: toolchain.Toolchain) -> tuple[float, script_modules.Closure]:
    """Milliseconds of processor time, and what was found."""
    started = time.process_time()
    closure = script_modules.close(roots, [root], lean, [root])
    assert closure is not None
    return (time.process_time() - started) * 1000, closure


if __name__ == "__main__":
    main()
