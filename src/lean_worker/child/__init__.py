"""The worker process: what runs behind the pipe.

Nothing of the parent side is imported here, and the parent side imports nothing from here: the two meet in `frames`,
`envelope`, `protocol`, `events` and `errors` only.
"""
