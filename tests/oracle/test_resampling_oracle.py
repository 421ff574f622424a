"""Images in another size or read at given places, and pixels rearranged, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(13)
LINE, IMAGE, VOLUME = (2, 3, 7), (2, 3, 5, 7), (2, 2, 3, 4, 5)
GRID = (RNG.random((2, 4, 6, 2)) * 3 - 1.5).astype(np.float32)
PLACES = (RNG.random((2, 3, 4, 2, 3)) * 3 - 1.5).astype(np.float32)
HOLES = np.where(RNG.random((1, 2, 6, 5)) < 0.1, np.inf, RNG.standard_normal((1, 2, 6, 5))).astype(np.float32)
BYTES = RNG.integers(0, 256, (1, 2, 4, 5)).astype(np.uint8)


def resized(shape: tuple[int, ...], *args: Any, **options: Any) -> tuple[Any, ...]:
    return (lambda t, x: t.nn.functional.interpolate(x, *args, **options), shape)


INTERPOLATED: dict[str, tuple[Any, ...]] = {
    "nearest": resized(IMAGE, scale_factor=2),
    "nearest 3": resized(LINE, scale_factor=3),
    "nearest volume": resized(VOLUME, scale_factor=(2, 3, 1)),
    "nearest size": resized(IMAGE, (8, 4)),
    "nearest fraction": resized(IMAGE, scale_factor=1.7),
    "nearest smaller": resized(IMAGE, scale_factor=0.6),
    "nearest recomputed": resized(IMAGE, scale_factor=1.7, recompute_scale_factor=True),
    "nearest bytes": (lambda t, x: t.nn.functional.interpolate(x, scale_factor=1.5), BYTES),
    "nearest-exact": resized(IMAGE, (8, 4), mode="nearest-exact"),
    "nearest-exact factor": resized(VOLUME, scale_factor=(1.3, 2, 0.7), mode="nearest-exact"),
    "linear": resized(LINE, scale_factor=2, mode="linear"),
    "linear aligned": resized(LINE, 12, mode="linear", align_corners=True),
    "linear one": resized(LINE, 1, mode="linear", align_corners=True),
    "bilinear": resized(IMAGE, scale_factor=2, mode="bilinear"),
    "bilinear size": resized(IMAGE, (4, 9), mode="bilinear"),
    "bilinear aligned": resized(IMAGE, scale_factor=2.3, mode="bilinear", align_corners=True),
    "bilinear fraction": resized(IMAGE, scale_factor=(1.3, 0.6), mode="bilinear"),
    "bilinear recomputed": resized(IMAGE, scale_factor=(1.3, 0.6), mode="bilinear", recompute_scale_factor=True),
    "bilinear same": resized(IMAGE, (5, 7), mode="bilinear"),
    "bilinear antialias": resized((1, 2, 17, 13), (5, 6), mode="bilinear", antialias=True),
    "bilinear antialias larger": resized(IMAGE, (9, 3), mode="bilinear", antialias=True, align_corners=True),
    "bilinear holes": (lambda t, x: t.nn.functional.interpolate(x.detach(), (9, 4), mode="bilinear"), HOLES),
    "bilinear double": (lambda t, x: t.nn.functional.interpolate(x.double(), (9, 4), mode="bilinear"), IMAGE),
    "bicubic": resized(IMAGE, scale_factor=2, mode="bicubic"),
    "bicubic size": resized(IMAGE, (4, 9), mode="bicubic", align_corners=True),
    "bicubic antialias": resized((1, 2, 17, 13), (5, 20), mode="bicubic", antialias=True),
    "trilinear": resized(VOLUME, scale_factor=2, mode="trilinear"),
    "trilinear aligned": resized(VOLUME, (4, 3, 7), mode="trilinear", align_corners=True),
    "area": resized(IMAGE, (3, 4), mode="area"),
    "area line": resized(LINE, scale_factor=0.5, mode="area"),
    "area volume": resized(VOLUME, (2, 2, 3), mode="area"),
    "no images": (lambda t, x: t.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"), (0, 3, 4, 5)),
    "upsample": (lambda t, x: t.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(x), IMAGE),
    "upsample size": (lambda t, x: t.nn.Upsample((9, 9))(x), IMAGE),
    "upsample bilinear": (lambda t, x: t.nn.UpsamplingBilinear2d(scale_factor=2)(x), IMAGE),
    "upsample nearest": (lambda t, x: t.nn.UpsamplingNearest2d((3, 14))(x), IMAGE),
}

SAMPLED: dict[str, tuple[Any, ...]] = {
    f"grid {mode} {padding} {aligned}": (
        lambda t, x, g, m=mode, p=padding, a=aligned: t.nn.functional.grid_sample(x, g, m, p, a), IMAGE, GRID,
    )
    for mode in ("bilinear", "nearest", "bicubic")
    for padding in ("zeros", "border", "reflection")
    for aligned in (False, True)
} | {
    f"grid of places {mode} {padding}": (
        lambda t, x, g, m=mode, p=padding: t.nn.functional.grid_sample(x, g, m, p, align_corners=False), VOLUME, PLACES,
    )
    for mode in ("bilinear", "nearest")
    for padding in ("zeros", "border", "reflection")
}  # fmt: skip

OTHERS: dict[str, tuple[Any, ...]] = {
    "affine_grid": (lambda t, m: t.nn.functional.affine_grid(m, (2, 3, 4, 5), align_corners=False), (2, 2, 3)),
    "affine_grid aligned": (lambda t, m: t.nn.functional.affine_grid(m, (2, 3, 4, 2), align_corners=True), (2, 2, 3)),
    "affine_grid of places": (lambda t, m: t.nn.functional.affine_grid(m, [1, 3, 2, 4, 5], True), (1, 3, 4)),
    "pixel_shuffle": (lambda t, x: (t.pixel_shuffle(x, 2), t.nn.PixelShuffle(3)(x)), (2, 36, 2, 3)),
    "pixel_unshuffle": (lambda t, x: (t.pixel_unshuffle(x, 2), t.nn.PixelUnshuffle(3)(x)), (3, 6, 12)),
    "channel_shuffle": (lambda t, x: (t.channel_shuffle(x, 2), t.nn.ChannelShuffle(3)(x)), (2, 6, 2, 3)),
    "fold": (lambda t, x: t.nn.Fold((4, 5), (2, 3))(x), (2, 12, 9)),
    "unfold": (lambda t, x: t.nn.Unfold((2, 3), dilation=2, padding=1, stride=2)(x), (2, 2, 6, 7)),
}


@pytest.mark.parametrize("name", INTERPOLATED | SAMPLED | OTHERS)
def test_an_image(name: str) -> None:
    call, *shapes = (INTERPOLATED | SAMPLED | OTHERS)[name]
    agree(call, *shapes, rtol=2e-5, atol=5e-6)


MODULES: dict[str, Any] = {
    "Upsample": lambda n: n.Upsample(scale_factor=2, mode="bilinear"),
    "Upsample size": lambda n: n.Upsample(size=(3, 4)),
    "UpsamplingBilinear2d": lambda n: n.UpsamplingBilinear2d(scale_factor=2),
    "PixelShuffle": lambda n: n.PixelShuffle(2),
    "PixelUnshuffle": lambda n: n.PixelUnshuffle(2),
    "ChannelShuffle": lambda n: n.ChannelShuffle(2),
    "Fold": lambda n: n.Fold((4, 5), 2),
    "Unfold": lambda n: n.Unfold(3),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_shows_as_torchs(name: str) -> None:
    assert repr(MODULES[name](nn)) == repr(MODULES[name](torch.nn))


def test_a_compiled_step_moves_an_image_as_an_eager_one_does() -> None:
    x, theta = genesis.randn(2, 3, 8, 6), genesis.tensor([[[0.8, 0.3, 0.1], [-0.2, 1.1, 0.0]]] * 2, requires_grad=True)

    def moved(x: Any, theta: Any) -> Any:
        grid = nn.functional.affine_grid(theta, (2, 3, 5, 7), align_corners=False)
        y = nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
        y = nn.functional.interpolate(y, scale_factor=2, mode="bilinear")
        return genesis.autograd.grad(nn.functional.interpolate(y, (7, 9), mode="bicubic").square().sum(), theta)[0]

    np.testing.assert_allclose(genesis.compile(moved)(x, theta).numpy(), moved(x, theta).numpy(), 1e-4, 1e-4)


ERRORS: dict[str, tuple[Any, ...]] = {
    "no size": (lambda f, x: f.interpolate(x), IMAGE),
    "two sizes": (lambda f, x: f.interpolate(x, 3, 2.0), IMAGE),
    "sizes": (lambda f, x: f.interpolate(x, (3, 4, 5)), IMAGE),
    "corners": (lambda f, x: f.interpolate(x, 3, align_corners=True), IMAGE),
    "rank": (lambda f, x: f.interpolate(x, 3, mode="linear"), IMAGE),
    "mode": (lambda f, x: f.interpolate(x, 3, mode="some"), IMAGE),
    "recomputed size": (lambda f, x: f.interpolate(x, 3, recompute_scale_factor=True), IMAGE),
    "antialias": (lambda f, x: f.interpolate(x, 3, mode="nearest", antialias=True), IMAGE),
    "nothing": (lambda f, x: f.interpolate(x, 0, mode="bilinear"), IMAGE),
    "two dimensions": (lambda f, x: f.interpolate(x, scale_factor=2), (3, 4)),
    "grid mode": (lambda f, x, g: f.grid_sample(x, g, "some", align_corners=True), IMAGE, GRID),
    "grid padding": (lambda f, x, g: f.grid_sample(x, g, padding_mode="some", align_corners=True), IMAGE, GRID),
    "grid rank": (lambda f, x, g: f.grid_sample(x, g, align_corners=True), IMAGE, PLACES),
    "grid batch": (lambda f, x, g: f.grid_sample(x, g[:1], align_corners=True), IMAGE, GRID),
    "grid dtype": (lambda f, x, g: f.grid_sample(x, g.double(), align_corners=True), IMAGE, GRID),
    "cubic grid": (lambda f, x, g: f.grid_sample(x, g, "bicubic", align_corners=True), VOLUME, PLACES),
    "theta": (lambda f, m: f.affine_grid(m, (2, 3, 4, 5), align_corners=True), (2, 3, 3)),
    "theta of ints": (lambda f, m: f.affine_grid(m.long(), (2, 3, 4, 5), align_corners=True), (2, 2, 3)),
    "affine size": (lambda f, m: f.affine_grid(m, (2, 3, 0, 5), align_corners=True), (2, 2, 3)),
    "shuffle": (lambda f, x: f.pixel_shuffle(x, 2), IMAGE),
    "shuffle by nothing": (lambda f, x: f.pixel_shuffle(x, 0), IMAGE),
    "unshuffle": (lambda f, x: f.pixel_unshuffle(x, 2), IMAGE),
    "channels": (lambda f, x: f.channel_shuffle(x, 2), IMAGE),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(lambda t, *x: call(t.nn.functional, *x), *shapes)
