# The parent's end of a worker's ring; a part of `_frames.pyx`. It has no pure twin: without it there is the pipe.


@cython.final
cdef class RingReader:
    """Takes a worker's frames out of shared memory. One thread at a time uses it; any may close it.

    Args:
        memory_fd: The memory; may be closed afterwards.
        size_bytes: Of the ring, a power of two.
        space_fd: The writing end of the pipe that wakes the writer; has to be non-blocking, and ours alone.

    Raises:
        OSError: The memory cannot be mapped.
    """

    cdef ring_end _end

    def __init__(self, memory_fd, size_bytes, space_fd):
        ring_close(&self._end)
        if not ring_open(&self._end, memory_fd, size_bytes, -1, space_fd):
            raise OSError(errno, os.strerror(errno))

    def __dealloc__(self):
        ring_close(&self._end)

    @property
    def waiting_bytes(self):
        """Bytes that are there; 0 after `close`."""
        return ring_waiting(&self._end) if self._end.memory != NULL else 0

    def read(self, FrameReader reader not None, most_bytes):
        """Move what is there, at most `most_bytes`, into `reader`, and say how many bytes that was; 0 after `close`.

        Raises:
            MalformedFrame: The worker has written over the ring's own counts.
        """
        cdef uint64_t count
        cdef uint64_t most = most_bytes
        if self._end.memory == NULL:
            return 0
        count = ring_waiting(&self._end)
        if count > self._end.size:
            raise MalformedFrame("reading a worker's ring: its counts make no sense; the worker wrote over them", side="remote")
        count = min(count, most)
        if count:
            reader._reserve(count)
            # With the GIL held, so that no other thread can close the ring meanwhile.
            ring_take(&self._end, reader._buffer + reader._end, count)
            reader._end += count
        return count

    def sleep(self):
        """Say that the reader is about to wait; False if there is something to read after all."""
        if self._end.memory == NULL:
            return True
        ring_reader_sleeps(&self._end, 1)
        return ring_waiting(&self._end) == 0

    def wake(self):
        """Say that the reader waits no more."""
        if self._end.memory != NULL:
            ring_reader_sleeps(&self._end, 0)

    def __enter__(self):
        """`sleep`; leaving the block is `wake`."""
        return self.sleep()

    def __exit__(self, kind, error, trace):
        self.wake()

    def close(self):
        """Unmap the memory; legal twice, and from any thread."""
        ring_close(&self._end)
