"""Capabilities: the programs that workers host, their sessions, sandboxes and temporary directories."""
