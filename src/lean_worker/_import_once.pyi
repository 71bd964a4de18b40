from collections.abc import Callable, Iterable, Sequence

OTHER_HEADER: int
NOT_SERVED: int

def measure(function_address: int, microseconds_address: int) -> None: ...
def prepare(
    function_address: int, empty_address: int, kinds: str, microseconds_address: int, serve: Callable[[], object]
) -> None: ...
def arm(output: bytes, errors: bytes) -> None: ...
def tell_to(descriptor: int) -> None: ...
def fork_sibling() -> int: ...
def has_worked() -> bool: ...

class HeldFile:
    def __new__(
        cls,
        own: Iterable[int],
        library: Iterable[int],
        directory: bytes | None,
        attributes: bytes | None,
        rules: Iterable[tuple[bytes, int]],
        own_rights: int | None,
        arguments: Iterable[bytes],
        lean_main: int,
        output: bytes,
        errors: bytes,
    ) -> HeldFile: ...
    def fork(self, standard: Sequence[int], failure: tuple[int, int]) -> int: ...
    def serve(
        self,
        worker: int,
        wake: int,
        failure: tuple[int, int],
        temporary: bytes,
        shared_address: int,
        shared_bytes: int,
        most_microseconds: int,
        message: bytes,
    ) -> tuple[bytes, list[int], int, tuple[int, float] | None, str, str]: ...

class FileStamps:
    def __new__(cls, stamps: dict[str, tuple[int, int, int, int, int]]) -> FileStamps: ...
    def still_hold(self) -> bool: ...
