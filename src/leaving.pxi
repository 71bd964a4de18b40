# The end of a `with` block that an interrupt cannot skip; a part of `_frames.pyx`. See `lean_worker.steps.leaving`.


from cpython.exc cimport PyErr_SetInterrupt


cdef class Leaving:
    """Base of what is used in a `with` block and must not be left open by an interrupt.

    Python raises an interrupt at the first instruction of a function written in Python. Here there is none.
    """

    def __exit__(self, kind, error, trace):
        try:
            self._leave(kind, error, trace)
        except BaseException:
            _surely(self._left)
            raise

    def __del__(self):
        if lw_is_finalizing():
            return  # modules are being taken apart, and the process's end ends everything that it holds
        # Here an interrupt would be swallowed, and what it interrupted with it: it comes again afterwards.
        if _surely(self._dropped):
            PyErr_SetInterrupt()

    def _leave(self, kind, error, trace):
        """Do what leaving the block means; may wait and may be interrupted."""
        raise NotImplementedError

    def _left(self):
        """See that it is done on another thread; never waits, and may be called again."""
        raise NotImplementedError

    def _dropped(self):
        """Nobody holds it any more: as `_left`, if it was not left before."""


cdef bint _surely(step) except -1:
    # An interrupt can come in here too; a hundred of them at once do not. Says whether one came.
    cdef bint was_interrupted = False
    for _ in range(100):
        try:
            step()
            break
        except KeyboardInterrupt:
            was_interrupted = True
    return was_interrupted
