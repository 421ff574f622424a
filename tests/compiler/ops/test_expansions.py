"""Composites: the expansion means what the reference says, and 16-bit results are f32 results, rounded once."""

import numpy as np

from compiler.interpret import Evaluator, interpret
from compiler.ir.ambient import using
from compiler.ir.graph import Value
from compiler.ir.op import OPS, o
from compiler.ir.types import DType, f32
from compiler.ir.verify import verify
from compiler.passes.expand import expand
from tests.samples import Sample, assert_same, each, sample_graph, type_of


def composite(op: str) -> bool:
    return OPS[op].expand is not None


ROUNDED_INSIDE = {
    "scaled_dot_product_attention": "probabilities are rounded to the type of q before they meet v",
    "attention_backward": "probabilities and scores' gradients are rounded before they meet g, k and q",
    "clip_grad_norm": "norms are rounded to the type of the gradient, as PyTorch's are",
    "clip_grad_value": "the limit is rounded to the type of the gradient, as PyTorch's clamp does",
}
"""Composites that round to 16 bits before their end, and why."""


def expanded(sample: Sample) -> list[np.ndarray]:
    """The results of the op's own expansion, evaluated."""
    expand_op = OPS[sample.op].expand
    assert expand_op is not None
    graph = sample_graph(sample)
    node = graph.nodes[-1]
    with using(Evaluator()) as evaluator:
        values: dict[Value, Value] = {
            v: evaluator.concrete(x, type_of(x)) for v, x in zip(graph.inputs(), sample.arrays, strict=True)
        }
        for before in graph.nodes[:-1]:
            values[before.output] = before.op(*[values[v] for v in before.inputs], **before.attrs)
        result = expand_op(o, *[values[v] for v in node.inputs], **node.attrs)
    return [v.data for v in ([result] if isinstance(result, Value) else result)]


@each(among=lambda op: composite(op) and OPS[op].reference is not None)
def test_the_expansion_means_what_the_reference_says(sample: Sample) -> None:
    """Up to the order of sums in a product, which BLAS chooses by shape."""
    graph = sample_graph(sample)
    results, _ = interpret(graph, sample.arrays)
    for actual, expected, value in zip(expanded(sample), results, graph.outputs, strict=True):
        unit = {"f16": 2.0**-10, "bf16": 2.0**-7}.get(value.dtype.short, 2.0**-20)
        assert_same(actual, expected, rtol=unit, atol=unit)


@each(among=composite)
def test_the_expansion_has_the_types_of_the_rule(sample: Sample) -> None:
    graph = sample_graph(sample)
    assert [type_of(r) for r in expanded(sample)] == [v.type for v in graph.outputs]
    assert not [n for n in verify(expand(graph)).nodes if n.op.expand is not None]


def halves(sample: Sample) -> set[DType]:
    return {type_of(x).dtype for x in sample.arrays if type_of(x).dtype.is_half}


@each(among=lambda op: composite(op) and op not in ROUNDED_INSIDE, fits=lambda sample: bool(halves(sample)))
def test_16_bit_results_are_rounded_once(sample: Sample) -> None:
    """Bit for bit what f32 gives on the same numbers, rounded."""
    wide = [
        x.astype(np.float32) if isinstance(x, np.ndarray) and type_of(x).dtype.is_half else x for x in sample.inputs
    ]
    exact = expanded(Sample(sample.op, sample.name, tuple(wide), sample.attrs))
    graph = sample_graph(sample)
    for rounded, value, whole in zip(expanded(sample), graph.outputs, exact, strict=True):
        if value.dtype.is_half:
            with np.errstate(over="ignore"):
                assert_same(rounded, whole.astype(value.dtype.numpy))
        else:
            assert value.dtype is not f32 or rounded.dtype == np.float32
