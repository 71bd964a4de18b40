"""An interrupt at a chosen moment of the calling thread, of those at which Python looks for one."""

import inspect
import sys


class Interrupt:
    """Raises `error` on this thread, at the given one of the moments in `files` at which Python looks for an interrupt.

    Those are the begin of a function and the return of one that is written in C.
    """

    def __init__(self, number, files, error=KeyboardInterrupt):
        self.left = number
        self._files = files
        self._error = error

    def _on_event(self, frame, event, argument):
        code = frame.f_code
        # What is raised when a generator goes on would not meet the handlers around its `yield`, unlike an interrupt.
        is_moment = event == "c_return" or (event == "call" and not code.co_flags & inspect.CO_GENERATOR)
        if is_moment and code.co_filename in self._files:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                raise self._error

    def __enter__(self):
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
