"""The pool for threads."""
