"""Hosted code after a light start: modules are those of the standard library, and garbage is collected."""

from __future__ import annotations

import subprocess
import sys

import lean_worker as lw

HOSTED = '''
import ctypes, gc, pathlib, platform, sys, textwrap, uuid

import msgspec
import typing_extensions


class Described(msgspec.Struct):
    """A text
    of two lines."""


def look(request):
    (schema,) = msgspec.json.schema(Described)["$defs"].values()
    return {
        "files": [module.__file__ is not None for module in (ctypes, pathlib, platform, textwrap, typing_extensions)],
        "is_own": all(sys.modules[name].__name__ == name for name in ("platform", "textwrap", "typing_extensions")),
        "description": schema["description"],
        "shape": type(msgspec.inspect.type_info(Described)).__name__,
        "machine": uuid.platform.machine() if hasattr(uuid, "platform") else platform.machine(),
        "collects": gc.isenabled(),
        "formats": [msgspec.msgpack.decode(msgspec.msgpack.encode(1)), msgspec.toml.decode is decode, Packed, Own],
    }


from msgspec import msgpack
from msgspec.toml import decode

Packed = msgpack.Encoder().encode([1]) == b"\\x91\\x01"
import msgspec.yaml

Own = all(sys.modules[f"msgspec.{name}"].__file__ is not None for name in ("msgpack", "toml", "yaml"))
AT_IMPORT = gc.isenabled()
COMMANDS = {"look": look, "at_import": lambda request: AT_IMPORT}
'''


def test_hosted_code_finds_the_modules_that_a_start_leaves_out(tmp_path):
    (tmp_path / "hosted.py").write_text(HOSTED)
    capability = lw.PythonCapability("hosted:COMMANDS", path=[tmp_path])
    with lw.Pool() as pool, pool.lease(capability) as lease:
        found = lease.call(lw.JsonCommand("look"))
        assert lease.call(lw.JsonCommand("at_import")) is True
    assert found["files"] == [True] * 5 and found["is_own"] and found["machine"]
    assert found["description"].split() == ["A", "text", "of", "two", "lines."]
    assert found["shape"] == "StructType"
    assert found["collects"] and found["formats"] == [1, True, True, True]


def test_what_stands_in_for_a_module_becomes_it(tmp_path):
    program = """
import sys
from lean_worker.child import light_start
light_start.import_pathlib()
assert "urllib.parse" not in sys.modules and "msgspec.inspect" not in sys.modules
from msgspec import inspect
import pathlib
print(pathlib.Path("/a b").as_uri(), inspect.IntType().__class__.__module__, sys.modules["urllib.parse"].__name__)
light_start.import_with({"colorsys": light_start.StandIn("colorsys", "rgb_to_hls")}, "uses_at_once")
import uses_at_once
print(uses_at_once.VALUE, sys.modules["colorsys"].__file__ is not None)
"""
    at_once = (
        "import colorsys\nfrom colorsys import rgb_to_hls\nVALUE = colorsys.ONE_THIRD < 0.34, rgb_to_hls(0, 0, 0)\n"
    )
    (tmp_path / "uses_at_once.py").write_text(at_once)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "file:///a%20b msgspec.inspect urllib.parse",
        "(True, (0.0, 0.0, 0.0)) True",
    ], done.stderr
