"""The system calls that a locked-in process may make; all others are refused.

A list of what is allowed, by name, with the numbers of x86-64 and of 64-bit ARM. Some calls are allowed with certain
arguments only. What is not on the list fails with EPERM; what the C library or Lean has another way for fails with
ENOSYS, as on a kernel that does not know the call, and so do calls that are newer than this list.

Landlock decides which files may be opened. Absent from this list is what Landlock does not look at: mode, owner, times
and extended attributes of files, shared memory and queues by name, keys, other processes, and watching directories.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import signal
import socket

NEWEST_CALL = 462
"""Calls with a higher number were not looked at."""

# name:number on x86-64:number on aarch64, empty for a call that a processor does not have
_FILES = """
    read:0:63 write:1:64 close:3:57 stat:4: fstat:5:80 lstat:6: lseek:8:62 pread64:17:67 pwrite64:18:68 readv:19:65
    writev:20:66 preadv:295:69 pwritev:296:70 preadv2:327:286 pwritev2:328:287 access:21: faccessat:269:48
    faccessat2:439:439 newfstatat:262:79 statx:332:291 getdents:78: getdents64:217:61 getcwd:79:17 chdir:80:49
    fchdir:81:50 rename:82: renameat:264:38 renameat2:316:276 mkdir:83: mkdirat:258:34 rmdir:84: link:86:
    linkat:265:37 unlink:87: unlinkat:263:35 symlink:88: symlinkat:266:36 readlink:89: readlinkat:267:78
    truncate:76:45 ftruncate:77:46 fallocate:285:47 fadvise64:221:223 readahead:187:213 fsync:74:82 fdatasync:75:83
    sync_file_range:277:84 flock:73:32 umask:95:166 statfs:137:43 fstatfs:138:44 dup:32:23 dup2:33: dup3:292:24
    pipe:22: pipe2:293:59 sendfile:40:71 splice:275:76 tee:276:77 copy_file_range:326:285 close_range:436:436
"""
_WAITING = """
    poll:7: ppoll:271:73 select:23: pselect6:270:72 epoll_create:213: epoll_create1:291:20 epoll_ctl:233:21
    epoll_wait:232: epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284: eventfd2:290:19 signalfd:282:
    signalfd4:289:74 timerfd_create:283:85 timerfd_settime:286:86 timerfd_gettime:287:87 nanosleep:35:101
    clock_nanosleep:230:115 clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201: alarm:37:
    getitimer:36:102 setitimer:38:103 timer_create:222:107 timer_settime:223:110 timer_gettime:224:108
    timer_getoverrun:225:109 timer_delete:226:111 pause:34: restart_syscall:219:128
"""
_MEMORY = """
    mprotect:10:226 munmap:11:215 mremap:25:216 brk:12:214 msync:26:227 mincore:27:232 madvise:28:233 mlock:149:228
    mlock2:325:284 munlock:150:229 mseal:462:462 membarrier:324:283 get_mempolicy:239:236
"""
_PROCESSES = """
    fork:57: vfork:58: execve:59:221 execveat:322:281 exit:60:93 exit_group:231:94 wait4:61:260 waitid:247:95
    getpid:39:172 getppid:110:173 gettid:186:178 getpgid:121:155 getpgrp:111: setpgid:109:154 getsid:124:156
    setsid:112:157 getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150
    getgroups:115:158 capget:125:90 capset:126:91 getrlimit:97:163 setrlimit:160:164 getrusage:98:165 times:100:153
    sysinfo:99:179 uname:63:160 getcpu:309:168 getrandom:318:278 sched_yield:24:124 sched_getaffinity:204:123
    sched_getparam:143:121 sched_getscheduler:145:120 sched_get_priority_max:146:125 sched_get_priority_min:147:126
    sched_getattr:315:275 getpriority:140:141 ioprio_get:252:31 futex:202:98 set_robust_list:273:99
    set_tid_address:218:96 rseq:334:293 arch_prctl:158: pidfd_open:434:434 landlock_create_ruleset:444:444
    landlock_add_rule:445:445 landlock_restrict_self:446:446
"""
_SIGNALS = """
    rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136 rt_sigtimedwait:128:137
    rt_sigsuspend:130:133 sigaltstack:131:132 kill:62:129 tkill:200:130 tgkill:234:131 rt_sigqueueinfo:129:138
    rt_tgsigqueueinfo:297:240 pidfd_send_signal:424:424
"""
_CONNECTED = """
    recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 recvmmsg:299:243 sendmmsg:307:269 shutdown:48:210
    getsockname:51:204 getpeername:52:205 getsockopt:55:209 setsockopt:54:208
"""
_NETWORK = """
    connect:42:203 accept:43:202 accept4:288:242 bind:49:200 listen:50:201
"""
_BY_ARGUMENT = """
    clone:56:220 prctl:157:167 prlimit64:302:261 socket:41:198 socketpair:53:199 fcntl:72:25 ioctl:16:29 mmap:9:222
    memfd_create:319:279 sched_setaffinity:203:122 sched_setscheduler:144:119 sched_setparam:142:118
    sched_setattr:314:274 setpriority:141:140 ioprio_set:251:30 personality:135:92 seccomp:317:277 sendto:44:206
    open:2: openat:257:56 creat:85: mknod:133: mknodat:259:33
"""
_UNSUPPORTED = """
    getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13
    setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16
"""
_UNKNOWN = """
    clone3:435:435 io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427 memfd_secret:447:447
    openat2:437:437
"""


@dataclasses.dataclass(frozen=True)
class Check:
    """A condition on one argument of a call: its lower 32 bits, under a mask, are one of some values.

    Args:
        argument: The argument's number, from 0.
        values: The values that are allowed.
        mask: The bits to compare.
        is_upper: Whether the upper 32 bits are meant.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    is_upper: bool = False


@dataclasses.dataclass(frozen=True)
class Call:
    """The answer to one system call.

    Args:
        number: The call's number.
        alternatives: The call is allowed if all checks of one alternative hold; an empty alternative always holds.
        error: The error number that it fails with otherwise.
        asked: If these hold instead, the kernel asks the owner of the list each time; () for never.
    """

    number: int
    alternatives: tuple[tuple[Check, ...], ...]
    error: int = errno.EPERM
    asked: tuple[Check, ...] = ()


def _without(argument: int, mask: int) -> Check:
    return Check(argument, (0,), mask)


_O_TMPFILE = 0o20000000
_CREATES = 0o100 | _O_TMPFILE
_RUNS_AS_OWNER = 0o6000
_CLONE_PARENT, _CLONE_PTRACE = 0x8000, 0x2000
_FORK_OF_SIBLING = _CLONE_PARENT | 0x01200000 | signal.SIGCHLD  # as in `sibling.h`
_NEW_NAMESPACES = 0x7E020000
_MAP_HUGETLB, _MFD_HUGETLB = 0x40000, 4
_SECCOMP_SET_MODE_FILTER, _SECCOMP_GET_ACTION_AVAIL = 1, 2
_SECCOMP_FLAGS = 1 | 2 | 4 | 16  # not those for a listener
_PR_SET_PDEATHSIG = 1
# The name, core dumps, no new privileges, further filters, capabilities that are given up, names and pages of memory.
_OWN_SETTINGS = (2, 3, 4, 15, 16, 21, 22, 23, 24, 29, 30, 36, 37, 38, 39, 40, 41, 42, 47, 65, 66, 0x53564D41)
_FILE_OPERATIONS = (
    fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, 1027, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL,
    fcntl.F_GETLK, fcntl.F_SETLK, fcntl.F_SETLKW, 36, 37, 38, 1031, 1032, 1033, 1034,
)  # fmt: skip
# TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, TCGETS2
_DEVICE_OPERATIONS = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C542A)
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_SOCKET_TYPE = 0xF
_TO_NOBODY = (Check(4, (0,)), Check(4, (0,), is_upper=True))

# Which arguments are allowed, and the error for others.
_ARGUMENTS: dict[str, tuple[int, tuple[tuple[Check, ...], ...]]] = {
    # A new process stays below its own parent, and in the namespaces that it is in.
    "clone": (errno.EPERM, ((_without(0, _NEW_NAMESPACES | _CLONE_PARENT | _CLONE_PTRACE),),)),
    "prctl": (errno.EPERM, ((Check(0, _OWN_SETTINGS),), (Check(0, (_PR_SET_PDEATHSIG,)), Check(1, (signal.SIGKILL,))))),
    # The process itself is 0: its number differs from fork to fork.
    "prlimit64": (errno.EPERM, ((Check(0, (0,)),),)),
    "sched_setaffinity": (errno.EPERM, ((Check(0, (0,)),),)),
    "sched_setscheduler": (errno.EPERM, ((Check(0, (0,)),),)),
    "sched_setparam": (errno.EPERM, ((Check(0, (0,)),),)),
    "sched_setattr": (errno.EPERM, ((Check(0, (0,)),),)),
    "setpriority": (errno.EPERM, ((Check(0, (0,)), Check(1, (0,))),)),
    "ioprio_set": (errno.EPERM, ((Check(0, (1,)), Check(1, (0,))),)),
    # A pair of datagram sockets could send to any path.
    "socketpair": (
        errno.EACCES,
        ((Check(0, (socket.AF_UNIX,)), Check(1, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), _SOCKET_TYPE)),),
    ),
    "socket": (errno.EACCES, ()),
    "sendto": (errno.EACCES, (_TO_NOBODY,)),
    # Leases and signals of files reach other processes.
    "fcntl": (errno.EPERM, ((Check(1, _FILE_OPERATIONS),),)),
    "ioctl": (errno.ENOTTY, ((Check(1, _DEVICE_OPERATIONS),),)),
    "mmap": (errno.EPERM, ((_without(3, _MAP_HUGETLB),),)),
    "memfd_create": (errno.EPERM, ((_without(1, _MFD_HUGETLB),),)),
    "personality": (errno.EPERM, ((Check(0, (0, 0xFFFFFFFF)),),)),
    "seccomp": (
        errno.EPERM,
        (
            (Check(0, (_SECCOMP_SET_MODE_FILTER,)), _without(1, 0xFFFFFFFF ^ _SECCOMP_FLAGS)),
            (Check(0, (_SECCOMP_GET_ACTION_AVAIL,)),),
        ),
    ),
    # No file that others would run with this user's rights.
    "open": (errno.EPERM, ((_without(1, _CREATES),), (_without(2, _RUNS_AS_OWNER),))),
    "openat": (errno.EPERM, ((_without(2, _CREATES),), (_without(3, _RUNS_AS_OWNER),))),
    "creat": (errno.EPERM, ((_without(1, _RUNS_AS_OWNER),),)),
    "mknod": (errno.EPERM, ((_without(1, _RUNS_AS_OWNER),),)),
    "mknodat": (errno.EPERM, ((_without(2, _RUNS_AS_OWNER),),)),
}

_WITH_NETWORK: dict[str, tuple[int, tuple[tuple[Check, ...], ...]]] = {
    "socket": (
        errno.EACCES,
        (
            (
                Check(0, _INTERNET),
                Check(1, (socket.SOCK_STREAM, socket.SOCK_DGRAM), _SOCKET_TYPE),
                Check(2, (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)),
            ),
        ),
    ),
    "sendto": (errno.EACCES, ((),)),
}

_PROCESSORS = ("x86_64", "aarch64")


# Forks of a holder make a stricter list of their own.
_OF_HOLDER: dict[str, tuple[int, tuple[tuple[Check, ...], ...]]] = {
    "prctl": (
        errno.EPERM,
        (
            (Check(0, _OWN_SETTINGS),),
            (Check(0, (_PR_SET_PDEATHSIG,)), Check(1, (signal.SIGKILL, signal.SIGTERM))),
        ),
    ),
}
_ASKED_OF_HOLDER = {"clone": (Check(0, (_FORK_OF_SIBLING,)),)}


def allowed_calls(machine: str, *, network: bool, is_holder: bool = False) -> list[Call] | None:
    """Return the calls that are not simply refused, or None for a processor whose numbers are not known.

    Args:
        machine: The processor, as `platform.machine` names it.
        network: Whether internet sockets are allowed.
        is_holder: Whether the process asks for each fork that becomes a child of its parent, and may let forks choose
            SIGTERM as the signal at their parent's end.
    """
    if machine not in _PROCESSORS:
        return None
    which = _PROCESSORS.index(machine)
    tables = (_FILES, _WAITING, _MEMORY, _PROCESSES, _SIGNALS, _CONNECTED, *([_NETWORK] if network else []))
    calls = [Call(number, ((),)) for table in tables for number in _numbers(table, which).values()]
    arguments = {**_ARGUMENTS, **(_WITH_NETWORK if network else {}), **(_OF_HOLDER if is_holder else {})}
    asked = _ASKED_OF_HOLDER if is_holder else {}
    for name, number in _numbers(_BY_ARGUMENT, which).items():
        error, alternatives = arguments[name]
        calls.append(Call(number, alternatives, error, asked.get(name, ())))
    calls += [Call(number, (), errno.ENOTSUP) for number in _numbers(_UNSUPPORTED, which).values()]
    calls += [Call(number, (), errno.ENOSYS) for number in _numbers(_UNKNOWN, which).values()]
    return sorted(calls, key=lambda call: call.number)


def _numbers(table: str, which: int) -> dict[str, int]:
    entries = (entry.split(":") for entry in table.split())
    return {name: int(numbers[which]) for name, *numbers in entries if numbers[which]}
