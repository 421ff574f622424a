"""Gradient rules against finite differences in f64, the eager path, and 16-bit gradients against those in f64."""

from functools import reduce

import numpy as np
import pytest

from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import OPS, o
from compiler.ir.types import DType, bf16, dtype, f16, f32, f64
from compiler.passes.autodiff import autodiff
from genesis.autograd import grad
from genesis.tensor import Tensor, from_array, wrap
from tests.samples import (
    AUXILIARY,
    STRUCTURE,
    Draw,
    Sample,
    arguments,
    assert_same,
    each,
    interpreted,
    sample_graph,
    samples,
    samples_of,
    wanted,
    with_gradient,
)

STEP = 1e-5


def differentiable(sample: Sample) -> bool:
    return all(wanted(sample_graph(sample)))


def smooth(sample: Sample, *kinds: DType) -> bool:
    """Whether a finite difference means something, and an array is of one of these types."""
    return sample.smooth and any(dtype(x.dtype) in kinds for x in sample.arrays) and differentiable(sample)


def exact(sample: Sample) -> bool:
    return smooth(sample, f32, f64)


def with_gradients(op: str) -> bool:
    return OPS[op].differentiable


def run(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    return interpret(graph, inputs)[0]


def test_every_differentiable_op_is_differentiated() -> None:
    covered = {s.op for s in samples() if exact(s)}
    assert covered == {op.name for op in OPS.values() if op.differentiable} - set(STRUCTURE)


@each(among=with_gradients, fits=exact)
def test_gradients_are_finite_differences(sample: Sample) -> None:
    """Along two random directions per operand; f64, central differences, relative error 1e-6."""
    sample = sample.floats_as(f64)
    graph = sample_graph(sample)
    _, found = interpreted(sample)
    results, params = wanted(graph)
    inputs = sample.arrays
    seeds = arguments(sample, with_gradient(graph))[len(inputs) :]
    places = [graph.outputs.index(v) for v in results]
    draw = Draw(sample.id)

    def weighted(moved: list[np.ndarray]) -> float:
        outputs = run(graph, moved)
        return sum(float(np.sum(outputs[i] * seed)) for i, seed in zip(places, seeds, strict=True))

    for param, gradient in zip(params, found, strict=True):
        position = graph.inputs().index(param)
        assert gradient.dtype == np.float64 and gradient.shape == param.shape
        for _ in range(2):
            direction = draw.floats(*param.shape, to=f64)
            there, back = (
                [np.asarray(x + s * direction) if i == position else x for i, x in enumerate(inputs)]
                for s in (STEP, -STEP)
            )
            slope = (weighted(there) - weighted(back)) / (2 * STEP)
            assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@each(among=with_gradients, fits=differentiable)
def test_eager_gradients_are_those_of_the_passes(sample: Sample) -> None:
    """Up to rounding: where three gradients or more meet, eager may add them in another order."""
    graph = sample_graph(sample)
    _, found = interpreted(sample)
    results, params = wanted(graph)
    tensors = {v: from_array(x.copy()) for v, x in zip(graph.inputs(), sample.arrays, strict=True)}
    for v in params:
        tensors[v].requires_grad_()
    remaining = iter(tensors.values())
    operands = [next(remaining).value if isinstance(x, np.ndarray) else x for x in sample.inputs]
    outputs = OPS[sample.op](*operands, **sample.attrs)
    outputs = [outputs] if isinstance(outputs, Value) else list(outputs)
    seeds = [from_array(g) for g in arguments(sample, with_gradient(graph))[len(sample.arrays) :]]
    tops = [wrap(outputs[graph.outputs.index(v)]) for v in results]
    backward(tops, seeds)
    for v, expected in zip(params, found, strict=True):
        grad = tensors[v].grad
        actual = np.zeros(v.shape, v.dtype.numpy) if grad is None else grad.numpy()
        assert actual.dtype == expected.dtype
        precision = (
            2.0**-50 if v.dtype is f64 else 2.0**-8 if v.dtype is bf16 else 2.0**-11 if v.dtype is f16 else 2.0**-21
        )
        assert_same(actual, expected, rtol=precision, atol=precision)


def backward(tops: list[Tensor], seeds: list[Tensor]) -> None:
    """As ``with_gradient`` does it."""
    if len(tops) == 1:
        tops[0].backward(seeds[0])
        return
    total = None
    for top, seed in zip(tops, seeds, strict=True):
        part = wrap(o.sum(o.mul(top.value, seed.value), axes=tuple(range(top.ndim))))
        total = part if total is None else wrap(o.add(total.value, part.value))
    assert total is not None
    total.backward()


@each(among=with_gradients, fits=lambda sample: smooth(sample, f16, bf16))
def test_16_bit_gradients_are_close_to_those_in_f64(sample: Sample) -> None:
    """Within 4 units of the 16-bit type's precision of the largest element: the rules round a few times at most."""
    _, rounded = interpreted(sample)
    _, unrounded = interpreted(sample.floats_as(f64))
    for a, b in zip(rounded, unrounded, strict=True):
        kind = dtype(a.dtype)
        if kind.is_half and b.size:
            unit = 2**-11 if kind is f16 else 2**-8
            largest = max(float(np.max(np.abs(b))), 1.0)
            np.testing.assert_allclose(a.astype(np.float64), b, rtol=0, atol=4 * unit * largest)


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_class_weights_refuse_a_gradient(op: str) -> None:
    """As in PyTorch, where they have no derivative either."""
    logits, weight = (from_array(np.ones(s, np.float32), requires_grad=True) for s in ((2, 3), (3,)))
    loss = OPS[op](logits.value, from_array(np.array([0, 2])).value, weight.value)
    with pytest.raises(NotImplementedError, match=f"the gradient of {op} with respect to its class weights"):
        wrap(loss[0] if isinstance(loss, tuple) else loss).backward()


def test_padding_rows_have_no_gradient() -> None:
    table = from_array(np.ones((3, 2), np.float32), requires_grad=True)
    wrap(o.sum(o.embedding(table.value, from_array(np.array([0, 1, 1])).value, padding_idx=1), axes=(0, 1))).backward()
    assert table.grad is not None
    np.testing.assert_array_equal(table.grad.numpy(), [[1, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize(
    ("op", "x", "slopes"),
    [
        ("relu", [-1, 0, 1], [0, 0, 1]),
        ("abs", [-1, 0, 1], [-1, 0, 1]),
        ("leaky_relu", [-1, 0, 1], [0.01, 0.01, 1]),
        ("sqrt", [0, 1], [np.inf, 0.5]),
        ("sign", [-1, 0, 1], [0, 0, 0]),
    ],
)
def test_conventions_at_kinks(op: str, x: list[float], slopes: list[float]) -> None:
    """PyTorch's choices where there is no derivative."""
    tensor = from_array(np.array(x, np.float32), requires_grad=True)
    wrap(OPS[op](tensor.value)).backward(from_array(np.ones(len(x), np.float32)))
    grad = np.zeros(len(x)) if tensor.grad is None else tensor.grad.numpy()
    np.testing.assert_allclose(grad, slopes, rtol=1e-6)


@pytest.mark.parametrize("op", AUXILIARY)
def test_gradients_of_auxiliary_results(op: str) -> None:
    """They exist for the backward pass; second derivatives go through them. Against central differences in f64."""
    sample = next(s for s in samples_of(op) if exact(s)).floats_as(f64)
    graph = sample_graph(sample)
    draw = Draw(sample.id)
    x, direction = sample.arrays[0], draw.floats(*sample.arrays[0].shape, to=f64)
    weights = [draw.floats(*v.shape, to=f64) for v in graph.outputs[1:]]
    whole = Graph("f", list(graph.params), graph.nodes, outputs=list(graph.outputs[1:]))
    with using(GraphBuilder()) as builder:
        seeds = [whole.add_param(v.type, "input", "", "seed") for v in whole.outputs]
        parts = [o.sum(o.mul(v, w), axes=tuple(range(v.type.rank))) for v, w in zip(whole.outputs, seeds, strict=True)]
        whole.outputs.append(o.grad(reduce(o.add, parts), graph.inputs()[0]))
    whole.nodes = graph.nodes + builder.nodes
    *_, gradient = run(autodiff(whole), [*sample.arrays, *weights])

    def weighted(at: np.ndarray) -> float:
        results = run(graph, [at, *sample.arrays[1 : len(graph.inputs())]])[1:]
        return sum(float(np.sum(r * w)) for r, w in zip(results, weights, strict=True))

    slope = (weighted(x + STEP * direction) - weighted(x - STEP * direction)) / (2 * STEP)
    assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@each(among=with_gradients, fits=exact)
def test_gradients_of_gradients_are_the_eager_ones(sample: Sample) -> None:
    """The gradient of half the squared norm of all gradients, by the pass and eager, in f64."""
    sample = sample.floats_as(f64)
    graph = sample_graph(sample)
    results, params = wanted(graph)
    first = with_gradient(graph)
    with using(GraphBuilder()) as builder:
        builder.nodes = list(first.nodes)
        parts = [o.sum(o.mul(g, g), axes=tuple(range(g.type.rank))) for g in first.outputs[len(graph.outputs) :]]
        second = o.grad(reduce(o.add, [o.mul(0.5, o.cast(p, to=f64)) for p in parts]), *params)
    again = [second] if isinstance(second, Value) else list(second)
    whole = autodiff(Graph(graph.name, first.params, builder.nodes, [], again))
    inputs = arguments(sample, first)
    expected = _eager_second(sample, graph, results, params, inputs[len(sample.arrays) :])
    for actual, wanted_value in zip(run(whole, inputs), expected, strict=True):
        scale = max(1.0, float(np.abs(np.nan_to_num(wanted_value)).max(initial=0)))
        np.testing.assert_allclose(actual, wanted_value, rtol=1e-4, atol=1e-5 * scale)


def _eager_second(
    sample: Sample, graph: Graph, results: list[Value], params: list[Value], cotangents: list[np.ndarray]
) -> list[np.ndarray]:
    tensors = {v: from_array(x.copy()) for v, x in zip(graph.inputs(), sample.arrays, strict=True)}
    leaves = [tensors[v].requires_grad_() for v in params]
    remaining = iter(tensors.values())
    operands = [next(remaining).value if isinstance(x, np.ndarray) else x for x in sample.inputs]
    made = OPS[sample.op](*operands, **sample.attrs)
    outputs = [made] if isinstance(made, Value) else list(made)
    tops = [wrap(outputs[graph.outputs.index(v)]) for v in results]
    firsts = grad(tops, leaves, [from_array(g) for g in cotangents], create_graph=True, allow_unused=True)
    parts = [0.5 * (g * g).sum() for g in firsts if g is not None and g.requires_grad]
    seconds = grad(reduce(lambda a, b: a + b, parts), leaves, allow_unused=True) if parts else [None] * len(leaves)
    return [np.zeros(v.shape) if g is None else g.detach().numpy() for v, g in zip(params, seconds, strict=True)]
