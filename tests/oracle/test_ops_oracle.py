"""Every op against PyTorch: results and gradients, on the samples that drive the other tests of the ops.

Bounds: f32 within 2e-6 of the larger of the value and 1 (sums in another order), of the largest value in a product, f64
within 1e-12, 16-bit floats within one unit in the last place of the type (PyTorch rounds inside some kernels, a record
only at its end). The gradients of elementwise ops are held to the same bounds relative to the larger of the value and
0.001. Integers, bools, shapes and dtypes are equal.
"""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from compiler.ir.op import OPS
from compiler.ir.types import DType
from tests.samples import AUXILIARY, Sample, arguments, interpreted, sample_graph, samples, wanted, with_gradient

torch = pytest.importorskip("torch")
F = torch.nn.functional

BOUNDS = {"float32": 2e-6, "float64": 1e-12, "float16": 2.0**-10, "bfloat16": 2.0**-7}
Function = Callable[..., Any]


def torch_dtype(to: DType) -> Any:
    return getattr(torch, to.name)


def to_torch(x: Any) -> Any:
    """A tensor of the same contents; a number becomes a rank-0 tensor, which promotes alike."""
    if isinstance(x, np.ndarray) and x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(x.copy()) if isinstance(x, np.ndarray) else torch.tensor(x)


def to_numpy(x: Any) -> np.ndarray:
    x = x.detach()
    return x.float().numpy().astype(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.resolve_neg().numpy()


def same_type(*tensors: Any) -> list[Any]:
    """Tensors in their common type, for functions that do not promote."""
    common = tensors[0]
    for t in tensors[1:]:
        common = common.new_empty(common.shape, dtype=torch.result_type(common, t))
    return [t.to(common.dtype) for t in tensors]


def plain(function: Function) -> Function:
    return lambda *tensors, **attrs: function(*tensors)


def reduction(function: Function) -> Function:
    def reduced(x: Any, axes: tuple[int, ...], keepdim: bool = False) -> Any:
        return function(x, axes, keepdim) if axes else function(x.unsqueeze(0), (0,), False)

    return reduced


def one_by_one(function: Function) -> Function:
    """A reduction of one axis, repeated."""

    def reduced(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
        for axis in reversed(axes):
            x = function(x, axis, keepdim)
        return x

    return reduction(reduced)


def window(start: Any, stop: Any, step: Any) -> Any:
    """An index for slices with negative steps, which PyTorch's views do not have."""
    return torch.meshgrid(*(torch.arange(*s) for s in zip(start, stop, step)), indexing="ij")


def sliced(x: Any, **attrs: Any) -> Any:
    return x[window(**attrs)] if x.dim() else x * 1


def scattered(x: Any, y: Any, **attrs: Any) -> Any:
    return x.index_put(window(**attrs), y) if x.dim() else y * 1


def attention(q: Any, k: Any, v: Any, *rest: Any, **attrs: Any) -> Any:
    mask = rest[0] if attrs.get("mask") else None
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=attrs.get("causal", False), scale=attrs.get("scale"))


def normalised(function: Function) -> Function:
    def norm(x: Any, *affine: Any, ndim: int, eps: float = 1e-5) -> Any:
        wide, *parameters = same_type(x, *affine)
        options = dict(zip(("weight", "bias"), parameters))
        return function(wide, x.shape[x.dim() - ndim :], eps=eps, **options).to(x.dtype)

    return norm


def batch_norm(x: Any, *affine: Any, eps: float = 1e-5) -> Any:
    wide, *parameters = same_type(x, *affine)
    return F.batch_norm(wide, None, None, *parameters, training=True, eps=eps).to(x.dtype)


def batch_norm_inference(x: Any, mean: Any, var: Any, *affine: Any, eps: float = 1e-5) -> Any:
    wide, *rest = same_type(x, mean, var, *affine)
    return F.batch_norm(wide, *rest, training=False, eps=eps).to(x.dtype)


def group_norm(x: Any, *affine: Any, groups: int, eps: float = 1e-5) -> Any:
    wide, *parameters = same_type(x, *affine)
    return F.group_norm(wide, groups, *parameters, eps=eps).to(x.dtype)


def pair(function: Function) -> Function:
    def loss(x: Any, y: Any, reduction: str = "mean", **options: Any) -> Any:
        return function(*same_type(*torch.broadcast_tensors(x, y)), reduction=reduction, **options)

    return loss


def clamp(x: Any, *bounds: Any, low: bool = False, high: bool = False) -> Any:
    wide = same_type(x, *bounds)
    return torch.clamp(wide[0], wide[1] if low else None, wide[-1] if high else None)


def kl_div(x: Any, y: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Without PyTorch's warning about its mean."""
    loss = F.kl_div(x, y, reduction="none", log_target=log_target)
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


def binary_cross_entropy(x: Any, y: Any, *rest: Any, reduction: str = "mean", **given: bool) -> Any:
    weight = rest[0] if given.get("weight") else None
    pos_weight = rest[-1] if given.get("pos_weight") else None
    return F.binary_cross_entropy_with_logits(x, y, weight, reduction=reduction, pos_weight=pos_weight)


def counted(shape: Any, axis: int) -> Any:
    line = torch.arange(shape[axis])
    return line.view([-1 if a == axis else 1 for a in range(len(shape))]).expand(shape)


def product(a: Any, b: Any, dtype: DType | None = None) -> Any:
    """In f64, rounded once, as in :func:`exact`."""
    return torch.matmul(a.double(), b.double()).to(a.dtype if dtype is None else torch_dtype(dtype))


def by_rank(name: str, rank: int) -> Function:
    """PyTorch's function for images of that many dimensions."""
    return getattr(F, f"{name}{rank}d")


def padded(x: Any, padding: Any, value: float = 0) -> Any:
    """``padding`` is (before, after) of each dimension in turn, which PyTorch takes from the last one on."""
    pairs = [(padding[i], padding[i + 1]) for i in range(0, len(padding), 2)]
    return F.pad(x, [p for pair in reversed(pairs) for p in pair], value=value)


def exact(function: Function) -> Function:
    """In f64, rounded once: PyTorch's own sums of products lose more than the bounds allow."""
    return lambda x, *rest, **attrs: function(*(t.double() for t in (x, *rest)), **attrs).to(x.dtype)


def conv(x: Any, weight: Any, *bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    return by_rank("conv", len(stride))(
        padded(x, padding), weight, *bias, stride=stride, dilation=dilation, groups=groups
    )


def conv_transpose(x: Any, weight: Any, *bias: Any, size: Any, padding: Any, **steps: Any) -> Any:
    """Without padding, then cut out: PyTorch gives sizes in another way."""
    rank = len(size)
    whole = by_rank("conv_transpose", rank)(x, weight, **steps)
    whole = F.pad(whole, [n for s in reversed(size) for n in (0, s)])
    cut = whole[(..., *(slice(p, p + n) for p, n in zip(padding[::2], size, strict=True)))]
    return cut + bias[0].reshape(-1, *(1,) * rank) if bias else cut


def max_pool(x: Any, window: Any, stride: Any, padding: Any, dilation: Any, size: Any) -> Any:
    rank = len(window)
    wide = x.double() if x.dtype == torch.int64 else x
    lead = x.dim() - rank
    images = wide.reshape(1, -1, *x.shape[lead:])
    best, index = by_rank("max_pool", rank)(images, window, stride, padding, dilation, return_indices=True)
    shape = (*x.shape[:lead], *size)
    place = torch.zeros_like(index)
    for d in range(rank):
        inner = int(np.prod(x.shape[lead + d + 1 :]))
        start = torch.arange(size[d]).reshape(-1, *(1,) * (rank - d - 1)) * stride[d] - padding[d]
        place = place * window[d] + torch.div(
            index // inner % x.shape[lead + d] - start, dilation[d], rounding_mode="floor"
        )
    return [best.reshape(shape).to(x.dtype), place.reshape(shape).to(torch.uint8)]


def avg_pool(
    x: Any, window: Any, stride: Any, padding: Any, size: Any, include_pad: bool = True, divisor: int | None = None
) -> Any:
    rank = len(window)
    lead = x.dim() - rank
    ceil = any((n + 2 * p - w) // s + 1 != o for n, p, w, s, o in zip(x.shape[lead:], padding, window, stride, size))
    images = x.reshape(1, -1, *x.shape[lead:])
    if rank == 1:
        images, window, stride, padding = images.unsqueeze(2), (1, *window), (1, *stride), (0, *padding)
    pooled = by_rank("avg_pool", max(rank, 2))(images, window, stride, padding, ceil, include_pad, divisor)
    return pooled.reshape(*x.shape[:lead], *size)


def class_loss(function: Function) -> Function:
    return lambda x, target, *weight, **attrs: function(x, target.long(), *weight, **attrs)


def dropout(x: Any, seed: Any, offset: Any, p: float, index: int) -> Any:
    assert p in (0.0, 1.0)
    return x * (1 - p)


def unscale(*operands: Any) -> Any:
    *grads, scale = operands
    grads = [g.float() if g.dtype in (torch.float16, torch.bfloat16) else g.clone() for g in grads]
    found = torch.zeros(1)
    torch._amp_foreach_non_finite_check_and_unscale_(grads, found, scale.double().reciprocal().float())
    return [*(g.to(o.dtype) for g, o in zip(grads, operands, strict=False)), found[0]]


def update_scale(scale: Any, tracker: Any, found: Any, growth: Any, backoff: Any, interval: int) -> Any:
    scale, tracker = scale.clone(), tracker.clone()
    torch._amp_update_scale_(scale, tracker, found, growth.item(), backoff.item(), interval)
    return [scale, tracker]


def clip_norm(*operands: Any, norm_type: float = 2.0) -> Any:
    params = [torch.nn.Parameter(g.clone()) for g in operands[:-1]]
    for p in params:
        p.grad = p.detach().clone()
    norm = torch.nn.utils.clip_grad_norm_(params, operands[-1].item(), norm_type)
    return [*(p.grad for p in params), norm]


def clip_value(*operands: Any) -> Any:
    params = [torch.nn.Parameter(g.clone()) for g in operands[:-1]]
    for p in params:
        p.grad = p.detach().clone()
    torch.nn.utils.clip_grad_value_(params, operands[-1].item())
    return [p.grad for p in params]


TORCH: dict[str, Function] = {
    **{name: plain(getattr(torch, name)) for name in (
        "exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tanh", "erf", "neg",
        "abs", "sign", "floor", "ceil", "trunc", "round", "add", "sub", "mul", "div", "pow", "maximum", "minimum",
        "remainder", "bitwise_and", "bitwise_or", "bitwise_xor", "eq", "ne", "lt", "le", "gt", "ge",
        "logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "isfinite", "matmul", "relu",
        "sigmoid", "detach", "atan", "asin", "acos", "asinh", "acosh", "atanh", "log10",
        "tan", "sinh", "cosh", "exp2", "sinc", "erfc", "erfinv", "lgamma", "i0", "hypot", "atan2", "logaddexp",
        "logaddexp2", "xlogy", "copysign", "fmod", "heaviside", "signbit",
    )},
    **{name: plain(getattr(torch.special, name)) for name in (
        "entr", "erfcx", "ndtr", "ndtri", "log_ndtr", "i0e", "i1", "i1e", "xlog1py",
    )},
    "logit": torch.logit,
    "polygamma": lambda x, n: torch.polygamma(n, x),
    "shift_left": plain(torch.bitwise_left_shift),
    "shift_right": plain(torch.bitwise_right_shift),
    "floor_divide": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "reload": torch.Tensor.detach,
    "where": lambda c, a, b: torch.where(c.bool(), a, b),
    "cast": lambda x, to: x.to(torch_dtype(to)),
    "zeros": lambda shape, dtype: torch.zeros(shape, dtype=torch_dtype(dtype)),
    "ones": lambda shape, dtype: torch.ones(shape, dtype=torch_dtype(dtype)),
    "constant": lambda value, dtype: torch.tensor(value, dtype=torch_dtype(dtype)),
    "iota": counted,
    "sum": reduction(torch.sum),
    "amax": reduction(torch.amax),
    "amin": reduction(torch.amin),
    "any": reduction(lambda x, axes, keepdim: torch.any(x.bool(), axes, keepdim)),
    "all": reduction(lambda x, axes, keepdim: torch.all(x.bool(), axes, keepdim)),
    "mean": reduction(torch.mean),
    "logsumexp": reduction(torch.logsumexp),
    "prod": one_by_one(torch.prod),
    "argmax": one_by_one(torch.argmax),
    "argmin": one_by_one(torch.argmin),
    "var": lambda x, axes, keepdim=False, correction=1.0: torch.var(x, axes, correction=correction, keepdim=keepdim),
    "std": lambda x, axes, keepdim=False, correction=1.0: torch.std(x, axes, correction=correction, keepdim=keepdim),
    "vector_norm": lambda x, axes, p=2.0, keepdim=False: torch.norm(x, p, axes, keepdim),
    "softmax": lambda x, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, axis: torch.log_softmax(x, axis),
    "reshape": lambda x, shape: x.reshape(shape),
    "permute": lambda x, dims: x.permute(dims),
    "expand": lambda x, shape: x.expand(shape),
    "slice": sliced,
    "slice_scatter": scattered,
    "concat": lambda *tensors, axis: torch.cat(tensors, axis),
    "dot": product,
    "linear": plain(F.linear),
    "conv": exact(conv),
    "conv_transpose": exact(conv_transpose),
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "scaled_dot_product_attention": attention,
    "silu": plain(F.silu),
    "gelu": F.gelu,
    "softplus": F.softplus,
    "leaky_relu": F.leaky_relu,
    "elu": lambda x, alpha=1.0, scale=1.0, input_scale=1.0: torch.ops.aten.elu(x, alpha, scale, input_scale),
    "hardtanh": lambda x, low=-1.0, high=1.0: F.hardtanh(x, low, high),
    "hardsigmoid": plain(F.hardsigmoid),
    "hardswish": plain(F.hardswish),
    "glu": lambda x, gate: F.glu(torch.stack([x, gate]), 0)[0],
    "clamp": clamp,
    "lerp": lambda start, end, weight: torch.lerp(*torch.broadcast_tensors(*same_type(start, end, weight))),
    "trunc_divide": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "log_sigmoid": plain(F.logsigmoid),
    "layer_norm": normalised(F.layer_norm),
    "rms_norm": normalised(F.rms_norm),
    "batch_norm": batch_norm,
    "batch_norm_inference": batch_norm_inference,
    "group_norm": group_norm,
    "mse_loss": pair(F.mse_loss),
    "l1_loss": pair(F.l1_loss),
    "binary_cross_entropy_with_logits": binary_cross_entropy,
    "put_rows": lambda table, index, source: table.index_put((index,), source),
    "huber_loss": pair(F.huber_loss),
    "smooth_l1_loss": pair(F.smooth_l1_loss),
    "kl_div": kl_div,
    "binary_cross_entropy": lambda x, y, *w, reduction="mean", weight=False: F.binary_cross_entropy(
        x, y, *(v.expand_as(x) for v in w), reduction=reduction
    ),
    "prelu": lambda x, w: F.prelu(x, w.reshape(-1)),
    "cross_entropy": class_loss(F.cross_entropy),
    "nll_loss": class_loss(F.nll_loss),
    "take": lambda table, index: table[index.long()],
    "argsort": lambda x, count, descending=False: torch.sort(
        x, stable=True, descending=descending
    ).indices[..., :count],
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "cumprod": lambda x, axis: torch.cumprod(x, axis),
    "cummax": lambda x, axis: torch.cummax(x, axis).values,
    "cummin": lambda x, axis: torch.cummin(x, axis).values,
    "logcumsumexp": exact(lambda x, axis: torch.logcumsumexp(x, axis)),
    "embedding": lambda table, index, padding_idx=None: (
        F.embedding(index, table, padding_idx) if table.dim() == 2 else table[index.long()]
    ),
    "scatter_rows": lambda index, source, rows: source.new_zeros((rows, *source.shape[index.dim() :])).index_put(
        (index.long(),), source, accumulate=True
    ),
    "gather": lambda x, index, axis: torch.gather(x, axis, index.long()),
    "scatter_add": lambda x, index, source, axis: torch.scatter_add(x, axis, index.long(), source),
    "scatter": lambda x, index, source, axis: torch.scatter(x, axis, index.long(), source),
    "scatter_prod": lambda x, index, source, axis: torch.scatter_reduce(x, axis, index.long(), source, "prod"),
    "scatter_amax": lambda x, index, source, axis: torch.scatter_reduce(x, axis, index.long(), source, "amax"),
    "scatter_amin": lambda x, index, source, axis: torch.scatter_reduce(x, axis, index.long(), source, "amin"),
    "dropout": dropout,
    "scale_loss": lambda loss, scale: loss * scale,
    "unscale": unscale,
    "update_scale": update_scale,
    "clip_grad_norm": clip_norm,
    "clip_grad_value": clip_value,
}  # fmt: skip

ACTIVATIONS = (
    "relu", "sigmoid", "silu", "gelu", "softplus", "leaky_relu", "log_sigmoid", "elu", "hardtanh", "hardsigmoid",
    "hardswish",
)  # fmt: skip

ELSEWHERE = {
    "resample": "compared through interpolate",
    "uniform": "PyTorch draws other numbers",
    "normal": "PyTorch draws other numbers",
    "uniform_f64": "PyTorch draws other numbers",
    "normal_f64": "PyTorch draws other numbers",
    "attention_backward": "the gradient of scaled_dot_product_attention",
    "bounded": "an index check",
    "divisor": "a check that no integer divisor is zero",
    **dict.fromkeys(("high_half", "low_half", "join_halves"), "PyTorch keeps numbers whole"),
    "unbiased": "compared through the running variance of batch norm",
    "slide": "compared through convolution and pooling",
    "convolve": "compared through conv",
    "convolve_weight": "compared through the gradient of conv",
    "recurrence": "the gradient of cumprod",
    "skip_if": "a choice",
    "count_step": "an addition",
    "sgd_update": "compared through the optimizers",
    "sgd_momentum_update": "compared through the optimizers",
    "adam_update": "compared through the optimizers",
    "rmsprop_update": "compared through the optimizers",
    "adagrad_update": "compared through the optimizers",
    "adadelta_update": "compared through the optimizers",
    "adamax_update": "compared through the optimizers",
    "radam_update": "compared through the optimizers",
    "rprop_update": "compared through the optimizers",
    "nadam_update": "compared through the optimizers",
    "nadam_product": "compared through the optimizers",
    "asgd_update": "compared through the optimizers",
    "asgd_rate": "compared through the optimizers",
    "asgd_share": "compared through the optimizers",
    "adafactor_update": "compared through the optimizers",
    "muon_update": "compared through the optimizers",
}
"""Ops without a counterpart here, and why."""


DIFFERENT = {
    "gelu-special": "of infinity and the largest number: PyTorch overflows",
    "sub-bool-f32": "PyTorch refuses",
    **{
        f"{name}-matrix-{half}": "PyTorch has it in f32 and f64 only"
        for name in ("erfcx", "ndtri", "log_ndtr", "i1", "i1e")
        for half in ("f16", "bf16")
    },
    "polygamma-poles": "PyTorch's sine of a multiple of pi is not zero",
    "signbit-special-bf16": "the sign of a NaN is lost on the way to f32",
    "clip_grad_norm-f64": "with f32 gradients among them: PyTorch's norms differ in their last f32 digit",
}
"""Samples (by the beginning of their names) on which PyTorch does something else, and what."""

DIFFERENT_GRADIENTS = {
    **DIFFERENT,
    "std-shifted": "PyTorch takes the mean in f64",
    "var-shifted": "PyTorch takes the mean in f64",
    "cumprod-special": "of infinity next to zero: PyTorch takes other products",
    "put_rows": "PyTorch gives rows that are written over a gradient, too",
    "binary_cross_entropy-weight": "PyTorch has no gradient of the weights",
    "binary_cross_entropy_with_logits-weight": "PyTorch has no gradient of the weights",
    "binary_cross_entropy_with_logits-pos-weight": "PyTorch has no gradient of the weights",
    "unscale": "PyTorch has none",
    "sinc-special-f16": "PyTorch's formula cancels near zero",
    "sinc-large": "PyTorch's formula cancels near zero",
    "logit-special": "PyTorch's gradient at -0.0 has another sign",
    "log_ndtr-special": "PyTorch's formula overflows",
    "log_ndtr-far": "PyTorch's formula cancels",
    "i1-special": "PyTorch gives NaN a slope",
    "i1e-special": "PyTorch gives NaN a slope",
    "polygamma-special": "PyTorch's sine of a multiple of pi is not zero",
    "atan2-f16-f32": "PyTorch rounds the square of a length to f16",
    "copysign-special": "PyTorch divides infinities",
    "rsqrt-matrix-f16": "PyTorch rounds after every product",
    "rsqrt-matrix-bf16": "PyTorch rounds after every product",
}


def comparable(sample: Sample) -> bool:
    if sample.op not in TORCH or sample.id.startswith(tuple(DIFFERENT)):
        return False
    if "dropout" in sample.op or sample.op == "scaled_dot_product_attention":
        return sample.attrs.get("p", 0.0) in (0.0, 1.0) and not sample.attrs.get("dropout")
    return True


SAMPLES = [s for s in samples() if comparable(s)]


def test_every_op_is_compared_or_says_why_not() -> None:
    assert TORCH.keys() | ELSEWHERE.keys() == {s.op for s in samples()}
    assert not TORCH.keys() & ELSEWHERE.keys()
    assert TORCH.keys() == {s.op for s in SAMPLES}


def close(actual: np.ndarray, expected: np.ndarray, floor: float = 1.0) -> None:
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    bound = BOUNDS.get(actual.dtype.name)
    if bound is None:
        np.testing.assert_array_equal(actual, expected)
    else:
        wide = np.float32 if actual.dtype.itemsize == 2 else actual.dtype
        np.testing.assert_allclose(actual.astype(wide), expected.astype(wide), bound, bound * floor)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.id)
def test_results(sample: Sample) -> None:
    results, _ = interpreted(sample)
    expected = TORCH[sample.op](*map(to_torch, sample.inputs), **sample.attrs)
    expected = expected if isinstance(expected, list) else [expected]
    compared = results[:1] if sample.op in AUXILIARY else results
    for ours, theirs in zip(compared, expected, strict=True):
        close(ours, to_numpy(theirs), scale_of(sample, ours))


def scale_of(sample: Sample, result: np.ndarray) -> float:
    """Sums of products round by their terms, which the largest results tell; they may cancel in the others."""
    if OPS[sample.op].kind != "contract" or not result.size:
        return 1.0
    return max(1.0, float(np.abs(result.astype(np.float64)).max()))


def differentiable(sample: Sample) -> bool:
    if sample.id.startswith(tuple(DIFFERENT_GRADIENTS)):
        return False
    return OPS[sample.op].differentiable and all(wanted(sample_graph(sample)))


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("sample", [s for s in SAMPLES if differentiable(s)], ids=lambda s: s.id)
def test_gradients(sample: Sample) -> None:
    graph = sample_graph(sample)
    tensors = [to_torch(x) for x in sample.inputs]
    places = [i for i, x in enumerate(sample.inputs) if isinstance(x, np.ndarray)]
    _, params = wanted(graph)
    leaves = [tensors[places[graph.inputs().index(v)]].requires_grad_() for v in params]
    seeds = [to_torch(g) for g in arguments(sample, with_gradient(graph))[len(sample.arrays) :]]
    result = TORCH[sample.op](*tensors, **sample.attrs)
    result = result[: len(seeds)] if isinstance(result, list) else result
    theirs = torch.autograd.grad(result, leaves, seeds, allow_unused=True)
    _, ours = interpreted(sample)
    for mine, other, leaf in zip(ours, theirs, leaves, strict=True):
        elementwise = OPS[sample.op].kind == "pointwise" or sample.op in ACTIVATIONS
        floor = 1e-3 if elementwise and leaf.shape == graph.outputs[0].shape else 1.0
        close(mine, to_numpy(torch.zeros_like(leaf) if other is None else other), floor)
