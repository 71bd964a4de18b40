"""Python functions whose source changes while a pool lives: the next lease runs what the file says now."""

from __future__ import annotations

import pytest

import lean_worker as lw

CALL = lw.JsonCommand("f", response=int)


@pytest.mark.parametrize("layout", ["module", "helper", "package"])
def test_an_edit_is_noticed_at_the_next_lease(tmp_path, layout):
    functions = "from {0} import VALUE\ndef f(request):\n    return VALUE\nCOMMANDS = {{'f': f}}\n"
    if layout == "package":
        (tmp_path / "served").mkdir()
        (tmp_path / "served" / "__init__.py").write_text(functions.format("served.values"))
        edited = tmp_path / "served" / "values.py"
    elif layout == "helper":
        (tmp_path / "served.py").write_text(functions.format("values"))
        edited = tmp_path / "values.py"
    else:
        edited = tmp_path / "served.py"

    def edit(value):
        # Of another length each time: Python's own byte code knows a source by its size and its second.
        text = f"VALUE = {value}{' ' * value}\n"
        edited.write_text(text + (functions.format("math").replace("VALUE", "pi", 1) if layout == "module" else ""))

    capability = lw.PythonCapability("served:COMMANDS", path=[tmp_path])
    with lw.Pool(2) as pool:
        for value in (1, 2, 3):
            edit(value)
            with pool.lease(capability) as lease:
                assert lease.call(CALL) == value
            started = pool.snapshot().started
            with pool.lease(capability) as lease:  # nothing has changed
                assert lease.call(CALL) == value
            assert pool.snapshot().started == started
            outcomes = pool.map(CALL, range(20), capability=capability)
            assert {outcome.raise_for_error() for outcome in outcomes} == {value}
