from collections.abc import Callable

ANSWERED: int
FAILED: int
UNKNOWN: int
EMITTED: int

def load_part(part: bytes) -> None: ...
def open_lean(library: bytes) -> None: ...
def run_lean(
    library: bytes,
    arguments: list[bytes],
    writer_address: int,
    next_request: Callable[[], tuple[bytes, bytes] | None],
    reply: Callable[[int, bytes, int], None],
    leaving: Callable[[], int | None],
) -> int: ...
def end_tree_on_sigterm() -> None: ...
def set_process_option(option: int, value: int) -> bool: ...
def trim() -> None: ...
