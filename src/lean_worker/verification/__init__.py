"""Verifying candidate proofs against a trusted statement."""
