"""Compares a step of the serial target with the interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.replay import in_loops
from compiler.passes.autocast import autocast
from compiler.passes.autodiff import autodiff
from tests.samples import assert_same
from tests.serial.emit import Step

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-9}
"""Sums are in f64 here, and a 16-bit result may be the next number."""


def compare(graph: Graph, arrays: Sequence[np.ndarray], step: Step, tolerances: Mapping[str, float], name: str) -> None:
    """Results and new states are the interpreter's, up to a tolerance for each dtype; no check reports anything."""
    expected, states = interpret(in_loops(autodiff)(in_loops(autocast)(graph)), arrays)
    results, params, status = step.run(arrays)
    assert status == [0, 0, 0, 0]
    position = {v: i for i, v in enumerate(graph.inputs())}
    results += [params[position[update.state]] for update in graph.updates]
    for result, wanted in zip(results, expected + states, strict=True):
        tolerance = tolerances.get(wanted.dtype.name, 0)
        assert_same(result, wanted, tolerance, tolerance, name)
