"""The compiled framing and its pure twin: the same names, words and results on random streams."""

from __future__ import annotations

import ast
import inspect
import json
import os
from pathlib import Path

import pytest

import lean_worker
from lean_worker.errors import LeanWorkerError
from lean_worker.wire import frames_py as _frames_py

pytestmark = pytest.mark.compiled

STUB = Path(lean_worker.__file__).with_name("_frames.pyi")
ONLY_COMPILED = {"RingReader", "RowWriter.address", "RowWriter.attach_ring"}


def public_names(module):
    """Its constants, and what it defines itself."""
    names = {name for name in vars(module) if not name.startswith("_")}
    own = module.__name__
    return {name for name in names if getattr(getattr(module, name), "__module__", own).startswith(own)}


def members(cls):
    return {name for name in vars(cls) if not name.startswith("_")}


@pytest.fixture(scope="module")
def compiled():
    from lean_worker import _frames

    return _frames


def test_same_names(compiled):
    defined = public_names(_frames_py) - modules(_frames_py)
    assert public_names(compiled) - modules(compiled) - ONLY_COMPILED == defined
    for name in ("Row", "FrameReader", "RowWriter", "Flag", "FlatStruct", "RowCursor", "RowIterator"):
        extra = {f"{name}.{member}" for member in members(getattr(compiled, name)) - members(getattr(_frames_py, name))}
        assert extra <= ONLY_COMPILED
        assert members(getattr(_frames_py, name)) <= members(getattr(compiled, name))


def modules(module):
    return {name for name, value in vars(module).items() if type(value).__name__ == "module"}


def test_same_docstrings(compiled):
    for name in public_names(compiled) - modules(compiled) - ONLY_COMPILED:
        ours, theirs = getattr(compiled, name), getattr(_frames_py, name)
        if callable(ours):
            assert inspect.getdoc(ours) == inspect.getdoc(theirs), name
        if isinstance(ours, type):
            for member in members(theirs) & members(ours):
                if name != "Row":
                    same = inspect.getdoc(getattr(ours, member)) == inspect.getdoc(getattr(theirs, member))
                    assert same, f"{name}.{member}"


def test_the_stub_names_everything(compiled):
    tree = ast.parse(STUB.read_text())
    stubbed = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    stubbed |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)} | {
        "MAX_SEQUENCE",
        "PROTOCOL_VERSION",
    }
    assert stubbed == public_names(compiled) - modules(compiled)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            declared = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            declared |= {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
            assert members(getattr(compiled, node.name)) <= declared, node.name


def random_value(rand, depth=0):
    kind = rand.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return rand.choice([None, True, False])
    if kind == 1:
        return rand.choice([0, -1, 10 ** rand.randrange(40), rand.random() * 10 ** rand.randrange(-20, 20)])
    if kind < 6:
        return "".join(rand.choice('ab"\\/}{][,:\n\t\x01é∀🎲 ') for _ in range(rand.randrange(40)))
    if kind == 6:
        return [random_value(rand, depth + 1) for _ in range(rand.randrange(4))]
    return {f"k{rand.randrange(9)}": random_value(rand, depth + 1) for _ in range(rand.randrange(4))}


def random_frame(rand):
    text = json.dumps(random_value(rand), ensure_ascii=rand.random() < 0.5).encode()
    stream = rand.choice(["rows", "déclarations", 'with"quote', "", "a" * 70])
    kind = rand.randrange(20)
    if kind == 0:
        return _frames_py.encode_message(rand.choice(["response", "diagnostic"]), text)
    data = _frames_py.encode_row(stream, rand.choice([0, 7, 2**64 - 1, rand.randrange(10**12)]), text)
    if kind == 1:
        body = json.dumps(json.loads(data[4:]), indent=1).encode()
        return len(body).to_bytes(4, "big") + body
    if kind == 2 and rand.random() < 0.3:
        broken = bytearray(data)
        broken[rand.randrange(len(broken))] = rand.randrange(256)
        return bytes(broken)
    return data


def transcript(frames, chunks):
    """What each feed leads to: rows and messages, the error's words, and what is left."""
    reader = frames.FrameReader(1 << 20)
    lines = []
    for chunk in chunks:
        reader.feed(chunk)
        try:
            for item in reader.take():
                lines.append(
                    (
                        type(item).__name__,
                        *(
                            [item.type, item.body]
                            if hasattr(item, "body")
                            else [item.stream, item.sequence, item.payload]
                        ),
                    )
                )
        except LeanWorkerError as error:
            lines.append((type(error).__name__, str(error)))
        lines.append(reader.pending_bytes)
    return lines


def test_two_thousand_random_streams(compiled, rand):
    ends = {"good": 0, "bad": 0}
    for _ in range(2000):
        data = b"".join(random_frame(rand) for _ in range(rand.randrange(1, 12)))
        cuts = sorted(rand.randrange(len(data) + 1) for _ in range(rand.randrange(6)))
        chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
        ours = transcript(compiled, chunks)
        assert ours == transcript(_frames_py, chunks), rand
        ends["good" if ours[-1] == 0 else "bad"] += 1
    assert ends["good"] > 1000 and ends["bad"] > 20


def test_random_texts_are_json_to_both_or_to_none(compiled, rand):
    verdicts = {True: 0, False: 0}
    for _ in range(20_000):
        text = bytearray(json.dumps(random_value(rand), ensure_ascii=False).encode())
        for _ in range(rand.randrange(3)):
            if text:
                text[rand.randrange(len(text))] = rand.choice(b'"\\{}[],:0123456789-+.eE \nntf\xff\xe2')
        text = bytes(text)
        assert compiled.is_json(text) is _frames_py.is_json(text), (rand, text)
        verdicts[compiled.is_json(text)] += 1
    assert min(verdicts.values()) > 1000


def test_garbage_ends_in_documented_errors_only(frames_impl, rand):
    for _ in range(2000):
        reader = frames_impl.FrameReader(65_536)
        reader.feed(bytes(rand.randrange(256) for _ in range(rand.randrange(200))))
        try:
            reader.take()
        except LeanWorkerError:
            pass


@pytest.mark.skipif(
    os.environ.get("LEAN_WORKER_NO_EXTENSIONS", "") not in ("", "0"), reason="the pure twins were chosen"
)
def test_what_an_interrupt_must_not_cut_is_compiled_too():
    from lean_worker import _interrupts
    from lean_worker.base import interrupts

    for name in ("Holder", "Droppable", "Leaving"):
        assert getattr(interrupts, name) is getattr(_interrupts, name)
