"""Both opening conversations with lean-rs, byte for byte: our parent with its kind of child, its kind of parent with ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.version import __version__
from raw_child import LEAN, Child, starter
from support import HOSTS

SESSION = lw.hosting.HostSession(
    "/ws", ["Init", "Lib.Mod"], package="pkg", lib_name="Lib", manifest_path="/p/x.json", profile="private"
)
EXPECTED = lw.hosting.MetadataExpectation("my_metadata", {}, commands={"scan": "1"}, capabilities={"rows.json": None})


def frame(message: str) -> bytes:
    body = f'{{"version":10,"message":{message}}}'.encode()
    return len(body).to_bytes(4, "big") + body


def request(body: str) -> bytes:
    return frame(f'{{"type":"request","body":{body}}}')


HEALTH = request('{"op":"health"}')
OPEN = request(
    '{"op":"open_host_session","project_root":"/ws","mode":{"kind":"capability","package":"pkg","lib_name":"Lib",'
    '"manifest_path":"/p/x.json"},"imports":["Init","Lib.Mod"],"import_profile":"private"}'
)
OPEN_SHIMS = request(
    '{"op":"open_host_session","project_root":"/ws","mode":{"kind":"shims_only"},"imports":[],"import_profile":"server"}'
)
METADATA = request('{"op":"capability_metadata","export":"my_metadata","request_json":"{}"}')
STREAM = request('{"op":"run_data_stream","export":"scan","request_json":"{\\"limit\\":8}","progress":false}')
TERMINATE = request('{"op":"terminate"}')
LIMIT = frame('{"type":"configure_frame_limit","body":{"max_frame_bytes":1048576}}')


# -- our parent, its kind of child --


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def foreign(log: Path, answer: str = "opened", says: str = "ok", **options) -> lw.ProcessCapability:
    return lw.ProcessCapability([sys.executable, str(HOSTS / "lean_rs_child.py"), str(log), answer, says], **options)


@pytest.mark.parametrize("answer", ["opened", "reused"])
def test_our_parent_opens_a_session_on_a_foreign_child(log: Path, answer: str) -> None:
    capability = foreign(log, answer, session=SESSION, metadata=EXPECTED)
    with lw.Pool() as pool, pool.lease(capability) as lease:
        stats = lease.opened.import_stats
        assert stats is not None
        assert stats.direct_import_names == ["Init", "Lib.Mod"]
        assert (stats.effective_module_count, stats.imported_bytes, stats.load_exts) == (3, 64, True)
        assert lease.opened.was_reused is (answer == "reused")
        assert lease.opened.metadata is not None and lease.opened.metadata.commands[0].name == "scan"
        done = lease.collect(lw.StreamingCommand("scan"), {"limit": 8})
        assert [row.payload for row in done.rows] == [{"i": 0}, {"i": 1}]
        assert done.summary.metadata == {"ok": True}
    assert log.read_bytes() == LIMIT + HEALTH + OPEN + METADATA + STREAM + TERMINATE


def test_a_session_without_a_capability(log: Path) -> None:
    with lw.Pool() as pool, pool.lease(foreign(log, session=lw.hosting.HostSession("/ws", profile="server"))) as lease:
        assert lease.opened.metadata is None
    assert log.read_bytes() == LIMIT + HEALTH + OPEN_SHIMS + TERMINATE


def test_nothing_is_asked_of_a_child_without_a_session(log: Path) -> None:
    with lw.Pool() as pool, pool.lease(foreign(log)) as lease:
        assert lease.opened == lw.hosting.OpeningReport()
    assert log.read_bytes() == LIMIT + TERMINATE


def test_a_refused_session_has_the_child_s_words(log: Path) -> None:
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="unknown module prefix 'Lib'") as caught:
        pool.lease(foreign(log, "refused", session=SESSION))
    assert caught.value.code == "lean_rs.module_init"
    report = lw.checking.check_capability(foreign(log, "refused", session=SESSION))
    assert [finding.code for finding in report.errors] == ["lean_worker.check.cannot_be_hosted"]


def test_a_child_that_answers_something_else(log: Path) -> None:
    obedient = lw.ProcessCapability([sys.executable, str(HOSTS / "obedient.py")], session=SESSION)
    with lw.Pool() as pool, pytest.raises(lw.ChildExited):
        pool.lease(obedient)


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        ({"commands": {"scan": "2"}}, "command 'scan' has version '1', expected '2'"),
        ({"commands": {"scan": None, "index": None}}, "no command 'index'"),
        ({"capabilities": {"rows.json": "1"}}, "capability 'rows.json' has version '2', expected '1'"),
        ({"exact": {"commands": [], "capabilities": []}}, "its metadata differ"),
    ],
)
def test_hosted_code_that_is_not_what_was_declared(log: Path, expectation: dict, words: str) -> None:
    capability = foreign(log, session=SESSION, metadata=lw.hosting.MetadataExpectation("my_metadata", **expectation))
    with lw.Pool() as pool, pytest.raises(lw.errors.MetadataMismatch, match=words) as caught:
        pool.lease(capability)
    assert caught.value.expected is not None and caught.value.actual is not None
    report = lw.checking.check_capability(capability)
    assert [finding.code for finding in report.errors] == ["lean_worker.check.metadata_mismatch"]


def test_the_whole_of_the_metadata(log: Path) -> None:
    exact = {
        "commands": [{"name": "scan", "version": "1"}],
        "capabilities": [{"name": "rows.json", "version": "2"}],
    }
    capability = foreign(log, session=SESSION, metadata=lw.hosting.MetadataExpectation("my_metadata", exact=exact))
    with lw.Pool() as pool, pool.lease(capability) as lease:
        assert lease.opened.metadata is not None


def test_metadata_of_another_shape(log: Path) -> None:
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="expected value at line 1 column 2"):
        pool.lease(foreign(log, says="malformed", session=SESSION, metadata=EXPECTED))


def test_a_check_reports_the_session_and_the_doctor_s_findings(log: Path) -> None:
    report = lw.checking.check_capability(foreign(log, session=SESSION, metadata=EXPECTED))
    assert report.ok and [finding.code.rpartition(".")[2] for finding in report.findings] == [
        "opened",
        "session",
        "metadata",
    ]
    report = lw.checking.check_capability(foreign(log, session=SESSION, doctor="my_doctor"))
    assert report.findings[-1] == lw.checking.CapabilityFinding("lib.old", "warning", "my_doctor", "an old index")


@pytest.mark.parametrize(
    "wrong",
    [
        {"imports": "Init"},
        {"package": "pkg"},
        {"lib_name": "Lib"},
        {"manifest_path": "/p/x.json"},
        {"profile": "public"},
    ],
)
def test_wrong_sessions(wrong: dict) -> None:
    with pytest.raises(lw.UsageError):
        lw.hosting.HostSession("/ws", **wrong)


def test_workers_of_different_openings_are_not_shared(log: Path) -> None:
    keys = {
        foreign(log, session=session, metadata=metadata).launch().key()
        for session in (None, SESSION, lw.hosting.HostSession("/ws"))
        for metadata in (None, EXPECTED)
    }
    assert len(keys) == 6
    assert foreign(log, session=SESSION).launch().key() == foreign(log, session=SESSION).launch().key()


# -- its kind of parent, our child --


def send(child: Child, data: bytes) -> None:
    assert child.process.stdin is not None
    child.process.stdin.write(data)
    child.process.stdin.flush()


def receive(child: Child) -> bytes:
    """One frame's body, byte for byte."""
    assert child.process.stdout is not None
    prefix = child.process.stdout.read(4)
    return child.process.stdout.read(int.from_bytes(prefix, "big"))


def response(body: str) -> bytes:
    return f'{{"version":10,"message":{{"type":"response","body":{body}}}}}'.encode()


def session_request(root: str, imports: list[str], profile: str = "private", mode: str | None = None) -> bytes:
    mode = mode or '{"kind":"capability","package":"pkg","lib_name":"Lib","manifest_path":null}'
    return request(
        f'{{"op":"open_host_session","project_root":{json.dumps(root)},"mode":{mode},'
        f'"imports":{json.dumps(imports, separators=(",", ":"))},"import_profile":"{profile}"}}'
    )


STATS_KEYS = [
    "direct_import_names",
    "effective_module_count",
    "compacted_region_count",
    "memory_mapped_region_count",
    "compacted_region_bytes",
    "memory_mapped_region_bytes",
    "non_memory_mapped_region_bytes",
    "imported_bytes",
    "imported_constant_count",
    "extension_count",
    "total_imported_extension_entries",
    "import_level",
    "import_all",
    "load_exts",
]


def open_as(child: Child, status: str, root: str, imports: list[str]) -> dict:
    send(child, session_request(root, imports))
    body = receive(child)
    stats = json.loads(body)["message"]["body"]["import_stats"]
    compact = json.dumps(stats, separators=(",", ":"))
    assert body == response(f'{{"status":"host_session_{status}","import_stats":{compact}}}')
    assert list(stats) == STATS_KEYS
    return stats


@pytest.mark.lean
def test_a_foreign_parent_s_whole_conversation_with_our_child(tmp_path: Path) -> None:
    prefix = "lean_rs_interop_consumer_worker_"
    with starter() as start:
        child = start("--project", str(tmp_path))
        handshake = receive(child)
        expected = f'{{"version":10,"message":{{"type":"handshake","body":{{"worker_version":"{__version__}","protocol_version":10'
        assert handshake.startswith(expected.encode())
        send(child, LIMIT)
        send(child, HEALTH)
        assert receive(child) == response('{"status":"health_ok"}')
        stats = open_as(child, "opened", str(tmp_path), ["LeanWorker"])
        assert stats["direct_import_names"] == ["LeanWorker"]
        assert stats["effective_module_count"] > 20 and stats["memory_mapped_region_bytes"] > 100_000
        # Each file is one region; a lean-rs parent takes no figures without any.
        assert stats["compacted_region_count"] == stats["memory_mapped_region_count"] > 2
        assert stats["compacted_region_bytes"] == stats["memory_mapped_region_bytes"] == stats["imported_bytes"]
        open_as(child, "reused", str(tmp_path), ["LeanWorker"])
        open_as(child, "opened", str(tmp_path), [])
        open_as(child, "reused", str(tmp_path), ["LeanWorker"])
        open_as(child, "reused", str(tmp_path), [])
        send(child, request(f'{{"op":"capability_metadata","export":"{prefix}metadata","request_json":"{{}}"}}'))
        metadata = receive(child)
        assert metadata.startswith(
            response('{"status":"capability_metadata","metadata":{"commands":[{"name":"version"')[:-2]
        )
        send(child, request(f'{{"op":"capability_doctor","export":"{prefix}doctor","request_json":"{{}}"}}'))
        assert json.loads(receive(child))["message"]["body"]["status"] == "capability_doctor"
        send(
            child,
            request(
                f'{{"op":"run_data_stream","export":"{prefix}data_stream_many","request_json":"{{}}","progress":false}}'
            ),
        )
        for i in range(512):
            row = f'{{"type":"data_row","body":{{"stream":"rows","sequence":{i},"payload":{{"i":{i}}}}}}}'
            assert receive(child) == f'{{"version":10,"message":{row}}}'.encode()
        last = receive(child)
        complete = response(
            '{"status":"stream_complete","summary":{"total_rows":512,"per_stream_counts":{"rows":512},"elapsed_micros":'
        )
        assert last.startswith(complete[:-2]) and last.endswith(b',"metadata":null}}}}')
        send(child, TERMINATE)
        assert receive(child) == response('{"status":"terminating"}')
        assert child.end()[0] == 0


@pytest.mark.lean
def test_sessions_that_our_child_was_not_started_for_are_refused_and_it_lives(tmp_path: Path) -> None:
    root = str(tmp_path)
    refused = [
        (session_request(root, ["LeanWorker", "Mathlib"]), "not started with the imports Mathlib"),
        (session_request(root, ["Prelude"]), "not started with the imports Prelude"),
        (session_request("/elsewhere", []), "was started for"),
        (session_request(root, [], "server"), "with profile private, not server"),
        (session_request(root, [], mode='{"kind":"shims_only"}'), "expected mode capability"),
    ]
    with starter() as start:
        child = start("--project", root)
        receive(child)
        send(child, LIMIT)
        for wanted, words in refused:
            send(child, wanted)
            answer = json.loads(receive(child))["message"]["body"]
            assert answer["status"] == "error" and answer["code"] == "lean_worker.session_mismatch"
            assert words in answer["message"]
        send(child, request('{"op":"elaborate","source":"1"}'))
        answer = json.loads(receive(child))["message"]["body"]
        assert (answer["status"], answer["code"]) == ("error", "lean_rs.unsupported")
        assert "'elaborate'" in answer["message"]
        open_as(child, "opened", root, ["LeanWorker.Library"])  # imported through LeanWorker


def test_a_python_host_has_no_imports_to_offer(log: Path) -> None:
    argv = [sys.executable, "-m", "lean_worker.child", "python", "functions:COMMANDS"]
    env = {"PYTHONPATH": str(HOSTS)}
    capability = lw.hosting.HostSession("/ws", package="pkg", lib_name="Lib")
    with lw.Pool() as pool, pool.lease(lw.ProcessCapability(argv, env=env, session=capability)) as lease:
        assert lease.opened.import_stats is not None and lease.opened.import_stats.direct_import_names == []
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="neither imports nor shims"):
        pool.lease(lw.ProcessCapability(argv, env=env, session=SESSION))


def test_the_metadata_of_a_python_registry() -> None:
    expected = lw.hosting.MetadataExpectation("metadata", commands={"rows": "1"})
    capability = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], metadata=expected, doctor="doctor")
    report = lw.checking.check_capability(capability)
    assert report.ok and report.findings[-1].code == "ok"
    broken = lw.checking.check_capability(
        lw.PythonCapability("functions:COMMANDS", path=[HOSTS], doctor="doctor_malformed")
    )
    assert [finding.code for finding in broken.errors] == ["lean_worker.check.doctor_failed"]
    with pytest.raises(lw.CapabilityError, match="bogus"):
        broken.raise_for_error()


@pytest.mark.lean
def test_the_metadata_of_a_script() -> None:
    name = "lean_rs_interop_consumer_worker_metadata"
    good = lw.hosting.MetadataExpectation(name, commands={"version": None, "scan": "1"})
    script = lw.LeanCapability(LEAN / "Interop.lean", toolchain="embedded", metadata=good)
    with lw.Pool() as pool, pool.lease(script) as lease:
        assert lease.opened.metadata is not None
        assert lease.call(lw.JsonCommand("echo"), 1) == 1
    bad = lw.hosting.MetadataExpectation(name, commands={"scan": "99"})
    with lw.Pool() as pool, pytest.raises(lw.errors.MetadataMismatch, match="expected '99'"):
        pool.lease(lw.LeanCapability(LEAN / "Interop.lean", toolchain="embedded", metadata=bad))


def test_rows_in_an_opening_are_no_answer(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text((HOSTS / "lean_rs_child.py").read_text().replace('"type":"progress_tick"', '"type":"terminate"'))
    argv = [sys.executable, str(script), str(tmp_path / "log"), "opened", "ok"]
    with lw.Pool() as pool, pytest.raises(lw.errors.UnexpectedMessage):
        pool.lease(lw.ProcessCapability(argv, session=SESSION))


def test_a_child_that_hangs_in_its_opening_meets_the_start_up_deadline(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    text = (HOSTS / "lean_rs_child.py").read_text()
    script.write_text(
        text.replace('    if op == "health":\n', '    if op == "health":\n        import time; time.sleep(600)\n')
    )
    argv = [sys.executable, str(script), str(tmp_path / "log"), "opened", "ok"]
    with lw.Pool(timeouts=lw.Timeouts(startup=0.5)) as pool, pytest.raises(lw.RequestTimeout) as caught:
        pool.lease(lw.ProcessCapability(argv, session=SESSION))
    assert caught.value.kind == "start-up"


@pytest.mark.parametrize(("opens", "most"), [(False, 512), (True, 120)])
def test_how_deep_a_summary_may_be(opens: bool, most: int) -> None:
    """A lean-rs parent, which opens a session, cannot read what is nested deeper than some 120 levels."""
    argv = [sys.executable, "-m", "lean_worker.child", "python", "functions:COMMANDS"]
    session = lw.hosting.HostSession("/ws", package="pkg", lib_name="Lib") if opens else None
    capability = lw.ProcessCapability(argv, env={"PYTHONPATH": str(HOSTS)}, session=session)
    with lw.Pool() as pool, pool.lease(capability) as lease:
        done = lease.collect(lw.StreamingCommand("deep_summary"), {"depth": most})
        assert done.summary.metadata is not None
        with pytest.raises(lw.LeanWorkerError, match=f"nested deeper than {most} levels"):
            lease.collect(lw.StreamingCommand("deep_summary"), {"depth": most + 1})
