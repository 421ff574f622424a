"""The parts of a random step: functions that draw one more statement over the values that are there."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import prod

from tests.fuzz.program import Shape, Statement

LARGEST = 4000  # elements of a value

POINTWISE = """
F.relu({0}) | F.gelu({0}) | F.gelu({0}, approximate="tanh") | F.silu({0}) | lib.tanh({0}) | lib.sigmoid({0})
F.elu({0}) | F.celu({0}, 0.7) | F.selu({0}) | F.mish({0}) | F.hardswish({0}) | F.hardsigmoid({0})
F.hardtanh({0}, -0.8, 1.2) | F.relu6({0} * 3) | F.leaky_relu({0}, 0.2) | F.softplus({0}, 2.0) | F.softsign({0})
F.tanhshrink({0}) | F.softshrink({0}, 0.3) | F.hardshrink({0}, 0.3) | F.logsigmoid({0}) | F.threshold({0}, 0.1, -0.2)
lib.exp({0}.clamp(max=2)) | lib.expm1(lib.tanh({0})) | lib.log({0}.abs() + 0.1) | lib.log1p({0} * {0})
lib.log2({0} ** 2 + 1) | lib.sqrt({0} * {0} + 0.1) | lib.rsqrt({0}.abs() + 0.5) | lib.reciprocal({0} * {0} + 1)
lib.sin({0}) | lib.cos({0} * 2) | lib.erf({0}) | lib.abs({0}) | -{0} | lib.square({0}) | {0} ** 3
({0}.abs() + 0.1) ** 1.5 | 2 ** lib.tanh({0}) | {0} * 0.5 | {0} + 1.25 | 1 - {0} | {0} / 3 | 2 / ({0} * {0} + 2)
{0}.clamp(-1, 1) | {0}.clamp(min=0.1) | {0}.detach() | {0} - {0}.floor() | {0} + lib.sign({0})
{0} * lib.round({0}).detach() | lib.trunc({0} * 2) + {0} | {0}.clone() | {0}.to({0}.dtype)
lib.where({0} > 0, {0}, {0} * 0.1) | {0}.masked_fill({0} > 1, 0.5) | {0} * ({0} > 0) | {0} * ({0} < 0.5).to({0}.dtype)
lib.cat([{0}, {0} * 2], 0)[: {0}.shape[0]] | lib.stack([{0}, {0}.tanh()]).sum(0) | lib.zeros_like({0}) + {0}
{0}.flip(0) | {0}.contiguous() | ({0}.tanh() + 1).mul_(2) | ({0} * 1).add_(0.5) | lib.addcmul({0}, {0}, {0}, value=0.5)
lib.addcdiv({0}, {0}, {0} ** 2 + 1, value=0.5) | lib.lerp({0}, {0}.tanh(), 0.3)
({0} + 0.5).sigmoid_() | ({0} + 0.5).relu_() | ({0} - 1).abs_() | ({0} * 2).neg_() | ({0} + 1).clamp_(-0.5, 1)
({0} + 1).tanh_() | ({0}.abs() + 1).sqrt_() | ({0} + 1).pow_(2) | ({0} * 1).sub_(0.5) | ({0} * 1).div_(3)
({0} * 1).masked_fill_({0} > 0.5, 0.25) | ({0} * 1).lerp_({0}.tanh(), 0.3) | ({0}.clamp(max=1) * 1).exp_()
({0} * 1).addcmul_({0}, {0}, value=0.5) | {0} * {0}.ge(0.2) | {0} * lib.logical_and({0} > -1, {0} < 1)
{0} * lib.logical_xor({0} > -1, {0} > 1) | {0} * (~({0} > 0)) | {0} + lib.ceil({0}).detach()
{0} * {0}.isnan().logical_not()
lib.div({0}, 0.7, rounding_mode="floor") + {0} | lib.pow({0}.abs() + 0.2, 0.5) | {0} - {0}.remainder(0.7).detach()
lib.cat([{0}[:0], {0}], 0) | {0}[:0].sum() + {0} | {0}.mean() * {0} | lib.ones_like({0}) * {0}
lib.full_like({0}, 0.5) + {0}
{0}.reshape(-1).view_as({0}) | {0}.flatten().reshape({0}.shape) | {0}.unsqueeze(0).squeeze(0)
{0}[None, ..., None][0, ..., 0]
{0} * lib.arange({0}.shape[-1]).to({0}.dtype) | {0} + lib.linspace(0, 1, {0}.shape[-1], dtype=lib.float64).to({0}.dtype)
{0} * ({0} > 0).sum().to({0}.dtype) * 0.05 | {0} + {0}.argmax(0).to({0}.dtype) * 0.1 | {0} * {0}.double().to({0}.dtype)
lib.roll({0}, 1, 0) | lib.roll({0}, 1) | {0}.movedim(0, -1).tanh().movedim(-1, 0) | lib.atan({0}) | lib.asinh({0})
lib.acosh({0}.abs() + 1.5) | lib.atanh({0}.tanh() * 0.8) | lib.asin({0}.tanh() * 0.8) | lib.acos({0}.tanh() * 0.8)
lib.log10({0}.abs() + 0.5) | lib.repeat_interleave({0}, 2, 0)[::2] | lib.tile({0}, (2,))[..., : {0}.shape[-1]]
lib.einsum("...i,...i->...", {0}, {0}).unsqueeze(-1) * 0.1 + {0} | {0}[:] * 2 | {0}[...].view({0}.shape) + 0.5
{0}.swapaxes(0, -1).clone().swapaxes(0, -1) | lib.ravel({0}).reshape({0}.shape)
{0} + ({0} * 50).clamp(-200, 200).to(lib.int32).to({0}.dtype) * 0.01 | {0}.new_full({0}.shape, 0.3) + {0}
lib.tan(lib.tanh({0})) | lib.sinh(lib.tanh({0})) | lib.cosh(lib.tanh({0})) | lib.exp2(lib.tanh({0})) | lib.sinc({0})
lib.erfc({0}) | lib.erfinv(lib.tanh({0}) * 0.9) | lib.lgamma({0}.abs() + 0.5) | lib.digamma({0}.abs() + 0.5)
lib.i0(lib.tanh({0})) | lib.logit(lib.sigmoid({0})) | lib.special.log_ndtr({0}) | {0}.nan_to_num() | lib.deg2rad({0})
lib.hypot({0}, {0} * 0.5 + 1) | lib.atan2({0}, {0}.abs() + 1) | lib.xlogy({0}, {0}.abs() + 0.5) | {0} * lib.signbit({0})
lib.copysign({0}, {0}.cos()) | {0}.fmax({0}.cos()) | lib.special.entr({0}.abs() + 0.1)
lib.ldexp({0}, {0}.new_ones(()))
{0}.cumsum(0) * 0.3 | {0}.cumsum(-1) * 0.2 | lib.tanh({0}).cumprod(-1) | lib.logcumsumexp({0}, 0) | {0}.cummax(0).values
lib.cummin({0}, -1).values | lib.diff({0}, dim=0, prepend={0}[:1]) | lib.tanh({0}).prod(0, keepdim=True) + {0}
lib.sort({0}, dim=0, stable=True).values | lib.sort({0}, dim=-1, descending=True, stable=True).values * {0}
{0} * {0}.detach().topk(1, 0).values | {0} + {0}.detach().median() | {0}.masked_scatter({0} > 0, {0}.flip(0))
{0} + lib.bucketize({0}.detach(), lib.linspace(-1, 1, 5, dtype=lib.float64).to({0}.dtype)).to({0}.dtype) * 0.1
{0} - lib.nansum({0}, 0)
lib.masked.sum({0}, -1, keepdim=True, mask={0} > 0) * 0.1 + {0} | lib.masked.cumsum({0}, 0, mask={0} > 0) * 0.3
lib.special.zeta(2.5, {0}.abs() + 0.5) | lib.narrow_copy({0}, 0, 0, {0}.shape[0])
lib.frac({0}) + {0} | {0} * 2 - lib.fmod({0}, 0.7) | lib.aminmax({0}, dim=0, keepdim=True).max * {0}
{0}.diag_embed().sum(-1)
lib.heaviside({0}.detach(), lib.tensor(0.5).to({0}.dtype)) * {0} | lib.float_power({0}.abs() + 0.1, 1.5).to({0}.dtype)
lib.logaddexp2({0}, {0} * 0.5)
lib.special.i0e({0}) | lib.special.i1({0}.tanh()) | lib.special.i1e({0}) | lib.special.ndtr({0})
lib.special.erfcx({0}.tanh())
lib.polygamma(1, {0}.abs() + 0.5) | lib.mvlgamma({0}.abs() + 2, 2) | lib.take_along_dim({0}, {0}.argsort(0), 0)
lib.var_mean({0}, 0, keepdim=True, correction=0)[1] * {0}
lib.std_mean({0} + 1, -1, keepdim=True, correction=0)[1] - {0}
lib.quantile({0}.double(), 0.3).to({0}.dtype) + {0} | lib.kthvalue({0}, 1, 0).values + {0} | lib.nanmean({0}, 0) + {0}
{0}.unfold(0, 1, 1).squeeze(-1) * 1 | lib.select_scatter({0}, {0}[0] * 2, 0, 0)
lib.slice_scatter({0}, {0}[:1] * 2, 0, 0, 1)
{0}.index_copy(0, lib.tensor([0]), {0}[-1:] * 2) | ({0} * 1).index_reduce_(0, lib.tensor([0]), {0}[-1:].tanh(), "amax")
{0} * lib.isin(({0} * 3).round().to(lib.int32), lib.tensor([0, 1], dtype=lib.int32))
F.prelu({0}, {0}.new_full((1,), 0.2))
F.rrelu({0}) | F.layer_norm({0} + lib.arange({0}.shape[-1]).to({0}.dtype), {0}.shape[-1:])
F.rms_norm({0}, {0}.shape[-1:])
{0}.unflatten(0, (-1, 1)).flatten(0, 1) | lib.count_nonzero({0}, 0) * 0.1 + {0}
{0} + lib.histc({0}.detach(), 4, -2, 2)[0] * 0.01
{0}.tensor_split(1, -1)[0] * 2 | lib.atleast_3d({0}).reshape({0}.shape) | lib.special.xlog1py({0}, {0}.abs())
lib.sgn({0}) * {0}
lib.where({0}.isneginf(), 0.0, {0}) | {0}.unbind(0)[0] + {0} | lib.subtract({0}, {0}.flip(-1), alpha=0.5)
lib.rsub({0}, 1)
lib.block_diag({0}.reshape(1, -1)).reshape({0}.shape) | lib.clamp_min({0}, 0.1) | lib.clamp_max({0}, 0.4)
{0}.sum_to_size({0}.shape)
lib.deg2rad({0} * 60).sin() | lib.true_divide({0}, 3) | lib.dstack([{0}, {0}]).sum() * 0.01 + {0}
lib.nanmedian({0}.detach()) + {0}
{0}.clamp({0}.detach() * 0.5 - 0.1, {0}.detach().abs() + 0.1)
lib.as_strided({0}.contiguous(), {0}.shape, {0}.contiguous().stride())
({0} * 1).unfold(0, 1, 1).mul_(2).squeeze(-1) | {0}.argsort(-1).argsort(-1).to({0}.dtype) * 0.1 + {0}
{0}.view_as({0}).add(1)
{0}.take(lib.tensor([0])) + {0} | {0}.put(lib.tensor([0]), {0}.reshape(-1)[-1:]) | {0}.narrow(0, 0, 1) + {0}
{0}.index_fill(0, lib.tensor([0]), 0.5) | ({0} * 1).scatter_(0, lib.zeros({0}.shape, dtype=lib.int64)[:1], {0}[:1] * 2)
"""
"""Functions of one value that keep its shape."""

INTEGERS = """
{0} * (({1} * 7 + 3) % 5).to({0}.dtype) | {0} + ({1} // 3 - 2).to({0}.dtype) | {0} * ({1} == 2)
{0} + ({1}.to(lib.int8) * 50).to({0}.dtype) * 0.01 | {0} - ({1}.to(lib.uint8) - 3).to({0}.dtype) * 0.01
{0} * ({1} & 3) | {0} * (({1} ^ 5) - ({1} * 2)) * 0.1 | lib.where({1} > 4, {0}, {0} * 0.5) | {0} * {1}.clamp(1, 4)
{0} + (-{1}).remainder(4) * 0.1 | {0} + {1}.to(lib.int16).sum() * 0.01 | {0} * lib.maximum({1}, {1} * 0 + 2)
{0} * lib.bitwise_or({1} << 2, 4) * 0.1
{0} + ({1} >> 1)
{0} * F.one_hot({1}, 9).sum(-1).to({0}.dtype) | {0} + lib.floor_divide({1}, -4) * 0.1
{0} + lib.sort({1}, -1).values * 0.1
{0} * {1}.bitwise_and(3).bool() | {0} + {1}.prod(-1, keepdim=True).remainder(7) * 0.1 | {0} + {1}.cumsum(-1) * 0.01
{0} + {1}.diff(dim=0, prepend={1}[:1]) * 0.1 | {0} * lib.isin({1}, lib.tensor([1, 5])) | {0} + {1}.roll(1).fmod(3) * 0.1
{0} + F.embedding({1}, {0}.reshape(-1)[:1].expand(9, 1)).squeeze(-1) | {0} + ({1}.double().log1p()).to({0}.dtype) * 0.1
{0} + {1}.amax() * 0.1 | {0} * (1 + {1}.float().mean()).to({0}.dtype) | {0} / ({1} + 1) | {0} ** ({1} % 3 + 1)
"""
"""Functions of a value and of integers from 0 to 8 of the same shape."""

EFFECTS = """
halves_written({0}) | doubled_rows({0}) | hooked({0}) | sloped({0}) | frozen({0}) | attacked({0}) | penalised({0})
column_added({0}) | looped({0}) | view_kept({0}) | layered({0}) | reordered({0})
"""
"""Functions of :data:`tests.fuzz.program.EFFECTS`."""

BINARY = """
{0} + {1} | {0} - {1} | {0} * {1} | {0} / ({1} * {1} + 1) | lib.maximum({0}, {1}) | lib.minimum({0}, {1})
{0} + 0.5 * {1} | lib.where({0} > {1}, {0}, {1} * 2)
lib.lerp({0}, {1}.to({0}.dtype), 0.25) | lib.add({0}, {1}, alpha=2)
lib.logaddexp({0}, {1}) | lib.hypot({0} + 3, {1}) | lib.fmin({0}, {1}) | {1} + {0} * lib.isclose({0}, {1}.to({0}.dtype))
({0} - {1}) ** 2 | lib.sub({0}, {1}, alpha=0.5) | {0} * lib.sigmoid({1}) | {1} + lib.where({1} > 0, {0}, 0.0)
"""
"""Functions of two values that broadcast."""

HALVES = """
{0}.to(lib.bfloat16).float() | {0}.to(lib.float16).tanh().float() | ({0}.bfloat16() * 1.5).to(lib.float32)
"""
"""Functions of one value that compute in 16 bits."""


FRACTIONS = "lib.linspace({}, 1, {}, dtype=lib.float64).to({{0}}.dtype)"
"""So many numbers up to 1, computed in float64: PyTorch's last place in float32 depends on the width of vectors."""


def choices(table: str) -> list[str]:
    return [code.strip() for code in table.strip().replace("\n", "|").split("|")]


class Draft:
    """The statements so far. A method draws one statement over a value, or gives None where the value does not fit."""

    def __init__(self, rng: random.Random, halves: bool) -> None:
        self.rng = rng
        self.halves = halves
        self.statements: list[Statement] = []

    # The values there are

    def name(self, letter: str = "h") -> str:
        return f"{letter}{len(self.statements)}"

    def floats(self) -> list[Statement]:
        return [s for s in self.statements if s.kind == "float"]

    def pick(self, fits: Callable[[Statement], bool] = lambda s: True) -> Statement | None:
        """A value that fits, one of the last rather than one of the first."""
        found = [s for s in self.floats() if fits(s)]
        return self.rng.choice(found + found[-4:] * 2) if found else None

    def add(
        self, code: str, operands: list[Statement], shape: Shape, setup: str = "", random: bool = False
    ) -> Statement:
        read = operands[:1] if code.endswith(".detach())") else operands
        grad = (any(s.grad for s in read) and not code.endswith(".detach()")) or bool(setup)
        statement = Statement(
            self.name(), code, tuple(s.name for s in operands), shape, setup=setup, grad=grad, random=random
        )
        self.statements.append(statement)
        return statement

    def argument(self, *shape: int) -> Statement:
        name = self.name("x")
        made = Statement(
            name, "", (), shape, argument=f"lib.tensor({_call('numbers', name, *shape, 'call=call')})", grad=False
        )
        self.statements.append(made)
        return made

    def indices(self, size: int, *shape: int) -> Statement:
        name = self.name("i")
        code = f"lib.tensor({_call('indices', name, size, *shape, 'call=call')})"
        made = Statement(name, "", (), shape, kind="int", argument=code, grad=False)
        self.statements.append(made)
        return made

    def number(self, x: Statement) -> Statement:
        """A Python number as an argument, which changes from call to call."""
        name = self.name("k")
        value = self.rng.choice(["1 + call % 2", "0.5 + call", "call > 1", "2", "call", "call - 1"])
        made = Statement(name, "", (), (), kind="number", argument=value, grad=False)
        self.statements.append(made)
        code = self.rng.choice(["{0} * {1}", "{0} + {1} * 0.5", "{0} / ({1} + 1)", "({0} if {1} > 1 else {0} * 0.5)"])
        return self.add(code, [x, made], x.shape)

    def object(self, x: Statement) -> Statement | None:
        """An object as an argument, of which a number and a flag change from call to call."""
        name = self.name("k")
        argument = self.rng.choice(["Namespace(scale=0.5 + call, on=call > 1)", "Namespace(scale=call, on=True)"])
        made = Statement(name, "", (), (), kind="number", argument=argument, grad=False)
        self.statements.append(made)
        code = self.rng.choice(["{0} * {1}.scale if {1}.on else {0} * 0.5", "{0} + {1}.scale * 0.1"])
        return self.add(f"({code})", [x, made], x.shape)

    def written(self, x: Statement) -> Statement | None:
        """An argument that the step writes in place, as a whole or a part of it."""
        if not x.shape:
            return None
        made = self.argument(*x.shape)
        write = self.rng.choice(
            ["{1}.mul_(0.5)", "{1}[0].add_(1)", "{1}.copy_({0}.detach())", "{1}.view(-1)[0:1].zero_()"]
        )
        return self.add(f"({write}, {{0}} * {{1}})[1]", [x, made], x.shape)

    def parameter(self, *shape: int) -> Statement:
        name = self.name("w")
        setup = f"nn.Parameter(lib.tensor({_call('numbers', name, *shape)}) * 0.5)"
        made = Statement(name, "", (), shape, setup=setup)
        self.statements.append(made)
        return made

    def module(self, x: Statement, make: str, shape: Shape, code: str = "{m}({0})", random: bool = False) -> Statement:
        return self.add(code, [x], shape, f'filled("{self.name()}", nn.{make})', random)

    # Statements

    def pointwise(self, x: Statement) -> Statement | None:
        code = self.rng.choice(choices(POINTWISE) + (choices(HALVES) * 4 if self.halves else []))
        return self.add(code, [x], x.shape) if x.shape else None

    def integers(self, x: Statement) -> Statement | None:
        if not x.shape:
            return None
        return self.add(self.rng.choice(choices(INTEGERS)), [x, self.indices(9, *x.shape)], x.shape)

    def effect(self, x: Statement) -> Statement | None:
        return self.add(self.rng.choice(choices(EFFECTS)), [x], x.shape) if x.shape and x.grad else None

    def binary(self, x: Statement) -> Statement | None:
        y = self.pick(lambda s: _broadcast(x.shape, s.shape) is not None)
        if y is None:
            return None
        operands = [x, y] if self.rng.random() < 0.5 else [y, x]
        return self.add(self.rng.choice(choices(BINARY)), operands, _broadcast(x.shape, y.shape) or ())

    def with_parameter(self, x: Statement) -> Statement | None:
        """A parameter of the trailing dimensions, or of some of them."""
        keep = self.rng.randint(0, len(x.shape))
        shape = tuple(n if self.rng.random() < 0.7 else 1 for n in x.shape[len(x.shape) - keep :])
        w = self.parameter(*shape)
        return self.add(self.rng.choice(["{0} * {1}", "{0} + {1}", "{0} - {1}", "{1} * {0}.tanh()"]), [x, w], x.shape)

    def reduction(self, x: Statement) -> Statement | None:
        rank = len(x.shape)
        if not rank:
            return None
        axes = sorted(self.rng.sample(range(rank), self.rng.randint(1, rank)))
        keep = self.rng.random() < 0.5
        kind = self.rng.choice("sum mean amax amin logsumexp norm norm3 var std all max min".split())
        few = prod(x.shape[a] for a in axes) < 2
        if kind in ("var", "std") and few:
            return None
        if kind == "all":
            return self.add(self.rng.choice(["{0}.mean()", "{0}.sum() * 0.1", "{0}.max()", "{0}.norm()"]), [x], ())
        if kind in ("max", "min"):
            axes = axes[:1]
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keep or a not in axes)
        dim = axes[0] if len(axes) == 1 else tuple(a - rank if self.rng.random() < 0.3 else a for a in axes)
        code = {
            "max": f"lib.max({{0}}, {dim}, {keep})[0]",
            "min": f"lib.min({{0}}, {dim}, {keep})[0]",
            "norm": f"lib.norm({{0}}, p=2, dim={dim}, keepdim={keep})",
            "norm3": f"lib.norm({{0}}, p=3, dim={dim}, keepdim={keep})",
            "sum": f"lib.sum({{0}}, {dim}, {keep}) * 0.3",
            "var": f"lib.var({{0}}, {dim}, keepdim={keep})",
            "std": f"lib.std({{0}}, {dim}, keepdim={keep})",
        }.get(kind, f"lib.{kind}({{0}}, {dim}, {keep})")
        return self.add(code, [x], shape)

    def along(self, x: Statement) -> Statement | None:
        if not x.shape:
            return None
        d = self.rng.randrange(-len(x.shape), len(x.shape))
        names = ["F.softmax", "F.log_softmax", "F.softmin", "lib.softmax"]
        if self.rng.random() < 0.3:
            return self.add(f"F.normalize({{0}}, dim={d})", [x], x.shape)
        return self.add(f"{self.rng.choice(names)}({{0}}, dim={d})", [x], x.shape)

    def along_an_axis(self, x: Statement) -> Statement | None:
        """Scans, sorts and diagonals."""
        rank = len(x.shape)
        if not rank:
            return None
        d = self.rng.randrange(rank)
        codes = [
            "lib.cumsum({0}, D) * 0.3",
            "lib.cummax({0}, D)[0]",
            "lib.sort({0}, D)[0]",
            "lib.logcumsumexp({0}, D) * 0.3",
        ]
        codes += [
            "lib.sort({0}, D, True)[0]",
            "lib.topk({0}, N, D)[0]",
            "lib.flip({0}, (D,))",
            "lib.cumprod({0}.tanh(), D)",
        ]
        if rank > 1 and self.rng.random() < 0.2:
            n = min(x.shape[0], x.shape[1])
            return self.add("{0}.diagonal(0, 0, 1)", [x], (*x.shape[2:], n))
        code = self.rng.choice(codes).replace("D", str(d)).replace("N", str(x.shape[d]))
        return self.add(code, [x], x.shape)

    def view(self, x: Statement) -> Statement | None:
        rng, rank, shape = self.rng, len(x.shape), x.shape
        if not rank:
            return self.add("{0}.reshape(1)", [x], (1,))
        kind = rng.choice(
            "permute flatten slice unsqueeze expand transpose chunk select triangle repeat pad step".split()
        )
        if kind == "permute":
            order = rng.sample(range(rank), rank)
            return self.add(f"{{0}}.permute({', '.join(map(str, order))})", [x], tuple(shape[a] for a in order))
        if kind == "flatten":
            return self.add("{0}.flatten()", [x], (prod(shape),))
        a = rng.randrange(rank)
        if kind in ("slice", "step") and shape[a] > 1:
            low = rng.randrange(shape[a] - 1)
            high, step = rng.randint(low + 1, shape[a]), rng.choice([1, 1, 2])
            index = ", ".join([":"] * a + [f"{low}:{high}" + (f":{step}" if step > 1 else "")])
            return self.add(f"{{0}}[{index}]", [x], (*shape[:a], -(-(high - low) // step), *shape[a + 1 :]))
        if kind == "unsqueeze" and rank < 5:
            return self.add(f"{{0}}.unsqueeze({a})", [x], (*shape[:a], 1, *shape[a:]))
        if kind == "expand" and rank < 5:
            n = rng.choice([2, 3])
            sizes = ", ".join(map(str, (n, *shape)))
            return self.add(f"{{0}}.expand({sizes})", [x], (n, *shape))
        if kind == "transpose" and rank > 1:
            order = [*range(rank - 2), rank - 1, rank - 2]
            return self.add("{0}.transpose(-1, -2)", [x], tuple(shape[k] for k in order))
        if kind == "chunk" and shape[a] > 1:
            half = -(-shape[a] // 2)
            return self.add(f"{{0}}.chunk(2, {a})[0]", [x], (*shape[:a], half, *shape[a + 1 :]))
        if kind == "select":
            return self.add(f"{{0}}.select({a}, {rng.randrange(shape[a])})", [x], (*shape[:a], *shape[a + 1 :]))
        if kind == "triangle" and rank > 1:
            return self.add(f"lib.{rng.choice(['tril', 'triu'])}({{0}}, {rng.randint(-1, 1)})", [x], shape)
        if kind == "repeat":
            return self.add(f"{{0}}.repeat({', '.join(['2'] + ['1'] * (rank - 1))})", [x], (2 * shape[0], *shape[1:]))
        if kind == "pad":
            low, high = rng.randint(0, 2), rng.randint(0, 2)
            return self.add(f"F.pad({{0}}, ({low}, {high}))", [x], (*shape[:-1], shape[-1] + low + high))
        return None

    def reshape(self, x: Statement) -> Statement | None:
        if len(x.shape) < 2:
            return None
        a = self.rng.randrange(len(x.shape) - 1)
        shape = (*x.shape[:a], x.shape[a] * x.shape[a + 1], *x.shape[a + 2 :])
        return self.add(f"{{0}}.reshape({', '.join(map(str, shape))})", [x], shape)

    def join(self, x: Statement) -> Statement | None:
        y = self.pick(lambda s: len(s.shape) == len(x.shape) > 0 and s.shape[1:] == x.shape[1:])
        assert y is not None or not x.shape
        if y is None:
            return None
        if x.shape == y.shape and self.rng.random() < 0.5:
            return self.add("lib.stack([{0}, {1}], 1)", [x, y], (x.shape[0], 2, *x.shape[1:]))
        return self.add("lib.cat([{0}, {1}], 0)", [x, y], (x.shape[0] + y.shape[0], *x.shape[1:]))

    def product(self, x: Statement) -> Statement | None:
        if not x.shape:
            return None
        n, out = x.shape[-1], self.rng.choice([1, 3, 5, 8, 16, 17])
        if self.rng.random() < 0.5:
            bias = ", bias=False" if self.rng.random() < 0.3 else ""
            return self.module(x, f"Linear({n}, {out}{bias})", (*x.shape[:-1], out))
        y = self.pick(lambda s: len(s.shape) == len(x.shape) > 1 and s.shape[:-2] == x.shape[:-2] and s.shape[-1] == n)
        if y is not None and self.rng.random() < 0.7:
            return self.add("lib.matmul({0}, {1}.transpose(-1, -2)) * 0.3", [x, y], (*x.shape[:-1], y.shape[-2]))
        return self.add("{0} @ {1}", [x, self.parameter(n, out)], (*x.shape[:-1], out))

    def normalization(self, x: Statement) -> Statement | None:
        rank, shape = len(x.shape), x.shape
        if not rank or shape[-1] < 2:
            return None
        kind = self.rng.choice(["LayerNorm", "RMSNorm", "GroupNorm", "BatchNorm"])
        if kind in ("LayerNorm", "RMSNorm"):
            return self.module(x, f"{kind}({shape[-1]})", shape)
        if kind == "GroupNorm" and rank > 1 and prod(shape[1:]) > 2:
            groups = self.rng.choice([g for g in (1, 2, 3) if shape[1] % g == 0])
            return self.module(x, f"GroupNorm({groups}, {shape[1]})", shape) if prod(shape[1:]) // groups > 1 else None
        if kind == "BatchNorm" and 2 <= rank <= 4 and shape[0] > 2:
            options = self.rng.choice(["", ", affine=False", ", momentum=None", ", track_running_stats=False"])
            return self.module(x, f"BatchNorm{max(rank - 2, 1)}d({shape[1]}{options})", shape)
        return None

    def convolution(self, x: Statement) -> Statement | None:
        rank = len(x.shape) - 2
        if rank not in (1, 2) or x.shape[0] > 16:
            return None
        channels, image, k = x.shape[1], x.shape[2:], self.rng.choice([1, 2, 3])
        stride, padding = self.rng.choice([1, 2]), self.rng.choice([0, 1]) if k > 1 else 0
        if min(image) + 2 * padding < k:
            return None
        kind = self.rng.choice(["conv", "conv", "transpose", "max", "avg", "adaptive"])
        if kind == "adaptive":
            n = self.rng.choice([1, 2, 3])
            name = self.rng.choice(["Avg", "Max"])
            return self.add(f"F.adaptive_{name.lower()}_pool{rank}d({{0}}, {n})", [x], (*x.shape[:2], *(n,) * rank))
        if kind == "transpose":
            out = self.rng.choice([1, 3, 4])
            size = tuple((n - 1) * stride - 2 * padding + k for n in image)
            if min(size) < 1:
                return None
            make = f"ConvTranspose{rank}d({channels}, {out}, {k}, stride={stride}, padding={padding})"
            return self.module(x, make, (x.shape[0], out, *size))
        size = tuple((n + 2 * padding - k) // stride + 1 for n in image)
        if kind == "conv":
            groups = channels if self.rng.random() < 0.2 else 1
            out = channels if groups > 1 else self.rng.choice([1, 3, 4, 8])
            make = f"Conv{rank}d({channels}, {out}, {k}, stride={stride}, padding={padding}, groups={groups})"
            return self.module(x, make, (x.shape[0], out, *size))
        padding = min(padding, k // 2)
        size = tuple((n + 2 * padding - k) // stride + 1 for n in image)
        return self.add(f"F.{kind}_pool{rank}d({{0}}, {k}, {stride}, {padding})", [x], (*x.shape[:2], *size))

    def window(self, x: Statement) -> Statement | None:
        """Convolutions and windows with dilation and groups, ``unfold`` and ``fold``, in one to three dimensions."""
        rng, rank, shape = self.rng, len(x.shape) - 2, x.shape
        if rank not in (1, 2, 3) or shape[0] > 16:
            return None
        if rank == 2 and min(shape[2:]) > 1 and rng.random() < 0.3:
            count = (shape[2] - 1) * (shape[3] - 1)
            if rng.random() < 0.5:
                return self.add("F.unfold({0}, 2)", [x], (shape[0], 4 * shape[1], count))
            code = f"F.fold(F.unfold({{0}}, 2, padding=1), ({shape[2]}, {shape[3]}), 2, padding=1)"
            return self.add(code, [x], shape)
        k, d, p, stride = rng.choice([1, 2, 3]), rng.choice([1, 2]), rng.choice([0, 1, 2]), rng.choice([1, 2, 3])
        size = tuple((n + 2 * p - d * (k - 1) - 1) // stride + 1 for n in shape[2:])
        if min(size) < 1 or min(n + 2 * p - d * (k - 1) for n in shape[2:]) < 1:
            return None
        if p <= k // 2 and rng.random() < 0.3:
            if d > 1 or rng.random() < 0.5:
                if d > 1 and min(shape[2:]) <= d * (k - 1):
                    return None  # PyTorch's gradient of a window that sees no place of the image writes out of bounds
                return self.add(f"F.max_pool{rank}d({{0}}, {k}, {stride}, {p}, {d})", [x], (*shape[:2], *size))
            code = f"F.avg_pool{rank}d({{0}}, {k}, {stride}, {p}, count_include_pad=False)"
            return self.add(code, [x], (*shape[:2], *size))
        groups = rng.choice([g for g in (1, 2, 3, shape[1]) if shape[1] % g == 0])
        out = groups * rng.choice([1, 2])
        options = f"stride={stride}, padding={p}, dilation={d}, groups={groups}, bias={rng.random() < 0.5}"
        return self.module(x, f"Conv{rank}d({shape[1]}, {out}, {k}, {options})", (shape[0], out, *size))

    def image(self, x: Statement) -> Statement | None:
        """Images in another size, read at given places, shuffled, padded and pooled in other ways."""
        rng, rank, shape = self.rng, len(x.shape) - 2, x.shape
        if rank not in (1, 2, 3) or prod(shape) > 600:
            return None
        lead, image = shape[:2], shape[2:]
        smooth = ("linear", "bilinear", "trilinear")[rank - 1]
        size, twice = tuple(rng.choice([1, 2, 3, 5]) for _ in image), tuple(2 * n for n in image)
        found = [
            ("F.interpolate({0}, scale_factor=2)", (*lead, *twice)),
            (f'F.interpolate({{0}}, {size}, mode="nearest-exact")', (*lead, *size)),
            (f'F.interpolate({{0}}, {size}, mode="{smooth}")', (*lead, *size)),
            (f'F.interpolate({{0}}, scale_factor=2, mode="{smooth}", align_corners=True)', (*lead, *twice)),
            (f'F.interpolate({{0}}, {size}, mode="area")', (*lead, *size)),
            ("F.local_response_norm({0}, 2, alpha=0.5)", shape),
            (f"{{0}}.unfold({rank}, 1, 1)", (*shape, 1)),
            (f"F.lp_pool{rank}d({{0}}.abs() + 0.1, 2, 1)", shape),
            ("F.channel_shuffle({0}, 1)", shape),
            (f"F.adaptive_max_pool{rank}d({{0}}, 2, return_indices=True)[0]", (*lead, *(2,) * rank)),
            (f'F.pad({{0}}, (1, 0) * {rank}, mode="replicate")', (*lead, *(n + 1 for n in image))),
            (f'F.pad({{0}}, (1, 1) * {rank}, mode="circular")', (*lead, *(n + 2 for n in image))),
            (f"F.max_unpool{rank}d(*F.max_pool{rank}d({{0}}, 1, return_indices=True), 1)", shape),
            (
                "F.interpolate({0}, scale_factor=1.5, recompute_scale_factor=True)",
                (*lead, *(n * 3 // 2 for n in image)),
            ),
        ]
        if min(image) > 1:
            found.append((f'F.pad({{0}}, (1, 1) * {rank}, mode="reflect")', (*lead, *(n + 2 for n in image))))
        if rank == 2:
            grid = f"F.affine_grid(lib.eye(2, 3).double().expand({shape[0]}, 2, 3) * 0.9, ({shape[0]}, 1, 3, 4), False)"
            padding = rng.choice(["zeros", "border", "reflection"])
            place = f'F.grid_sample({{0}}, {grid}.to({{0}}.dtype), padding_mode="{padding}", align_corners=False)'
            found += [(place, (*lead, 3, 4)), (f'F.interpolate({{0}}, {size}, mode="bicubic")', (*lead, *size))]
            if size[-1] > 1:  # PyTorch 2.13 is wrong for images of width 1
                found.append((f'F.interpolate({{0}}, {size}, mode="bilinear", antialias=True)', (*lead, *size)))
            if shape[1] % 4 == 0:
                found.append(("F.pixel_shuffle({0}, 2)", (shape[0], shape[1] // 4, 2 * image[0], 2 * image[1])))
        code, result = rng.choice(found)
        return self.add(code, [x], result)

    def layers(self, x: Statement) -> Statement | None:
        """Modules of other kinds."""
        shape = x.shape
        if not shape:
            return None
        n, rank = shape[-1], len(shape)
        found = [
            ("PReLU()", shape, "{m}({0})"),
            (f"Sequential(nn.Linear({n}, 4), nn.GELU(), nn.Linear(4, {n}))", shape, "{m}({0}) + {0}"),
            (f"ModuleList([nn.Linear({n}, {n}) for _ in range(3)])", shape, "{m}[2]({m}[0]({0}).tanh()) + {m}[1]({0})"),
            (f"Bilinear({n}, {n}, 3)", (*shape[:-1], 3), "{m}({0}, {0}.tanh())"),
            (f"utils.parametrizations.weight_norm(nn.Linear({n}, 3))", (*shape[:-1], 3), "{m}({0})"),
            (
                f"AdaptiveLogSoftmaxWithLoss({n}, 6, [2, 4], 1.0)",
                (prod(shape[:-1]), 6),
                f"{{m}}.log_prob({{0}}.reshape(-1, {n}))",
            ),
        ]
        if rank == 2:
            found += [(f"{cell}Cell({n}, 5)", (shape[0], 5), "{m}({0})") for cell in ("RNN", "GRU")]
            found += [
                (f"LSTMCell({n}, 5)", (shape[0], 5), "{m}({0})[1]"),
                (f"LSTMCell({n}, 4, bias=False)", (shape[0], 4), "{m}({0})[0]"),
            ]
            found.append((f'RNNCell({n}, 5, nonlinearity="relu")', (shape[0], 5), "{m}({0}, {m}({0}))"))
        if rank in (3, 4) and prod(shape[2:]) > 2:
            found.append((f"InstanceNorm{rank - 2}d({shape[1]}, affine=True)", shape, "{m}({0})"))
        if rank == 3 and shape[0] < 10:
            found.append((f"LSTM({n}, 3, batch_first=True, bidirectional=True)", (*shape[:2], 6), "{m}({0})[0]"))
        make, result, code = self.rng.choice(found)
        return self.module(x, make, result, code)

    def matrices(self, x: Statement) -> Statement | None:
        """Products by their names."""
        shape = x.shape
        if len(shape) == 1:
            code, result = self.rng.choice([("lib.dot({0}, {0})", ()), ("lib.outer({0}, {0})", (shape * 2))])
            return self.add(code, [x], result)
        if len(shape) == 2:
            n = shape[0]
            found = [
                ("lib.mm({0}, {0}.t()) * 0.3", (n, n)),
                ("lib.mv({0}, {0}[0]) * 0.3", (n,)),
                ("lib.addmm({0}[:, 0], {0}, {0}.T, beta=0.5, alpha=0.3)", (n, n)),
                ("F.linear({0}, {0} * 0.3, {0}[:, 0])", (n, n)),
                ("lib.cdist({0}, {0} * 0.3 + 1)", (n, n)),
                ("F.pairwise_distance({0}, {0} * 0.3 + 1)", (n,)),
                ("lib.cov({0} + lib.arange({0}.shape[1])) if {0}.shape[1] > 1 else {0} @ {0}.T", (n, n)),
                ("lib.addmv({0}[:, 0], {0}, {0}[0], alpha=0.3)", (n,)),
                ("lib.addr({0}, {0}[:, 0], {0}[0], alpha=0.3)", shape),
                ("lib.kron({0}, {0}[:1, :1]) * 0.3", shape),
                ("lib.tensordot({0}, {0} * 0.3, ([1], [1]))", (n, n)),
                ("lib.matrix_power({0} @ {0}.T * 0.1, 3)", (n, n)),
                ("lib.linalg.multi_dot([{0}, {0}.T, {0}]) * 0.1", shape),
                ("lib.renorm({0}, 2, 0, 1.0)", shape),
                ("{0}.rot90(1, (0, 1)).rot90(-1, (0, 1)) * 2", shape),
                ("lib.diagonal_scatter({0}, {0}.diagonal() * 2)", shape),
            ]
        elif len(shape) == 3:
            result = (shape[0], shape[1], shape[1])
            found = [
                ("lib.bmm({0}, {0}.mT) * 0.3", result),
                ("lib.baddbmm({0}[:, :, :1], {0}, {0}.transpose(1, 2), alpha=0.2)", result),
                ("lib.addbmm({0}[0, :, :1], {0}, {0}.mT, alpha=0.2)", shape[1:2] * 2),
                ("lib.cdist({0}, {0} * 0.3 + 1, p=1.0)", result),
                ('lib.einsum("bij,bkj->bik", {0}, {0}.tanh()) * 0.3', result),
            ]
        else:
            return None
        code, result = self.rng.choice(found)
        return self.add(code, [x], result)

    def reduced_loss(self, x: Statement) -> Statement | None:
        """Losses with each reduction, weights and ignored classes."""
        if len(x.shape) < 2 or x.shape[1] < 2:
            return None
        rng, rank = self.rng, len(x.shape)
        how = rng.choice(["none", "sum", "mean"])
        scale = " * 0.1" if how == "sum" else ""
        targets = (x.shape[0], *x.shape[2:])
        if rng.random() < 0.5:
            i = self.indices(x.shape[1], *targets)
            weight = f", weight={FRACTIONS.format(0.5, x.shape[1])}"
            more = rng.choice(["", ", ignore_index=1", weight, weight + ", ignore_index=0"])
            function = rng.choice(["cross_entropy", "cross_entropy", "nll_loss"])
            if function == "cross_entropy":
                more += rng.choice(["", ", label_smoothing=0.2"])
            code = f'F.{function}({{0}}, {{1}}, reduction="{how}"{more}){scale}'
            return self.add(code, [x, i], targets if how == "none" else ())
        if rng.random() < 0.15:
            more = rng.choice(
                [
                    "",
                    ", label_smoothing=0.1",
                    f", weight={FRACTIONS.format(0.5, x.shape[1])}",
                ]
            )
            code = f'F.cross_entropy({{0}}, {{0}}.detach().softmax(1), reduction="{how}"{more}){scale}'
            return self.add(code, [x], targets if how == "none" else ())
        if rank == 2 and rng.random() < 0.3:
            return self._row_loss(x, how, scale)
        codes = [
            "F.mse_loss({0}, {0}.detach() * 0.5", "F.l1_loss({0}, {0}.detach() * 0.5 + 0.1",
            "F.binary_cross_entropy({0}.sigmoid(), {0}.detach().tanh() ** 2",
            "F.binary_cross_entropy_with_logits({0}, {0}.detach().tanh() ** 2, pos_weight={0}.detach()[0] ** 2",
            "F.smooth_l1_loss({0}, {0}.detach() * 0.5", "F.kl_div({0}.log_softmax(-1), {0}.detach().softmax(-1)",
            "F.soft_margin_loss({0}, lib.ones_like({0})", "F.hinge_embedding_loss({0}, -lib.ones_like({0}), 0.7",
            "F.margin_ranking_loss({0}, {0} * 0.3 + 0.2, lib.ones_like({0}), 0.1",
            "F.triplet_margin_loss({0}, {0} * 0.3 + 0.2, {0} * 0.9 - 1",
            "F.poisson_nll_loss({0}.tanh(), {0}.detach() ** 2",
            "F.gaussian_nll_loss({0}, {0}.detach() * 0.5 + 0.1, {0}.cos() ** 2 + 0.1",
        ]  # fmt: skip
        chosen = rng.choice(codes)
        each = x.shape[:-1] if "triplet" in chosen else x.shape
        return self.add(f'{chosen}, reduction="{how}"){scale}', [x], each if how == "none" else ())

    def _row_loss(self, x: Statement, how: str, scale: str) -> Statement:
        """Losses of each row, with a class or several, and distances of rows."""
        rows, n = x.shape
        classes = self.indices(n, rows)
        code, shape = self.rng.choice(
            [
                ('F.multi_margin_loss({0}, {1}, margin=0.7, reduction="HOW")', (rows,)),
                ('F.multilabel_margin_loss({0}, F.one_hot({1}, N) * 2 - 1, reduction="HOW")', (rows,)),
                ('F.multilabel_soft_margin_loss({0}, F.one_hot({1}, N).to({0}.dtype), reduction="HOW")', (rows,)),
                ('F.cosine_embedding_loss({0}, {0} * {0} + 0.3, {1} % 2 * 2 - 1, 0.1, reduction="HOW")', (rows,)),
                ('F.triplet_margin_with_distance_loss({0}, {0} * 0.3, {0} - 1, margin=0.5, reduction="HOW")', (rows,)),
                (
                    'F.kl_div({0}.log_softmax(1), {0}.detach().log_softmax(1), log_target=True, reduction="HOW")',
                    x.shape,
                ),
                ('F.huber_loss({0}, {0}.detach() * 0.5, delta=0.3, reduction="HOW")', x.shape),
            ]
        )
        operands = [x, classes] if "{1}" in code else [x]
        code = code.replace("HOW", how).replace("N)", f"{n})") + scale
        return self.add(code, operands, shape if how == "none" else ())

    def attention(self, x: Statement) -> Statement | None:
        if len(x.shape) not in (3, 4):
            return None
        causal = self.rng.choice(["True", "False"])
        if len(x.shape) == 3 and self.rng.random() < 0.5:
            return self.heads(x)
        y = self.pick(lambda s: s.shape == x.shape)
        assert y is not None
        n = x.shape[-2]
        mask = self.rng.choice(
            [
                f"is_causal={causal}",
                f"is_causal={causal}, scale=0.5",
                f"attn_mask=lib.ones({n}, {n}).tril().bool()",
                f"attn_mask={FRACTIONS.format(-1, n)}.expand({n}, {n})",
            ]
        )
        return self.add(f"F.scaled_dot_product_attention({{0}}, {{1}}, {{0}}, {mask})", [x, y], x.shape)

    def heads(self, x: Statement) -> Statement:
        """Attention with several heads, masks and weights, and the layers of a transformer, over ``[N, L, E]``."""
        rng, (batch, length, width) = self.rng, x.shape
        heads = rng.choice([h for h in (1, 2, 3) if width % h == 0])
        kind = rng.choice(["plain", "plain", "options", "options", "weights", "encoder", "decoder", "other"])
        if kind in ("encoder", "decoder"):
            options = rng.choice(["", ', activation="gelu", norm_first=True', ", bias=False"])
            make = f"Transformer{kind.capitalize()}Layer({width}, {heads}, 8, dropout=0.0, batch_first=True{options})"
            mask = f"lib.ones({length}, {length}).triu(1).bool()"
            codes = {"encoder": ["{m}({0})", f"{{m}}({{0}}, src_mask={mask})"], "decoder": ["{m}({0}, {0}.tanh())"]}
            return self.module(x, make, x.shape, rng.choice(codes[kind]))
        if kind == "other":
            make = f"MultiheadAttention({width}, {heads}, kdim={width + 1}, vdim=2, batch_first=True)"
            return self.module(x, make, x.shape, "{m}({0}, F.pad({0}, (0, 1)), {0}[..., :1].expand(-1, -1, 2))[0]")
        make = (
            rng.choice(["", ", bias=False", ", add_bias_kv=True", ", add_zero_attn=True"]) if kind == "options" else ""
        )
        make = f"MultiheadAttention({width}, {heads}, batch_first=True{make})"
        if kind == "weights":
            average = rng.choice(["True", "False"])
            shape = (batch, length, length) if average == "True" else (batch, heads, length, length)
            return self.module(x, make, shape, f"{{m}}({{0}}, {{0}}, {{0}}, average_attn_weights={average})[1]")
        mask = rng.choice(
            [
                "",
                f", attn_mask=lib.ones({length}, {length}).triu(1).bool()",
                f", attn_mask={FRACTIONS.format(-1, length)}.expand({length}, {length})",
                f", key_padding_mask=(lib.arange({length}) > 0).logical_not().expand({batch}, {length})",
            ]
        )  # the last one keeps a key of each row, if there are several
        if "padding" in mask and length == 1:
            mask = ""
        return self.module(x, make, x.shape, f"{{m}}({{0}}, {{0}}, {{0}}, need_weights=False{mask})[0]")

    def recurrent(self, x: Statement) -> Statement | None:
        if len(x.shape) != 3 or x.shape[0] > 9:
            return None
        time, batch, n = x.shape
        kind, hidden = self.rng.choice(["RNN", "LSTM", "GRU", "scan"]), self.rng.choice([1, 4, 7])
        if kind == "scan":
            w = self.parameter(n)
            body = "lambda h, x: (lib.tanh(h * 0.5 + x * {1}).to(h.dtype), h * x)"  # autocast may widen the carry
            part = self.rng.choice(["0", "1"]) if x.shape[0] > 1 else "0"  # after one iteration y depends on no carry
            return self.add(f"scan({body}, {{0}}[0] * 0, {{0}})[{part}]", [x, w], x.shape[1 - int(part) :])
        options = {"RNN": ', nonlinearity="relu"', "LSTM": ", proj_size=2", "GRU": ", bias=False"}[kind]
        plain = self.rng.random() < 0.5 or (kind == "LSTM" and hidden < 3)
        width = 2 if kind == "LSTM" and not plain else hidden
        make = f"{kind}({n}, {hidden}, num_layers={self.rng.choice([1, 1, 2])}{'' if plain else options})"
        if self.rng.random() < 0.3:  # the sequences of a batch end at different times
            lengths = [time, *(self.rng.randint(1, time) for _ in range(batch - 1))]
            packed = f"nn.utils.rnn.pack_padded_sequence({{0}}, {lengths}, enforce_sorted=False)"
            code = f"nn.utils.rnn.pad_packed_sequence({{m}}({packed})[0])[0]"
            return self.module(x, make, (time, batch, width), code)
        if self.rng.random() < 0.3:
            layers = 2 if "num_layers=2" in make else 1
            last = "[1][0]" if kind == "LSTM" else "[1]"
            return self.module(x, make, (layers, batch, width), "{m}({0})" + last)
        return self.module(x, make, (time, batch, width), "{m}({0})[0]")

    def lookup(self, x: Statement) -> Statement | None:
        if not x.shape or x.shape[0] < 2:
            return None
        kind = self.rng.choice(["embedding", "index", "gather", "choose", "scatter", "reduce", "rows", "put"])
        count = self.rng.choice([1, 3, 6])
        if kind == "embedding":
            i, width = self.indices(11, x.shape[0]), self.rng.choice([1, 4, 6])
            if self.rng.random() < 0.3:
                i, mode = self.indices(11, x.shape[0], 3), self.rng.choice(["sum", "mean", "max"])
                return self.module(i, f'EmbeddingBag(11, {width}, mode="{mode}")', (x.shape[0], width))
            options = self.rng.choice(["", "", ", padding_idx=2"])
            return self.module(i, f"Embedding(11, {width}{options})", (x.shape[0], width))
        if kind == "gather":
            i = self.indices(x.shape[0], *x.shape)
            return self.add("lib.gather({0}, 0, {1})", [x, i], x.shape)
        i = self.indices(x.shape[0], count)
        if kind == "scatter":
            row = "".join([", 1"] * (len(x.shape) - 1))
            places = f"{{1}}.reshape({count}{row}).expand_as({{0}}[{{1}}])"
            code = f"lib.zeros_like({{0}}).scatter_add(0, {places}, {{0}}[{{1}}])"
            return self.add(code, [x, i], x.shape)
        if kind == "reduce":
            row = "".join([", 1"] * (len(x.shape) - 1))
            how = self.rng.choice(["sum", "mean", "prod", "amax", "amin"])
            places = f"{{1}}.reshape({count}{row}).expand_as({{0}}[{{1}}])"
            code = f"lib.tanh({{0}}).scatter_reduce(0, {places}, {{0}}[{{1}}].cos(), '{how}')"
            return self.add(code, [x, i], x.shape)
        if kind == "rows":
            code = self.rng.choice(["index_add(0, {1}, {0}[{1}])", "index_put(({1},), {0}[{1}] * 2, accumulate=True)"])
            return self.add("lib.zeros_like({0})." + code, [x, i], x.shape)
        if kind == "choose":
            return self.add("lib.index_select({0}, 0, {1})", [x, i], (count, *x.shape[1:]))
        return self.add("{0}[{1}]", [x, i], (count, *x.shape[1:]))

    def loss(self, x: Statement) -> Statement | None:
        kind = self.rng.choice("mse l1 smooth huber bce kl ce ce smoothed nll cosine glu".split())
        if kind in ("ce", "smoothed", "nll"):
            if len(x.shape) != 2 or x.shape[1] < 2:
                return None
            i = self.indices(x.shape[1], x.shape[0])
            code = {
                "ce": "F.cross_entropy({0}, {1})",
                "smoothed": "F.cross_entropy({0}, {1}, label_smoothing=0.1)",
                "nll": "F.nll_loss(F.log_softmax({0}, 1), {1})",
            }[kind]
            return self.add(code, [x, i], ())
        if kind == "glu":
            if not x.shape or x.shape[-1] % 2:
                return None
            return self.add("F.glu({0})", [x], (*x.shape[:-1], x.shape[-1] // 2))
        y = self.pick(lambda s: s.shape == x.shape)
        if y is None or not x.shape or (kind == "cosine" and x.shape[0] == 1):
            return None  # the cosine of two numbers is 1 or -1, and its gradient is rounding noise
        code = {
            "mse": "F.mse_loss({0}, {1})",
            "l1": "F.l1_loss({0}, {1} * 0.5)",
            "smooth": "F.smooth_l1_loss({0}, {1}, beta=0.5)",
            "huber": "F.huber_loss({0}, {1}, delta=0.7)",
            "bce": "F.binary_cross_entropy_with_logits({0}, lib.sigmoid({1}).detach())",
            "kl": "F.kl_div(F.log_softmax({0}, -1), F.softmax({1}, -1), reduction='sum')",
            "cosine": "F.cosine_similarity({0}, {1} + 0.1, dim=0).mean()",
        }[kind]
        return self.add(code, [x, y], ())

    def dropout(self, x: Statement) -> Statement | None:
        if not x.shape:
            return None
        codes = [
            "F.dropout({0}, 0.3)",
            "F.dropout({0} + 1, 0.9)",
            "{0} * lib.rand_like({0})",
            "{0} + lib.randn_like({0})",
        ]
        if len(x.shape) in (3, 4):
            codes.append(f"F.dropout{len(x.shape) - 2}d({{0}}, 0.4)")
        return self.add(self.rng.choice(codes), [x], x.shape, random=True)


def _call(function: str, name: str, *arguments: object) -> str:
    return f"{function}({', '.join([repr(name), *map(str, arguments)])})".replace("'", '"')


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    rank = max(len(a), len(b))
    sizes = []
    for m, n in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True):
        if m != n and 1 not in (m, n):
            return None
        sizes.append(n if m == 1 else m)
    return tuple(sizes)
