"""The compiled modules and byte code; everything else about the package stands in pyproject.toml.

LEAN_WORKER_NO_EXTENSIONS=1 builds none of them: framing is then pure Python, and Lean cannot be hosted.
"""

import compileall
import os

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

EXTENSIONS = ["_frames", "_interrupts", "_lean", "_kernel", "_import_once"]
DEPENDS = [
    "src/plain_text.h",
    "src/wide_copy.h",
    "src/json_scan.h",
    "src/row_spelling.h",
    "src/row_scan.h",
    "src/plain_json.h",
    "src/plain_rows.h",
    "src/flat_struct.h",
    "src/ring.h",
    "src/row_writer.h",
    "src/lean_bridge.h",
    "src/group_end.h",
    "src/held_file.h",
    "src/held_service.h",
    "src/import_once.h",
    "src/frame_reader.pxi",
    "src/frame_encoding.pxi",
    "src/sibling.h",
    "src/file_stamps.h",
    "src/ring.pxi",
    "src/row_cursor.pxi",
    "src/row_writer.pxi",
]


def extension(name: str) -> Extension:
    return Extension(
        f"lean_worker.{name}",
        [f"src/{name}.pyx"],
        depends=DEPENDS,
        include_dirs=["src"],
        extra_compile_args=["-O3", "-pthread"],
        extra_link_args=["-pthread"],
    )


class build_py_with_byte_code(build_py):
    """Compile the modules of an editable install, as pip does for a wheel's.

    Otherwise each worker compiles them where PYTHONDONTWRITEBYTECODE is set or the sources are read-only.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            compileall.compile_dir("src/lean_worker", quiet=1)


commands = {"build_py": build_py_with_byte_code}
if os.environ.get("LEAN_WORKER_NO_EXTENSIONS", "") in ("", "0"):
    # setuptools compiles .pyx sources itself when Cython is there; cythonize() would leave them out of the sdist.
    setup(ext_modules=[extension(name) for name in EXTENSIONS], cmdclass=commands)
else:
    setup(cmdclass=commands)
