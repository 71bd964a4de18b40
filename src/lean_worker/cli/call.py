"""`lean-worker call`: calls one JSON command and prints its answer."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from ..commands import JsonCommand
from ..sinks.json_lines import one_line
from .hosting import (
    CapabilityArgument,
    HostOptions,
    RequestOption,
    TimeoutOption,
    leased,
    request_of,
    show_diagnostic,
)
from .option_groups import grouped
from .shown import QuietOption, interruptible, print_json_text


@grouped
def call(
    capability: CapabilityArgument,
    export: Annotated[str, typer.Argument(help="Name of the JSON command.")],
    request: RequestOption = "null",
    *,
    host: HostOptions,
    timeout: TimeoutOption = 600.0,
    quiet: QuietOption = False,
) -> None:
    """Call one JSON command and print its answer, one JSON value on one line.

    Lines that the hosted code prints are shown on standard error.

    Example: lean-worker call Extract.lean count --request '{"module":"Init"}' | jq .total
    """
    value = request_of(request)
    command: JsonCommand[Any, msgspec.Raw] = JsonCommand(export, response=msgspec.Raw)  # its text, as it came
    with leased(capability, host, quiet=quiet) as (_, lease), interruptible() as cancel:
        answer = lease.call(
            command,
            value,
            on_diagnostic=None if quiet else show_diagnostic,
            timeout=timeout,
            cancel=cancel,
        )
    print_json_text(one_line(bytes(answer)).decode())
