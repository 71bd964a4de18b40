"""Locks this process in, for good, together with all that it starts from now on.

Owns the system calls: Landlock for files and signals, a network namespace without a network, a filter against sockets
that have a path, such as a container engine's, which Landlock does not look at, and no privileges: to a process of
root's with its capabilities the kernel shows the environment of others, whatever Landlock says (`perfmon_capable` in
its `kernel/fork.c`). They bind the calling thread and those that it starts, so that this comes before any other thread.
What cannot be had is an error; nothing goes on half protected.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from ..errors import CapabilityError

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all processors
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITIES_VERSION = 0x20080522
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_LEAST_VERSION = 3  # those before let anything be truncated that can be read
_OF_LEAST_VERSION = (1 << 15) - 1
_IOCTL_DEV_FROM, _SCOPED_FROM = 5, 6
_SCOPED = 3  # abstract sockets and signals

# Of each processor: what the kernel calls it, and the number of `socket`.
_PROCESSORS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425  # with which sockets can be made that no filter sees
_FIRST_X32_CALL = 0x40000000  # another set of numbers on x86-64
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000

# What programs need. Not all of /etc and /dev: to root's processes host keys and disks are files like any others.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/proc")
_FACTS = ("/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/random", "/dev/urandom")
_SETTINGS = (
    "alternatives", "ca-certificates", "gai.conf", "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "ld.so.preload", "locale.alias", "locale.conf", "localtime", "mime.types", "nsswitch.conf",
    "os-release", "passwd", "pki/ca-trust", "pki/tls/certs", "protocols", "resolv.conf", "services", "ssl/certs",
    "ssl/openssl.cnf", "timezone",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("rules", ctypes.c_void_p))


class _CapabilitiesHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_libc = ctypes.CDLL(None, use_errno=True)


def enter(spec: str, needed: Iterable[str | os.PathLike[str]]) -> None:
    """Lock this process in; there is no way back.

    Args:
        spec: What `lean_worker.sandbox.Sandbox` says, as JSON.
        needed: What this worker has to read besides.

    Raises:
        CapabilityError: The system cannot do it.
    """
    chosen = json.loads(spec)
    if sys.platform != "linux":
        raise _refusal("only Linux has what it takes")
    if not chosen["network"]:
        _leave_network()
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, Path(__file__).parent.parent]
    settings = [Path("/etc", name) for name in _SETTINGS]
    readable = [*_SYSTEM, *_FACTS, *settings, *python, *needed, *chosen["readable"]]
    _restrict(readable, [*_DEVICES, os.environ["TMPDIR"], *chosen["writable"]])
    _refuse_unix_sockets()
    _give_up_privileges()


def _leave_network() -> None:
    if _libc.unshare(_CLONE_NEWNET) == 0:
        return
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        raise _refusal(
            f"no network namespace can be made: {os.strerror(ctypes.get_errno())}",
            "Allow unprivileged user namespaces, or declare Sandbox(network=True).",
        )
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
    except OSError as error:  # as of root without CAP_SETFCAP
        raise _refusal(
            f"a user namespace cannot have this user: {os.strerror(error.errno or 0)}",
            "Run as an ordinary user, or declare Sandbox(network=True).",
        ) from error


def _restrict(readable: Iterable[str | os.PathLike[str]], writable: Iterable[str | os.PathLike[str]]) -> None:
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if version < 1:
        raise _refusal(f"this kernel has no Landlock: {os.strerror(ctypes.get_errno())}")
    if version < _LEAST_VERSION:
        raise _refusal(f"Landlock of version {_LEAST_VERSION} is needed, this kernel (before Linux 6.2) has {version}")
    handled = _OF_LEAST_VERSION | (_IOCTL_DEV if version >= _IOCTL_DEV_FROM else 0)
    attributes = _Ruleset(handled, 0, _SCOPED if version >= _SCOPED_FROM else 0)
    # Older kernels know a shorter structure.
    size = 24 if version >= _SCOPED_FROM else 16 if version >= 4 else 8
    ruleset = _libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        raise _refusal(f"Landlock: {os.strerror(ctypes.get_errno())}")
    try:
        for path in readable:
            _allow(ruleset, path, _READ)
        for path in writable:
            _allow(ruleset, path, handled)
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or _libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            raise _refusal(f"Landlock: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _refuse_unix_sockets() -> None:
    """None can be made, but in pairs."""
    if platform.machine() not in _PROCESSORS:
        raise _refusal(f"no filter of system calls is known for {platform.machine()}")
    processor, socket_call = _PROCESSORS[platform.machine()]
    rules = [  # code, how many to skip if it holds and if not, value
        (_LOAD, 0, 0, 4),  # the processor
        (_IF_EQUAL, 0, 5, processor),
        (_LOAD, 0, 0, 0),  # the call
        (_IF_AT_LEAST, 3, 0, _FIRST_X32_CALL),
        (_IF_EQUAL, 2, 0, _IO_URING_SETUP),
        (_IF_EQUAL, 2, 0, socket_call),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_LOAD, 0, 0, 16),  # its first argument, the lower half
        (_IF_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _ERROR | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    program = _Program(len(rules), ctypes.addressof(code))
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise _refusal(f"this kernel takes no filter of system calls: {os.strerror(ctypes.get_errno())}")


def _give_up_privileges() -> None:
    """None of root's powers, nor those of the first process of a user namespace; no later program gets them back."""
    header = _CapabilitiesHeader(_CAPABILITIES_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    ambient = _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if ambient != 0 or _libc.capset(ctypes.byref(header), ctypes.byref(none)) != 0:
        raise _refusal(f"its privileges cannot be given up: {os.strerror(ctypes.get_errno())}")


def _allow(ruleset: int, path: str | os.PathLike[str], rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no leave
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, descriptor)
        if _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)) != 0:
            raise _refusal(f"Landlock, of {os.fspath(path)}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def _refusal(why: str, hint: str = "Run without sandbox= only what you trust.") -> CapabilityError:
    return CapabilityError(f"locking a worker in: {why}", hint=hint)
