"""Checking Lean files, and capabilities."""
