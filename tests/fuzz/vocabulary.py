"""What a random step is made of: functions that draw one more statement over the values that are there."""

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
{0} * lib.arange({0}.shape[-1]).to({0}.dtype) | {0} + lib.linspace(0, 1, {0}.shape[-1]).to({0}.dtype)
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
{0} + lib.bucketize({0}.detach(), lib.linspace(-1, 1, 5).to({0}.dtype)).to({0}.dtype) * 0.1 | {0} - lib.nansum({0}, 0)
{0}.index_fill(0, lib.tensor([0]), 0.5) | ({0} * 1).scatter_(0, lib.zeros({0}.shape, dtype=lib.int64)[:1], {0}[:1] * 2)
"""
"""Functions of one value that keep its shape."""

INTEGERS = """
{0} * (({1} * 7 + 3) % 5).to({0}.dtype) | {0} + ({1} // 3 - 2).to({0}.dtype) | {0} * ({1} == 2)
{0} + ({1}.to(lib.int8) * 50).to({0}.dtype) * 0.01 | {0} - ({1}.to(lib.uint8) - 3).to({0}.dtype) * 0.01
{0} * ({1} & 3) | {0} * (({1} ^ 5) - ({1} * 2)) * 0.1 | lib.where({1} > 4, {0}, {0} * 0.5) | {0} * {1}.clamp(1, 4)
{0} + (-{1}).remainder(4) * 0.1 | {0} + {1}.to(lib.int16).sum() * 0.01 | {0} * lib.maximum({1}, {1} * 0 + 2)
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
lib.logaddexp({0}, {1}) | lib.hypot({0} + 3, {1}) | lib.fmin({0}, {1}) | {0} * lib.isclose({0}, {1})
({0} - {1}) ** 2 | lib.sub({0}, {1}, alpha=0.5) | {0} * lib.sigmoid({1}) | lib.where({1} > 0, {0}, 0.0)
"""
"""Functions of two values that broadcast."""

HALVES = """
{0}.to(lib.bfloat16).float() | {0}.to(lib.float16).tanh().float() | ({0}.bfloat16() * 1.5).to(lib.float32)
"""
"""Functions of one value that compute in 16 bits."""


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
            return self.module(x, f"BatchNorm{max(rank - 2, 1)}d({shape[1]})", shape)
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
        ]
        if rank == 2:
            grid = f"F.affine_grid(lib.eye(2, 3).double().expand({shape[0]}, 2, 3) * 0.9, ({shape[0]}, 1, 3, 4), False)"
            padding = rng.choice(["zeros", "border", "reflection"])
            place = f'F.grid_sample({{0}}, {grid}.to({{0}}.dtype), padding_mode="{padding}", align_corners=False)'
            found += [(place, (*lead, 3, 4)), (f'F.interpolate({{0}}, {size}, mode="bicubic")', (*lead, *size))]
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
        ]
        if rank == 2:
            found += [(f"{cell}Cell({n}, 5)", (shape[0], 5), "{m}({0})") for cell in ("RNN", "GRU")]
            found.append((f"LSTMCell({n}, 5)", (shape[0], 5), "{m}({0})[1]"))
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
            ]
        elif len(shape) == 3:
            result = (shape[0], shape[1], shape[1])
            found = [
                ("lib.bmm({0}, {0}.mT) * 0.3", result),
                ("lib.baddbmm({0}[:, :, :1], {0}, {0}.transpose(1, 2), alpha=0.2)", result),
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
            more = rng.choice(["", ", ignore_index=1", f", weight=lib.linspace(0.5, 1, {x.shape[1]}).to({{0}}.dtype)"])
            code = f'F.cross_entropy({{0}}, {{1}}, reduction="{how}"{more}){scale}'
            return self.add(code, [x, i], targets if how == "none" else ())
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
        code = f'{rng.choice(codes)}, reduction="{how}"){scale}'
        assert rank > 1
        return self.add(code, [x], x.shape if how == "none" else ())

    def attention(self, x: Statement) -> Statement | None:
        if len(x.shape) not in (3, 4):
            return None
        causal = self.rng.choice(["True", "False"])
        if len(x.shape) == 3 and self.rng.random() < 0.5:
            heads = self.rng.choice([h for h in (1, 2, 3) if x.shape[-1] % h == 0])
            make = f"MultiheadAttention({x.shape[-1]}, {heads}, batch_first=True)"
            return self.module(x, make, x.shape, "{m}({0}, {0}, {0})[0]")
        y = self.pick(lambda s: s.shape == x.shape)
        assert y is not None
        code = f"F.scaled_dot_product_attention({{0}}, {{1}}, {{0}}, is_causal={causal})"
        return self.add(code, [x, y], x.shape)

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
        layers = self.rng.choice([1, 1, 2])
        return self.module(x, f"{kind}({n}, {hidden}, num_layers={layers})", (time, batch, hidden), "{m}({0})[0]")

    def lookup(self, x: Statement) -> Statement | None:
        if not x.shape or x.shape[0] < 2:
            return None
        kind = self.rng.choice(["embedding", "index", "gather", "choose", "scatter", "reduce", "rows", "put"])
        count = self.rng.choice([1, 3, 6])
        if kind == "embedding":
            i, width = self.indices(11, x.shape[0]), self.rng.choice([1, 4, 6])
            return self.module(i, f"Embedding(11, {width})", (x.shape[0], width))
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
