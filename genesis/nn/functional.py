"""Functions behind the layers: activations, convolution, pooling, normalisations, attention, losses.

Names, arguments and results are PyTorch's. Reductions are ``"none"``, ``"mean"`` or ``"sum"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import genesis.functions as fn
from compiler.errors import ChoiceError, GenesisWarning, InvariantError, OpError, UnsupportedError
from compiler.ir.op import castable, o
from compiler.ir.types import boolean, f32
from compiler.ops.elementwise import broadcast_shapes
from compiler.ops.reduce import normalize_axis
from genesis.context import current_recording, session
from genesis.functions import one_hot as one_hot
from genesis.functions.calls import check_all
from genesis.functions.convolution import conv1d as conv1d
from genesis.functions.convolution import conv2d as conv2d
from genesis.functions.convolution import conv3d as conv3d
from genesis.functions.convolution import conv_transpose1d as conv_transpose1d
from genesis.functions.convolution import conv_transpose2d as conv_transpose2d
from genesis.functions.convolution import conv_transpose3d as conv_transpose3d
from genesis.functions.convolution import fold as fold
from genesis.functions.convolution import unfold as unfold
from genesis.functions.normalization import batch_norm as batch_norm
from genesis.functions.normalization import group_norm as group_norm
from genesis.functions.normalization import instance_norm as instance_norm
from genesis.functions.normalization import layer_norm as layer_norm
from genesis.functions.normalization import normalize as normalize
from genesis.functions.normalization import rms_norm as rms_norm
from genesis.functions.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from genesis.functions.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from genesis.functions.pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from genesis.functions.pooling import adaptive_max_pool1d as adaptive_max_pool1d
from genesis.functions.pooling import adaptive_max_pool2d as adaptive_max_pool2d
from genesis.functions.pooling import adaptive_max_pool3d as adaptive_max_pool3d
from genesis.functions.pooling import avg_pool1d as avg_pool1d
from genesis.functions.pooling import avg_pool2d as avg_pool2d
from genesis.functions.pooling import avg_pool3d as avg_pool3d
from genesis.functions.pooling import max_pool1d as max_pool1d
from genesis.functions.pooling import max_pool2d as max_pool2d
from genesis.functions.pooling import max_pool3d as max_pool3d
from genesis.names import module_getattr
from genesis.random import default_generator
from genesis.tensor import Tensor, wrap


def _into(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return input.write(result.value) if inplace else result


def _size(tensor: Tensor) -> list[int]:
    return list(tensor.shape)


# Linear maps


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: ``[*, in]`` with ``[out, in]`` gives ``[*, out]``."""
    return wrap(o.linear(*(x.value for x in (input, weight, bias) if x is not None)))


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x1 A x2 + b``: ``[*, in1]`` and ``[*, in2]`` with ``[out, in1, in2]`` give ``[*, out]``."""
    out, in1, in2 = weight.shape
    table = fn.reshape(fn.permute(weight, 1, 0, 2), in1, out * in2)
    products = fn.reshape(fn.matmul(input1, table), *input1.shape[:-1], out, in2)
    result = fn.sum(fn.mul(products, fn.unsqueeze(input2, -2)), -1)
    return result if bias is None else fn.add(result, bias)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight [rows, dim]`` at the integers in ``input``; the row ``padding_idx`` gets no gradient."""
    if max_norm is not None or scale_grad_by_freq:
        raise UnsupportedError("embedding with max_norm or scale_grad_by_freq")
    if sparse:
        raise UnsupportedError("embedding with sparse gradients")
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise InvariantError(f"Padding_idx must be within num_embeddings, here {rows}, not {padding_idx}")
        padding_idx %= rows
    return wrap(o.embedding(weight.value, input.value, padding_idx=padding_idx))


# Activations


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``."""
    return _into(input, fn.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` limited to ``[min_val, max_val]``; no gradient at and beyond the limits."""
    if min_val > max_val:
        raise ChoiceError("min_val cannot be greater than max_val")
    return _into(input, wrap(o.hardtanh(input.value, low=float(min_val), high=float(max_val))), inplace)


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return fn.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return fn.tanh(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``x`` times the normal distribution function of ``x``; ``approximate="tanh"`` for the tanh formula."""
    return wrap(o.gelu(input.value, approximate=approximate))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``."""
    return _into(input, wrap(o.silu(input.value)), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``."""
    return _into(input, fn.mul(input, fn.tanh(softplus(input))), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` if positive, else ``negative_slope * x``."""
    return _into(input, wrap(o.leaky_relu(input.value, negative_slope=float(negative_slope))), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta x)) / beta``, and ``x`` itself where ``beta x > threshold``."""
    return wrap(o.softplus(input.value, beta=float(beta), threshold=float(threshold)))


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(x))``."""
    return wrap(o.log_sigmoid(input.value))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` if positive, else ``alpha * (exp(x) - 1)``."""
    return _into(input, wrap(o.elu(input.value, alpha=float(alpha))), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` if positive, else ``alpha * (exp(x / alpha) - 1)``."""
    if not alpha:
        raise ZeroDivisionError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _into(input, wrap(o.elu(input.value, alpha=float(alpha), input_scale=1 / alpha)), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Klambauer et al., "Self-normalizing neural networks", 2017."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return _into(input, wrap(o.elu(input.value, alpha=alpha, scale=scale)), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(x + 3) / 6``."""
    return _into(input, wrap(o.hardsigmoid(input.value)), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * relu6(x + 3) / 6``."""
    return _into(input, wrap(o.hardswish(input.value)), inplace)


def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``."""
    return fn.div(input, fn.add(fn.abs(input), 1))


def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``."""
    return fn.sub(input, fn.tanh(input))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards zero by ``lambd``, zero in between."""
    if lambd < 0:
        raise OpError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    inside = fn.le(fn.abs(input), lambd)
    return fn.where(inside, fn.mul(input, 0), fn.sub(input, fn.mul(fn.sign(input), lambd)))


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` where ``|x| > lambd``, else zero."""
    return fn.where(fn.le(fn.abs(input), lambd), 0, input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where it exceeds ``threshold``, else ``value``."""
    return _into(input, fn.where(fn.le(input, threshold), value, input), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``x`` if positive, else ``weight * x``, with one weight or one per channel (dimension 1)."""
    if weight.ndim > 1:
        raise OpError(f"prelu: expected weight to have 0 or 1 dimensions, but got {_size(weight)}")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() == 1:
        weight = fn.reshape(weight, *(1 for _ in range(min(input.ndim, 1))))
    elif weight.numel() != channels:
        raise OpError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()}, "
            f"and channel size = {channels}"
        )
    else:
        weight = fn.reshape(weight, -1, *(1 for _ in input.shape[2:]))
    return wrap(o.prelu(input.value, weight.value))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along ``dim`` times the sigmoid of the second."""
    if not input.ndim:
        raise OpError("glu does not support 0-dimensional tensors")
    size = input.shape[normalize_axis(dim, input.ndim)]
    if size % 2:
        raise OpError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    value, gate = fn.chunk(input, 2, dim)
    return wrap(o.glu(value.value, gate.value))


def _class_dim(name: str, dim: int | None, rank: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        GenesisWarning,
        stacklevel=3,
    )
    return 0 if rank in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``."""
    return fn.softmax(input, _class_dim("softmax", dim, input.ndim), dtype)


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """``log(softmax(x))`` along ``dim``."""
    return fn.log_softmax(input, _class_dim("log_softmax", dim, input.ndim), dtype)


def softmin(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """``softmax(-x)`` along ``dim``."""
    return fn.softmax(fn.neg(input), _class_dim("softmin", dim, input.ndim), dtype)


# Dropout


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ChoiceError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by ``1 / (1 - p)``."""
    _check_probability(p)
    if not training or p == 0:
        return input
    seed, offset, index = default_generator.reserve()
    return _into(input, wrap(o.dropout(input.value, seed, offset, p=float(p), index=index)), inplace)


def _channel_dropout(input: Tensor, p: float, training: bool, inplace: bool, spatial: int) -> Tensor:
    _check_probability(p)
    if not training or p == 0:
        return input
    shape = (*input.shape[: input.ndim - spatial], *(1 for _ in range(spatial)))
    keep = dropout(fn.ones(*shape, dtype=input.dtype), p)
    return _into(input, fn.mul(input, keep), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``[N, C, L]`` or ``[C, L]``."""
    return _channel_dropout(input, p, training, inplace, 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``[N, C, H, W]``."""
    return _channel_dropout(input, p, training, inplace, 2)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``[N, C, D, H, W]``."""
    return _channel_dropout(input, p, training, inplace, 3)


# Attention


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(q kᵀ scale + mask) v`` for ``q [*, T, D]``, ``k [*, S, D]``, ``v [*, S, E]``; gives ``[*, T, E]``.

    A bool ``attn_mask`` is true where attention is allowed, a floating one is added; it broadcasts to ``[*, T, S]``.
    ``is_causal`` allows (of those) keys up to the query's own position. ``scale`` is ``1 / sqrt(D)`` by default.
    With ``enable_gqa`` each head of ``key`` and ``value`` (dimension -3) serves several heads of ``query``.
    """
    if attn_mask is not None and attn_mask.dtype is not boolean and not attn_mask.dtype.is_floating_point:
        raise OpError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, "
            f"but got attn_mask.dtype: {attn_mask.dtype!r} and  query.dtype: {query.dtype!r} instead."
        )
    _check_probability(dropout_p)
    if enable_gqa:
        key, value = _repeat_heads(key, query.shape[-3]), _repeat_heads(value, query.shape[-3])
    batch = broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
    query, key, value = (
        x if x.shape[:-2] == batch else fn.expand(x, *batch, *x.shape[-2:]) for x in (query, key, value)
    )
    if not key.shape[-2]:  # nothing to attend to
        return fn.matmul(fn.matmul(query, fn.transpose(key, -2, -1)), value)
    if attn_mask is not None and attn_mask.requires_grad:
        return _attention_with_trained_mask(query, key, value, attn_mask, dropout_p, is_causal, scale)
    rest = () if attn_mask is None else (attn_mask.value,)
    index = 0
    if dropout_p:
        seed, offset, index = default_generator.reserve()
        rest = (*rest, seed, offset)
    out, _ = o.scaled_dot_product_attention(
        query.value,
        key.value,
        value.value,
        *rest,
        scale=None if scale is None else float(scale),
        causal=is_causal,
        mask=attn_mask is not None,
        dropout=float(dropout_p),
        index=index,
    )
    return wrap(out)


def _repeat_heads(x: Tensor, heads: int) -> Tensor:
    """``[*, G, S, D]`` as ``[*, heads, S, D]``, each head ``heads / G`` times in a row."""
    groups = x.shape[-3]
    if heads % groups:
        raise OpError(
            f"Number of heads in key and value must divide the number of heads in query, but got {groups} and {heads}"
        )
    repeated = fn.expand(fn.unsqueeze(x, -3), *x.shape[:-2], heads // groups, *x.shape[-2:])
    return fn.reshape(repeated, *x.shape[:-3], heads, *x.shape[-2:])


def _attention_with_trained_mask(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout_p: float, is_causal: bool, scale: float | None
) -> Tensor:
    """The formula in single ops: the fused op has no gradient for its mask."""
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = fn.add(fn.mul(fn.matmul(query, fn.transpose(key, -2, -1)), factor), mask)
    if is_causal:
        visible = fn.tril(fn.ones(query.shape[-2], key.shape[-2], dtype=boolean))
        scores = fn.where(visible, scores, float("-inf"))
    return fn.matmul(dropout(fn.softmax(scores, -1), dropout_p), value)


# Losses


def _check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ChoiceError(f"{reduction} is not a valid value for reduction; there are none, mean and sum")


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    _check_reduction(reduction)
    if reduction == "none":
        return loss
    return fn.mean(loss) if reduction == "mean" else fn.sum(loss)


def _full_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In an autocast region: the 16-bit floats among ``tensors`` as float32."""
    if session().autocast is None:
        return tensors
    return tuple(fn.cast(t, f32) if castable(t.dtype) else t for t in tensors)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy of logits ``[C]``, ``[N, C]`` or ``[N, C, d1, ...]``.

    ``target`` holds class indices (the shape without C) or class probabilities (the same shape as ``input``).
    ``weight [C]`` weighs the classes; the mean over indices is weighted and leaves ``ignore_index`` out.
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise OpError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_reduction(reduction)
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    loss, _ = o.cross_entropy(
        *(x.value for x in (input, target, weight) if x is not None),
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=float(label_smoothing),
    )
    return wrap(loss)


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    if input.shape != target.shape:
        raise OpError(
            f"a floating point target holds class probabilities and has the input's shape {_size(input)}, "
            f"not {_size(target)}; class numbers are integers: target.long()"
        )
    if ignore_index >= 0:
        raise OpError("ignore_index is not supported for floating point target")
    input, target = _full_precision(input, target)
    axis = 0 if input.ndim == 1 else 1
    classes = input.shape[axis]
    if smoothing:
        target = fn.add(fn.mul(target, 1 - smoothing), smoothing / classes)
    if weight is not None:
        target = fn.mul(target, fn.reshape(weight, classes, *(1 for _ in input.shape[axis + 1 :])))
    losses = fn.neg(fn.sum(fn.mul(fn.log_softmax(input, axis), target), axis))
    return _reduced(losses, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``-input`` at each target class, for log-probabilities ``[C]``, ``[N, C]`` or ``[N, C, d1, ...]``."""
    _check_reduction(reduction)
    operands = (x.value for x in (input, target, weight) if x is not None)
    return wrap(o.nll_loss(*operands, reduction=reduction, ignore_index=ignore_index))


def _warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            GenesisWarning,
            stacklevel=3,
        )


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``(input - target)²``."""
    _check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    return wrap(o.mse_loss(input.value, target.value, reduction=reduction))


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``|input - target|``."""
    _check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    return wrap(o.l1_loss(input.value, target.value, reduction=reduction))


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``d² / (2 beta)`` for ``d = |input - target| < beta``, else ``d - beta / 2``."""
    if beta < 0:
        raise OpError("smooth_l1_loss does not support negative values for beta.")
    _check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    return wrap(o.smooth_l1_loss(input.value, target.value, reduction=reduction, beta=float(beta)))


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """``d² / 2`` for ``d = |input - target| < delta``, else ``delta (d - delta / 2)``."""
    if delta <= 0:
        raise OpError("huber_loss does not support non-positive values for delta.")
    _check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    return wrap(o.huber_loss(input.value, target.value, reduction=reduction, delta=float(delta)))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of logits; ``pos_weight`` weighs the positive class, ``weight`` the elements."""
    if target.shape != input.shape:
        raise ChoiceError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    _check_reduction(reduction)
    operands = (x.value for x in (input, target, weight, pos_weight) if x is not None)
    return wrap(
        o.binary_cross_entropy_with_logits(
            *operands, reduction=reduction, weight=weight is not None, pos_weight=pos_weight is not None
        )
    )


_UNSAFE_TO_AUTOCAST = (
    "binary_cross_entropy and BCELoss are unsafe to autocast.\n"
    "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
    "In this case, combine the two layers using binary_cross_entropy_with_logits\n"
    "or BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
    "safe to autocast."
)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of probabilities; logarithms below -100 count as -100.

    Raises RuntimeError in a CUDA autocast region, where 16-bit probabilities lose what the logarithm needs.
    """
    region = session().autocast
    if region is not None and region[1] == "cuda":
        raise OpError(_UNSAFE_TO_AUTOCAST)
    if target.shape != input.shape:
        raise ChoiceError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    _check_reduction(reduction)
    if current_recording() is None and not bool(fn.all(fn.logical_and(fn.ge(input, 0), fn.le(input, 1)))):
        raise OpError("all elements of input should be between 0 and 1")
    operands = (x.value for x in (input, target, weight) if x is not None)
    return wrap(o.binary_cross_entropy(*operands, reduction=reduction, weight=weight is not None))


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """``target (log target - input)`` for log-probabilities ``input``; ``"batchmean"`` divides by the first size."""
    batchmean = reduction == "batchmean"
    reduction = "sum" if batchmean else reduction
    _check_reduction(reduction)
    loss = wrap(o.kl_div(input.value, target.value, reduction=reduction, log_target=log_target))
    return fn.div(loss, input.shape[0] if input.ndim else 1) if batchmean else loss


# Distances


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 · x2 / (max(|x1|, eps) max(|x2|, eps))`` along ``dim`` of the shape that both broadcast to."""
    x1, x2 = _full_precision(x1, x2)
    shape = broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = fn.expand(x1, *shape), fn.expand(x2, *shape)
    return fn.sum(fn.mul(normalize(x1, 2.0, dim, eps), normalize(x2, 2.0, dim, eps)), dim)


# Padding


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """``input`` made larger (or, by negative amounts, smaller) at both ends of its last dimensions.

    ``pad`` is ``(before, after)`` of the last dimension, then of the one before it, and so on. ``mode`` is
    ``"constant"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise OpError(
            "Padding length must be divisible by 2 and at most twice the number of dimensions of the input, "
            f"but got pad={list(pad)} for an input of shape {_size(input)}"
        )
    if mode == "constant":
        return _constant_pad(input, pad, 0.0 if value is None else value)
    if mode not in _PIECES:
        raise UnsupportedError(f"Unrecognised padding mode {mode}; there are constant, {', '.join(_PIECES)}")
    if value is not None:
        raise OpError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if not any(pad):
        return fn.clone(input)
    for axis, before, after in _per_axis(input, pad):
        if mode == "circular":  # what is cropped is no part of the circle
            input, before, after = _cropped(input, axis, before, after), max(before, 0), max(after, 0)
        low, high = max(before, 0), max(after, 0)
        pieces = _PIECES[mode](input, axis, low, high)
        input = _cropped(fn.cat(pieces, axis) if low or high else input, axis, before, after)
    return input if any(p > 0 for p in pad) else fn.clone(input)


def _per_axis(input: Tensor, pad: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(input.ndim - 1 - i, int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(len(pad) // 2)]


def _cropped(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """``x`` without the elements that negative amounts take away."""
    low, high = max(-before, 0), max(-after, 0)
    length = x.shape[axis] - low - high
    if length < 0:
        raise OpError(f"the padding leaves a negative size {length} at dimension {axis} of shape {_size(x)}")
    return fn.narrow(x, axis, low, length) if low or high else x


def _constant_pad(x: Tensor, pad: Sequence[int], value: float) -> Tensor:
    amounts = _per_axis(x, pad)
    for axis, before, after in amounts:
        x = _cropped(x, axis, before, after)
    start, shape = [0] * x.ndim, list(x.shape)
    for axis, before, after in amounts:
        start[axis] = max(before, 0)
        shape[axis] += max(before, 0) + max(after, 0)
    if shape == _size(x):
        return fn.clone(x)
    stop = tuple(a + n for a, n in zip(start, x.shape))
    frame = o.expand(o.constant(value=value, dtype=x.dtype), shape=tuple(shape))
    return wrap(o.slice_scatter(frame, x.value, start=tuple(start), stop=stop, step=(1,) * x.ndim))


def _reflected(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]
    if max(before, after) >= n:
        raise OpError(
            "Padding size should be less than the corresponding input dimension, but got: "
            f"padding ({before}, {after}) at dimension {axis} of input {_size(x)}"
        )
    first, last = fn.narrow(x, axis, 1, before), fn.narrow(x, axis, n - 1 - after, after)
    return [fn.flip(first, axis), x, fn.flip(last, axis)]


def _replicated(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]

    def edge(place: int, count: int) -> Tensor:
        return fn.expand(fn.narrow(x, axis, place, 1), *(count if a == axis else -1 for a in range(x.ndim)))

    return [edge(0, before), x, edge(n - 1, after)]


def _circular(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]
    if max(before, after) > n:
        raise OpError("Padding value causes wrapping around more than once.")
    return [fn.narrow(x, axis, n - before, before), x, fn.narrow(x, axis, 0, after)]


_PIECES = {"reflect": _reflected, "replicate": _replicated, "circular": _circular}

check_all(globals(), "genesis")
__getattr__ = module_getattr("genesis.nn.functional", globals())
