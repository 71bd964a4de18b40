"""Coverage-guided fuzzing of one target with atheris (libFuzzer): `python tests/fuzz/run.py TARGET [libFuzzer options]`.

    python tests/fuzz/run.py rows -max_total_time=60 /tmp/new tests/fuzz/corpus/rows

The pure twin's bytecode is instrumented; the compiled module counts too if it was built with
`-fsanitize=fuzzer-no-link` (`ci/fuzz` does that where clang is there). The first finding is written to a file
`crash-…` and ends the run; put it into `regressions/TARGET/` with the repair.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["lean_worker"]):
    import oracles

    TWINS = oracles.twins()


def main() -> None:
    name = sys.argv[1]
    check = oracles.targets()[name]

    def one(data: bytes) -> None:
        check(*TWINS, data)

    arguments = [f"-max_len={oracles.MAX_INPUT_BYTES}", "-rss_limit_mb=1024", "-timeout=20", *sys.argv[2:]]
    words = Path(__file__).with_name("words.dict")
    if words.exists():
        arguments.append(f"-dict={words}")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
