"""Permanent sandbox for a process and everything that it starts from now on.

Three barriers: Landlock for files and other processes, a list of system calls, and a network namespace unless the
network is allowed. Privileges are dropped, because the kernel shows the environment of other processes to a root
process with capabilities, even under Landlock (`perfmon_capable` in its `kernel/fork.c`). All of this binds the calling
thread and the threads that it starts, so it must come before any other thread.

A sandbox that the caller asked for is complete or an error. Files that are checked without one are restricted as far as
the system can.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..base import landlock
from ..errors import CapabilityError
from . import seccomp

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITIES_VERSION = 0x20080522
_CAP_DAC_READ_SEARCH = 2
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

# What programs need. Not all of /etc and /dev: to root's processes host keys and disks are files like any others.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")
_FACTS = ("/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/random", "/dev/urandom")
# Of /proc only what says nothing about other processes; and the process's own directory.
_OF_ALL_PROCESSES = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys", "uptime", "version", "vmstat")
_SETTINGS = (
    "alternatives", "ca-certificates", "gai.conf", "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "ld.so.preload", "locale.alias", "locale.conf", "localtime", "mime.types", "nsswitch.conf",
    "os-release", "passwd", "pki/ca-trust", "pki/tls/certs", "protocols", "resolv.conf", "services", "ssl/certs",
    "ssl/openssl.cnf", "timezone",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
_EVERYTHING = "/"


@dataclass(frozen=True)
class Rules:
    """The files that a process may touch once it is locked in.

    Args:
        readable: Files and directories that may be read; programs there may be run.
        writable: Files and directories that may be read and written.
        network: Whether internet sockets are allowed.
        required: Whether a system that cannot lock the process in is an error.
    """

    readable: tuple[str, ...]
    writable: tuple[str, ...]
    network: bool
    required: bool

    def to_json(self) -> str:
        """Return the rules as text for another process's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Rules:
        """Return the rules that `to_json` wrote."""
        fields = json.loads(text)
        return cls(tuple(fields["readable"]), tuple(fields["writable"]), fields["network"], fields["required"])

    def with_readable(self, path: str) -> Rules:
        """Return the same rules with one more path that may be read."""
        return replace(self, readable=(*self.readable, path))

    def with_writable(self, path: str) -> Rules:
        """Return the same rules with one more path that may be written."""
        return replace(self, writable=(*self.writable, path))


READS_ALL_WRITES_NOTHING = Rules((_EVERYTHING,), _DEVICES, network=True, required=False)
"""The rules for files that are checked without a sandbox: what they share with other files is read-only to them."""


class _CapabilitiesHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_libc = ctypes.CDLL(None, use_errno=True)
_own_entries = -1


def rules_of(spec: str, needed: Sequence[str | os.PathLike[str]]) -> Rules:
    """Return the rules for a `lean_worker.hosting.sandbox.Sandbox`.

    Args:
        spec: Its fields as JSON.
        needed: The files that the hosted code has to read besides.
    """
    chosen = json.loads(spec)
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, Path(__file__).parent.parent)
    settings = (Path("/etc", name) for name in _SETTINGS)
    facts = (Path("/proc", name) for name in _OF_ALL_PROCESSES)
    readable = (*_SYSTEM, *_FACTS, *facts, *settings, *python, *needed, *chosen["readable"])
    return Rules(
        tuple(dict.fromkeys(os.fspath(path) for path in readable)),
        (*_DEVICES, *chosen["writable"]),
        network=chosen["network"],
        required=True,
    )


def enter(rules: Rules) -> None:
    """Lock this process in; there is no way back.

    Raises:
        CapabilityError: The system cannot do it, and the rules require it.
    """
    _take(rules, _forbid_new_privileges, _require_landlock, _restrict_files, _refuse_calls, _give_up_privileges)


def enter_as_holder(rules: Rules) -> int:
    """Lock this process in, which will fork workers for its parent; there is no way back.

    It may look at all of /proc, so that its forks can be allowed to read their own entries, which do not exist yet.
    Of processes outside, Landlock shows it neither memory nor environment.

    Returns:
        A descriptor, as of `seccomp.install_for_holder`.

    Raises:
        CapabilityError: The system cannot do it.
    """
    seen = rules.with_readable("/proc")
    _take(seen, _forbid_new_privileges, _require_landlock, _restrict_files)
    try:
        descriptor = seccomp.install_for_holder(network=rules.network)
    except OSError as error:
        raise _no_filter(error) from error
    _take(seen, _give_up_privileges)
    return descriptor


def refuse_calls(rules: Rules) -> None:
    """Refuse this process the system calls that are not on the list; what it forks need not do that again.

    Raises:
        CapabilityError: The system cannot do it, and the rules require it.
    """
    _take(rules, _forbid_new_privileges, _require_landlock, _refuse_calls)


def enter_from_refused(rules: Rules) -> None:
    """Do the rest of `enter` in a fork of a process that has called `refuse_calls`.

    Raises:
        CapabilityError: The system cannot do it, and the rules require it.
    """
    _take(rules, _restrict_files, _give_up_privileges)


def plan_of(rules: Rules) -> landlock.Plan | None:
    """Return the plan by which a fork does the part of `enter_from_refused` that is about files.

    Returns:
        None if the rules do without Landlock here. What a fork may read besides are its own entries of /proc.
    """
    if sys.platform != "linux" and not rules.required:
        return None
    try:
        return landlock.plan(rules.readable, rules.writable)
    except OSError:
        if rules.required:
            raise
        return None


def _take(rules: Rules, *steps: Callable[[Rules], None]) -> None:
    if sys.platform != "linux" and not rules.required:
        return
    _require_linux()
    for step in steps:
        with contextlib.ExitStack() as leniently:
            if not rules.required:
                leniently.enter_context(contextlib.suppress(CapabilityError, OSError))
            step(rules)


def leave_network() -> None:
    """Move this process into a network namespace without an interface.

    Raises:
        CapabilityError: The system gives none.
    """
    _require_linux()
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


def hide_memory() -> None:
    """Keep other processes of this user from reading this one's memory, descriptors and environment.

    Root with its capabilities still can.
    """
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def show_memory() -> None:
    """Undo `hide_memory`, in a fork that is hosted code and no judge: its worker's parent looks for leftovers."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _forbid_new_privileges(rules: Rules) -> None:
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise _refusal(f"new privileges cannot be forbidden: {os.strerror(ctypes.get_errno())}")


def _require_landlock(rules: Rules) -> None:
    """Say what is missing before anything is done."""
    found = landlock.version()
    if found == 0:
        raise _refusal(f"this kernel has no Landlock: {os.strerror(ctypes.get_errno())}")
    if found < landlock.LEAST_VERSION:
        needed = landlock.LEAST_VERSION
        raise _refusal(f"Landlock of version {needed} is needed, this kernel (before Linux 6.2) has {found}")


def _restrict_files(rules: Rules) -> None:
    global _own_entries
    own = f"/proc/{os.getpid()}"
    # A rule is bound to the entry as the kernel has it in memory, which it forgets if nobody holds it.
    _own_entries = os.open(own, os.O_PATH | os.O_CLOEXEC)
    try:
        landlock.restrict((*rules.readable, own), rules.writable)
    except OSError as error:
        raise _refusal(error.strerror or str(error)) from error


def _refuse_calls(rules: Rules) -> None:
    try:
        seccomp.install(network=rules.network)
    except OSError as error:
        raise _no_filter(error) from error


def _no_filter(error: OSError) -> CapabilityError:
    return _refusal(f"no filter of system calls on this {platform.machine()}: {error.strerror}")


def _give_up_privileges(rules: Rules) -> None:
    """None of root's powers, nor those of the first process of a user namespace; no later program gets them back."""
    header = _CapabilitiesHeader(_CAPABILITIES_VERSION, 0)
    held = (ctypes.c_uint32 * 6)()
    if not rules.required:
        # Root's files may belong to others, as in a container.
        _libc.capget(ctypes.byref(header), ctypes.byref(held))
        kept = held[1] & (1 << _CAP_DAC_READ_SEARCH)
        held = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    ambient = _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if ambient != 0 or _libc.capset(ctypes.byref(header), ctypes.byref(held)) != 0:
        raise _refusal(f"its privileges cannot be given up: {os.strerror(ctypes.get_errno())}")


def _require_linux() -> None:
    if sys.platform != "linux":
        raise _refusal("only Linux has what it takes")


def _refusal(why: str, hint: str = "Run without sandbox= only what you trust.") -> CapabilityError:
    return CapabilityError(f"locking a worker in: {why}", hint=hint)
