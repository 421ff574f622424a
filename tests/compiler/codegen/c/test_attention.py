"""Attention kernels against a float64 reference."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.codegen.c.attention_backward import backward_kernel
from compiler.codegen.c.attention_forward import forward_kernel
from compiler.codegen.c.attention_layout import AttentionGradSpec, AttentionSpec
from compiler.codegen.c.gemm_plan import Operand
from compiler.codegen.c.isa import ISAS, Isa
from compiler.codegen.c.prelude import prelude
from compiler.codegen.c.tiles import shared_functions
from tests.compiler.codegen.c.harness import NUMPY, POOL, build, call, element_strides, entry, isas, strided, zig
from tests.compiler.codegen.c.reference import philox_uniforms

RNG = np.random.default_rng(11)
SEED, OFFSET = np.array([0x123456789ABCDEF0], np.uint64), np.array([3], np.uint64)
UNIT = {"f32": 0.0, "bf16": 2.0**-8, "f16": 2.0**-11}  # rounding to 16 bits, relative


class Case:
    """One attention with its arrays.

    `packed` reads q, k, v and writes their gradients in [B, T, 3, H, D] buffers, `turned` has them in [B, H, D, T].
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int, int, int, int],
        dtype: str = "f32",
        causal: bool = False,
        mask: np.ndarray | None = None,
        dropout: float = 0.0,
        packed: bool = False,
        turned: bool = False,
        scale: float = 0.3,
    ):
        batch, heads, queries, keys, dim = shape
        order = (0, 2, 1, 3) if packed else (0, 1, 3, 2) if turned else (0, 1, 2, 3)
        if packed:
            qkv = strided(RNG, (batch, queries, 3, heads, dim), (0, 1, 2, 3, 4), dtype)
            grads = np.zeros_like(qkv)
            self.q, self.k, self.v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
            self.dq, self.dk, self.dv = (grads[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
        else:
            self.q = strided(RNG, (batch, heads, queries, dim), order, dtype)
            self.k, self.v = (strided(RNG, (batch, heads, keys, dim), order, dtype) for _ in range(2))
            self.dq, self.dk, self.dv = (np.zeros_like(x) for x in (self.q, self.k, self.v))  # in the same order
        self.o = np.zeros((batch, queries, heads, dim), NUMPY[dtype]).transpose(0, 2, 1, 3)
        self.do = strided(RNG, (batch, heads, queries, dim), order, dtype)
        self.lse = np.zeros((batch, heads, queries), np.float32)
        self.delta = np.zeros((batch, queries, heads, 1), np.float32).transpose(0, 2, 1, 3)
        self.name, self.mask, self.shape = name, mask, shape
        spec_mask = None
        if mask is not None:
            names = {np.dtype(bool): "bool", **{v: k for k, v in NUMPY.items()}}
            spec_mask = Operand(names[mask.dtype], element_strides(mask))
        self.spec = AttentionSpec(
            batch, heads, queries, keys, dim, dtype,
            *(element_strides(x) for x in (self.q, self.k, self.v, self.o)),
            scale=scale, causal=causal, mask=spec_mask, dropout=dropout,
        )  # fmt: skip
        self.grad = AttentionGradSpec(
            self.spec,
            *(element_strides(x) for x in (self.delta, self.do, self.dq, self.dk, self.dv)),
        )

    @property
    def inputs(self) -> list[np.ndarray]:
        extra = ([] if self.mask is None else [self.mask]) + ([SEED, OFFSET] if self.spec.dropout else [])
        return [self.q, self.k, self.v, *extra]

    def run(self, library: object, nt: int) -> list[np.ndarray]:
        """Copies of o, lse, dq, dk, dv."""
        call(library, self.name, nt, *self.inputs, self.o, self.lse)
        np.sum(self.o.astype(np.float32) * self.do.astype(np.float32), -1, keepdims=True, out=self.delta)
        call(library, f"{self.name}_grad", nt, *self.inputs, self.delta, self.lse, self.do, self.dq, self.dk, self.dv)
        return [np.array(x) for x in (self.o, self.lse, self.dq, self.dk, self.dv)]

    def expected(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """o, lse, dq, dk, dv, and how far rounding to 16 bits may take each element, to first order.

        With u the unit of rounding: P and dS are rounded (u) where they enter a product, and so is the product (u),
        which makes 2u of the product of magnitudes. dS = P (dP - O . dO) also has the error of O.
        """
        q, k, v, do = (x.astype(np.float64) for x in (self.q, self.k, self.v, self.do))
        scores = self.spec.scale * q @ k.swapaxes(-1, -2)
        if self.mask is not None:
            scores = (
                np.where(self.mask, scores, -np.inf)
                if self.mask.dtype == bool
                else scores + self.mask.astype(np.float64)
            )
        if self.spec.causal:
            scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
        with np.errstate(invalid="ignore"):
            peak = scores.max(-1, keepdims=True)
            e = np.exp(scores - peak)
        total = e.sum(-1, keepdims=True)
        p = e / total
        keep = np.ones_like(p)
        if self.spec.dropout:
            uniforms = philox_uniforms(int(SEED[0]), int(OFFSET[0]), 0, p.size).reshape(p.shape)
            keep = (uniforms >= np.float32(self.spec.dropout)) / (1 - self.spec.dropout)
        dropped = p * keep
        dp = do @ v.swapaxes(-1, -2) * keep
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * self.spec.scale
        o, u = dropped @ v, UNIT[self.spec.dtype]
        products = ((dropped, v), (ds, k), (ds.swapaxes(-1, -2), q), (dropped.swapaxes(-1, -2), do))
        of_o, of_dq, of_dk, of_dv = (2 * u * abs(x) @ abs(y) for x, y in products)
        of_ds = p * (of_o * abs(do)).sum(-1, keepdims=True) * abs(self.spec.scale)
        return [
            (o, of_o),
            ((peak + np.log(total))[..., 0], np.zeros(self.lse.shape)),
            (ds @ k, of_dq + of_ds @ abs(k)),
            (ds.swapaxes(-1, -2) @ q, of_dk + of_ds.swapaxes(-1, -2) @ abs(q)),
            (dropped.swapaxes(-1, -2) @ do, of_dv),
        ]


def unit(isa: Isa, cases: list[Case]) -> str:
    kernels = ""
    for case in cases:
        forward, backward = forward_kernel(isa, case.spec), backward_kernel(isa, case.grad)
        for name, (text, scratch), results in ((case.name, forward, 2), (f"{case.name}_grad", backward, 6)):
            kernels += text.replace("NAME", name) + entry(name, len(case.inputs) + results, 3 * scratch)
    text = "\n".join(["#include <stdlib.h>\n" + POOL, *shared_functions(isa, kernels), kernels])
    return prelude(isa, text) + text


def check(isa: Isa, cases: list[Case], compiler: tuple[str, ...] = ("gcc",)) -> None:
    library = build(unit(isa, cases), isa, compiler)
    for case in cases:
        runs = [case.run(library, nt) for nt in (1, 2, 3)]
        for other in runs[1:]:
            for x, y in zip(runs[0], other):
                assert x.tobytes() == y.tobytes(), (case.spec, "the number of threads changes the result")
        for name, got, (want, rounded) in zip(("o", "lse", "dq", "dk", "dv"), runs[0], case.expected()):
            error = np.abs(got.astype(np.float64) - want)
            excess = error - rounded - 5e-6 * max(1.0, np.abs(want).max())
            assert (excess <= 0).all(), (name, excess.max(), case.spec)


def cases() -> list[Case]:
    additive = RNG.standard_normal((2, 1, 30, 45)).astype(np.float32)
    additive[:, :, :, 7] = -np.inf
    choice = RNG.random((1, 1, 50, 33)) < 0.6
    choice[..., 0] = True
    return [
        Case("plain", (2, 3, 64, 64, 32)),
        Case("causal", (1, 2, 300, 300, 64), causal=True),
        Case("odd", (1, 3, 61, 77, 19)),
        Case("longer", (1, 1, 40, 500, 16), causal=True),
        Case("shorter", (1, 1, 130, 37, 48), causal=True),
        Case("single", (2, 2, 1, 45, 64)),
        Case("one_key", (1, 1, 5, 1, 16)),
        Case("packed", (2, 2, 75, 75, 32), causal=True, packed=True),
        Case("plain_bf16", (2, 2, 62, 470, 32), "bf16"),
        Case("causal_bf16", (1, 2, 300, 300, 64), "bf16", causal=True),
        Case("odd_bf16", (1, 2, 61, 77, 19), "bf16"),
        Case("longer_bf16", (1, 1, 41, 500, 16), "bf16", causal=True),
        Case("shorter_bf16", (1, 1, 131, 37, 48), "bf16", causal=True),
        Case("turned", (1, 2, 45, 45, 16), turned=True, causal=True),
        Case("turned_bf16", (1, 2, 45, 45, 16), "bf16", turned=True, causal=True),
        Case("packed_bf16", (2, 2, 75, 75, 32), "bf16", causal=True, packed=True),
        Case("half", (1, 2, 33, 47, 24), "f16"),
        Case("additive", (2, 2, 30, 45, 16), mask=np.broadcast_to(additive, (2, 2, 30, 45))),
        Case("choice", (2, 2, 50, 33, 16), mask=np.broadcast_to(choice, (2, 2, 50, 33)), causal=False),
        Case("choice_bf16", (2, 2, 50, 33, 16), "bf16", mask=np.broadcast_to(choice, (2, 2, 50, 33))),
        Case("dropped", (1, 2, 70, 270, 32), dropout=0.3),
        Case("dropped_causal", (2, 1, 101, 101, 16), dropout=0.1, causal=True, dtype="bf16"),
        Case("negative", (1, 1, 20, 29, 16), scale=-0.5, causal=True),
        Case("wide", (1, 1, 30, 41, 256), scale=0.06),
        Case("wide_bf16", (1, 1, 30, 41, 256), "bf16", scale=0.06, causal=True),
    ]


@pytest.mark.parametrize("isa", isas(), ids=lambda isa: isa.name)
def test_attention(isa: Isa) -> None:
    check(isa, cases() if isa == isas()[0] else cases()[::5])


def test_zig() -> None:
    check(isas()[0], cases()[:4], tuple(zig()))


def test_fully_masked_row_is_zero() -> None:
    """PyTorch's safe softmax."""
    isa = ISAS["portable"]
    visible = np.ones((1, 1, 6, 20), bool)
    visible[0, 0, 2] = False
    for mask in (visible, np.where(visible, 0, -np.inf).astype(np.float32)):
        case = Case("nothing", (1, 1, 6, 20, 16), mask=mask)
        o, lse, dq, dk, dv = case.run(build(unit(isa, [case]), isa), 1)
        assert not o[0, 0, 2].any() and not dq[0, 0, 2].any() and lse[0, 0, 2] == -np.inf
        assert all(np.isfinite(x).all() for x in (o, dq, dk, dv))
        assert np.delete(o[0, 0], 2, axis=0).all()


def test_row_masked_with_the_lowest_number_is_uniform() -> None:
    """As softmax has it; the score itself is lost in the sum."""
    isa = ISAS["portable"]
    mask = np.zeros((1, 1, 6, 20), np.float32)
    mask[0, 0, 2] = np.finfo(np.float32).min
    case = Case("lowest", (1, 1, 6, 20, 16), mask=mask)
    o, _, *grads = case.run(build(unit(isa, [case]), isa), 1)
    np.testing.assert_allclose(o[0, 0, 2], case.v[0, 0].mean(0), atol=1e-5)
    assert all(np.isfinite(x).all() for x in grads)
