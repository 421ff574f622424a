"""Contractions: ``dot`` is the one primitive; linear, matmul and attention are composites over it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Node, Value
from compiler.ir.op import Op, OpSet, register
from compiler.ir.types import DType, Shape, TensorType, boolean, f32
from compiler.ops.elementwise import broadcast_shapes
from compiler.ops.structure import made_by

LOWER = {"cpu": "lower", "cuda": "lower"}


def _check_pair(a: TensorType, b: TensorType, op: str) -> None:
    if a.dtype is not b.dtype:
        raise OpError(f"expected both operands to have the same dtype, but got: {a.dtype.name} != {b.dtype.name}")
    if a.dtype.kind == "bool":
        raise OpError(f"{op} of bool tensors has no meaning; cast them to a number type")


def _infer_dot(a: TensorType, b: TensorType, dtype: DType | None) -> TensorType:
    _check_pair(a, b, "dot")
    if a.rank < 2 or a.rank != b.rank or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise OpError(f"dot takes [*batch, M, K] and [*batch, K, N], not {list(a.shape)} and {list(b.shape)}")
    return TensorType(dtype or a.dtype, (*a.shape[:-1], b.shape[-1]))


def transposed(o: OpSet, x: Value) -> Value:
    """``x`` with its last two dimensions exchanged."""
    rank = x.type.rank
    return o.permute(x, dims=(*range(rank - 2), rank - 1, rank - 2))


def _dot_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    a, b = node.inputs
    if g.dtype is not a.dtype:
        g = o.cast(g, to=a.dtype)
    return (lambda: o.dot(g, transposed(o, b))), (lambda: o.dot(transposed(o, a), g))


def _dot_work(node: Node) -> int:
    return 2 * node.output.type.size * node.inputs[0].shape[-1]


register(
    Op(
        "dot",
        _infer_dot,
        "contract",
        lambda a, b, dtype: np.matmul(a, b),
        _dot_vjp,
        attrs={"dtype": None},
        autocast=LOWER,
        work=_dot_work,
        anchor="contract",
        spreads=True,
    )
)


def accumulator(dtype: DType) -> DType:
    """The type in which products of ``dtype`` are summed and epilogues computed: f32 for the 16-bit floats."""
    return f32 if dtype.is_half else dtype


def exact_dot(o: OpSet, a: Value, b: Value) -> Value:
    """``dot`` left in its accumulator type, so that a composite rounds once, at its end."""
    return o.dot(a, b, dtype=accumulator(a.dtype))


def _infer_matmul(a: TensorType, b: TensorType) -> TensorType:
    _check_pair(a, b, "matmul")
    if a.rank == 0 or b.rank == 0:
        raise OpError(f"both arguments need to be at least 1-D, but they are {a.rank}-D and {b.rank}-D")
    inner = b.shape[-2] if b.rank > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise OpError(
            f"mat1 and mat2 shapes cannot be multiplied ({list(a.shape)} and {list(b.shape)}): "
            f"{a.shape[-1]} columns against {inner} rows"
        )
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return TensorType(a.dtype, (*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.rank > 1 else ())))


def _expand_matmul(o: OpSet, a: Value, b: Value) -> Value:
    result = _infer_matmul(a.type, b.type)
    left = a if a.type.rank > 1 else o.reshape(a, shape=(1, *a.shape))
    right = b if b.type.rank > 1 else o.reshape(b, shape=(*b.shape, 1))
    if right.type.rank == 2:
        left = o.reshape(left, shape=(prod(left.shape[:-1]), left.shape[-1]))
    else:
        batch = broadcast_shapes(left.shape[:-2], right.shape[:-2])
        left = o.expand(left, shape=(*batch, *left.shape[-2:]))
        right = o.expand(right, shape=(*batch, *right.shape[-2:]))
    return o.reshape(o.dot(left, right), shape=result.shape)


register(
    Op(
        "matmul",
        _infer_matmul,
        "composite",
        np.matmul,
        expand=_expand_matmul,
        autocast=LOWER,
        spreads=True,
    )
)


def _infer_linear(x: TensorType, weight: TensorType, *bias: TensorType) -> TensorType:
    _check_pair(x, weight, "linear")
    if weight.rank != 2 or x.rank < 1 or x.shape[-1] != weight.shape[1]:
        raise OpError(
            f"mat1 and mat2 shapes cannot be multiplied: the input's last dimension is "
            f"{x.shape[-1] if x.rank else 'missing'} (shape {list(x.shape)}), "
            f"the weight is [out, in] = {list(weight.shape)}"
        )
    if bias and (bias[0].shape != weight.shape[:1] or bias[0].dtype is not x.dtype):
        raise OpError(f"the bias is {bias[0]}, it should be {x.dtype.short}[{weight.shape[0]}]")
    return TensorType(x.dtype, (*x.shape[:-1], weight.shape[0]))


def _expand_linear(o: OpSet, x: Value, weight: Value, *bias: Value) -> Value:
    out, inner = weight.shape
    y = exact_dot(o, o.reshape(x, shape=(prod(x.shape[:-1]), inner)), transposed(o, weight))
    if bias:
        y = o.add(y, o.cast(bias[0], to=y.dtype))
    return o.cast(o.reshape(y, shape=(*x.shape[:-1], out)), to=x.dtype)


def _linear_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    x, weight, *bias = node.inputs
    out, inner = weight.shape
    rows = prod(x.shape[:-1])
    g = o.reshape(g, shape=(rows, out))
    wide = accumulator(g.dtype)
    return (
        lambda: o.reshape(o.dot(g, weight), shape=x.shape),
        lambda: o.dot(transposed(o, g), o.reshape(x, shape=(rows, inner))),
        *(lambda: o.cast(o.sum(o.cast(g, to=wide), axes=(0,)), to=g.dtype) for _ in bias),
    )


def _linear(x: np.ndarray, weight: np.ndarray, *bias: np.ndarray) -> np.ndarray:
    y: np.ndarray = np.matmul(x, weight.T)
    if bias:
        y += bias[0]
    return y


register(
    Op(
        "linear",
        _infer_linear,
        "composite",
        _linear,
        _linear_vjp,
        expand=_expand_linear,
        autocast=LOWER,
        spreads=True,
    )
)


def _infer_attention(
    q: TensorType, k: TensorType, v: TensorType, *rest: TensorType, mask: bool, dropout: float, **_: Any
) -> tuple[TensorType, TensorType]:
    _check_pair(q, k, "attention")
    _check_pair(q, v, "attention")
    fits = q.rank == k.rank == v.rank >= 2 and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
    if not fits or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise OpError(
            "attention takes q [*batch, T, D], k [*batch, S, D] and v [*batch, S, E], not "
            f"{list(q.shape)}, {list(k.shape)} and {list(v.shape)}"
        )
    if len(rest) != bool(mask) + 2 * bool(dropout):
        raise OpError("attention takes q, k, v, then the mask (with mask=true), then seed and offset (with dropout)")
    scores = (*q.shape[:-1], k.shape[-2])
    if mask and broadcast_shapes(rest[0].shape, scores) != scores:
        raise OpError(f"the mask {list(rest[0].shape)} does not broadcast to the scores {list(scores)}")
    return TensorType(q.dtype, (*q.shape[:-1], v.shape[-1])), TensorType(accumulator(q.dtype), q.shape[:-1])


_ATTENTION_ATTRS: dict[str, Any] = {"scale": None, "causal": False, "mask": False, "dropout": 0.0, "index": 0}


def attention_scale(scale: float | None, head_dim: int) -> float:
    return 1 / sqrt(head_dim) if scale is None else scale


def _scores(
    o: OpSet, q: Value, k: Value, rest: tuple[Value, ...], scale: float | None, causal: bool, mask: bool
) -> Value:
    s = o.mul(exact_dot(o, q, transposed(o, k)), attention_scale(scale, q.shape[-1]))
    shape = s.shape
    if causal:
        square: Shape = shape[-2:]
        visible = o.ge(o.iota(shape=square, axis=0), o.iota(shape=square, axis=1))
        s = o.where(visible, s, float("-inf"))
    if mask:
        given = rest[0]
        if given.dtype is boolean:
            s = o.where(given, s, float("-inf"))
        else:
            s = o.add(s, o.cast(given, to=s.dtype))
    return s


def _drop(o: OpSet, p: Value, rest: tuple[Value, ...], dropout: float, index: int) -> Value:
    """``p`` with dropped entries zero and kept ones scaled by ``1/(1-dropout)``."""
    seed, offset = rest[-2:]
    keep = o.ge(o.uniform(seed, offset, shape=p.shape, index=index), dropout)
    return o.where(keep, o.mul(p, 1 / (1 - dropout)) if dropout < 1 else o.mul(p, 0.0), 0)


def _finite(o: OpSet, x: Value) -> Value:
    """0 for -inf: the largest score, or log-sum-exp, of a row whose keys are all masked. Its probabilities are 0."""
    return o.where(o.eq(x, float("-inf")), 0, x)


def _expand_attention(
    o: OpSet,
    q: Value,
    k: Value,
    v: Value,
    *rest: Value,
    scale: float | None,
    causal: bool,
    mask: bool,
    dropout: float,
    index: int,
) -> tuple[Value, Value]:
    s = _scores(o, q, k, rest, scale, causal, mask)
    last = (s.type.rank - 1,)
    top = o.amax(s, axes=last, keepdim=True)
    if mask:
        top = _finite(o, top)
    e = o.exp(o.sub(s, top))
    total = o.sum(e, axes=last, keepdim=True)
    p = o.div(e, o.where(o.eq(total, 0), 1, total) if mask else total)
    if dropout:
        p = _drop(o, p, rest, dropout, index)
    out = o.dot(o.cast(p, to=q.dtype), v)
    return out, o.reshape(o.add(top, o.log(total)), shape=s.shape[:-1])


def _attention_vjp(o: OpSet, node: Any, g: Value | None, g_lse: Value | None) -> tuple[Any, ...]:
    q, k, v, *rest = node.inputs
    out, lse = node.outputs
    g = o.zeros(shape=out.shape, dtype=out.dtype) if g is None else g
    inner = _inner(o, out, g, lse.dtype)
    if g_lse is not None:
        inner = o.sub(inner, o.reshape(g_lse, shape=inner.shape))
    dq, dk, dv = o.attention_backward(q, k, v, inner, lse, g, *rest, **node.attrs)

    def to_mask() -> Value:
        _, ds = _score_gradient(o, q, k, v, inner, lse, g, tuple(rest), **node.attrs)
        return o.cast(ds, to=rest[0].dtype)

    others: list[Any] = [None for _ in rest]
    if node.attrs["mask"] and rest[0].dtype.kind == "float":
        others[0] = to_mask
    return dq, dk, dv, *others


def _inner(o: OpSet, out: Value, g: Value, wide: DType) -> Value:
    """The sums of the rows of ``out * g``, computed in the order in which ``g`` lies, by the kernel that makes it."""
    turned = made_by(g, "permute")
    if turned is not None:
        dims = turned.attrs["dims"]
        if dims[-1] == len(dims) - 1:
            back = tuple(sorted(range(len(dims)), key=dims.__getitem__))
            return o.permute(_inner(o, o.permute(out, dims=back), turned.inputs[0], wide), dims=dims)
    product = o.mul(o.cast(g, to=wide), o.cast(out, to=wide))
    return o.sum(product, axes=(g.type.rank - 1,), keepdim=True)


def _attention_work(products: int) -> Callable[[Node], int]:
    """The operations of ``products`` products between queries and keys, or of their size."""

    def work(node: Node) -> int:
        query, keys = (v.shape for v in node.inputs[:2])
        pairs = query[-2] * keys[-2]
        if node.attrs["causal"]:
            pairs = sum(min(i + 1, keys[-2]) for i in range(query[-2]))
        return 2 * products * node.inputs[0].type.size // query[-2] * pairs

    return work


register(
    Op(
        "scaled_dot_product_attention",
        _infer_attention,
        "composite",
        vjp=_attention_vjp,
        expand=_expand_attention,
        attrs=_ATTENTION_ATTRS,
        autocast=LOWER,
        work=_attention_work(2),
        anchor="attention",
    )
)


def _score_gradient(
    o: OpSet,
    q: Value,
    k: Value,
    v: Value,
    inner: Value,
    lse: Value,
    g: Value,
    rest: tuple[Value, ...],
    scale: float | None,
    causal: bool,
    mask: bool,
    dropout: float,
    index: int,
) -> tuple[Value, Value]:
    """The probabilities as the output used them and the gradient of the scores, in the wide type.

    FlashAttention's backward (Dao et al., 2022): P from the log-sum-exp, dS = P * (dP - inner), ``inner`` being the
    sums of the rows of dO * O, less the gradient of the log-sum-exp.
    """
    s = _scores(o, q, k, rest, scale, causal, mask)
    p = o.exp(o.sub(s, o.reshape(_finite(o, lse) if mask else lse, shape=(*lse.shape, 1))))
    dp = exact_dot(o, g, transposed(o, v))
    used = p
    if dropout:
        used = _drop(o, p, rest, dropout, index)
        dp = _drop(o, dp, rest, dropout, index)
    return used, o.mul(p, o.sub(dp, inner))


def _expand_attention_backward(
    o: OpSet, q: Value, k: Value, v: Value, inner: Value, lse: Value, g: Value, *rest: Value, **attrs: Any
) -> tuple[Value, Value, Value]:
    used, ds = _score_gradient(o, q, k, v, inner, lse, g, rest, **attrs)
    ds = o.cast(o.mul(ds, attention_scale(attrs["scale"], q.shape[-1])), to=q.dtype)
    used = o.cast(used, to=q.dtype)
    return o.dot(ds, k), o.dot(transposed(o, ds), q), o.dot(transposed(o, used), g)


register(
    Op(
        "attention_backward",
        lambda q, k, v, inner, lse, g, *rest, **attrs: (q, k, v),
        "composite",
        expand=_expand_attention_backward,
        attrs=_ATTENTION_ATTRS,
        work=_attention_work(5),
        anchor="attention",
        gradient=True,
    )
)
