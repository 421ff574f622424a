"""Index maps: every place they compute is where NumPy finds the element."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import compiler.ops.all  # noqa: F401
from compiler.index import (
    Index,
    Var,
    broadcast,
    join,
    matrix_strides,
    refined,
    split,
    strides_of,
    through_view,
    view_chain,
)
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import o
from compiler.ir.types import TensorType, bf16, f32

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def evaluate(index: Index, **values: int) -> int:
    """The index for values of the loop variables."""

    def of(var: Var) -> int:
        if var.of is None:
            return values[var.name]
        inner = evaluate(var.of, **values)
        return inner // var.by if var.op == "/" else inner % var.by

    return sum(c * of(var) for var, c in index.terms) + index.constant


def param(*shape: int) -> Value:
    return Graph("g").add_param(TensorType(f32, shape), "input", "", "x")


X, Y = Var("x", 6), Var("y", 4)


def test_sums_and_products() -> None:
    index = (Index.of(X) + Index.of(Y) * 3 + Index.of(X)).shifted(2)
    assert evaluate(index, x=5, y=2) == 18
    assert index.coefficient(X) == 2 and index.coefficient(Y) == 3 and index.coefficient(Var("z", 2)) == 0
    assert (index.bottom, index.top) == (2, 2 + 2 * 5 + 3 * 3)
    assert Index.of(X) + Index.of(X) * -1 == Index()
    assert Index.of(Var("one", 1)) == Index(), "a variable of size 1 is 0"


def test_division_separates_what_it_can() -> None:
    quotient, remainder = (Index.of(Y) * 6 + Index.of(X)).divmod(6)
    assert quotient == Index.of(Y) and remainder == Index.of(X)
    quotient, remainder = (Index.of(Y) * 6 + Index.of(X)).divmod(3)
    assert quotient.coefficient(Y) == 2 and not quotient.affine and not remainder.affine
    assert quotient * 3 + remainder == Index.of(Y) * 6 + Index.of(X), "they recombine"


def test_division_keeps_what_stays_below_out_of_it() -> None:
    inner, outer = Var("c", 8), Var("r", 60)
    quotient, remainder = (Index.of(outer) * 8 + Index.of(inner)).divmod(32)
    alone, rest = Index.of(outer).divmod(4)
    assert quotient == alone and remainder == rest * 8 + Index.of(inner)
    assert not quotient.divided(inner) and quotient.divided(outer)
    assert (Index.of(outer) * 8 + Index.of(inner)).divmod(12)[0].divided(inner)


def test_a_dimension_of_size_zero_divides_nothing() -> None:
    assert Index.of(X).divmod(0) == (Index.of(X), Index())
    assert len(split(Index.of(Var("e", 0)), (3, 0, 2))) == 3


@given(st.lists(st.integers(-3, 7), min_size=2, max_size=2), st.integers(0, 9), st.integers(1, 7))
def test_division_and_remainder_are_pythons(coefficients: list[int], constant: int, by: int) -> None:
    a, b = coefficients
    index = (Index.of(X) * a + Index.of(Y) * b).shifted(constant)
    if index.bottom < 0:
        index = index.shifted(-index.bottom)
    quotient, remainder = index.divmod(by)
    for x in range(X.size):
        for y in range(Y.size):
            place = evaluate(index, x=x, y=y)
            assert (evaluate(quotient, x=x, y=y), evaluate(remainder, x=x, y=y)) == divmod(place, by)
            assert 0 <= evaluate(quotient, x=x, y=y) <= quotient.top


@given(SHAPES)
def test_splitting_and_joining_are_row_major(shape: tuple[int, ...]) -> None:
    place = Var("e", prod(shape))
    coordinates = split(Index.of(place), shape)
    for e in range(prod(shape)):
        assert tuple(evaluate(c, e=e) for c in coordinates) == tuple(np.unravel_index(e, shape))
    assert join(coordinates, shape) == Index.of(place), "there and back is nothing at all"
    assert strides_of(shape) == tuple(s // 8 for s in np.empty(shape).strides) or 1 in shape


@given(SHAPES, st.data())
def test_broadcasting(shape: tuple[int, ...], data: st.DataObject) -> None:
    source = tuple(data.draw(st.sampled_from([1, n])) for n in shape)
    source = source[data.draw(st.integers(0, len(source))) :]
    places = np.broadcast_to(np.arange(prod(source)).reshape(source), shape).reshape(-1)
    index = broadcast(Index.of(Var("e", prod(shape))), shape, source)
    assert [evaluate(index, e=e) for e in range(prod(shape))] == places.tolist()


@st.composite
def views(draw: st.DrawFn) -> tuple[Value, np.ndarray]:
    """A value behind a chain of views, and where its elements stand in the root."""
    shape = draw(SHAPES)
    value = param(*shape)
    places = np.arange(prod(shape)).reshape(shape)
    with using(GraphBuilder()):
        for _ in range(draw(st.integers(1, 4))):
            kind = draw(st.sampled_from(["permute", "reshape", "expand", "slice"]))
            shape = value.shape
            if kind == "permute":
                dims = tuple(draw(st.permutations(range(len(shape)))))
                value, places = o.permute(value, dims=dims), places.transpose(dims)
            elif kind == "reshape":
                cut = draw(st.integers(0, len(shape)))
                new = (prod(shape[:cut]), prod(shape[cut:]))
                value, places = o.reshape(value, shape=new), places.reshape(new)
            elif kind == "expand" and prod(shape) < 60:
                new = (2, *(3 if n == 1 else n for n in shape))
                value, places = o.expand(value, shape=new), np.broadcast_to(places, new)
            elif kind == "slice":
                start = tuple(draw(st.integers(0, n - 1)) for n in shape)
                step = tuple(draw(st.sampled_from([1, 2])) for _ in shape)
                value = o.slice(value, start=start, stop=shape, step=step)
                places = places[tuple(slice(a, None, s) for a, s in zip(start, step, strict=True))]
    return value, places


@given(views())
def test_chains_of_views(view: tuple[Value, np.ndarray]) -> None:
    value, places = view
    root, chain = view_chain(value)
    assert root.producer is None
    index = Index.of(Var("e", value.type.size))
    for node in reversed(chain):
        index = through_view(node, index)
    assert [evaluate(index, e=e) for e in range(value.type.size)] == places.reshape(-1).tolist()


@given(views())
def test_strided_windows(view: tuple[Value, np.ndarray]) -> None:
    value, places = view
    window = matrix_strides(value)
    if window is None:
        return
    _, offset, strides = window
    coordinates = np.indices(value.shape).reshape(len(value.shape), -1)
    found = offset + sum(s * c for s, c in zip(strides, coordinates, strict=True))
    assert np.asarray(found).tolist() == places.reshape(-1).tolist()


def test_every_window_of_a_matrix_is_found() -> None:
    x = param(4, 6)
    with using(GraphBuilder()):
        window = o.slice(o.permute(x, dims=(1, 0)), start=(1, 2), stop=(6, 4), step=(2, 1))
        merged = o.reshape(o.permute(x, dims=(1, 0)), shape=(24,))
        cast = o.cast(window, to=bf16)
    assert matrix_strides(window) == (x, 13, (2, 6))
    assert matrix_strides(merged) is None
    assert matrix_strides(cast) == (cast, 0, (2, 1))
    assert matrix_strides(cast, casts=True) == (x, 13, (2, 6))


def test_the_coarsest_common_shape() -> None:
    assert refined([(6, 4), (3, 8)]) == (3, 2, 4)
    assert refined([(24,), (2, 12), (6, 4)]) == (2, 3, 4)
    assert refined([(1, 5, 1)]) == (5,)
    assert refined([()]) == (1,)
    assert refined([(4, 9), (6, 6)]) is None


def test_what_lies_in_a_row() -> None:
    row, column = Var("r", 4), Var("c", 6)
    place = Index.of(row) * 12 + Index.of(column)
    assert place.within(row, 12) and place.shifted(6).within(row, 12)
    assert not place.shifted(7).within(row, 12) and not place.shifted(-1).within(row, 12)
    assert not place.within(row, 6) and not Index.of(column).within(row, 6)
