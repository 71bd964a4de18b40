"""Leases on warm workers, and what a pool reports."""
