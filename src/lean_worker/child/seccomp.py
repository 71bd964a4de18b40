"""A filter of system calls for this process, and all that it starts from now on.

Turns `system_calls` into a program of the kernel's filter language. Calls of another processor's numbering (32-bit
programs) are refused, as are those of x86-64's second numbering.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
from collections.abc import Iterable

from .system_calls import NEWEST_CALL, Call, Check, allowed_calls

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_LOAD, _AND, _IF_EQUAL, _IF_ABOVE, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
_ALLOW, _ASK, _ERROR = 0x7FFF0000, 0x7FC00000, 0x00050000
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_NUMBER_AT, _PROCESSOR_AT, _ARGUMENTS_AT = 0, 4, 16
_PROCESSOR_CODES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_Rule = tuple[int, int, int, int]  # code, rules to skip if it holds and if not, value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("rules", ctypes.c_char_p))


_libc = ctypes.CDLL(None, use_errno=True)


def install(*, network: bool) -> None:
    """Refuse this thread, and all that it starts, every system call that is not on the list; there is no way back.

    It needs `no_new_privs`.

    Args:
        network: Whether internet sockets are allowed.

    Raises:
        OSError: The kernel takes no filter, or the processor is not known.
    """
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _filter(network, is_holder=False), 0, 0) != 0:
        _raise()


def install_for_holder(*, network: bool) -> int:
    """Install the filter of a holder of imports; otherwise as `install`.

    Returns:
        A descriptor. Its owner is asked for each fork that becomes a child of this process's parent
            (`worker.fork_permits`). Whoever is to be held by the filter must not keep it.

    Raises:
        OSError: As of `install`.
    """
    taken = _filter(network, is_holder=True)
    descriptor: int = _libc.syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, _NEW_LISTENER, taken)
    if descriptor < 0:
        _raise()
    return descriptor


def _filter(network: bool, *, is_holder: bool) -> object:
    code = _program(network, is_holder)
    return ctypes.byref(_Program(len(code) // 8, code))


@functools.cache
def _program(network: bool, is_holder: bool) -> bytes:
    machine = platform.machine()
    calls = allowed_calls(machine, network=network, is_holder=is_holder)
    if calls is None:
        raise OSError(errno.ENOSYS, f"no system calls are known for {machine}")
    return _encode(
        [
            (_LOAD, 0, 0, _PROCESSOR_AT),
            (_IF_EQUAL, 1, 0, _PROCESSOR_CODES[machine]),
            (_RETURN, 0, 0, _ERROR | errno.EPERM),
            (_LOAD, 0, 0, _NUMBER_AT),
            *_rules(calls),
            (_IF_ABOVE, 0, 1, NEWEST_CALL),
            (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
            (_RETURN, 0, 0, _ERROR | errno.EPERM),
        ]
    )


def _rules(calls: Iterable[Call]) -> list[_Rule]:
    """Rules that answer `calls`, and let others pass on with the call's number still loaded."""
    rules: list[_Rule] = []
    for call in calls:
        answers: list[_Rule] = [(_RETURN, 0, 0, _ERROR | call.error)]
        if call.asked:
            answers = _alternative(call.asked, _ASK) + answers
        for checks in reversed(call.alternatives):
            answers = _alternative(checks) + (answers if checks else [])
        rules += [(_IF_EQUAL, 0, len(answers), call.number), *answers]
    return rules


def _alternative(checks: tuple[Check, ...], answer: int = _ALLOW) -> list[_Rule]:
    """Rules that answer the call if all checks hold, and otherwise end behind themselves."""
    rules: list[_Rule] = [(_RETURN, 0, 0, answer)]
    for check in reversed(checks):
        # One of the values leads to what follows, none of them behind it.
        follows = len(rules)
        values = list(check.values)
        tests: list[_Rule] = []
        for left, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
            tests.append((_IF_EQUAL, left, 0 if left else follows, value))
        offset = _ARGUMENTS_AT + 8 * check.argument + (4 if check.is_upper else 0)  # the lower half comes first
        rules = [(_LOAD, 0, 0, offset), (_AND, 0, 0, check.mask), *tests, *rules]
    return rules


def _encode(rules: list[_Rule]) -> bytes:
    return b"".join(struct.pack("=HBBI", *rule) for rule in rules)


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
