"""Lake projects: which modules one has, what they import, and work over them in batches.

In the order of the data: `lakefile_toml` or `lakefile_lean` (with `lakefile_tokens`) read what is declared
(`lake_library`), `lake_project` finds the modules, `lean_header` reads their imports, `import_graph` follows them,
`sessions` says what a capability will open, `balance` makes batches, `planning` is what callers use.
"""
