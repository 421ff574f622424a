"""Importing this module registers every op family."""

from compiler.ops import (  # noqa: F401
    composite,
    contract,
    elementwise,
    index,
    layout,
    normalization,
    random,
    reduce,
    structure,
    training,
)
