"""The choice how Lean runs a file: in a holder that has imported its header already, or in a fork or process without.

A file that the holder refuses, or whose holder is lost, is run again without one. What it had printed until then is not
sent twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import removal
from ..wire.file_messages import Way
from ..wire.frames import RowWriter
from ..wire.protocol import STREAM
from .file_run import Messages, elaborate_once
from .header_holders import OTHER_HEADER, Header, Holders
from .output import Ended
from .programs import Keeper, Programs


class Elaborator:
    """Runs files, each in the way that fits it.

    Args:
        programs: The runner of programs.
        keeper: The starter of programs.
        holders: The holders of headers.
        writer: The writer of messages.
    """

    def __init__(self, programs: Programs, keeper: Keeper, holders: Holders, writer: RowWriter) -> None:
        self._programs = programs
        self._keeper = keeper
        self._holders = holders
        self._writer = writer

    def run(
        self,
        job: Mapping[str, Any],
        text: str | None,
        timeout: float | None,
        header: Header | None,
        arguments: Sequence[str],
        kill_above_kib: int | None = None,
        stream: str = STREAM,
    ) -> tuple[Ended, Way]:
        """Run a file to its end.

        Args:
            job: As of `keeper`.
            text: The text that Lean reads from standard input.
            timeout: Seconds for the file.
            header: Its header; None to run it without a holder.
            arguments: Lean's arguments for the header.
            kill_above_kib: As of `Programs.run`.
            stream: The stream of its messages.

        Returns:
            How it ended, and which way it ran: "held", "fork" or "process".

        Raises:
            OSError: The keeper is gone.
        """
        stdin = b"" if text is None else text.encode("utf-8", "surrogatepass")
        messages = Messages(self._writer, stream)
        if header is not None:
            held = self._run_held(job, stdin, timeout, header, arguments, messages, kill_above_kib)
            if held is not None:
                ended, is_again = held
                return ended, "process" if is_again else "held"
        link = self._keeper if self._keeper.mode == "fork" else None
        ended, is_again = elaborate_once(self._programs, messages, job, stdin, timeout, kill_above_kib, link)
        return ended, "process" if link is None or is_again else "fork"

    def _run_held(
        self,
        job: Mapping[str, Any],
        stdin: bytes,
        timeout: float | None,
        header: Header,
        arguments: Sequence[str],
        messages: Messages,
        kill_above_kib: int | None,
    ) -> tuple[Ended, bool] | None:
        """Run a file in a holder, as of `elaborate_once`.

        Returns:
            None if it has to be run without one; its messages until then are not to be repeated.
        """
        holder = self._holders.take(header, arguments, timeout)
        if holder is None:
            return None
        try:
            ended, is_again = elaborate_once(self._programs, messages, job, stdin, timeout, kill_above_kib, holder)
        except (OSError, ValueError):
            # It was killed, perhaps for want of memory; the file is not to blame until it does the same to the keeper.
            self._holders.drop(header)
            messages.begin_again()
            return None
        if ended.not_started is not None:
            self._holders.drop(header)
            return None
        if ended.exit_code != OTHER_HEADER or ended.cancelled or ended.timed_out or is_again:
            return ended, is_again
        if ended.directory is not None:
            removal.remove(ended.directory)
        if not messages.begin_again():
            self._holders.fail(header)
        return None
