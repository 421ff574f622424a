"""Finds the origin of a NaN in the gradients: ``genesis.autograd.detect_anomaly``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compiler.errors import AutogradError
from compiler.ir.graph import Node, Value
from genesis.memory.values import held


class Anomalies:
    """Whether eager ops note the line they were called at, and backward passes look for NaN (``nan``)."""

    on = False
    nan = True


def check(node: Node, adjoints: Mapping[Value, Value]) -> None:
    """RuntimeError if a gradient of an operand of ``node`` is not a number."""
    if not Anomalies.nan:
        return
    for i, value in enumerate(node.inputs):
        g = adjoints.get(value)
        array = None if g is None else held(g).data
        if array is not None and np.isnan(np.asarray(array, np.float64)).any():
            raise AutogradError(
                f"Function '{node.op.name}' returned nan values in its {i}th gradient.\n"
                f"  the op was called at {node.loc}"
            )
