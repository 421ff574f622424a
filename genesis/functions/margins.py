"""Losses with a margin: of one score, of two, of the right class against the others, of distances.

Reductions are ``"none"``, ``"mean"`` or ``"sum"``.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.errors import ArgumentError, ChoiceError, OpError
from compiler.ir.op import o
from genesis.functions.distances import pairwise_distance
from genesis.functions.elementary import clamp_min
from genesis.functions.gathering import gather
from genesis.functions.losses import old_reduction, reduced
from genesis.functions.pointwise import add, div, eq, logical_and, minimum, mul, ne, neg, sqrt, sub, where
from genesis.functions.precision import full_precision
from genesis.functions.reductions import any, sum
from genesis.functions.shapes import reshape, unsqueeze
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, wrap


@functional_only
@old_reduction
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """``max(0, margin - target (input1 - input2))``; ``target`` is 1 where ``input1`` should be larger, else -1."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise OpError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    input1, input2, target = full_precision(input1, input2, target)
    return reduced(clamp_min(add(mul(neg(target), sub(input1, input2)), margin), 0), reduction)


@functional_only
@old_reduction
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """The distance ``input`` itself where ``target`` is 1, ``max(0, margin - input)`` where it is -1."""
    input, target = full_precision(input, target)
    far = where(ne(target, 1), clamp_min(sub(margin, input), 0), 0.0)
    near = where(ne(target, -1), input, 0.0)
    return reduced(add(far, near), reduction)


@functional_only
@old_reduction
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """``1 - cos`` for pairs with ``target`` 1, ``max(0, cos - margin)`` for those with -1.

    Inputs are ``[N, D]`` with ``target [N]``, or ``[D]`` with a number.
    """
    if target.ndim > 1:
        raise OpError("0D or 1D target tensor expected, multi-target not supported")
    if {input1.ndim, input2.ndim} != {target.ndim + 1}:
        raise OpError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    input1, input2 = full_precision(input1, input2)
    along, eps = target.ndim, 1e-12
    squares = mul(add(sum(mul(input1, input1), along), eps), add(sum(mul(input2, input2), along), eps))
    cosine = div(sum(mul(input1, input2), along), sqrt(squares))
    near = where(eq(target, 1), sub(1, cosine), 0.0)
    far = where(eq(target, -1), clamp_min(sub(cosine, margin), 0), 0.0)
    return reduced(add(near, far), reduction)


def _rows(name: str, input: Tensor, target_rank: int, target: Tensor) -> Tensor:
    """``input`` as ``[N, C]``; ``target`` has ``target_rank`` dimensions for one of ``[C]``."""
    if input.ndim not in (1, 2) or not input.numel() or target.ndim > input.ndim - 1 + target_rank:
        raise OpError(
            f"{name}: expected a non-empty vector or matrix and a target that fits, "
            f"not {list(input.shape)} and {list(target.shape)}"
        )
    (input,) = full_precision(input)
    return reshape(input, -1, input.shape[-1])


@functional_only
@old_reduction
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """``sum(max(0, margin - x[y] + x[j]) ** p) / C`` over the classes ``j`` beside the right one, ``y``.

    ``input`` is ``[N, C]`` or ``[C]``, ``p`` 1 or 2; ``weight [C]`` weighs the classes.
    """
    if p not in (1, 2):
        raise ChoiceError("only p == 1 and p == 2 supported")
    x = _rows("multi_margin_loss", input, 0, target)
    n, classes = x.shape
    if target.numel() != n:
        raise OpError(f"inconsistent target size, expected {n} but got {list(target.shape)}")
    if weight is not None and tuple(weight.shape) != (classes,):
        raise OpError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    labels = reshape(target, n, 1)
    losses = clamp_min(add(sub(x, gather(x, 1, labels)), margin), 0)
    losses = mul(losses, losses) if p == 2 else losses
    if weight is not None:
        losses = mul(losses, reshape(gather(weight, 0, reshape(target, n)), n, 1))
    others = wrap(o.ne(labels.value, o.iota(shape=(1, classes), axis=1)))
    loss = div(sum(where(others, losses, 0.0), 1), classes)
    return reduced(loss if input.ndim == 2 else reshape(loss), reduction)


@functional_only
@old_reduction
def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``sum(max(0, 1 - x[y] + x[j])) / C`` over the right classes ``y`` and the other ones ``j``.

    ``target`` has the shape of ``input``, ``[N, C]`` or ``[C]``: the right classes, and -1 behind them.
    """
    if target.shape != input.shape:
        raise OpError(f"inconsistent target size: {list(target.shape)} for input of size {list(input.shape)}")
    x = _rows("multilabel_margin_loss", input, 1, target)
    n, classes = x.shape
    labels = o.reshape(target.value, shape=(n, classes))
    place = o.iota(shape=(1, classes), axis=1)
    end = o.amin(o.where(o.lt(labels, 0), place, classes), axes=(1,), keepdim=True)
    given = wrap(o.lt(place, end))
    known = where(given, wrap(labels), 0)
    right = wrap(o.eq(o.reshape(known.value, shape=(n, classes, 1)), o.iota(shape=(1, 1, classes), axis=2)))
    right = any(logical_and(unsqueeze(given, 2), right), 1)
    gaps = clamp_min(add(sub(unsqueeze(x, 1), unsqueeze(gather(x, 1, known), 2)), 1), 0)
    counted = logical_and(unsqueeze(given, 2), eq(unsqueeze(right, 1), False))
    loss = div(sum(where(counted, gaps, 0.0), (1, 2)), classes)
    return reduced(loss if input.ndim == 2 else reshape(loss), reduction)


@functional_only
@old_reduction
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, margin + d(anchor, positive) - d(anchor, negative))`` for :func:`pairwise_distance` of order ``p``.

    ``swap``: the negative counts from the positive where that is nearer. Balntas et al., "Learning local feature
    descriptors with triplets and shallow convolutional neural networks", 2016.
    """
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


@functional_only
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` for a distance of one's own; :func:`pairwise_distance` if there is none."""
    if margin <= 0:
        raise ChoiceError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise OpError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    anchor, positive, negative = full_precision(anchor, positive, negative)
    distance = distance_function or pairwise_distance
    if not callable(distance):
        raise ArgumentError(f"distance_function must be a function of two tensors, not {type(distance).__name__}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(sub(add(near, margin), far), 0), reduction)
