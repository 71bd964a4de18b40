"""What hosted code may try against everything outside its sandbox: each attack by name, and what became of it.

As a registry (`COMMANDS`), and as a program that takes the targets as JSON and prints the outcomes as one JSON object.
An attack has succeeded if it raises nothing; each runs in a process of its own, below the one that hosts it. None may
harm anything but its targets, also if nothing holds it: it removes what it makes, or fails in a way of its own.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import signal
import socket
import struct
import sys

_X86 = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

ATTACKS = {}


def attack(function):
    ATTACKS[function.__name__.replace("_", " ").strip()] = function
    return function


def call(x86, arm, *arguments):
    """Make a system call by its number; OSError if it fails."""
    number = x86 if _X86 else arm
    if number is None:
        raise OSError(errno.ENOSYS, "not on this processor")
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    found = libc.syscall(ctypes.c_long(number), *words)
    if found == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


# -- limits, signals and memory of another process --


@attack
def limits_of_another_process(t):
    import resource

    resource.prlimit(t["pid"], resource.RLIMIT_NOFILE, (77, 77))


@attack
def reading_limits_of_another_process(t):
    call(302, 261, t["pid"], 7, 0, ctypes.create_string_buffer(16))


@attack
def signal_by_kill(t):
    os.kill(t["pid"], signal.SIGCONT)


@attack
def signal_by_tkill(t):
    call(200, 130, t["pid"], signal.SIGCONT)


@attack
def signal_by_tgkill(t):
    call(234, 131, t["pid"], t["pid"], signal.SIGCONT)


@attack
def signal_by_queue(t):
    info = ctypes.create_string_buffer(struct.pack("iii", signal.SIGCONT, 0, -1), 128)
    call(129, 138, t["pid"], signal.SIGCONT, info)


@attack
def signal_by_descriptor(t):
    signal.pidfd_send_signal(os.pidfd_open(t["pid"]), signal.SIGCONT)


@attack
def signal_by_owner_of_a_pipe(t):
    fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, t["pid"])


@attack
def tracing(t):
    call(101, 117, 0x4206, t["pid"], 0, 0)  # PTRACE_SEIZE


@attack
def reading_memory(t):
    here = ctypes.create_string_buffer(8)
    vector = struct.pack("QQ", ctypes.addressof(here), 8)
    call(310, 270, t["pid"], vector, 1, struct.pack("QQ", t["address"], 8), 1, 0)


@attack
def a_descriptor_of_another_process(t):
    call(438, 438, os.pidfd_open(t["pid"]), 0, 0)


@attack
def comparing_processes(t):
    call(312, 272, t["pid"], os.getpid(), 0, 0, 0)


@attack
def processors_of_another_process(t):
    os.sched_setaffinity(t["pid"], {0})


@attack
def scheduler_of_another_process(t):
    os.sched_setscheduler(t["pid"], os.SCHED_IDLE, os.sched_param(0))


@attack
def priority_of_another_process(t):
    os.setpriority(os.PRIO_PROCESS, t["pid"], 19)


@attack
def priority_of_the_user(t):
    os.setpriority(os.PRIO_USER, 54321, 19)  # a user without processes


@attack
def disk_priority_of_another_process(t):
    call(251, 30, 1, t["pid"], 3 << 13)


@attack
def moving_pages_of_another_process(t):
    call(279, 239, t["pid"], 0, 0, 0, 0, 0)


@attack
def a_child_for_the_parent(t):
    pid = call(56, 220, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)  # CLONE_PARENT
    if pid == 0:
        os._exit(0)


@attack
def outliving_the_parent(t):
    if libc.prctl(1, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _reads(name):
    def read(t):
        path = f"/proc/{t['pid']}/{name}"
        if os.path.isdir(path):
            os.listdir(path)
        else:
            with open(path, "rb") as file:
                file.read(1)

    return read


for _name in ("cmdline", "environ", "maps", "status", "stat", "limits", "fd", "cwd", "root", "task", "auxv", "cgroup"):
    ATTACKS[f"reading {_name} of another process"] = _reads(_name)


@attack
def the_list_of_processes(t):
    os.listdir("/proc")


@attack
def memory_file_of_another_process(t):
    with open(f"/proc/{t['pid']}/mem", "rb", 0) as file:
        file.seek(t["address"])
        file.read(8)


@attack
def a_descriptor_file_of_another_process(t):
    os.close(os.open(f"/proc/{t['pid']}/fd/0", os.O_RDONLY))


@attack
def choosing_who_dies_of_memory(t):
    with open(f"/proc/{t['pid']}/oom_score_adj", "w") as file:
        file.write("1000")


# -- files --


@attack
def mode_of_a_file(t):
    os.chmod(t["file"], 0o777)


@attack
def mode_of_a_file_by_descriptor(t):
    os.chmod(f"/proc/self/fd/{os.open(t['file'], os.O_PATH)}", 0o777)


@attack
def mode_of_a_readable_file(t):
    os.fchmod(os.open(t["readable"], os.O_RDONLY), 0o777)


@attack
def owner_of_a_file(t):
    os.chown(t["readable"], os.getuid(), os.getgid())


@attack
def times_of_a_file(t):
    os.utime(t["readable"], (1, 1))


@attack
def attribute_of_a_file(t):
    os.setxattr(t["readable"], "user.attack", b"1")


@attack
def reading_an_attribute_of_a_file(t):
    os.getxattr(t["file"], "user.secret")


@attack
def watching_a_directory(t):
    watcher = libc.inotify_init1(0)
    if watcher < 0 or libc.inotify_add_watch(watcher, t["directory"].encode(), 0xFFF) < 0:
        raise OSError(ctypes.get_errno(), "inotify")


@attack
def a_lease_on_a_file(t):
    fcntl.fcntl(os.open(t["readable"], os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)


@attack
def reading_a_file(t):
    open(t["file"]).close()


@attack
def writing_a_readable_file(t):
    open(t["readable"], "ab").close()


@attack
def cutting_a_file(t):
    os.truncate(t["readable"], 0)


@attack
def removing_a_file(t):
    os.remove(t["doomed"])


@attack
def moving_a_file(t):
    os.rename(t["moved"], t["moved"] + ".away")


@attack
def a_hard_link_into_reach(t):
    os.link(t["file"], os.path.join(os.environ["TMPDIR"], "linked"))


@attack
def a_symbolic_link_out(t):
    link = os.path.join(os.environ["TMPDIR"], f"link-{os.getpid()}")
    os.symlink(t["file"], link)
    open(link).close()


@attack
def a_file_by_its_handle(t):
    handle = ctypes.create_string_buffer(struct.pack("II", 128, 0), 136)
    call(303, 264, -100, t["file"].encode(), handle, ctypes.byref(ctypes.c_int()), 0)


@attack
def a_program_with_our_rights(t):
    os.close(os.open(os.path.join(os.environ["TMPDIR"], "raised"), os.O_CREAT | os.O_WRONLY, 0o4755))


@attack
def flags_of_a_file(t):
    flags = array.array("l", [0])
    fcntl.ioctl(os.open(t["readable"], os.O_RDONLY), 0x80086601, flags)


# -- sockets, shared memory, queues, keys --


@attack
def a_datagram_to_a_path(t):
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"!", t["datagram_socket"])


@attack
def a_datagram_to_an_abstract_name(t):
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"!", "\0" + t["abstract_socket"])


@attack
def a_message_to_a_path(t):
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendmsg([b"!"], [], 0, t["datagram_socket"])


@attack
def a_second_connection_of_a_pair(t):
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.connect(t["stream_socket"])


def _makes(family, kind=socket.SOCK_STREAM, protocol=0):
    return lambda t: socket.socket(family, kind, protocol).close()


ATTACKS |= {
    "a unix socket": _makes(socket.AF_UNIX),
    "a unix datagram socket": _makes(socket.AF_UNIX, socket.SOCK_DGRAM),
    "a socket of the virtual machine": _makes(40),
    "a netlink socket": _makes(16, socket.SOCK_RAW),
    "a crypto socket": _makes(38, socket.SOCK_SEQPACKET),
    "a packet socket": _makes(17, socket.SOCK_RAW),
    "a raw socket": _makes(socket.AF_INET, socket.SOCK_RAW, 1),
    "a bluetooth socket": _makes(31, socket.SOCK_RAW),
    "an internet socket": lambda t: socket.create_connection(("127.0.0.1", t["port"]), 5).close(),
}


@attack
def shared_memory_by_key(t):
    call(31, 195, call(29, 194, 0, 4096, 0o1600), 0, 0)


@attack
def shared_memory_that_is_there(t):
    call(30, 196, t["shared_memory"], 0, 0o10000)


@attack
def a_semaphore_by_key(t):
    call(66, 191, call(64, 190, 0, 1, 0o1600), 0, 0)


@attack
def a_queue_by_key(t):
    call(71, 187, call(68, 186, 0, 0o1600), 0, 0)


@attack
def a_queue_by_name(t):
    name = f"lean-worker-attack-{os.getpid()}".encode()
    call(240, 180, name, 0o102, 0o600, 0)
    call(241, 181, name)


@attack
def shared_memory_by_name(t):
    path = f"/dev/shm/lean-worker-attack-{os.getpid()}"
    open(path, "wb").close()
    os.remove(path)


@attack
def a_key(t):
    call(248, 217, b"user", b"lean-worker-attack", b"x", 1, -2)  # the process's own keyring


@attack
def a_keyring(t):
    call(250, 219, 1, 0)  # a new session's


@attack
def a_request_for_a_key(t):
    call(249, 218, b"user", b"lean-worker-attack", 0, 0)


# -- the kernel --


@attack
def a_user_namespace(t):
    call(272, 97, 0x10000000)


@attack
def a_process_in_a_user_namespace(t):
    if call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


@attack
def the_namespace_of_another_process(t):
    call(308, 268, os.pidfd_open(t["pid"]), 0x40000000)


@attack
def a_mount(t):
    call(165, 40, b"none", os.environ["TMPDIR"].encode(), b"lean-worker-none", 0, 0)


@attack
def a_file_system(t):
    call(430, 430, b"lean-worker-none", 0)


@attack
def another_root(t):
    os.chroot(os.environ["TMPDIR"])


@attack
def io_uring(t):
    call(425, 425, 1, ctypes.create_string_buffer(120))


@attack
def page_faults(t):
    call(323, 282, 1)


@attack
def a_kernel_program(t):
    call(321, 280, 0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 8, 1), 128), 128)


@attack
def performance_events(t):
    call(298, 241, ctypes.create_string_buffer(struct.pack("II", 1, 128), 128), 0, -1, -1, 0)


@attack
def huge_pages(t):
    os.close(os.memfd_create("attack", 4))


@attack
def another_personality(t):
    call(135, 92, 0x0040000)


@attack
def the_kernel_log(t):
    call(103, 116, 10, 0, 0)  # its size


@attack
def writing_out_all_disks(t):
    call(306, 267, -1)


@attack
def accounting(t):
    call(163, 89, b"/lean-worker-none/accounts")


@attack
def the_second_numbering(t):
    call(0x40000000 | 39, None)


@attack
def calls_of_32_bits(t):
    if not _X86:
        raise OSError(errno.ENOSYS, "not on this processor")
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3")  # getpid by interrupt 0x80
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    found = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if found < 0:
        raise OSError(-found, "interrupt")


def _run(function, targets):
    """The outcome of one attack, in a process of its own: "done", or the name of the error."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(10)
            function(targets)
            outcome = "done"
        except OSError as error:
            outcome = errno.errorcode.get(error.errno, repr(error))
        except BaseException as error:
            outcome = repr(error)
        os.write(write_end, outcome.encode())
        os._exit(0)
    os.close(write_end)
    outcome = os.read(read_end, 1000).decode()
    os.close(read_end)
    _, status = os.waitpid(pid, 0)
    return outcome or f"status {status}"


def run_all(targets):
    return {name: _run(function, targets) for name, function in ATTACKS.items()}


def numbers(request):
    """The outcome of every system call of `request` with arguments that fit none."""
    return {str(number): _run(lambda t, n=number: call(n, n, -1, -1, -1, -1, -1, -1), None) for number in request}


COMMANDS = {"run_all": run_all, "numbers": numbers}

if __name__ == "__main__":
    print(json.dumps(run_all(json.loads(sys.argv[1]))), file=sys.stderr if "--stderr" in sys.argv else sys.stdout)
