"""Padding modules, pooling by powers, over drawn windows and undone, windows along a dimension, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(17)
LINE, IMAGE, VOLUME = (2, 3, 9), (2, 3, 7, 6), (2, 2, 5, 6, 7)
POSITIVE = (RNG.random(IMAGE) + 0.1).astype(np.float32)
DRAWN = RNG.random((2, 3, 2)).astype(np.float32)
DRAWN_3D = RNG.random((2, 2, 3)).astype(np.float32)


def unpooled(rank: int, size: Any = None, **options: Any) -> Any:
    def call(t: Any, x: Any) -> Any:
        best, where = getattr(t.nn.functional, f"max_pool{rank}d")(x, **options, return_indices=True)
        return getattr(t.nn.functional, f"max_unpool{rank}d")(best, where, **options, output_size=size)

    return call


FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "lp_pool1d": (lambda t, x: t.nn.functional.lp_pool1d(x, 2, 3), LINE),
    "lp_pool2d": (lambda t, x: t.nn.functional.lp_pool2d(x, 3.0, (2, 3), stride=(1, 2)), POSITIVE),
    "lp_pool2d ceil": (lambda t, x: t.nn.functional.lp_pool2d(x, 2, 4, 3, True), POSITIVE),
    "lp_pool3d": (lambda t, x: t.nn.functional.lp_pool3d(x, 2, 2), VOLUME),
    "max_unpool1d": (unpooled(1, kernel_size=2, stride=2), LINE),
    "max_unpool1d size": (unpooled(1, (2, 3, 9), kernel_size=2, stride=2), LINE),
    "max_unpool2d": (unpooled(2, kernel_size=2, stride=2), IMAGE),
    "max_unpool2d padded": (unpooled(2, (7, 6), kernel_size=3, stride=3, padding=1), IMAGE),
    "max_unpool2d unbatched": (unpooled(2, (7, 6), kernel_size=2, stride=2), IMAGE[1:]),
    "max_unpool3d": (unpooled(3, VOLUME, kernel_size=(1, 2, 2), stride=(1, 2, 2)), VOLUME),
    "indices": (lambda t, x: t.nn.functional.max_pool2d_with_indices(x, 2), IMAGE),
    "adaptive indices": (lambda t, x: t.nn.functional.adaptive_max_pool2d_with_indices(x, (3, 2)), IMAGE),
    "fractional": (
        lambda t, x, s: t.nn.functional.fractional_max_pool2d(
            x, (2, 3), (3, 2), return_indices=True, _random_samples=s.detach()
        ),
        IMAGE,
        DRAWN,
    ),
    "fractional ratio": (
        lambda t, x, s: t.nn.functional.fractional_max_pool2d(
            x, 2, output_ratio=(0.5, 0.5), _random_samples=s.detach()
        ),
        IMAGE,
        DRAWN,
    ),
    "fractional to one": (
        lambda t, x, s: t.nn.functional.fractional_max_pool2d(x, 2, 1, _random_samples=s.detach()), IMAGE, DRAWN,
    ),
    "fractional volume": (
        lambda t, x, s: t.nn.functional.fractional_max_pool3d(
            x, 2, (2, 3, 4), return_indices=True, _random_samples=s.detach()
        ),
        VOLUME,
        DRAWN_3D,
    ),
    "local_response_norm": (lambda t, x: t.nn.functional.local_response_norm(x, 3, 0.3, 0.6, 2.0), (2, 5, 4, 3)),
    "local_response_norm line": (lambda t, x: t.nn.functional.local_response_norm(x, 2, 0.3), (2, 5, 4)),
    "local_response_norm volume": (lambda t, x: t.nn.functional.local_response_norm(x, 4, 0.3), (2, 5, 2, 3, 2)),
    "unfold": (lambda t, x: (x.unfold(1, 2, 1), x.unfold(-1, 3, 2), x.unfold(0, 0, 1)), LINE),
    "unfold twice": (lambda t, x: x.unfold(2, 3, 2).unfold(3, 2, 2), IMAGE),
    "unfold of one": (lambda t, x: x.unfold(0, 1, 1), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function(name: str) -> None:
    call, *shapes = FUNCTIONS[name]
    agree(call, *shapes, rtol=2e-5)


MODULES: dict[str, tuple[Any, ...]] = {
    "ConstantPad1d": (lambda n: n.ConstantPad1d((1, 2), 3.5), LINE),
    "ConstantPad2d": (lambda n: n.ConstantPad2d(2, -1), IMAGE),
    "ConstantPad3d": (lambda n: n.ConstantPad3d((1, 2, 0, 1, -1, 1), 0.5), VOLUME),
    "ZeroPad1d": (lambda n: n.ZeroPad1d(2), LINE),
    "ZeroPad2d": (lambda n: n.ZeroPad2d((1, -1, 2, 0)), IMAGE),
    "ZeroPad3d": (lambda n: n.ZeroPad3d(1), VOLUME),
    "ReflectionPad1d": (lambda n: n.ReflectionPad1d((3, 1)), LINE),
    "ReflectionPad2d": (lambda n: n.ReflectionPad2d((1, 2, 3, 0)), IMAGE),
    "ReflectionPad3d": (lambda n: n.ReflectionPad3d(1), VOLUME),
    "ReplicationPad1d": (lambda n: n.ReplicationPad1d((3, 1)), LINE[1:]),
    "ReplicationPad2d": (lambda n: n.ReplicationPad2d((1, 2, 3, 0)), IMAGE),
    "ReplicationPad3d": (lambda n: n.ReplicationPad3d(2), VOLUME),
    "CircularPad1d": (lambda n: n.CircularPad1d((3, 1)), LINE),
    "CircularPad2d": (lambda n: n.CircularPad2d((1, 2, 3, 0)), IMAGE),
    "CircularPad3d": (lambda n: n.CircularPad3d(1), VOLUME),
    "LPPool1d": (lambda n: n.LPPool1d(2, 3, stride=2), LINE),
    "LPPool2d": (lambda n: n.LPPool2d(2, 3), IMAGE),
    "LPPool3d": (lambda n: n.LPPool3d(2, 2, ceil_mode=True), VOLUME),
    "LocalResponseNorm": (lambda n: n.LocalResponseNorm(2), IMAGE),
    "FractionalMaxPool2d": (lambda n: n.FractionalMaxPool2d(7, output_size=1, return_indices=True), (2, 3, 7, 7)),
    "FractionalMaxPool3d": (lambda n: n.FractionalMaxPool3d(1, output_size=1), (1, 2, 2, 2, 2)),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module(name: str) -> None:
    make, *shapes = MODULES[name]
    mine, other = make(nn), make(torch.nn)
    assert repr(mine) == repr(other)
    agree(lambda t, *x: (mine if t is genesis else other)(*x), *shapes, rtol=2e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpooling_modules(rank: int) -> None:
    shape = (2, 3, 8, 6, 4)[: rank + 2]
    makers = [getattr(lib.nn, f"MaxUnpool{rank}d")(2) for lib in (genesis, torch)]
    pools = [getattr(lib.nn, f"MaxPool{rank}d")(2, return_indices=True) for lib in (genesis, torch)]
    assert repr(makers[0]) == repr(makers[1])
    agree(lambda t, x: makers[t is torch](*pools[t is torch](x)), shape)


def test_a_maximum_of_two_windows_counts_once() -> None:
    agree(unpooled(1, kernel_size=3, stride=1), LINE)


def test_drawn_windows_cover_the_image() -> None:
    genesis.manual_seed(1)
    x = genesis.arange(200).reshape(1, 1, 10, 20).float()
    for _ in range(5):
        best, where = nn.FractionalMaxPool2d(3, output_ratio=0.5, return_indices=True)(x)
        assert tuple(best.shape) == (1, 1, 5, 10) and where.max().item() == 199
        np.testing.assert_array_equal(x.flatten()[where.flatten()].numpy(), best.flatten().numpy())


ERRORS: dict[str, tuple[Any, ...]] = {
    "unpool size": (unpooled(1, (2, 3, 12), kernel_size=2, stride=2), LINE),
    "unpool rank": (unpooled(1, (2, 3), kernel_size=2, stride=2), LINE),
    "unpool shapes": (lambda t, x: t.nn.functional.max_unpool1d(x, x.long()[:, :, :2], 2), LINE),
    "unpool dtype": (lambda t, x: t.nn.functional.max_unpool1d(x, x.int(), 2), LINE),
    "fractional size": (lambda t, x: t.nn.functional.fractional_max_pool2d(x, 4, 6), IMAGE),
    "fractional nothing": (lambda t, x: t.nn.functional.fractional_max_pool2d(x, 4), IMAGE),
    "fractional both": (lambda t: t.nn.FractionalMaxPool2d(3, 2, 0.5),),
    "fractional ratio": (lambda t: t.nn.FractionalMaxPool2d(3, output_ratio=1.5),),
    "local response of a matrix": (lambda t, x: t.nn.functional.local_response_norm(x, 2), (3, 4)),
    "reflection too far": (lambda t, x: t.nn.ReflectionPad1d(9)(x), LINE),
    "circular too far": (lambda t, x: t.nn.CircularPad1d(10)(x), LINE),
    "unfold size": (lambda t, x: x.unfold(2, 10, 1), LINE),
    "unfold step": (lambda t, x: x.unfold(2, 2, 0), LINE),
    "unfold dim": (lambda t, x: x.unfold(3, 2, 1), LINE),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
