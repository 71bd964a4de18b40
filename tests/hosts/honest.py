"""What honest programs do, as one function that fails if a sandbox keeps them from it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import json
import mmap
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path


def _threads():
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda i: i * i, range(100))) == 328350
    done = threading.Event()
    timer = threading.Timer(0.01, done.set)
    timer.start()
    assert done.wait(30)


def _programs():
    code = "import sys, json, threading; print(json.dumps(sys.argv[1:]))"
    for options in ({}, {"start_new_session": True}, {"close_fds": False}, {"cwd": "/usr"}):
        done = subprocess.run([sys.executable, "-c", code, "a"], capture_output=True, text=True, check=True, **options)
        assert json.loads(done.stdout) == ["a"]
    script = "ls -l /usr/bin | sort | head -n 3 | wc -l; cat <(echo 4); d=$(mktemp); echo 5 > $d; cp $d $d.b; cat $d.b"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["3", "4", "5"], ""), done
    sleeper = subprocess.Popen(["sleep", "600"])
    sleeper.terminate()
    assert sleeper.wait(30) == -signal.SIGTERM
    aborted = subprocess.run([sys.executable, "-c", "import os; os.abort()"], stderr=subprocess.DEVNULL, check=False)
    assert aborted.returncode == -signal.SIGABRT


def _forks():
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_end, b"!")
        os._exit(3)
    assert os.read(read_end, 1) == b"!"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def _files():
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "a").write_text("a")
        shutil.copyfile(place / "a", place / "b")
        (place / "b").rename(place / "c")
        (place / "link").symlink_to("a")
        os.link(place / "a", place / "hard")
        os.mkfifo(place / "fifo")
        with zipfile.ZipFile(place / "z", "w") as archive:
            archive.write(place / "a")
        with zipfile.ZipFile(place / "z") as archive:
            archive.extractall(place / "out")
        with open(place / "c", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[0:1] = b"x"
        with sqlite3.connect(place / "d") as database:
            database.execute("create table t (x)")
            database.execute("insert into t values (1)")
            assert database.execute("select x from t").fetchall() == [(1,)]
        database.close()
        assert {path.name for path in place.rglob("*")} >= {"a", "c", "link", "hard", "fifo", "z", "d", "out"}
        assert shutil.disk_usage(place).total > 0
    with tempfile.NamedTemporaryFile() as file, tempfile.SpooledTemporaryFile(10) as spooled:
        file.write(b"x")
        spooled.write(b"y" * 100)


def _events():
    async def work():
        process = await asyncio.create_subprocess_exec("echo", "x", stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        await asyncio.to_thread(time.sleep, 0.001)
        return output

    assert asyncio.run(work()) == b"x\n"
    ours, theirs = socket.socketpair()
    theirs.sendall(b"!")
    assert select.select([ours], [], [], 30)[0] and ours.recv(1) == b"!"
    ours.close()
    theirs.close()
    seen = []
    previous = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not seen:
        time.sleep(0.001)
    signal.signal(signal.SIGALRM, previous)


def _facts():
    import resource

    assert os.cpu_count() and os.getloadavg() and len(os.urandom(8)) == 8
    assert hashlib.sha256(b"").hexdigest().startswith("e3b0")
    assert os.listdir("/proc/self/fd") and Path("/proc/self/status").read_text() and Path("/proc/meminfo").read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert time.localtime() and os.stat("/usr").st_ino and os.statvfs("/usr").f_bsize


def work(request):
    for part in (_threads, _programs, _forks, _files, _events, _facts):
        part()
    return "done"


COMMANDS = {"work": work}

if __name__ == "__main__":
    print(json.dumps({"result": work(None)}))
