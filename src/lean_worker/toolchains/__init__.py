"""Lean toolchains: finding one, its modules, and its build tool."""

from __future__ import annotations

from .toolchain import Toolchain, resolve

__all__ = ["Toolchain", "resolve"]
