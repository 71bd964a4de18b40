"""`lean-worker call`: calls one JSON command and prints its answer."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from ..blocking.pool import Pool
from ..commands import JsonCommand
from ..sinks.json_lines import one_line
from .hosting import (
    ArgumentOption,
    BuildBar,
    BuildOption,
    EnvironmentOption,
    ImportOption,
    ProjectOption,
    SandboxOption,
    ToolchainOption,
    WorkspaceOption,
    capability_of,
    request_of,
    show_diagnostic,
)
from .printed import Printed
from .shown import QuietOption, interruptible


def call(
    capability: Annotated[str, typer.Argument(help="A .lean script, or python:MODULE:REGISTRY.")],
    export: Annotated[str, typer.Argument(help="Name of the JSON command.")],
    request: Annotated[str, typer.Option(help="The request as JSON text, or @FILE.")] = "null",
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    toolchain: ToolchainOption = "auto",
    build: BuildOption = None,
    imports: ImportOption = None,
    arguments: ArgumentOption = None,
    env: EnvironmentOption = None,
    sandbox: SandboxOption = False,
    timeout: Annotated[float, typer.Option(help="Seconds until the worker is killed.")] = 600.0,
    quiet: QuietOption = False,
) -> None:
    """Call one JSON command and print its answer, one JSON value on one line.

    Lines that the hosted code prints are shown on standard error.

    Example: lean-worker call Extract.lean count --request '{"module":"Init"}' | jq .total
    """
    building = BuildBar()
    host = capability_of(
        capability,
        project=project,
        workspace=workspace,
        toolchain=toolchain,
        build=build,
        bar=building,
        imports=imports,
        arguments=arguments,
        env=env,
        is_sandboxed=sandbox,
    )
    value = request_of(request)
    command: JsonCommand[Any, msgspec.Raw] = JsonCommand(export, response=msgspec.Raw)  # its text, as it came
    printed = Printed()
    with Pool(on_stderr=None if quiet else printed.line) as pool:
        with building:
            lease = pool.lease(host)
        printed.started()
        with lease, interruptible() as cancel:
            answer = lease.call(
                command,
                value,
                on_diagnostic=None if quiet else show_diagnostic,
                timeout=timeout,
                cancel=cancel,
            )
    print(one_line(bytes(answer)).decode())
