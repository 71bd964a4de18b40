"""The worker process.

It imports nothing of the parent side, and the parent side imports nothing from here. Both use `wire`, `base`, `events`
and `errors`.
"""
