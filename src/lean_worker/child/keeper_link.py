"""The worker's side of the conversation with a process that runs its programs; see `keeper`."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any


class KeeperLink:
    """A socket to a keeper.

    Args:
        connected: The socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._nonce: str | None = None

    def fileno(self) -> int:
        """Readable when there is an answer."""
        return self._socket.fileno()

    def run(self, job: Mapping[str, Any], descriptors: list[int]) -> None:
        """Start a program with these as its first three descriptors; they stay the caller's."""
        self.ask(job, descriptors)

    def ask(self, message: Mapping[str, Any], descriptors: list[int]) -> None:
        """Send a message with descriptors, which stay the caller's."""
        text = json.dumps(message).encode()
        data = len(text).to_bytes(4, "big") + text
        sent = socket.send_fds(self._socket, [data], descriptors)
        self._socket.sendall(data[sent:])

    def kill(self) -> None:
        """End the program and all of its tree; an answer follows, unless it was there already."""
        text = b'{"kill": true}'
        self._socket.sendall(len(text).to_bytes(4, "big") + text)

    def ended(self) -> dict[str, Any] | None:
        """Wait for an answer: how the program ended, or None if it has only started.

        Raises:
            ConnectionError: The keeper is gone, or this is not the answer to the program that it runs.
        """
        answer = self.answer()
        if "started" in answer and self._nonce is None:
            self._nonce = answer["started"]
            return None
        if answer.get("nonce") != self._nonce:
            raise ConnectionError("an answer does not belong to the program that is running")
        self._nonce = None
        return answer

    def answer(self) -> dict[str, Any]:
        """Wait for the next message.

        Raises:
            OSError: The keeper is gone, or the socket's time limit has passed.
        """
        size = int.from_bytes(self._receive(4), "big")
        answer: dict[str, Any] = json.loads(self._receive(size))
        return answer

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the keeper of programs is gone")
            data += chunk
        return data
