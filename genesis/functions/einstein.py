"""Sums of products in Einstein's notation, as matrix products, sums and views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compiler.errors import OpError
from genesis.functions.pointwise import mul
from genesis.functions.products import matmul
from genesis.functions.rearranging import diagonal
from genesis.functions.reductions import sum
from genesis.functions.shapes import expand, permute, reshape, unsqueeze
from genesis.functions.table import function_only
from genesis.tensor import Tensor

Labels = list[str]
"""A name for each dimension: a letter, or ``.n`` for the dimension that lies n before the last of the ellipsis."""


@function_only
def einsum(equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor:
    """``einsum("bik,bkj->bij", x, y)``: products of the operands, summed over the letters that the result lacks.

    Without ``->`` the result has the letters that occur once, in the order of the alphabet, behind the ellipsis.
    ``...`` stands for any dimensions, which broadcast. A letter that an operand has twice takes its diagonal. The
    operands are multiplied from the left to the right, two at a time. Raises RuntimeError for an equation that does not
    fit.
    """
    given: Sequence[Any] = operands
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        given = operands[0]
    terms, result = _parse(equation, given)
    factors = [_without_repeats(x, labels) for x, labels in zip(given, terms, strict=True)]
    product, labels = factors[0]
    for i, (x, names) in enumerate(factors[1:], 1):
        later = {*result}.union(*(other for _, other in factors[i + 1 :]))
        product, labels = _multiplied(product, labels, x, names, later)
    product, labels = _summed(product, labels, set(result))
    return permute(product, *(labels.index(label) for label in result))


def _parse(equation: str, operands: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand, and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise OpError(f"einsum(): {equation!r} has {len(terms)} operands, but {len(operands)} were given")
    found = [_labels(term, x.ndim, equation) for term, x in zip(terms, operands, strict=True)]
    sizes: dict[str, int] = {}
    for labels, x in zip(found, operands, strict=True):
        for label, n in zip(labels, x.shape, strict=True):
            if sizes.setdefault(label, n) not in (n, 1) and n != 1:
                raise OpError(f"einsum(): {label!r} of {equation!r} has size {sizes[label]} and size {n}")
            sizes[label] = n if sizes[label] == 1 else sizes[label]
    every = [label for labels in found for label in labels]
    dots = sorted({label for label in every if label.startswith(".")}, key=lambda label: -int(label[1:]))
    if not arrow:
        return found, [*dots, *sorted(label for label in set(every) if label.isalpha() and every.count(label) == 1)]
    result = _labels(right, len(dots) + len(right.replace("...", "")), equation)
    wrong = [label for label in result if label not in sizes or result.count(label) > 1]
    if wrong:
        raise OpError(f"einsum(): {wrong[0]!r} in the result of {equation!r} must occur once there, and in an operand")
    return found, result


def _labels(term: str, rank: int, equation: str) -> Labels:
    before, dots, after = term.partition("...")
    if not all(letter.isalpha() for letter in before + after):
        raise OpError(f"einsum(): {equation!r} has letters, ',', '...' and '->' only; sublists are not supported")
    free = rank - len(before) - len(after)
    if free < 0 or (free and not dots):
        raise OpError(f"einsum(): {term!r} of {equation!r} does not fit a tensor of {rank} dimensions")
    return [*before, *(f".{n}" for n in reversed(range(free))), *after]


def _without_repeats(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """The diagonal for each label that occurs twice."""
    labels = list(labels)
    while len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        first = labels.index(twice)
        second = labels.index(twice, first + 1)
        if x.shape[first] != x.shape[second]:
            raise OpError(f"einsum(): {twice!r} has size {x.shape[first]} and size {x.shape[second]} in one operand")
        x = diagonal(x, 0, first, second)
        labels = [label for a, label in enumerate(labels) if a not in (first, second)] + [twice]
    return x, labels


def _summed(x: Tensor, labels: Labels, needed: set[str]) -> tuple[Tensor, Labels]:
    """``x`` summed over the labels that nothing needs."""
    axes = [a for a, label in enumerate(labels) if label not in needed]
    return (sum(x, axes), [label for label in labels if label in needed]) if axes else (x, labels)


def _multiplied(x: Tensor, xs: Labels, y: Tensor, ys: Labels, later: set[str]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over the labels that neither ``later`` operands nor the result need."""
    x, xs = _summed(x, xs, later.union(ys))
    y, ys = _summed(y, ys, later.union(xs))
    shared = [label for label in xs if label in ys]
    inner = [label for label in shared if label not in later]
    batch = [label for label in shared if label in later]
    left, right = ([label for label in names if label not in shared] for names in (xs, ys))
    labels = [*batch, *left, *right]
    if not inner:
        return mul(_aligned(x, xs, labels), _aligned(y, ys, labels)), labels
    size = {label: n for names, t in ((ys, y), (xs, x)) for label, n in zip(names, t.shape, strict=True)}
    for label in shared:
        size[label] = max(x.shape[xs.index(label)], y.shape[ys.index(label)])
    a = _matrices(_aligned(x, xs, [*batch, *left, *inner]), [*batch, *left, *inner], size, len(batch), len(left))
    b = _matrices(_aligned(y, ys, [*batch, *inner, *right]), [*batch, *inner, *right], size, len(batch), len(inner))
    return reshape(matmul(a, b), *(size[label] for label in labels)), labels


def _aligned(x: Tensor, labels: Labels, order: Labels) -> Tensor:
    """The dimensions of ``x`` in ``order``, with size 1 for labels that it lacks."""
    x = permute(x, *(labels.index(label) for label in order if label in labels))
    for axis, label in enumerate(order):
        x = x if label in labels else unsqueeze(x, axis)
    return x


def _matrices(x: Tensor, labels: Labels, size: dict[str, int], batch: int, rows: int) -> Tensor:
    """``[*batch, *rows, *columns]`` as ``[*batch, rows, columns]``, broadcast to ``size``."""
    shape = [size[label] for label in labels]
    x = x if list(x.shape) == shape else expand(x, *shape)
    counts = [1, 1]
    for axis, n in enumerate(shape[batch:]):
        counts[axis >= rows] *= n
    return reshape(x, *shape[:batch], *counts)
