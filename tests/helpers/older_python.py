"""A standard library for this Python that lacks what a build on an old C library lacks, as those of uv and conda.

`make(directory)` returns the value of PYTHONHOME with which this very interpreter, and every worker it starts, is such a
build: links to the real library, and three modules that leave something out.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

_WITHOUT_IN_POSIX = """

def _leave_out():
    import posix
    for name in dir(posix):
        if name in {"memfd_create", "pidfd_open", "P_PIDFD", "copy_file_range", "O_TMPFILE"} or name.startswith("MFD_"):
            delattr(posix, name)
_leave_out()
"""
_WITHOUT_IN_SIGNAL = """
globals().pop("pidfd_send_signal", None)
"""
_WITHOUT_IN_FCNTL = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("fcntl", {path!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for name in dir(module):
    if name.startswith(("F_SEAL_", "F_OFD_")) or name in ("F_ADD_SEALS", "F_GET_SEALS"):
        delattr(module, name)
sys.modules["fcntl"] = module
"""


def make(directory: Path) -> str:
    """Make it there; takes some hundred links."""
    real = Path(sysconfig.get_path("stdlib"))
    library = directory / sys.platlibdir / real.name
    library.mkdir(parents=True)
    for entry in real.iterdir():
        if entry.name not in ("encodings", "signal.py", "__pycache__"):
            (library / entry.name).symlink_to(entry)
    (library / "encodings").mkdir()
    for entry in (real / "encodings").iterdir():
        if entry.name not in ("__init__.py", "__pycache__"):
            (library / "encodings" / entry.name).symlink_to(entry)
    # Before `os` takes its names from there.
    beginning = (real / "encodings" / "__init__.py").read_text()
    (library / "encodings" / "__init__.py").write_text(beginning + _WITHOUT_IN_POSIX)
    (library / "signal.py").write_text((real / "signal.py").read_text() + _WITHOUT_IN_SIGNAL)
    for module in (real / "lib-dynload").glob("fcntl.*"):
        (library / "fcntl.py").write_text(_WITHOUT_IN_FCNTL.format(path=str(module)))
    return str(directory)
