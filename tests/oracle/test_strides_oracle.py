"""Results lie in memory as PyTorch's do: strides of elementwise ops, copies and tensors made like another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

BASE = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    **{f"order {p}": (lambda x, p=p: x.permute(*p)) for p in itertools.permutations(range(3))},
    "every second row": lambda x: x[:, ::2].permute(2, 1, 0),
    "expanded": lambda x: x[:, :1].expand(2, 5, 4).permute(1, 2, 0),
    "a size of 1": lambda x: x[:, :1].permute(2, 1, 0),
    "first size 1": lambda x: x[:1].permute(2, 1, 0),
}

ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "number": lambda lib, x: x * 2,
    "neg": lambda lib, x: -x,
    "comparison": lambda lib, x: x > 0,
    "clamp": lambda lib, x: x.clamp(0, 1),
    "square": lambda lib, x: x.square(),
    "lerp": lambda lib, x: lib.lerp(x, x, 0.5),
    "addcmul": lambda lib, x: lib.addcmul(x, x, x),
    "where": lambda lib, x: lib.where(x > 0, x, 0.0),
    "logical_not": lambda lib, x: lib.logical_not(x),
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 0.5),
    "prelu": lambda lib, x: lib.nn.functional.prelu(x, lib.ones(1)),
    "mse_loss": lambda lib, x: lib.nn.functional.mse_loss(x, x, reduction="none"),
    "binary_cross_entropy": lambda lib, x: lib.nn.functional.binary_cross_entropy_with_logits(x, x, reduction="none"),
    "rows by index": lambda lib, x: x[lib.tensor([0, 0])],
    "columns by index": lambda lib, x: x[:, lib.tensor([[0, -1], [0, 0]])],
    "last by index": lambda lib, x: x[..., lib.tensor([0, -1])],
    "two indices": lambda lib, x: x[lib.tensor([0, -1]), lib.tensor([[0], [-1]])],
    "indices apart": lambda lib, x: x[lib.tensor([0, -1]), :, lib.tensor([-1, 0])],
    "a mask": lambda lib, x: x[x[..., 0] > -9],
    "clone": lambda lib, x: x.clone(),
    "contiguous": lambda lib, x: x.contiguous(),
    "flip": lambda lib, x: x.flip(0),
    "to dtype": lambda lib, x: x.to(lib.float64),
    "to copy": lambda lib, x: x.to(lib.float32, copy=True),
    "zeros_like": lambda lib, x: lib.zeros_like(x),
    "empty_like": lambda lib, x: lib.empty_like(x),
    "full_like": lambda lib, x: lib.full_like(x, 2.0),
    "rand_like": lambda lib, x: lib.rand_like(x),
    "randn_like": lambda lib, x: lib.randn_like(x),
    "new_zeros": lambda lib, x: x.new_zeros(*x.shape),
    "tril": lambda lib, x: x.tril(),
    "masked_fill": lambda lib, x: x.masked_fill(x > 0, 1.0),
    "softmax": lambda lib, x: x.softmax(-1),
    "log_softmax": lambda lib, x: lib.nn.functional.log_softmax(x, 0),
    "layer_norm": lambda lib, x: lib.nn.functional.layer_norm(x, x.shape[-1:]),
    "normalize": lambda lib, x: lib.nn.functional.normalize(x),
    "sum": lambda lib, x: x.sum(0),
    "amax": lambda lib, x: x.amax(1),
    "cat": lambda lib, x: lib.cat([x, x]),
    "stack": lambda lib, x: lib.stack([x, x]),
    "repeat": lambda lib, x: x.repeat(1, 1, 2),
    "matmul": lambda lib, x: x @ x.transpose(1, 2),
    **{
        name: (lambda lib, x, name=name: getattr(lib.nn.functional, name)(x))
        for name in (
            "relu sigmoid tanh gelu silu elu selu celu softplus leaky_relu hardswish hardtanh relu6 mish softsign "
            "tanhshrink logsigmoid"
        ).split()
    },
}


def layouts() -> Iterator[tuple[str, Any, Any]]:
    for name, view in LAYOUTS.items():
        yield name, view(genesis.tensor(BASE)), view(torch.tensor(BASE))


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("tracked", [False, True])
def test_strides_of_one_operand(name: str, tracked: bool) -> None:
    function = ELEMENTWISE[name]
    for layout, x, there in layouts():
        ours = x.detach().requires_grad_() if tracked else x
        assert function(genesis, ours).stride() == function(torch, there).stride(), layout


def test_strides_of_two_operands() -> None:
    for (a, x, u), (b, y, v) in itertools.product(layouts(), layouts()):
        try:
            expected = u * v
        except RuntimeError:
            continue  # these shapes do not broadcast
        assert (x * y).stride() == expected.stride(), (a, b)
        assert genesis.where(x > 0, x, y).stride() == torch.where(u > 0, u, v).stride(), (a, b)
        assert (x[0] + y).stride() == (u[0] + v).stride(), (a, b)


def test_gradients_lie_as_their_leaves() -> None:
    for layout, x, there in layouts():
        if not (there.is_contiguous() or there.numel() == BASE.size):
            continue
        leaf, leaf_there = x.clone().requires_grad_(), there.clone().requires_grad_()
        (leaf * 2).sum().backward()
        (leaf_there * 2).sum().backward()
        assert leaf.stride() == leaf_there.stride(), layout
        assert leaf.grad.stride() == leaf_there.grad.stride(), layout


# Images

IMAGES: dict[str, Callable[[Any], Any]] = {
    "row-major": lambda x: x,
    "channels-last": lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),
    "mirrored": lambda x: x.permute(*reversed(range(x.ndim))).contiguous().permute(*reversed(range(x.ndim))),
    "turned": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
    "batch inside": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "every second row": lambda x: x[:, :, ::2],
    "one channel": lambda x: x[:, :1].movedim(1, -1).contiguous().movedim(-1, 1),
}

OF_IMAGES = """
F.conv{rank}d(x, ones(6, x.shape[1], *[2] * rank))
F.conv{rank}d(x, ones(x.shape[1], 1, *[1] * rank), None, 2, 0, 1, x.shape[1])
F.conv_transpose{rank}d(x, ones(x.shape[1], 6, *[2] * rank)) | F.max_pool{rank}d(x, 2)
F.max_pool{rank}d(x, 2, return_indices=True) | F.avg_pool{rank}d(x, 2) | F.adaptive_avg_pool{rank}d(x, 2)
F.adaptive_avg_pool{rank}d(x, 1) | F.adaptive_max_pool{rank}d(x, 2)
F.adaptive_max_pool{rank}d(x, 3, return_indices=True) | F.batch_norm(x, None, None, training=True)
F.batch_norm(x, 0 * ones(x.shape[1]), ones(x.shape[1])) | F.group_norm(x, 1) | F.instance_norm(x)
F.layer_norm(x, x.shape[-1:]) | F.rms_norm(x, x.shape[-1:]) | F.pad(x, (1, 1)) | F.pad(x, (1, -1)) | F.pad(x, (0, 0))
F.pad(x, (1, 1) * rank, mode="reflect") | F.pad(x, (1, 0) * rank, mode="replicate")
F.pad(x, (1, 1) * rank, mode="circular") | F.pad(x, (1, -1), mode="replicate") | lib.cat([x, x], 0)
lib.cat([x, x], 1) | lib.cat([x, x.contiguous()], 0) | lib.cat([x, x, x[:0]]) | lib.stack([x, x], 1)
lib.stack([x, x], -1) | lib.stack([x, x]) | lib.roll(x, 1, 1) | lib.roll(x, (1, 1), (0, 2))
F.glu(x.repeat(1, 2, 1), 1) | x[:, :1].expand(*x.shape).contiguous() | F.unfold(x, 2) | F.dropout(x, 0.5)
"""


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("layout", IMAGES)
def test_strides_of_functions_of_images(layout: str, rank: int, tracked: bool) -> None:
    base = np.random.default_rng(0).standard_normal((3, 4, 7, 6, 8)[: rank + 2]).astype(np.float32)
    for code in OF_IMAGES.replace("\n", "|").split("|"):
        if not code.strip() or ("unfold" in code and rank != 2) or ("glu" in code and rank != 1):
            continue
        found = []
        for lib in (genesis, torch):
            x = IMAGES[layout](lib.tensor(base))
            x = x.detach().requires_grad_() if tracked else x
            space = {"lib": lib, "F": lib.nn.functional, "ones": lib.ones, "x": x, "rank": rank}
            try:
                result = eval(code.strip().format(rank=rank), space)
            except (RuntimeError, NotImplementedError, ValueError) as error:
                found.append(type(error))
                continue
            results = result if isinstance(result, tuple) else (result,)
            found.append([[s for s, n in zip(r.stride(), r.shape, strict=True) if n != 1] for r in results])
        assert found[0] == found[1] or isinstance(found[1], type), code


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_strides_of_attention(mask: bool, dropout: float) -> None:
    base = np.random.default_rng(0).standard_normal((2, 5, 3, 8)).astype(np.float32)
    views: list[Callable[[Any], Any]] = [
        lambda x: x.transpose(1, 2),
        lambda x: x.transpose(1, 2).contiguous(),
        lambda x: x.permute(0, 2, 1, 3)[..., ::2],
        lambda x: x.transpose(1, 2).mT.contiguous().mT,
        lambda x: x[0].transpose(0, 1),
    ]
    for q, k in itertools.product(views, views):
        found = []
        for lib in (genesis, torch):
            x = lib.tensor(base)
            query, key = q(x), k(x)
            if query.shape != key.shape:
                break
            allowed = lib.ones(5, 5) > 0 if mask else None
            out = lib.nn.functional.scaled_dot_product_attention(query, key, key, allowed, dropout)
            found.append(out.stride())
        assert len(set(found)) <= 1


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_strides_of_multi_head_attention(batch_first: bool, heads: int, training: bool) -> None:
    for tracked, need_weights in itertools.product((False, True), (False, True)):
        found = []
        for lib in (genesis, torch):
            layer = lib.nn.MultiheadAttention(8, heads, batch_first=batch_first).train(training).requires_grad_(tracked)
            x = lib.tensor(np.ones((2, 3, 8), np.float32))
            found.append([layer(*args, need_weights=need_weights)[0].stride() for args in [(x, x, x), (x, x[:], x)]])
        assert found[0] == found[1]
