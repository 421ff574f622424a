"""Tensor functions and methods against PyTorch: values, gradients, dtypes, errors."""

from typing import Any

import numpy as np
import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(3)
POSITIVE = (np.abs(RNG.standard_normal((3, 4))) + 0.5).astype(np.float32)
WHOLE = RNG.integers(-5, 6, (3, 4))
COUNTS = RNG.integers(1, 6, (3, 4))
FLAGS = RNG.random((3, 4)) < 0.5
ROWS = np.array([2, 0, 2, 1])
SPECIAL = np.array([0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan], np.float32)
M = (3, 4)

NOT_YET = {}

CASES: dict[str, tuple[Any, ...]] = {
    # pointwise
    "abs": (lambda t, x: t.abs(x), M),
    "exp": (lambda t, x: x.exp(), M),
    "expm1": (lambda t, x: t.expm1(x), M),
    "log": (lambda t, x: t.log(x), POSITIVE),
    "log1p": (lambda t, x: t.log1p(x), POSITIVE),
    "log2": (lambda t, x: t.log2(x), POSITIVE),
    "sqrt": (lambda t, x: t.sqrt(x), POSITIVE),
    "rsqrt": (lambda t, x: t.rsqrt(x), POSITIVE),
    "reciprocal": (lambda t, x: t.reciprocal(x), POSITIVE),
    "sin": (lambda t, x: t.sin(x), M),
    "cos": (lambda t, x: t.cos(x), M),
    "tanh": (lambda t, x: t.tanh(x), M),
    "erf": (lambda t, x: t.erf(x), M),
    "sigmoid": (lambda t, x: t.sigmoid(x), M),
    "relu": (lambda t, x: t.relu(x), M),
    "neg": (lambda t, x: -x, M),
    "sign": (lambda t, x: t.sign(x), M),
    "floor": (lambda t, x: t.floor(x), M),
    "ceil": (lambda t, x: t.ceil(x), M),
    "trunc": (lambda t, x: t.trunc(x), M),
    "round": (lambda t, x: t.round(x), np.array([0.5, 1.5, -0.5, 2.4], np.float32)),
    "square": (lambda t, x: t.square(x), M),
    "floor of ints": (lambda t, x: t.floor(x), WHOLE),
    "sqrt of ints": (lambda t, x: t.sqrt(x), COUNTS),
    "exp of bools": (lambda t, x: t.exp(x), FLAGS),
    "neg of ints": (lambda t, x: -x, WHOLE),
    "abs of specials": (lambda t, x: t.abs(x.detach()), SPECIAL),
    "relu of specials": (lambda t, x: t.relu(x.detach()), SPECIAL),
    "sigmoid of specials": (lambda t, x: t.sigmoid(x), SPECIAL),
    "tanh of specials": (lambda t, x: t.tanh(x), SPECIAL),
    "exp of specials": (lambda t, x: t.exp(x), SPECIAL),
    "sign of specials": (lambda t, x: t.sign(x[:-1]), SPECIAL),
    "clamp of specials": (lambda t, x: t.clamp(x, -1, 1), SPECIAL),
    "isnan": (lambda t, x: t.isnan(x), SPECIAL),
    "isinf": (lambda t, x: t.isinf(x), SPECIAL),
    "isfinite": (lambda t, x: t.isfinite(x), SPECIAL),
    "isfinite of ints": (lambda t, x: t.isfinite(x), WHOLE),
    "add": (lambda t, x, y: x + y, M, M),
    "add broadcasts": (lambda t, x, y: x + y, (3, 1), (4,)),
    "add alpha": (lambda t, x, y: t.add(x, y, alpha=2), M, M),
    "sub alpha": (lambda t, x, y: t.sub(x, y, alpha=0.5), M, M),
    "rsub": (lambda t, x: 1 - x, M),
    "mul by a number": (lambda t, x: x * 3, M),
    "div": (lambda t, x, y: x / y, M, POSITIVE),
    "rdiv": (lambda t, x: 2 / x, POSITIVE),
    "div of ints": (lambda t, x, y: x / y, WHOLE, COUNTS),
    "div floor": (lambda t, x, y: t.div(x, y, rounding_mode="floor"), WHOLE, COUNTS),
    "div trunc": (lambda t, x, y: t.div(x, y, rounding_mode="trunc"), WHOLE, COUNTS),
    "div trunc of floats": (lambda t, x, y: t.div(x, y, rounding_mode="trunc"), M, POSITIVE),
    "floordiv": (lambda t, x, y: x // y, WHOLE, COUNTS),
    "floordiv of floats": (lambda t, x: (x.detach() * 3) // 2, M),
    "mod": (lambda t, x, y: x % y, WHOLE, COUNTS),
    "mod of floats": (lambda t, x: (x * 3) % 2, M),
    "mod by a negative": (lambda t, x: x % -3, WHOLE),
    "pow": (lambda t, x: x**3, M),
    "pow half": (lambda t, x: x**0.5, POSITIVE),
    "pow zero": (lambda t, x: x**0, M),
    "pow of tensors": (lambda t, x, y: x**y, POSITIVE, M),
    "rpow": (lambda t, x: 2**x, M),
    "pow of ints": (lambda t, x: x**2, WHOLE),
    "matmul operator": (lambda t, x, y: x @ y, (3, 4), (4, 5)),
    "maximum": (lambda t, x, y: t.maximum(x, y), M, M),
    "minimum": (lambda t, x, y: t.minimum(x, y), M, M),
    "maximum ties": (lambda t, x: t.maximum(x, x * 1), M),
    "clamp": (lambda t, x: x.clamp(-0.5, 0.5), M),
    "clamp min": (lambda t, x: x.clamp(min=0.1), M),
    "clamp by tensors": (lambda t, x, a: t.clamp(x, a - 0.3, a + 0.3), M, M),
    "clamp of ints": (lambda t, x: t.clamp(x, -2, 2), WHOLE),
    "comparisons": (lambda t, x, y: (x == y, x != y, x < y, x <= y, x > y, x >= y), WHOLE, COUNTS),
    "compare with a number": (lambda t, x: (x > 0, x == 1.5), M),
    "logical": (lambda t, x, y: (t.logical_and(x, y), t.logical_or(x, y), t.logical_not(x)), WHOLE, FLAGS),
    "logical_xor": (lambda t, x, y: t.logical_xor(x, y), WHOLE, FLAGS),
    "bitwise": (lambda t, x, y: (x & y, x | y, x ^ y, ~x), WHOLE, COUNTS),
    "bitwise of bools": (lambda t, x, y: (x & y, x | y, x ^ y, ~x), FLAGS, ~FLAGS),
    "where": (lambda t, c, x, y: t.where(c, x, y), FLAGS, M, M),
    "where with numbers": (lambda t, c, x: t.where(c, x, 0.0), FLAGS, M),
    "where promotes": (lambda t, c, x, y: t.where(c, x, y), FLAGS, M, WHOLE),
    "masked_fill": (lambda t, x, m: x.masked_fill(m, float("-inf")), M, FLAGS),
    "masked_fill broadcasts": (lambda t, x, m: x.masked_fill(m[:1], 2), M, FLAGS),
    "lerp": (lambda t, x, y: t.lerp(x, y, 0.3), M, M),
    "addcmul": (lambda t, x, y, z: t.addcmul(x, y, z, value=0.5), M, M, M),
    "addcdiv": (lambda t, x, y, z: t.addcdiv(x, y, z, value=0.5), M, M, POSITIVE),
    # promotion
    "int + float number": (lambda t, x: x + 1.5, WHOLE),
    "bool + int": (lambda t, x: x + 1, FLAGS),
    "bool + bool": (lambda t, x, y: x + y, FLAGS, FLAGS),
    "bool * float": (lambda t, x, y: x * y, FLAGS, M),
    "int32 + int64 scalar": (lambda t, x: x.int() + t.tensor(3), WHOLE),
    "half + number": (lambda t, x: x.half() + 1.5, M),
    "half + float scalar tensor": (lambda t, x: x.half() + t.tensor(1.5), M),
    "half + float": (lambda t, x, y: x.half() + y, M, M),
    "bf16 + half": (lambda t, x, y: x.bfloat16() + y.half(), M, M),
    "float + double scalar": (lambda t, x: x + t.tensor(1.5, dtype=t.float64), M),
    "float + double": (lambda t, x, y: x + y.double(), M, M),
    "int + half": (lambda t, x, y: x + y.half(), WHOLE, M),
    "uint8 + int8": (lambda t, x: x.to(t.uint8) + x.to(t.int8), COUNTS),
    "int scalar + float number": (lambda t: t.tensor(2) * 1.5,),
    # conversions
    "float to int": (lambda t, x: (x * 3).long(), M),
    "float to bool": (lambda t, x: x.bool(), np.array([0.0, 0.5, np.nan], np.float32)),
    "to": (lambda t, x: x.to(t.float64), M),
    "to dtype=": (lambda t, x: x.to(dtype=t.bfloat16), M),
    "type_as": (lambda t, x, y: x.type_as(y), WHOLE, M),
    "half overflows": (lambda t, x: (x * 1e6).half(), M),
    # reductions
    "sum": (lambda t, x: x.sum(), M),
    "sum dim": (lambda t, x: x.sum(1), M),
    "sum negative dim keepdim": (lambda t, x: x.sum(-1, keepdim=True), M),
    "sum dims": (lambda t, x: x.sum((0, 2)), (2, 3, 4)),
    "sum of bools": (lambda t, x: x.sum(), FLAGS),
    "sum dtype": (lambda t, x: t.sum(x, dtype=t.float64), M),
    "sum of nothing": (lambda t, x: x.sum(), (0, 3)),
    "sum empty dim": (lambda t, x: x.sum(0), (0, 3)),
    "sum 0-d": (lambda t, x: x.sum(), ()),
    "mean": (lambda t, x: x.mean(), M),
    "mean dim": (lambda t, x: t.mean(x, dim=(0, 1), keepdim=True), M),
    "mean dtype": (lambda t, x: t.mean(x, dtype=t.float32), WHOLE),
    "var": (lambda t, x: x.var(), M),
    "var dim": (lambda t, x: x.var(-1, keepdim=True), M),
    "var correction": (lambda t, x: x.var(0, correction=0), M),
    "var unbiased": (lambda t, x: x.var(0, unbiased=False), M),
    "std": (lambda t, x: x.std(-1), M),
    "amax": (lambda t, x: x.amax(1), M),
    "amin": (lambda t, x: t.amin(x, (0, 1)), M),
    "amax ties": (lambda t, x: t.amax(t.floor(x) * 1.0 + x * 0, 1), M),
    "max of all": (lambda t, x: x.max(), M),
    "max dim": (lambda t, x: tuple(x.max(1)), M),
    "max dim keepdim": (lambda t, x: tuple(x.max(dim=-1, keepdim=True)), M),
    "max values": (lambda t, x: x.max(0).values, M),
    "min dim": (lambda t, x: tuple(t.min(x, 0)), M),
    "max of two": (lambda t, x, y: t.max(x, y), M, M),
    "argmax": (lambda t, x: x.argmax(), M),
    "argmax dim": (lambda t, x: x.argmax(-1), M),
    "argmin keepdim": (lambda t, x: x.argmin(0, keepdim=True), M),
    "any": (lambda t, x: (x.any(), x.any(0)), FLAGS),
    "all": (lambda t, x: (x.all(), x.all(1)), FLAGS),
    "any of ints": (lambda t, x: x.any(), WHOLE),
    "logsumexp": (lambda t, x: x.logsumexp(-1), M),
    "logsumexp of -inf": (lambda t, x: t.logsumexp(x - np.inf, -1), M),
    "softmax": (lambda t, x: x.softmax(-1), M),
    "softmax dim 0": (lambda t, x: t.softmax(x, 0), M),
    "softmax 0-d": (lambda t, x: t.softmax(x, 0), ()),
    "softmax dtype": (lambda t, x: t.softmax(x, 1, dtype=t.float64), M),
    "log_softmax": (lambda t, x: t.log_softmax(x, 1), M),
    "norm": (lambda t, x: x.norm(), M),
    "norm 1": (lambda t, x: t.norm(x, 1), M),
    "norm inf": (lambda t, x: x.norm(float("inf")), M),
    "norm dim": (lambda t, x: x.norm(2, dim=1, keepdim=True), M),
    "norm 3": (lambda t, x: x.norm(3, dim=0), M),
    "norm of zeros": (lambda t, x: (x * 0).norm(), M),
    # shapes
    "reshape": (lambda t, x: x.reshape(2, -1), M),
    "view": (lambda t, x: x.view(4, 3), M),
    "view of a tuple": (lambda t, x: x.view((12,)), M),
    "flatten": (lambda t, x: x.flatten(1), (2, 3, 4)),
    "flatten 0-d": (lambda t, x: x.flatten(), ()),
    "unflatten": (lambda t, x: x.unflatten(1, (2, -1)), M),
    "permute": (lambda t, x: x.permute(2, 0, 1), (2, 3, 4)),
    "permute negative": (lambda t, x: t.permute(x, (-1, 0, 1)), (2, 3, 4)),
    "transpose": (lambda t, x: x.transpose(0, -1), (2, 3, 4)),
    "t": (lambda t, x: x.t(), M),
    "T": (lambda t, x: x.T, M),
    "mT": (lambda t, x: x.mT, (2, 3, 4)),
    "contiguous": (lambda t, x: x.t().contiguous().view(-1), M),
    "expand": (lambda t, x: x.expand(2, 3, -1), (3, 1)),
    "expand_as": (lambda t, x, y: x.expand_as(y), (3, 1), M),
    "broadcast_to": (lambda t, x: t.broadcast_to(x, (2, 3, 4)), M),
    "unsqueeze": (lambda t, x: x.unsqueeze(-1), M),
    "squeeze": (lambda t, x: x.squeeze(), (1, 3, 1)),
    "squeeze dim": (lambda t, x: x.squeeze(0), (1, 3, 1)),
    "squeeze a dim that is not 1": (lambda t, x: x.squeeze(1), (1, 3, 1)),
    "squeeze dims": (lambda t, x: t.squeeze(x, (0, 2)), (1, 3, 1)),
    "repeat": (lambda t, x: x.repeat(2, 3), M),
    "repeat more dims": (lambda t, x: x.repeat(2, 1, 2), M),
    "narrow": (lambda t, x: x.narrow(1, 1, 2), M),
    "select": (lambda t, x: x.select(1, -1), M),
    "flip": (lambda t, x: x.flip(0, 1), M),
    "cat": (lambda t, x, y: t.cat([x, y]), M, (2, 4)),
    "cat dim": (lambda t, x, y: t.cat((x, y), dim=-1), M, (3, 2)),
    "cat promotes": (lambda t, x, y: t.cat([x, y]), M, WHOLE),
    "stack": (lambda t, x, y: t.stack([x, y]), M, M),
    "stack last": (lambda t, x, y: t.stack([x, y], -1), M, M),
    "split": (lambda t, x: x.split(2, 1), (3, 5)),
    "split sizes": (lambda t, x: t.split(x, [1, 4], dim=1), (3, 5)),
    "chunk": (lambda t, x: x.chunk(3, -1), (3, 5)),
    "unbind": (lambda t, x: x.unbind(1), M),
    "tril": (lambda t, x: x.tril(), M),
    "triu": (lambda t, x: t.triu(x, 1), (2, 3, 4)),
    "tril of ints": (lambda t, x: t.tril(x, -1), WHOLE),
    "tril of bools": (lambda t, x: t.tril(x), FLAGS),
    "size": (lambda t, x: (x.size(0), x.size(-1), x.dim(), x.numel()), M),
    # products
    "matmul": (lambda t, x, y: t.matmul(x, y), (3, 4), (4, 5)),
    "matmul batched": (lambda t, x, y: x @ y, (2, 3, 4), (2, 4, 5)),
    "matmul broadcasts": (lambda t, x, y: x @ y, (5, 1, 3, 4), (2, 4, 5)),
    "matmul 3 by 2": (lambda t, x, y: x @ y, (2, 3, 4), (4, 5)),
    "matmul 2 by 3": (lambda t, x, y: x @ y, (3, 4), (2, 4, 5)),
    "matmul vector right": (lambda t, x, y: x @ y, (3, 4), (4,)),
    "matmul vector left": (lambda t, x, y: x @ y, (4,), (4, 5)),
    "matmul vector batched": (lambda t, x, y: x @ y, (4,), (2, 4, 5)),
    "matmul vectors": (lambda t, x, y: x @ y, (4,), (4,)),
    "matmul of ints": (lambda t, x, y: x @ y.T, WHOLE, COUNTS),
    "matmul empty": (lambda t, x, y: x @ y, (3, 0), (0, 5)),
    "mm": (lambda t, x, y: t.mm(x, y), (3, 4), (4, 5)),
    "bmm": (lambda t, x, y: t.bmm(x, y), (2, 3, 4), (2, 4, 5)),
    "mv": (lambda t, x, y: t.mv(x, y), (3, 4), (4,)),
    "dot": (lambda t, x, y: t.dot(x, y), (4,), (4,)),
    "outer": (lambda t, x, y: t.outer(x, y), (3,), (4,)),
    "addmm": (lambda t, b, x, y: t.addmm(b, x, y, beta=0.5, alpha=2), (5,), (3, 4), (4, 5)),
    "baddbmm": (lambda t, b, x, y: t.baddbmm(b, x, y, beta=2), (2, 3, 5), (2, 3, 4), (2, 4, 5)),
    # indexing
    "int": (lambda t, x: x[1], M),
    "negative int": (lambda t, x: x[-1, -2], M),
    "slice": (lambda t, x: x[1:], M),
    "slice step": (lambda t, x: x[:, ::2], M),
    "slice negative": (lambda t, x: x[-2:, :-1], M),
    "slice out of range": (lambda t, x: x[:, 2:99], M),
    "slice empty": (lambda t, x: x[3:1], M),
    "ellipsis": (lambda t, x: x[..., 0], (2, 3, 4)),
    "none": (lambda t, x: x[:, None, :, None], M),
    "ellipsis and none": (lambda t, x: x[None, ..., None, 1], M),
    "long tensor": (lambda t, x, i: x[i], M, ROWS),
    "long tensor second": (lambda t, x, i: x[:, i], M, ROWS),
    "negative long tensor": (lambda t, x, i: x[i - 3], M, ROWS),
    "two long tensors": (lambda t, x, i: x[i, i], M, ROWS),
    "long tensor matrix": (lambda t, x, i: x[i.view(2, 2)], M, ROWS),
    "long tensor and slice": (lambda t, x, i: x[i, 1:3], M, ROWS),
    "long tensor and int": (lambda t, x, i: x[i, 1], M, ROWS),
    "arange rows": (lambda t, x, i: x[t.arange(3), i[:3]], M, ROWS),
    "long tensors apart": (lambda t, x, i: x[i[:2], :, i[:2]], (3, 4, 3), ROWS),
    "list": (lambda t, x: x[[0, 2]], M),
    "list second": (lambda t, x: x[:, [0, 2]], M),
    "bool mask": (lambda t, x, m: x[m], M, FLAGS),
    "bool rows": (lambda t, x: x[t.tensor([True, False, True])], M),
    "comparison mask": (lambda t, x: x[x > 0], M),
    "bool mask first": (lambda t, x, m: x[m], (3, 4, 2), FLAGS),
    "bool mask last": (lambda t, x, m: x[:, m], (2, 3, 4), FLAGS),
    "bool mask and int": (lambda t, x, m: x[m[:, 0], 1], M, FLAGS),
    "bool mask and long tensor": (lambda t, x, i: x[t.tensor([True, False, True]), i[:2]], M, ROWS),
    "none and long tensor": (lambda t, x, i: x[:, None, i], M, ROWS),
    "int between long tensors": (lambda t, x, i: x[i[:2], 1, i[:2]], (3, 4, 3), ROWS),
    "0-d long tensor": (lambda t, x: x[t.tensor(1)], M),
    "gather": (lambda t, x, i: t.gather(x, 1, i.view(1, 4).expand(3, 4)), M, ROWS),
    "gather dim 0": (lambda t, x, i: x.gather(0, i.view(2, 2)), M, ROWS),
    "scatter_add": (lambda t, x, y: x.scatter_add(0, t.tensor([[0, 1, 1, 2]]), y[:1]), M, M),
    "scatter_add repeats": (lambda t, x, y: x.scatter_add(1, t.zeros(3, 2, dtype=t.int64), y[:, :2]), M, M),
    "index_select": (lambda t, x, i: t.index_select(x, 1, i), M, ROWS),
    "index_select 0": (lambda t, x, i: x.index_select(0, i), M, ROWS),
    # in place
    "add_": (lambda t, x, y: (x * 1).add_(y), M, M),
    "mul_ by a number": (lambda t, x: (x * 1).mul_(2).exp(), M),
    "iadd": (lambda t, x, y: _iadd(x * 1, y), M, M),
    "zero_": (lambda t, x: (x * 1).zero_() + x, M),
    "fill_": (lambda t, x: (x * 1).fill_(3.0) * x, M),
    "copy_": (lambda t, x, y: (x * 1).copy_(y[0]) * 2, M, M),
    "clamp_": (lambda t, x: (x * 2).clamp_(-1, 1), M),
    "masked_fill_": (lambda t, x, m: (x * 2).masked_fill_(m, 0.0), M, FLAGS),
    "setitem": (lambda t, x, y: _set(x * 1, 1, y[0]), M, M),
    "setitem slice": (lambda t, x, y: _set(x * 1, (slice(None), slice(1, 3)), y[:, :2]), M, M),
    "setitem number": (lambda t, x: _set(x * 1, (0, 2), 5.0), M),
    "setitem mask": (lambda t, x: _set(x * 1, x > 0, 0.0), M),
    "write through a view": (lambda t, x, y: _view_write(x * 1, y), M, M),
    "write through a transpose": (lambda t, x, y: _transposed_write(x * 1, y), M, (4, 3)),
    "alias reads the write": (lambda t, x: _alias(x * 1), M),
    "sub_ int": (lambda t, x: x.clone().sub_(2), WHOLE),
    # making
    "arange": (lambda t: (t.arange(5), t.arange(1, 7, 2), t.arange(0, 1, 0.25), t.arange(5, 0, -2)),),
    "zeros": (lambda t: (t.zeros(2, 3), t.zeros((2, 3), dtype=t.int64), t.ones(2), t.full((2,), 7)),),
    "full kinds": (lambda t: (t.full((2,), 1.5), t.full((2,), True), t.full((), 3)),),
    "like": (lambda t, x: (t.zeros_like(x), t.ones_like(x), t.full_like(x, 2)), WHOLE),
    "eye": (lambda t: (t.eye(3), t.eye(2, 3)),),
    "linspace": (lambda t: t.linspace(0, 1, 5),),
    "tensor": (lambda t: (t.tensor([1, 2]), t.tensor([1.0, 2]), t.tensor([[True], [False]]), t.tensor(2.5)),),
    "tensor of tensors": (lambda t: t.tensor([t.tensor(1.0), t.tensor(2.0)]),),
    "tensor dtype": (lambda t: t.tensor([1, 2], dtype=t.float16),),
    "one_hot": (lambda t, i: t.nn.functional.one_hot(i, 4), ROWS),
    "tolist": (lambda t, x: (x.tolist(), x[0].sum().item()), WHOLE),
    "detach": (lambda t, x: x.detach() * x, M),
    "clone": (lambda t, x: x.clone() * 2, M),
    "iteration": (lambda t, x: tuple(x), M),
    "half arithmetic": (lambda t, x, y: (x.half() * y.half()).sum(-1), M, M),
    "bf16 arithmetic": (lambda t, x, y: x.bfloat16() * y.bfloat16() + 1, M, M),
}


def _iadd(x: Any, y: Any) -> Any:
    x += y
    return x


def _set(x: Any, index: Any, value: Any) -> Any:
    x[index] = value
    return x


def _view_write(x: Any, y: Any) -> Any:
    x.view(4, 3)[1:3].mul_(y.view(4, 3)[1:3])
    return x


def _transposed_write(x: Any, y: Any) -> Any:
    x.t().add_(y)
    return x


def _alias(x: Any) -> Any:
    row = x[1]
    x.mul_(3)
    return row * row


def known(cases: dict[str, Any]) -> list[Any]:
    """The names of ``cases``, those in ``NOT_YET`` marked."""
    return [
        pytest.param(n, marks=pytest.mark.xfail(strict=True, reason=NOT_YET[n])) if n in NOT_YET else n for n in cases
    ]


@pytest.mark.parametrize("name", known(CASES))
def test_it_agrees_with_torch(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes, rtol=2e-3 if "half" in name or "bf16" in name else 1e-5)


ERRORS: dict[str, tuple[Any, ...]] = {
    "shapes do not broadcast": (lambda t, x, y: x + y, (3, 4), (3,)),
    "matmul shapes": (lambda t, x, y: x @ y, (3, 4), (3, 4)),
    "matmul dtypes": (lambda t, x, y: x @ y.double(), (3, 4), (4, 3)),
    "view size": (lambda t, x: x.view(5), M),
    "two inferred sizes": (lambda t, x: x.reshape(-1, -1), M),
    "index out of range": (lambda t, x: x[3], M),
    "too many indices": (lambda t, x: x[0, 0, 0], M),
    "negative step": (lambda t, x: x[::-1], M),
    "long index out of range": (lambda t, x: x[t.tensor([5])], M),
    "mask of another shape": (lambda t, x: x[t.tensor([True])], M),
    "float index": (lambda t, x: x[t.tensor([1.0])], M),
    "dim out of range": (lambda t, x: x.sum(2), M),
    "transpose dim": (lambda t, x: x.transpose(0, 2), M),
    "permute dims": (lambda t, x: x.permute(0, 0), M),
    "cat shapes": (lambda t, x, y: t.cat([x, y]), (3, 4), (3, 5)),
    "cat of nothing": (lambda t: t.cat([]),),
    "stack shapes": (lambda t, x, y: t.stack([x, y]), (3, 4), (3, 5)),
    "expand": (lambda t, x: x.expand(3, 5), M),
    "split sizes": (lambda t, x: x.split([1, 1], 1), M),
    "item of many": (lambda t, x: x.item(), M),
    "bool of many": (lambda t, x: bool(x), M),
    "len of 0-d": (lambda t, x: len(x), ()),
    "iterate 0-d": (lambda t, x: list(x), ()),
    "mean of ints": (lambda t, x: x.mean(), WHOLE),
    "bitwise of floats": (lambda t, x: x & x, M),
    "mask must be bool": (lambda t, x: x.masked_fill(x, 0), M),
    "max of nothing": (lambda t, x: x.max(), (0,)),
    "in-place on a leaf": (lambda t, x: x.add_(1), M),
    "in-place on a leaf's view": (lambda t, x: x[0].zero_(), M),
    "in-place must keep the shape": (lambda t, x, y: (x * 1).add_(y), (3, 1), (3, 4)),
    "write into an expanded view": (lambda t, x: (x * 1).expand(3, 4).add_(1), (1, 4)),
    "numpy of a leaf": (lambda t, x: x.numpy(), M),
    "backward of no scalar": (lambda t, x: (x * 2).backward(), M),
    "backward of nothing": (lambda t, x: x.detach().sum().backward(), M),
    "backward twice": (lambda t, x: _twice((x * x).sum()), M),
    "int requires grad": (lambda t, x: x.requires_grad_(), WHOLE),
    "requires_grad of a result": (lambda t, x: (x * 2).requires_grad_(False), M),
    "clamp without limits": (lambda t, x: x.clamp(), M),
    "unknown rounding": (lambda t, x: t.div(x, 2, rounding_mode="up"), M),
    "gather shape": (lambda t, x, i: x.gather(1, i), M, ROWS),
    "chunk of none": (lambda t, x: x.chunk(0), M),
    "int in-place division": (lambda t, x: x.clone().div_(2), WHOLE),
    "inferred size does not fit": (lambda t, x: x.view(5, -1), M),
    "deepcopy of a result": (lambda t, x: __import__("copy").deepcopy(x * 2), M),
    "a string": (lambda t, x: x + "a", M),
    "set a wrong shape": (lambda t, x: _set(x * 1, 0, x[:, 0]), M),
}


def _twice(loss: Any) -> None:
    loss.backward()
    loss.backward()


@pytest.mark.parametrize("name", known(ERRORS))
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
