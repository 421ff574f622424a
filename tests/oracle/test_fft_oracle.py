"""Fourier transforms against PyTorch: values, gradients, sizes, norms, dimensions, errors; compiled."""

from typing import Any

import numpy as np
import pytest

import genesis
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")


def parts(x: Any) -> Any:
    """Real and imaginary part, which the comparison takes."""
    return (x.real, x.imag * 1) if not isinstance(x, tuple) and x.is_complex() else x


@pytest.mark.parametrize("size", [1, 2, 3, 8, 12, 32, 35, 37, 64, 96, 111, 128])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "ihfft"])
def test_real_numbers(name: str, size: int) -> None:
    agree(lambda t, x: parts(getattr(t.fft, name)(x)), (2, size), atol=2e-5)


@pytest.mark.parametrize("size", [2, 3, 8, 17, 33, 40])
@pytest.mark.parametrize("name", ["irfft", "hfft", "fft", "ifft"])
def test_complex_numbers(name: str, size: int) -> None:
    agree(lambda t, x: parts(getattr(t.fft, name)(t.fft.rfft(x) * 0.5)), (2, size), atol=2e-5)


@pytest.mark.parametrize("norm", [None, "backward", "forward", "ortho"])
@pytest.mark.parametrize("n", [None, 4, 9])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_norms_sizes_and_dimensions(name: str, dim: int, n: int | None, norm: str | None) -> None:
    agree(lambda t, x: parts(getattr(t.fft, name)(x, n, dim, norm)), (6, 5), atol=2e-5)


CALLS = {
    "stft": lambda t, x: t.stft(x.reshape(2, -1), 4, 2, normalized=True, return_complex=True),
    "stft of whole pieces": lambda t, x: t.stft(
        x[0], 4, 1, 3, x[0, 0, :3].detach(), False, onesided=False, return_complex=True
    ),
    "istft": lambda t, x: t.istft(t.stft(x[0], 4, 2, window=t.ones(4) / 2, return_complex=True) * 2, 4, 2, length=5),
    "fft2": lambda t, x: t.fft.fft2(x),
    "ifft2": lambda t, x: t.fft.ifft2(x, norm="ortho"),
    "rfft2": lambda t, x: t.fft.rfft2(x),
    "irfft2": lambda t, x: t.fft.irfft2(t.fft.rfft2(x), s=(4, 5)),
    "fftn": lambda t, x: t.fft.fftn(x),
    "fftn of sizes": lambda t, x: t.fft.fftn(x, s=(3, -1)),
    "fftn along": lambda t, x: t.fft.fftn(x, dim=(0, 2), norm="forward"),
    "fftn along nothing": lambda t, x: t.fft.fftn(x * 2, dim=()),
    "ifftn": lambda t, x: t.fft.ifftn(x, s=(5, 3), dim=(1, 0)),
    "rfftn": lambda t, x: t.fft.rfftn(x, dim=(2, 0, 1)),
    "irfftn": lambda t, x: t.fft.irfftn(t.fft.rfftn(x), s=tuple(x.shape)),
    "there and back": lambda t, x: t.fft.ifft(t.fft.fft(x, dim=1), dim=1).real,
    "convolution": lambda t, x: t.fft.irfft(t.fft.rfft(x, n=9) * t.fft.rfft(x.flip(-1), n=9), n=9),
    "abs": lambda t, x: t.fft.rfft(x).abs(),
    "torch.abs": lambda t, x: t.abs(t.fft.rfft(x)),
    "angle": lambda t, x: t.fft.fft(x).angle(),
    "conj": lambda t, x: (t.fft.fft(x) * t.fft.fft(x).conj()).real,
    "arithmetic": lambda t, x: (2 - t.fft.fft(x) + 1.5 * t.fft.ifft(x) / (t.fft.fft(x) + 9) - (1 + 2j)).real,
    "division": lambda t, x: 1 / (t.fft.fft(x) + 20),
    "by tensors": lambda t, x: t.fft.rfft(x)[..., :2] * x[..., :2] - x[..., :2],
    "moved": lambda t, x: t.fft.fft(x).transpose(0, 1).reshape(4, -1)[1:].sum(0).unsqueeze(0),
    "fftshift": lambda t, x: t.fft.fftshift(x),
    "ifftshift": lambda t, x: t.fft.ifftshift(x, dim=(1, 2)),
    "fftshift of a spectrum": lambda t, x: t.fft.fftshift(t.fft.fft(x), dim=-1),
    "of whole numbers": lambda t, x: t.fft.fft((x.detach() * 9).long()),
    "frequencies": lambda t, x: (t.fft.fftfreq(5), t.fft.fftfreq(6, 0.5), t.fft.rfftfreq(6), t.fft.rfftfreq(7, 2.0)),
    "as in FNet": lambda t, x: t.fft.fft(t.fft.fft(x, dim=-1), dim=-2).real,
}


@pytest.mark.filterwarnings("ignore:.*window:UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_a_call(name: str) -> None:
    agree(lambda t, x: parts(CALLS[name](t, x)), (2, 4, 5), rtol=1e-4, atol=3e-5)


def test_float64_is_exact() -> None:
    x = np.random.default_rng(0).standard_normal((2, 360))
    found = genesis.fft.fft(genesis.tensor(x)).numpy()
    np.testing.assert_allclose(found, np.fft.fft(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, x: t.fft.fft(x, norm="other"),
        lambda t, x: t.fft.fft(x, dim=2),
        lambda t, x: t.fft.fft(x, n=0),
        lambda t, x: t.fft.rfft(t.fft.fft(x)),
        lambda t, x: t.fft.irfft(x[:, :1]),
        lambda t, x: t.fft.fftn(x, s=(2, 2, 2)),
        lambda t, x: t.fft.fftn(x, s=(2,), dim=(0, 1)),
        lambda t, x: t.fft.fftn(x, dim=(0, 0)),
        lambda t, x: t.fft.fft("x"),
        lambda t, x: t.fft.fft(x.bfloat16()),
    ],
)
def test_what_is_refused(call: Any) -> None:
    both_raise(call, (2, 4))


@pytest.mark.parametrize("backend", ["interpret", "auto"])
def test_a_filter_is_trained_in_a_compiled_step(backend: str) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 3, 40)).astype(np.float32)

    def run(t: Any, wrap: Any) -> list[float]:
        w = t.nn.Parameter(t.ones(21))
        optimizer = t.optim.SGD([w], lr=0.1)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            found = t.fft.irfft(t.fft.rfft(x) * w, n=40)
            loss = (found - y).square().mean() + t.fft.rfft(found).abs().mean() * 0.1
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        return [step(t.tensor(x), t.tensor(y)).item() for _ in range(4)]

    compiled = genesis.compile(backend=backend)
    np.testing.assert_allclose(run(genesis, compiled), run(torch, lambda f: f), rtol=1e-4)


def test_a_pair_shows_itself() -> None:
    found = genesis.fft.fft(genesis.tensor([1.0, 0.0]))
    assert found.tolist() == [1, 1] and len(found) == found.size(0) == 2 and found.dim() == 1
    assert "real=tensor([1., 1.])" in repr(found)
    with pytest.raises(TypeError, match="ComplexTensor and str"):
        found + "x"
