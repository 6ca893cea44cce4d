"""Scopes: among which weights the smallest are chosen."""

from __future__ import annotations

from lossprune_lib.checks import check_choice

SCOPES = ("global", "layer", "row", "2:4")


def check_scope(scope: object, sparsity: float) -> str:
    """Return a scope; raise ValueError for one that there is not, and for a sparsity that it cannot have."""
    if check_choice(scope, SCOPES, "scope") == "2:4" and sparsity != 0.5:
        raise ValueError(
            f'The scope "2:4" prunes two of each four weights at once, but the sparsity is {sparsity:g}: give '
            "sparsity=0.5 and stages=1."
        )
    return str(scope)
