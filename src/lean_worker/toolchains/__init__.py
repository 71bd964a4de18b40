"""Lean toolchains: finding one, its modules, and its build tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .toolchain import Toolchain as Toolchain
    from .toolchain import resolve as resolve

__all__ = ["Toolchain", "resolve"]

__getattr__ = lazy_names(__name__, {"toolchain": ("Toolchain", "resolve")})
