"""The abilities of a target's kernels: the passes ask for these, and never which target it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.ir.replay import Claims, nothing


@dataclass(frozen=True)
class Features:
    """The features of a target.

    ``claims``: for which composites it has whole kernels. ``product_sums``: its matrix products also add up what they
    make, over all elements or over the rows. ``product_tests``: they also tell whether any element is true.
    ``product_rates``: for each type of factors, the operations of a product that take as long as a byte to be moved, if
    a product may be computed twice. ``joins``: its loops write what they make straight to its place in a
    concatenation. ``keeps_operands``: what its products read in the backward pass, and windows, is kept from the
    forward pass, not computed and stored again, unless memory is short. ``row_sums``: a kernel over rows takes sums
    over all rows from the product that it reads. ``packed_sums``: attention adds up the rows of the gradients that it
    packs, and a product each head of what attention's gradient needs. ``few_launches``: a launch costs more than the
    work on a number, so numbers are computed together, and kernels wait for others to share a launch with. ``ordered``:
    kernels run strictly one behind the other.
    """

    claims: Claims = nothing
    product_sums: bool = False
    product_tests: bool = False
    product_rates: Mapping[str, float] = field(default_factory=dict)
    joins: bool = False
    keeps_operands: bool = False
    row_sums: bool = False
    packed_sums: bool = False
    few_launches: bool = False
    ordered: bool = False


PLAIN = Features()
"""The features of a target that has kernels for primitives only."""
