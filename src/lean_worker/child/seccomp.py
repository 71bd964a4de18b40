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
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER_AT, _PROCESSOR_AT, _ARGUMENTS_AT = 0, 4, 16
_PROCESSOR_CODES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_Rule = tuple[int, int, int, int]  # code, rules to skip if it holds and if not, value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("rules", ctypes.c_void_p))


def install(*, network: bool) -> None:
    """Refuse this thread, and all that it starts, every system call that is not on the list; there is no way back.

    It needs `no_new_privs`.

    Args:
        network: Whether internet sockets are allowed.

    Raises:
        OSError: The kernel takes no filter, or the processor is not known.
    """
    _install(_program(network))


@functools.cache
def _program(network: bool) -> bytes:
    machine = platform.machine()
    calls = allowed_calls(machine, network=network)
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
        for checks in reversed(call.alternatives):
            answers = _alternative(checks) + (answers if checks else [])
        rules += [(_IF_EQUAL, 0, len(answers), call.number), *answers]
    return rules


def _alternative(checks: tuple[Check, ...]) -> list[_Rule]:
    """Rules that allow the call if all checks hold, and otherwise end behind themselves."""
    rules: list[_Rule] = [(_RETURN, 0, 0, _ALLOW)]
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


def _install(code: bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    rules = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(rules))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
