"""The op set, typed. Written by tests/compiler/ir/test_opset.py with --update-golden."""
# fmt: off

from collections.abc import Sequence
from typing import Any

from compiler.ir.graph import Value
from compiler.ir.op import Op
from compiler.ir.types import DType

Operand = Value | float

class _abs(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _acos(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _acosh(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _adadelta_update(Op):
    def __call__(self, *types: Value, maximize: bool = ...) -> tuple[Value, Value, Value]: ...

class _adafactor_update(Op):
    def __call__(self, *types: Value, maximize: bool = ..., factored: bool = ...) -> Any: ...

class _adagrad_update(Op):
    def __call__(self, *types: Value, maximize: bool = ...) -> tuple[Value, Value]: ...

class _adam_update(Op):
    def __call__(self, *types: Value, maximize: bool = ..., decoupled: bool = ..., amsgrad: bool = ...) -> Any: ...

class _adamax_update(Op):
    def __call__(self, *types: Value, maximize: bool = ...) -> tuple[Value, Value, Value]: ...

class _add(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _all(Op):
    def __call__(self, x: Operand, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _amax(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _amin(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _any(Op):
    def __call__(self, x: Operand, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _argmax(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _argmin(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _argsort(Op):
    def __call__(self, x: Value, /, *, count: Any, descending: bool = ...) -> Value: ...

class _asgd_rate(Op):
    def __call__(self, step: Value, /, *scalars: Value) -> Value: ...

class _asgd_share(Op):
    def __call__(self, step: Value, t0: Value, /) -> Value: ...

class _asgd_update(Op):
    def __call__(self, *types: Value, maximize: bool = ...) -> tuple[Value, Value]: ...

class _asin(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _asinh(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _atan(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _atan2(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _atanh(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _attention_backward(Op):
    def __call__(self, q: Value, k: Value, v: Value, inner: Value, lse: Value, g: Value, /, *rest: Value, scale: Any = ..., causal: bool = ..., mask: bool = ..., dropout: float = ..., index: int = ...) -> tuple[Value, Value, Value]: ...

class _avg_pool(Op):
    def __call__(self, x: Value, /, *, window: Any, stride: Any, padding: Any, size: Any, include_pad: bool = ..., divisor: Any = ...) -> Value: ...

class _batch_norm(Op):
    def __call__(self, x: Value, /, *affine: Value, eps: float = ...) -> tuple[Value, Value, Value]: ...

class _batch_norm_inference(Op):
    def __call__(self, x: Value, running_mean: Value, running_var: Value, /, *affine: Value, eps: float = ...) -> Value: ...

class _binary_cross_entropy(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ..., weight: bool = ...) -> Value: ...

class _binary_cross_entropy_with_logits(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ..., weight: bool = ..., pos_weight: bool = ...) -> Value: ...

class _bitwise_and(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _bitwise_or(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _bitwise_xor(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _bounded(Op):
    def __call__(self, index: Value, /, *, size: Any, what: str = ...) -> Value: ...

class _cast(Op):
    def __call__(self, x: Value, /, *, to: DType) -> Value: ...

class _ceil(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _clamp(Op):
    def __call__(self, x: Operand, /, *bounds: Operand, low: bool = ..., high: bool = ...) -> Value: ...

class _clip_grad_norm(Op):
    def __call__(self, *types: Value, norm_type: float = ...) -> Any: ...

class _clip_grad_value(Op):
    def __call__(self, *types: Value) -> Any: ...

class _concat(Op):
    def __call__(self, first: Operand, /, *rest: Operand, axis: int) -> Value: ...

class _constant(Op):
    def __call__(self, *, value: Any, dtype: Any) -> Value: ...

class _conv(Op):
    def __call__(self, x: Value, weight: Value, /, *bias: Value, stride: Any, padding: Any, dilation: Any, groups: int = ...) -> Value: ...

class _conv_transpose(Op):
    def __call__(self, x: Value, weight: Value, /, *bias: Value, size: Any, stride: Any, padding: Any, dilation: Any, groups: int = ...) -> Value: ...

class _convolve(Op):
    def __call__(self, x: Value, weight: Value, /, *, size: Any, stride: Any, dilation: Any, padding: Any, base: Any, groups: int = ..., dtype: Any = ...) -> Value: ...

class _convolve_weight(Op):
    def __call__(self, x: Value, g: Value, /, *, window: Any, stride: Any, dilation: Any, padding: Any, base: Any, groups: int = ..., dtype: Any = ...) -> Value: ...

class _copysign(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _cos(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _cosh(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _count_step(Op):
    def __call__(self, step: Value, /) -> Value: ...

class _cross_entropy(Op):
    def __call__(self, x: Value, target: Value, /, *weight: Value, reduction: str = ..., ignore_index: int = ..., label_smoothing: float = ...) -> tuple[Value, Value]: ...

class _cummax(Op):
    def __call__(self, x: Value, /, *, axis: int) -> Value: ...

class _cummin(Op):
    def __call__(self, x: Value, /, *, axis: int) -> Value: ...

class _cumprod(Op):
    def __call__(self, x: Operand, /, *, axis: int) -> Value: ...

class _cumsum(Op):
    def __call__(self, x: Operand, /, *, axis: int) -> Value: ...

class _detach(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _div(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _divisor(Op):
    def __call__(self, x: Value, /, *, what: str = ...) -> Value: ...

class _dot(Op):
    def __call__(self, a: Value, b: Value, /, *, dtype: Any = ...) -> Value: ...

class _dropout(Op):
    def __call__(self, x: Value, seed: Value, offset: Value, /, *, p: Any, index: Any) -> Value: ...

class _elu(Op):
    def __call__(self, x: Value, /, *, alpha: float = ..., scale: float = ..., input_scale: float = ...) -> Value: ...

class _embedding(Op):
    def __call__(self, weight: Value, index: Value, /, *, padding_idx: Any = ...) -> Value: ...

class _entr(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _eq(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _erf(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _erfc(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _erfcx(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _erfinv(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _exp(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _exp2(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _expand(Op):
    def __call__(self, x: Value, /, *, shape: Sequence[int]) -> Value: ...

class _expm1(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _floor(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _floor_divide(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _fmod(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _fused(Op):
    def __call__(self, *types: Value, kind: Any, rows: int = ..., columns: int = ..., table: int = ...) -> Any: ...

class _gather(Op):
    def __call__(self, x: Value, index: Value, /, *, axis: int) -> Value: ...

class _ge(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _gelu(Op):
    def __call__(self, x: Value, /, *, approximate: str = ...) -> Value: ...

class _glu(Op):
    def __call__(self, x: Value, gate: Value, /) -> Value: ...

class _grad(Op):
    def __call__(self, loss: Value, /, *rest: Value, seed: bool = ...) -> Any: ...

class _group_norm(Op):
    def __call__(self, x: Value, /, *affine: Value, groups: Any, eps: float = ...) -> tuple[Value, Value, Value]: ...

class _gt(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _hardsigmoid(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _hardswish(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _hardtanh(Op):
    def __call__(self, x: Value, /, *, low: float = ..., high: float = ...) -> Value: ...

class _heaviside(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _high_half(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _huber_loss(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ..., delta: float = ...) -> Value: ...

class _hypot(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _i0(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _i0e(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _i1(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _i1e(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _iota(Op):
    def __call__(self, *, shape: Sequence[int], axis: int) -> Value: ...

class _isfinite(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _isinf(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _isnan(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _join_halves(Op):
    def __call__(self, high: Value, low: Value, /) -> Value: ...

class _kl_div(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ..., log_target: bool = ...) -> Value: ...

class _l1_loss(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ...) -> Value: ...

class _layer_norm(Op):
    def __call__(self, x: Value, /, *affine: Value, ndim: Any, eps: float = ...) -> tuple[Value, Value, Value]: ...

class _le(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _leaky_relu(Op):
    def __call__(self, x: Value, /, *, negative_slope: float = ...) -> Value: ...

class _lerp(Op):
    def __call__(self, start: Operand, end: Operand, weight: Operand, /) -> Value: ...

class _lgamma(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _linear(Op):
    def __call__(self, x: Value, weight: Value, /, *bias: Value) -> Value: ...

class _log(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _log10(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _log1p(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _log2(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _log_ndtr(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _log_sigmoid(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _log_softmax(Op):
    def __call__(self, x: Value, /, *, axis: int) -> Value: ...

class _logaddexp(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _logaddexp2(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _logcumsumexp(Op):
    def __call__(self, x: Value, /, *, axis: int) -> Value: ...

class _logical_and(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _logical_not(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _logical_or(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _logical_xor(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _logit(Op):
    def __call__(self, x: Operand, /, *, eps: Any = ...) -> Value: ...

class _logsumexp(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _loop(Op):
    def __call__(self, *types: Value, length: Any, carries: Any, sequences: Any, reverse: bool = ..., micro: bool = ...) -> Any: ...

class _low_half(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _lt(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _matmul(Op):
    def __call__(self, a: Value, b: Value, /) -> Value: ...

class _max_pool(Op):
    def __call__(self, x: Value, /, *, window: Any, stride: Any, padding: Any, dilation: Any, size: Any) -> tuple[Value, Value]: ...

class _maximum(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _mean(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _minimum(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _mse_loss(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ...) -> Value: ...

class _mul(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _muon_update(Op):
    def __call__(self, *types: Value, nesterov: bool = ..., coefficients: Any, steps: Any, ratio: float = ...) -> tuple[Value, Value]: ...

class _nadam_product(Op):
    def __call__(self, product: Value, step: Value, beta1: Value, momentum_decay: Value, /) -> Value: ...

class _nadam_update(Op):
    def __call__(self, *types: Value, maximize: bool = ..., decoupled: bool = ...) -> tuple[Value, Value, Value]: ...

class _ndtr(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _ndtri(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _ne(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _neg(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _nll_loss(Op):
    def __call__(self, x: Value, target: Value, /, *weight: Value, reduction: str = ..., ignore_index: int = ...) -> Value: ...

class _normal(Op):
    def __call__(self, seed: Value, offset: Value, /, *, shape: Sequence[int], index: Any) -> Value: ...

class _normal_f64(Op):
    def __call__(self, seed: Value, offset: Value, /, *, shape: Sequence[int], index: Any) -> Value: ...

class _ones(Op):
    def __call__(self, *, shape: Sequence[int], dtype: Any) -> Value: ...

class _permute(Op):
    def __call__(self, x: Value, /, *, dims: Sequence[int]) -> Value: ...

class _polygamma(Op):
    def __call__(self, x: Operand, /, *, n: int = ...) -> Value: ...

class _pow(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _prelu(Op):
    def __call__(self, x: Value, weight: Value, /) -> Value: ...

class _prod(Op):
    def __call__(self, x: Operand, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _put_rows(Op):
    def __call__(self, table: Value, index: Value, source: Value, /) -> Value: ...

class _radam_update(Op):
    def __call__(self, *types: Value, maximize: bool = ..., decoupled: bool = ...) -> tuple[Value, Value, Value]: ...

class _reciprocal(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _recurrence(Op):
    def __call__(self, factor: Value, x: Value, /, *, axis: int) -> Value: ...

class _reload(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _relu(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _remainder(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _resample(Op):
    def __call__(self, x: Value, /, *, size: Any, scale: Any, mode: str = ..., aligned: bool = ..., antialias: bool = ...) -> Value: ...

class _reshape(Op):
    def __call__(self, x: Value, /, *, shape: Sequence[int]) -> Value: ...

class _rms_norm(Op):
    def __call__(self, *types: Value, ndim: Any, eps: float = ...) -> tuple[Value, Value]: ...

class _rmsprop_update(Op):
    def __call__(self, *types: Value, maximize: bool = ..., momentum: bool = ..., centered: bool = ...) -> Any: ...

class _round(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _rprop_update(Op):
    def __call__(self, *types: Value, maximize: bool = ...) -> tuple[Value, Value, Value]: ...

class _rsqrt(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _scale_loss(Op):
    def __call__(self, loss: Value, scale: Value, /) -> Value: ...

class _scaled_dot_product_attention(Op):
    def __call__(self, q: Value, k: Value, v: Value, /, *rest: Value, scale: Any = ..., causal: bool = ..., mask: bool = ..., dropout: float = ..., index: int = ...) -> tuple[Value, Value]: ...

class _scatter(Op):
    def __call__(self, x: Value, index: Value, source: Value, /, *, axis: int) -> Value: ...

class _scatter_add(Op):
    def __call__(self, x: Value, index: Value, source: Value, /, *, axis: int) -> Value: ...

class _scatter_amax(Op):
    def __call__(self, x: Value, index: Value, source: Value, /, *, axis: int) -> Value: ...

class _scatter_amin(Op):
    def __call__(self, x: Value, index: Value, source: Value, /, *, axis: int) -> Value: ...

class _scatter_prod(Op):
    def __call__(self, x: Value, index: Value, source: Value, /, *, axis: int) -> Value: ...

class _scatter_rows(Op):
    def __call__(self, index: Value, source: Value, /, *, rows: Any) -> Value: ...

class _sgd_momentum_update(Op):
    def __call__(self, *types: Value, nesterov: bool = ..., first: bool = ..., maximize: bool = ...) -> tuple[Value, Value]: ...

class _sgd_update(Op):
    def __call__(self, *types: Value, maximize: bool = ...) -> Value: ...

class _shift_left(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _shift_right(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _sigmoid(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _sign(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _signbit(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _silu(Op):
    def __call__(self, x: Value, /) -> Value: ...

class _sin(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _sinc(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _sinh(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _skip_if(Op):
    def __call__(self, found: Value, old: Value, new: Value, /) -> Value: ...

class _slice(Op):
    def __call__(self, x: Value, /, *, start: Sequence[int], stop: Sequence[int], step: Sequence[int]) -> Value: ...

class _slice_scatter(Op):
    def __call__(self, x: Value, y: Value, /, *, start: Sequence[int], stop: Sequence[int], step: Sequence[int]) -> Value: ...

class _slide(Op):
    def __call__(self, x: Value, /, *, size: Any, stride: Any, dilation: Any, padding: Any, base: Any, fill: float = ...) -> Value: ...

class _smooth_l1_loss(Op):
    def __call__(self, x: Operand, y: Operand, /, *rest: Operand, reduction: str = ..., beta: float = ...) -> Value: ...

class _softmax(Op):
    def __call__(self, x: Value, /, *, axis: int) -> Value: ...

class _softplus(Op):
    def __call__(self, x: Value, /, *, beta: float = ..., threshold: float = ...) -> Value: ...

class _sqrt(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _std(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ..., correction: float = ...) -> Value: ...

class _sub(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _sum(Op):
    def __call__(self, x: Operand, /, *, axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _take(Op):
    def __call__(self, table: Value, index: Value, /) -> Value: ...

class _tan(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _tanh(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _trunc(Op):
    def __call__(self, x: Operand, /) -> Value: ...

class _trunc_divide(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _unbiased(Op):
    def __call__(self, var: Value, x: Value, /) -> Value: ...

class _uniform(Op):
    def __call__(self, seed: Value, offset: Value, /, *, shape: Sequence[int], index: Any) -> Value: ...

class _uniform_f64(Op):
    def __call__(self, seed: Value, offset: Value, /, *, shape: Sequence[int], index: Any) -> Value: ...

class _unscale(Op):
    def __call__(self, *types: Value) -> Any: ...

class _update_scale(Op):
    def __call__(self, scale: Value, tracker: Value, found: Value, growth: Value, backoff: Value, /, *, interval: Any) -> tuple[Value, Value]: ...

class _var(Op):
    def __call__(self, x: Value, /, *, axes: Sequence[int], keepdim: bool = ..., correction: float = ...) -> Value: ...

class _vector_norm(Op):
    def __call__(self, x: Value, /, *, p: float = ..., axes: Sequence[int], keepdim: bool = ...) -> Value: ...

class _where(Op):
    def __call__(self, c: Operand, a: Operand, b: Operand, /) -> Value: ...

class _xlog1py(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _xlogy(Op):
    def __call__(self, x: Operand, y: Operand, /) -> Value: ...

class _zeros(Op):
    def __call__(self, *, shape: Sequence[int], dtype: Any) -> Value: ...

class OpSet:
    abs: _abs
    acos: _acos
    acosh: _acosh
    adadelta_update: _adadelta_update
    adafactor_update: _adafactor_update
    adagrad_update: _adagrad_update
    adam_update: _adam_update
    adamax_update: _adamax_update
    add: _add
    all: _all
    amax: _amax
    amin: _amin
    any: _any
    argmax: _argmax
    argmin: _argmin
    argsort: _argsort
    asgd_rate: _asgd_rate
    asgd_share: _asgd_share
    asgd_update: _asgd_update
    asin: _asin
    asinh: _asinh
    atan: _atan
    atan2: _atan2
    atanh: _atanh
    attention_backward: _attention_backward
    avg_pool: _avg_pool
    batch_norm: _batch_norm
    batch_norm_inference: _batch_norm_inference
    binary_cross_entropy: _binary_cross_entropy
    binary_cross_entropy_with_logits: _binary_cross_entropy_with_logits
    bitwise_and: _bitwise_and
    bitwise_or: _bitwise_or
    bitwise_xor: _bitwise_xor
    bounded: _bounded
    cast: _cast
    ceil: _ceil
    clamp: _clamp
    clip_grad_norm: _clip_grad_norm
    clip_grad_value: _clip_grad_value
    concat: _concat
    constant: _constant
    conv: _conv
    conv_transpose: _conv_transpose
    convolve: _convolve
    convolve_weight: _convolve_weight
    copysign: _copysign
    cos: _cos
    cosh: _cosh
    count_step: _count_step
    cross_entropy: _cross_entropy
    cummax: _cummax
    cummin: _cummin
    cumprod: _cumprod
    cumsum: _cumsum
    detach: _detach
    div: _div
    divisor: _divisor
    dot: _dot
    dropout: _dropout
    elu: _elu
    embedding: _embedding
    entr: _entr
    eq: _eq
    erf: _erf
    erfc: _erfc
    erfcx: _erfcx
    erfinv: _erfinv
    exp: _exp
    exp2: _exp2
    expand: _expand
    expm1: _expm1
    floor: _floor
    floor_divide: _floor_divide
    fmod: _fmod
    fused: _fused
    gather: _gather
    ge: _ge
    gelu: _gelu
    glu: _glu
    grad: _grad
    group_norm: _group_norm
    gt: _gt
    hardsigmoid: _hardsigmoid
    hardswish: _hardswish
    hardtanh: _hardtanh
    heaviside: _heaviside
    high_half: _high_half
    huber_loss: _huber_loss
    hypot: _hypot
    i0: _i0
    i0e: _i0e
    i1: _i1
    i1e: _i1e
    iota: _iota
    isfinite: _isfinite
    isinf: _isinf
    isnan: _isnan
    join_halves: _join_halves
    kl_div: _kl_div
    l1_loss: _l1_loss
    layer_norm: _layer_norm
    le: _le
    leaky_relu: _leaky_relu
    lerp: _lerp
    lgamma: _lgamma
    linear: _linear
    log: _log
    log10: _log10
    log1p: _log1p
    log2: _log2
    log_ndtr: _log_ndtr
    log_sigmoid: _log_sigmoid
    log_softmax: _log_softmax
    logaddexp: _logaddexp
    logaddexp2: _logaddexp2
    logcumsumexp: _logcumsumexp
    logical_and: _logical_and
    logical_not: _logical_not
    logical_or: _logical_or
    logical_xor: _logical_xor
    logit: _logit
    logsumexp: _logsumexp
    loop: _loop
    low_half: _low_half
    lt: _lt
    matmul: _matmul
    max_pool: _max_pool
    maximum: _maximum
    mean: _mean
    minimum: _minimum
    mse_loss: _mse_loss
    mul: _mul
    muon_update: _muon_update
    nadam_product: _nadam_product
    nadam_update: _nadam_update
    ndtr: _ndtr
    ndtri: _ndtri
    ne: _ne
    neg: _neg
    nll_loss: _nll_loss
    normal: _normal
    normal_f64: _normal_f64
    ones: _ones
    permute: _permute
    polygamma: _polygamma
    pow: _pow
    prelu: _prelu
    prod: _prod
    put_rows: _put_rows
    radam_update: _radam_update
    reciprocal: _reciprocal
    recurrence: _recurrence
    reload: _reload
    relu: _relu
    remainder: _remainder
    resample: _resample
    reshape: _reshape
    rms_norm: _rms_norm
    rmsprop_update: _rmsprop_update
    round: _round
    rprop_update: _rprop_update
    rsqrt: _rsqrt
    scale_loss: _scale_loss
    scaled_dot_product_attention: _scaled_dot_product_attention
    scatter: _scatter
    scatter_add: _scatter_add
    scatter_amax: _scatter_amax
    scatter_amin: _scatter_amin
    scatter_prod: _scatter_prod
    scatter_rows: _scatter_rows
    sgd_momentum_update: _sgd_momentum_update
    sgd_update: _sgd_update
    shift_left: _shift_left
    shift_right: _shift_right
    sigmoid: _sigmoid
    sign: _sign
    signbit: _signbit
    silu: _silu
    sin: _sin
    sinc: _sinc
    sinh: _sinh
    skip_if: _skip_if
    slice: _slice
    slice_scatter: _slice_scatter
    slide: _slide
    smooth_l1_loss: _smooth_l1_loss
    softmax: _softmax
    softplus: _softplus
    sqrt: _sqrt
    std: _std
    sub: _sub
    sum: _sum
    take: _take
    tan: _tan
    tanh: _tanh
    trunc: _trunc
    trunc_divide: _trunc_divide
    unbiased: _unbiased
    uniform: _uniform
    uniform_f64: _uniform_f64
    unscale: _unscale
    update_scale: _update_scale
    var: _var
    vector_norm: _vector_norm
    where: _where
    xlog1py: _xlog1py
    xlogy: _xlogy
    zeros: _zeros

o: OpSet
