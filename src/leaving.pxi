# The end of a `with` block that an interrupt cannot skip; a part of `_frames.pyx`. See `lean_worker.leaving`.


cdef class Leaving:
    """Base of what is used in a `with` block and must not be left open by an interrupt.

    Python raises an interrupt at the first instruction of a function written in Python. Here there is none.
    """

    def __exit__(self, kind, error, trace):
        try:
            self._leave(kind, error, trace)
        except BaseException:
            _left_surely(self)
            raise

    def _leave(self, kind, error, trace):
        """Do what leaving the block means; may wait and may be interrupted."""
        raise NotImplementedError

    def _left(self):
        """See that it is done on another thread; never waits, and may be called again."""
        raise NotImplementedError


cdef int _left_surely(leaving) except -1:
    # An interrupt can come in here too; a hundred of them at once do not.
    for _ in range(100):
        try:
            leaving._left()
            return 0
        except KeyboardInterrupt:
            continue
    return 0
