"""Reports of checked files for other programs: JUnit XML, and annotations on GitHub."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from ..checking.results import CheckMessage, CheckResult, Verdict
from .option_groups import in_options
from .outputs import is_standard_output, standard_output
from .shown import harmless, one_line

_ANNOTATIONS = {"error": "error", "warning": "warning", "information": "notice"}
# What XML cannot hold, besides what `harmless` replaces.
_NOT_IN_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


def line_of(message: CheckMessage) -> str:
    """A message in the form that editors and people know from `lean`."""
    at = message.position
    return f"{one_line(message.file)}:{at.line}:{at.column}: {message.severity}: {harmless(message.data)}"


# -- GitHub --


def annotations_of(outcome: CheckResult) -> Iterator[str]:
    """Yield the workflow commands for a file: one for each message, and one for a cause that is no message."""
    for message in outcome.messages:
        # Columns there begin with 1. An annotation over several lines has no columns.
        place = [
            f"file={_property(outcome.file)}",
            f"line={message.position.line}",
            f"col={message.position.column + 1}",
        ]
        if message.end is not None and message.end.line > message.position.line:
            place[2:] = [f"endLine={message.end.line}"]
        elif message.end is not None:
            place.append(f"endColumn={message.end.column + 1}")
        yield f"::{_ANNOTATIONS[message.severity]} {','.join(place)}::{_data(message.data)}"
    if outcome.verdict not in (Verdict.ACCEPTED, Verdict.REJECTED) or outcome.cause is not None:
        yield f"::error file={_property(outcome.file)}::{_data(summary_of(outcome))}"


def _data(text: str) -> str:
    """A text in which nothing ends the line, and nothing can begin another command."""
    return harmless(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# -- JUnit --


def write_junit(path: Path, found: Sequence[CheckResult], seconds: float) -> None:
    """Write JUnit XML: a test case for each file, which fails if it is rejected and has an error if nothing is known.

    The file appears complete, and replaces an older one; what exists and is no regular file is written to.

    Raises:
        OSError: It cannot be written.
    """
    failures = sum(outcome.verdict is Verdict.REJECTED for outcome in found)
    errors = sum(outcome.verdict not in (Verdict.ACCEPTED, Verdict.REJECTED) for outcome in found)
    counts = {"tests": len(found), "failures": failures, "errors": errors, "time": f"{seconds:.3f}"}
    facts = {"name": "lean-worker check", **{name: str(value) for name, value in counts.items()}}
    suites = ElementTree.Element("testsuites", facts)
    suite = ElementTree.SubElement(suites, "testsuite", facts)
    for outcome in found:
        suite.append(_case(outcome))
    text = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    if is_standard_output(str(path)):
        standard_output().write(text)
        return
    if path.exists() and not path.is_file():  # before links are followed: a pipe has no name of its own
        path.write_bytes(text)
        return
    path = Path(os.path.realpath(path))  # a link stays one
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        part.write_bytes(text)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _case(outcome: CheckResult) -> ElementTree.Element:
    name = _text(outcome.file)
    facts = {"classname": "lean", "name": name, "file": name, "time": f"{outcome.seconds:.3f}"}
    case = ElementTree.Element("testcase", facts)
    lines = _text("\n".join(line_of(message) for message in outcome.messages))
    if outcome.verdict is Verdict.ACCEPTED:
        if lines:
            ElementTree.SubElement(case, "system-out").text = lines
    else:
        kind = "failure" if outcome.verdict is Verdict.REJECTED else "error"
        problem = {"type": outcome.verdict.value, "message": _text(summary_of(outcome))}
        ElementTree.SubElement(case, kind, problem).text = lines
    if outcome.output:
        ElementTree.SubElement(case, "system-err").text = _text(outcome.output)
    return case


def summary_of(outcome: CheckResult) -> str:
    """One line on a file that is not accepted, and the hint."""
    first = next(iter(outcome.errors), None)
    if outcome.cause is not None:
        words = f"{outcome.verdict.value}: {outcome.cause}"
    elif first is not None:
        words = first.data.partition("\n")[0]
    else:
        words = "uses sorry"
    return f"{words}; hint: {in_options(outcome.hint)}" if outcome.hint else words


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", harmless(text))
