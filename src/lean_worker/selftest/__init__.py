"""Checks that a user runs on a machine of their own, with their own Lean: `lean-worker selftest`.

Each check is a function under `registry.check`, in a module whose import registers it; `run` imports them all. To add
checks, write such a module and name it in `MODULES`.
"""
