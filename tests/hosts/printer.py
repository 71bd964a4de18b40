"""A program that prints JSON lines, in every way that a program can get that wrong: `printer.py HOW [ARGUMENT]…`."""

import json
import os
import signal
import subprocess
import sys
import time


def say(text):
    os.write(1, text)


def row(**fields):
    say(json.dumps(fields).encode() + b"\n")


def hold_on(path):
    """Wait until somebody makes the file."""
    while not os.path.exists(path):
        time.sleep(0.002)


def stubborn():
    """A process in a session of its own that ignores SIGTERM and holds our standard output."""
    code = (
        "import signal,sys,time; signal.signal(15, signal.SIG_IGN); print(file=sys.stderr, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True, stderr=subprocess.PIPE)
    process.stderr.readline()
    return process.pid


def rows(count):
    sys.stdout.write("".join(f'{{"i":{i}}}\n' for i in range(int(count))))


def text(name):
    say(
        {
            "crlf": b'{"i":0}\r\n{"i":1}\r\n',
            "no-newline": b'{"i":0}\n{"i":1}',
            "empty-lines": b'\n  \n{"i":0}\n\r\n\n  {"i":1}  \n\n',
            "bom": b'\xef\xbb\xbf{"i":0}\n{"i":1}\n',
            "cut": b'{"i":0}\n{"i":',
            "words": b'{"i":0}\nloading\n{"i":1}\n',
            "number": b'{"i":0}\n42\n{"i":1}\n',
            "array": b'{"i":0}\n[{}]\n{"i":1}\n',
            "two": b'{"i":0}\n{"i":0}{"i":1}\n{"i":1}\n',
            "invalid-utf8": b'{"i":0}\n{"i":"\xff\xfe"}\n{"i":1}\n',
            "nul": b'{"i":0}\n{"i":"\0"}\n{"i":1}\n',
            "verbatim": b'{"big":123456789012345678901234567890,"b":1.50,"a" : "\\u00e9"}\n',
        }[name]
    )


def big(size):
    say(b'{"i":0}\n')
    sys.stdout.write('{"text":"' + "x" * int(size) + '"}\n')


def exits(code):
    row(i=0)
    os.write(2, b"first\nlast words\n")
    sys.stdout.flush()
    os._exit(int(code))


def signalled(name):
    row(i=0)
    os.kill(os.getpid(), getattr(signal, name))


def cut_and_fails():
    say(b'{"i":0}\n{"i":')
    os._exit(3)


def floods():
    line = b"e" * 99 + b"\n"
    for _ in range(100):
        os.write(2, line * 1000)
    row(i=0)
    os.write(2, b"z" * 200_000)


def closes(code):
    row(i=0)
    os.close(1)
    time.sleep(0.05)
    os._exit(int(code))


def echo(*arguments):
    row(arguments=arguments, stdin=sys.stdin.buffer.read().decode())


def daemon():
    row(pid=stubborn())


def helper():
    """A process that ends by itself when we do, a moment later."""
    code = "import sys; print(file=sys.stderr, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    process.stderr.readline()
    row(pid=process.pid)
    os._exit(0)


def orphan():
    """A process that loses its parent and ends while we run on."""
    code = "import os; pid = os.fork(); pid and print(pid, flush=True)"
    made = subprocess.run([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, check=True)
    while True:
        try:
            os.kill(int(made.stdout), 0)
        except ProcessLookupError:
            break
    row(pid=int(made.stdout))


def tree():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    row(pids=[os.getpid(), stubborn()])
    time.sleep(600)


def live(path):
    row(i=0)
    hold_on(path)
    row(i=1)


def ignores_pipe():
    while True:
        row(i=0)


COMMANDS = {
    "rows": rows,
    "text": text,
    "big": big,
    "exits": exits,
    "signalled": signalled,
    "cut-and-fails": cut_and_fails,
    "floods": floods,
    "closes": closes,
    "echo": echo,
    "daemon": daemon,
    "helper": helper,
    "orphan": orphan,
    "tree": tree,
    "live": live,
    "endless": ignores_pipe,
    "silent": lambda: None,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
    sys.stdout.flush()
