"""`lean-worker check`: verdicts on Lean files."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..base.counts import counted
from ..checking.files import check as check_files
from ..checking.results import CheckMessage, CheckResult, Verdict
from ..errors import CapabilityError, MissingExtra, UsageError
from ..hosting.sandbox import Sandbox
from ..lake.project_settings import SettingsChoice
from .check_reports import annotations_of, line_of, write_junit
from .exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_LOST
from .given_files import in_given_order, still_there
from .option_groups import in_options, named_values
from .outputs import is_standard_output
from .printed import show_printed
from .shown import JsonOption, errors, existing, harmless, note, one_line

_SHOWN_NOTES = 5
_SIGNS = {
    Verdict.ACCEPTED: "[green]accepted[/] ",
    Verdict.REJECTED: "[red]rejected[/] ",
    Verdict.UNCHECKED: "[yellow]unchecked[/]",
    Verdict.TIMED_OUT: "[yellow]timed out[/]",
    Verdict.LOST: "[bold red]lost[/]     ",
}


def check(
    files: Annotated[list[Path], typer.Argument(help="Lean files, and directories whose .lean files are meant.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Files at once; default: one for each processor.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each file.")] = 60.0,
    kill_above_mib: Annotated[
        int | None, typer.Option(min=1, help="Memory of a file in MiB above which its Lean is killed.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Lake project whose modules the files import.")] = None,
    toolchain: Annotated[str, typer.Option(help="auto, embedded, or a toolchain's directory.")] = "auto",
    option: Annotated[list[str] | None, typer.Option("--option", "-D", help="Lean option, NAME=VALUE.")] = None,
    native_library: Annotated[list[Path] | None, typer.Option(help="Shared library that Lean loads.")] = None,
    settings: Annotated[
        str, typer.Option(help="Origin of the project's options: auto (Lake, or the lakefile), lakefile, none.")
    ] = "auto",
    reject_sorry: Annotated[bool, typer.Option("--reject-sorry", help="Reject files that use sorry.")] = False,
    no_reuse_imports: Annotated[
        bool, typer.Option("--no-reuse-imports", help="Import for each file anew; the verdicts are the same.")
    ] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Lean reads these files and its own, writes nothing, has no network.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write a report as JUnit XML to this file too.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print messages as annotations for a workflow on GitHub.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show nothing of accepted files, and nothing that a file prints.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Elaborate Lean files in parallel: Lean's messages, and a verdict for each file.

    Exit code 0: all files are accepted. 1: at least one is rejected. 3: none is rejected, but at least one timed out,
    was lost, or cannot be checked by this Lean, so that nothing is known of it; or there is no Lean.

    Example: lean-worker check Proofs/ --jobs 8 --timeout 30
    """
    existing("--project", project)
    if github and as_json:
        raise UsageError("checking files: --json and --github both want standard output", hint="Leave out one of them.")
    if junit is not None and junit.suffix == ".lean":
        raise UsageError(
            f"checking files: the report would replace the Lean file {junit}", hint="Name the report, as in report.xml."
        )
    if junit is not None and str(junit) == "-":
        raise UsageError(
            "checking files: expected --junit as a file, got -",
            hint="Write --junit /dev/stdout for standard output.",
        )
    if junit is not None and (as_json or github) and is_standard_output(str(junit)):
        raise UsageError(
            f"checking files: --{'json' if as_json else 'github'} and the report of --junit both want standard output",
            hint="Give --junit a file.",
        )
    if junit is not None and (junit.is_dir() or not junit.absolute().parent.is_dir()):
        raise UsageError(
            f"checking files: the report {junit} is a directory, or its directory does not exist",
            hint="Give --junit a file in an existing directory.",
        )
    names = list(_files(files))
    started = time.monotonic()
    found: list[CheckResult] = []
    gone: dict[int, str] = {}
    outcomes = check_files(
        still_there(names, gone),
        jobs=jobs,
        timeout=timeout,
        kill_above_kib=None if kill_above_mib is None else kill_above_mib << 10,
        project=project,
        toolchain=toolchain,
        options={**named_values("--option", option or [], "maxRecDepth=1000")},
        native_libraries=_libraries(native_library or ()),
        settings=cast(SettingsChoice, settings),
        reject_sorry=reject_sorry,
        reuse_imports=not no_reuse_imports,
        sandbox=Sandbox(readable=names) if sandbox else None,
    )
    try:
        with contextlib.closing(outcomes), _bar(len(names), quiet=as_json) as progress:
            for outcome in outcomes:
                found.append(outcome)
                if not as_json:
                    _show(outcome, progress, quiet=quiet, github=github)
                progress.advance(progress.task_ids[0])
    except MissingExtra:
        raise
    except CapabilityError as error:
        # Not the exit code of a rejected file: there is no Lean to reject one.
        errors.print(f"[bold red]lean-worker:[/] {escape(harmless(in_options(str(error))))}")
        return EXIT_LOST
    for place, name in gone.items():
        outcome = CheckResult(place, name, Verdict.LOST, (), 0.0, "the file was removed before it was checked")
        found.append(outcome)
        if not as_json:
            _show(outcome, progress, quiet=quiet, github=github)
    counts = collections.Counter(outcome.verdict for outcome in found)
    seconds = time.monotonic() - started
    found = in_given_order(names, found, lambda outcome: outcome.file)
    if junit is not None:
        write_junit(junit, found, seconds)
    if as_json:
        facts = {
            "files": [_facts(outcome) for outcome in found],
            "counts": {verdict.value: counts[verdict] for verdict in Verdict},
            "elapsed_seconds": round(seconds, 6),
        }
        print(json.dumps(facts))
    else:
        _show_notes(found)
        words = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])
        note(f"{counted(len(found), 'files')} in {seconds:.2f} s: {words}", quiet=quiet)
    if counts[Verdict.REJECTED]:
        return EXIT_FAILED
    return EXIT_DONE if counts[Verdict.ACCEPTED] == len(found) else EXIT_LOST


def _libraries(paths: Sequence[Path]) -> Sequence[Path]:
    for path in paths:
        if not path.expanduser().is_file():
            raise UsageError(
                f"reading --native-library: there is no file {path}", hint="Give --native-library a shared library."
            )
    return paths


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(_lean_files(path))
            lost = next(filter(_leads_nowhere, found), None)
            if lost is not None:
                raise UsageError(
                    f"checking {path}: {lost} is a link to a file that does not exist",
                    hint="Remove the link, or name the files.",
                )
            if not found:
                raise UsageError(
                    f"checking {path}: there is no .lean file in this directory",
                    hint="Name the files, or another directory.",
                )
            yield from found
        elif path.is_file():
            yield path
        elif path.exists():
            raise UsageError(
                f"checking {path}: it is neither a file nor a directory", hint="Write its text to a file first."
            )
        else:
            raise UsageError(
                f"checking {path}: there is no such file or directory",
                hint="Look at the path; it is relative to the present directory.",
            )


def _lean_files(top: Path) -> Iterator[Path]:
    """The files below a directory, also behind links to directories, each of which is looked through once."""

    def refuse(error: OSError) -> None:
        raise UsageError(
            f"checking {top}: the directory {error.filename} cannot be read: {error.strerror}",
            hint="Look at its permissions, or name the files.",
        ) from error

    root = os.path.realpath(top)
    seen: set[str] = set()
    for where, directories, names in os.walk(top, followlinks=True, onerror=refuse):
        place = os.path.realpath(where)
        # What Lake has fetched or built there is not the caller's, also behind a link.
        if place in seen or ".lake" in Path(place.removeprefix(root)).parts:
            directories.clear()
            continue
        seen.add(place)
        directories.sort()
        files = (Path(where, name) for name in names if name.endswith(".lean"))
        # Emacs locks a file with a link to nothing, whose name begins with a dot.
        yield from (file for file in files if file.is_file() or (_leads_nowhere(file) and file.name[0] != "."))


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _show(outcome: CheckResult, progress: Progress, *, quiet: bool, github: bool) -> None:
    """A file's messages, its verdict, and what it printed."""
    is_shown = not (quiet and outcome.verdict is Verdict.ACCEPTED)
    if github:
        lines = annotations_of(outcome) if is_shown else ()
    else:
        lines = (line_of(message) for message in outcome.messages if is_shown)
    for line in lines:
        print(line)
    cause = f": {escape(harmless(outcome.cause))}" if outcome.cause else ""
    hint = f"\nhint: {escape(in_options(outcome.hint))}" if outcome.hint else ""
    if is_shown:
        name = escape(one_line(outcome.file))
        progress.console.print(f"{_SIGNS[outcome.verdict]} {name} {outcome.seconds:.2f} s{cause}{hint}")
    if outcome.output and not quiet:
        for line in outcome.output.splitlines():
            show_printed(line)


def _show_notes(found: list[CheckResult]) -> None:
    """Print each note on unknown settings of the checked files once."""
    notes = list(dict.fromkeys(each for outcome in found for each in outcome.settings.notes))
    for each in notes[:_SHOWN_NOTES]:
        errors.print(f"[yellow]note:[/] {escape(harmless(each))}")
    if len(notes) > _SHOWN_NOTES:
        errors.print(f"[yellow]note:[/] and {len(notes) - _SHOWN_NOTES} more; --json has them all")


def _facts(outcome: CheckResult) -> dict[str, Any]:
    return {
        "file": outcome.file,
        "verdict": outcome.verdict.value,
        "messages": [_message_facts(message) for message in outcome.messages],
        "seconds": outcome.seconds,
        "import_seconds": outcome.import_seconds,
        "ran_as": outcome.ran_as,
        "cause": outcome.cause,
        "hint": in_options(outcome.hint) if outcome.hint else outcome.hint,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "uses_sorry": outcome.uses_sorry,
        "settings": {
            "source": outcome.settings.source,
            "module": outcome.settings.module,
            "options": dict(outcome.settings.options),
            "arguments": list(outcome.settings.arguments),
            "plugins": list(outcome.settings.plugins),
            "dynlibs": list(outcome.settings.dynlibs),
            "notes": list(outcome.settings.notes),
        },
        "output": outcome.output,
    }


def _message_facts(message: CheckMessage) -> dict[str, Any]:
    return {name: msgspec.to_builtins(getattr(message, name)) for name in message.__struct_fields__}


def _bar(total: int, *, quiet: bool) -> Progress:
    """A progress bar on a terminal, nothing elsewhere."""
    progress = Progress(
        TextColumn("files"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    progress.add_task("files", total=total)
    return progress
