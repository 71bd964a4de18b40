"""The layout of a process's memory for its forks: nothing in it changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")

_PROGRAM = """
import ctypes, mmap, os, re
from lean_worker.child import huge_pages
megabyte = 1 << 20
memory = mmap.mmap(-1, 64 * megabyte, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
used = 9 * megabyte
pattern = os.urandom(mmap.PAGESIZE - 1) + b"x"
for at in range(0, used, mmap.PAGESIZE):
    memory[at : at + mmap.PAGESIZE] = pattern
huge_pages.settle()
for at in range(0, used, mmap.PAGESIZE):
    assert memory[at : at + mmap.PAGESIZE] == pattern
assert memory[used:] == bytes(len(memory) - used)
with open("/proc/self/smaps") as file:
    for line in file:
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            start, end = (int(each, 16) for each in found.groups())
        elif line.startswith("VmFlags:") and " nh" in line and address <= start < address + len(memory):
            print(start - address, end - start)
"""


def test_memory_is_as_it_was_and_small_pages_follow_what_is_used():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pieces = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    # None where the kernel has no huge pages.
    for start, size in pieces:
        assert 9 << 20 <= start < 13 << 20 and size == 2 << 20
    assert len(pieces) <= 1
