"""Importing this module registers every op family."""

from compiler.ops import (  # noqa: F401
    activation,
    arithmetic,
    composite,
    contract,
    conv,
    elementwise,
    index,
    layout,
    loop,
    normalization,
    pool,
    random,
    reduce,
    statistics,
    structure,
    training,
    window,
)
