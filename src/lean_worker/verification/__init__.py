"""Verifying candidate proofs against a trusted statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .async_candidates import verify_async as verify_async
    from .candidates import verify as verify
    from .proof import Proof as Proof
    from .results import ProofVerdict as ProofVerdict
    from .results import VerifyResult as VerifyResult

__all__ = ["Proof", "ProofVerdict", "VerifyResult", "verify", "verify_async"]

__getattr__ = lazy_names(
    __name__,
    {
        "results": ("ProofVerdict", "VerifyResult"),
        "proof": ("Proof",),
        "candidates": ("verify",),
        "async_candidates": ("verify_async",),
    },
)
