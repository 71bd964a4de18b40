"""Hosted code after a light start: modules are those of the standard library, and garbage is collected."""

from __future__ import annotations

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
        "machine": uuid.platform.machine() if hasattr(uuid, "platform") else platform.machine(),
        "collects": gc.isenabled(),
    }


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
    assert found["collects"]
