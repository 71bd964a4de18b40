"""Reset of inherited process state: ignored and blocked signals, and the limit for core files."""

from __future__ import annotations

import contextlib
import resource

from ..base.bare_signal import signal

# Python itself ignores them; programs that hosted code starts get the default back.
_PYTHONS_OWN = {signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)}


def reset() -> None:
    """Give every signal that is ignored its default action, unblock all, and forbid core files.

    With SIGCHLD ignored or blocked the end of a program would go unnoticed. Writing a core file delays the parent's
    view of a crash by many seconds. The file mode mask, the nice value and other limits are the user's wish and stay.
    """
    for number in signal.valid_signals() - _PYTHONS_OWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
