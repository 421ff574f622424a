"""Importing this module registers every op family."""

from compiler.ops import (  # noqa: F401
    activation,
    arithmetic,
    class_loss,
    contract,
    conv,
    elementwise,
    index,
    inverse,
    layout,
    loop,
    loss,
    normalization,
    pool,
    random,
    reduce,
    softmax,
    statistics,
    structure,
    training,
    window,
)
