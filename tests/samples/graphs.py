"""Samples as graphs with gradients, their arguments, and the comparison of results."""

from __future__ import annotations

import numpy as np

from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import OPS, o
from compiler.ir.types import dtype, f64
from compiler.ir.verify import verify
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from tests.samples.table import Draw, Sample, type_of

STRUCTURE = ("fused", "grad", "loop")
"""Ops without samples: what they mean is in their body, or is the work of a pass."""

AUXILIARY = ("layer_norm", "rms_norm", "batch_norm", "group_norm", "cross_entropy", "scaled_dot_product_attention")
"""Ops whose results after the first are kept for the backward pass; no gradient flows through them."""

FIXED = {
    "cross_entropy": (2,),
    "nll_loss": (2,),
    "scale_loss": (1,),
    "unscale": (-1,),
    "batch_norm_inference": (1, 2),
}
"""Operands that are numbers of the recipe rather than of the model: they have no gradient."""


def sample_graph(sample: Sample) -> Graph:
    """The call as a graph: one parameter per array, all results returned."""
    graph = Graph(sample.op)
    operands = [
        graph.add_param(type_of(x), "input", "", f"x{i}") if isinstance(x, np.ndarray) else x
        for i, x in enumerate(sample.inputs)
    ]
    with using(GraphBuilder()) as builder:
        result = OPS[sample.op](*operands, **sample.attrs)
    graph.nodes = builder.nodes
    graph.outputs = [result] if isinstance(result, Value) else list(result)
    return graph


def wanted(graph: Graph) -> tuple[list[Value], list[Value]]:
    """The results of a sample's graph that a gradient flows into, and the parameters it flows to."""
    node = graph.nodes[-1]
    if not node.op.differentiable:
        return [], []
    results = graph.outputs[:1] if node.op.name in AUXILIARY else graph.outputs
    fixed = [graph.inputs()[i] for i in FIXED.get(node.op.name, ()) if i < len(graph.params)]
    params = [v for v in graph.inputs() if v not in fixed]
    return [v for v in results if v.dtype.kind == "float"], [v for v in params if v.dtype.kind == "float"]


def with_gradient(graph: Graph) -> Graph:
    """The graph of a sample with a ``grad`` node behind it; the gradients are its outputs after the op's own.

    A parameter ``g<i>`` for each differentiable result holds its cotangent. A graph without a floating result or
    parameter comes back as it is.
    """
    results, params = wanted(graph)
    if not results or not params:
        return graph
    whole = Graph(graph.name, list(graph.params), outputs=list(graph.outputs))
    seeds = [whole.add_param(v.type, "input", "", f"g{i}") for i, v in enumerate(results)]
    with using(GraphBuilder()) as builder:
        builder.nodes = list(graph.nodes)
        if len(results) == 1:
            grads = o.grad(results[0], seeds[0], *params, seed=True)
        else:
            total = None
            for result, seed in zip(results, seeds, strict=True):
                part = o.sum(o.mul(result, seed), axes=tuple(range(result.type.rank)))
                total = part if total is None else o.add(total, part)
            grads = o.grad(total, *params)
    whole.nodes = builder.nodes
    whole.outputs += [grads] if isinstance(grads, Value) else list(grads)
    return whole


def arguments(sample: Sample, graph: Graph) -> list[np.ndarray]:
    """One array per parameter of the sample's graph; cotangents are drawn, the same for every dtype."""
    draw = Draw(sample.op + " cotangents")
    extra = graph.inputs()[len(sample.arrays) :]
    return [*sample.arrays, *(draw.floats(*v.shape, to=f64).astype(v.dtype.numpy) for v in extra)]


def interpreted(sample: Sample) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The sample's results and, through the passes and the interpreter, the gradients of its ``wanted`` parameters."""
    graph = sample_graph(sample)
    whole = with_gradient(graph)
    results, _ = interpret(verify(expand(verify(autodiff(whole)))), arguments(sample, whole))
    return results[: len(graph.outputs)], results[len(graph.outputs) :]


def assert_same(actual: np.ndarray, expected: np.ndarray, rtol: float = 0, atol: float = 0, why: str = "") -> None:
    """Equal up to a tolerance in dtype, shape and elements; NaN equals NaN and 0 equals -0."""
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    if dtype(actual.dtype).is_half:
        actual, expected = actual.astype(np.float32), expected.astype(np.float32)
    if rtol or atol:
        np.testing.assert_allclose(actual, expected, rtol, atol, err_msg=why)
    else:
        np.testing.assert_array_equal(actual, expected, why)
