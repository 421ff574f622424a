"""Random numbers depend on the seed and the order of draws alone."""

from pathlib import Path

import numpy as np
import pytest

import genesis
from compiler.errors import ArgumentError
from genesis.random import Generator
from tests.genesis.recorded import Recorded


def test_the_seed_decides() -> None:
    def draw() -> list[np.ndarray]:
        return [genesis.rand(3).numpy(), genesis.randn(2, 2).numpy(), genesis.randint(9, (4,)).numpy()]

    genesis.manual_seed(7)
    first = draw()
    assert any((a != b).any() for a, b in zip(first, draw(), strict=True))
    genesis.manual_seed(7)
    for a, b in zip(first, draw(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_philox_is_philox() -> None:
    """The published vector: key and counter zero, Salmon et al. 2011, and its image as uniforms."""
    genesis.manual_seed(0)
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint64)
    expected = (words >> np.uint64(8)).astype(np.float32) * np.float32(2**-24)
    np.testing.assert_array_equal(genesis.rand(4).numpy(), expected)


def test_moments() -> None:
    genesis.manual_seed(1)
    u, n = genesis.rand(100, 100).numpy(), genesis.randn(100, 100).numpy()
    assert u.min() >= 0 and u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=0.01) and u.var() == pytest.approx(1 / 12, abs=0.002)
    assert n.mean() == pytest.approx(0, abs=0.03) and n.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 0.03
    assert (n**4).mean() == pytest.approx(3, abs=0.2)


def test_shapes_and_dtypes() -> None:
    assert genesis.rand(2, 3).shape == genesis.randn((2, 3)).shape == (2, 3)
    assert genesis.rand(()).shape == () and genesis.randn(0, 3).numel() == 0
    assert genesis.randn(2, dtype=genesis.float16).dtype is genesis.float16
    assert genesis.randint(5, (2,)).dtype is genesis.int64
    like = genesis.randn_like(genesis.ones(3, dtype=genesis.float64))
    assert like.dtype is genesis.float64 and genesis.rand_like(genesis.ones(2)).shape == (2,)
    assert genesis.randn(2, requires_grad=True).requires_grad


def test_randint_covers_its_range() -> None:
    drawn = genesis.randint(-2, 3, (1000,)).numpy()
    assert set(drawn) == {-2, -1, 0, 1, 2}


def test_randperm() -> None:
    genesis.manual_seed(0)
    a, b = genesis.randperm(50).numpy(), genesis.randperm(50).numpy()
    assert sorted(a) == list(range(50)) and (a != b).any() and (a != np.arange(50)).any()
    assert genesis.randperm(0).numel() == 0


def test_in_place_draws() -> None:
    genesis.manual_seed(0)
    x = genesis.empty(1000).uniform_(-3, 5).numpy()
    assert x.min() >= -3 and x.max() < 5 and x.mean() == pytest.approx(1, abs=0.3)
    assert genesis.empty(1000).normal_(4, 0.1).numpy().mean() == pytest.approx(4, abs=0.02)


def test_state_goes_back() -> None:
    genesis.manual_seed(3)
    genesis.rand(5)
    state = genesis.get_rng_state()
    a = genesis.randn(4).numpy()
    genesis.set_rng_state(state)
    np.testing.assert_array_equal(genesis.randn(4).numpy(), a)


def test_the_state_is_bytes_that_files_keep(tmp_path: Path) -> None:
    genesis.manual_seed(-3)
    genesis.rand(5)
    state = genesis.get_rng_state()
    assert state.dtype is genesis.uint8 and state.shape == (16,)
    genesis.save({"rng": state}, tmp_path / "state.pt")
    a = genesis.randn(4).tolist()
    genesis.set_rng_state(genesis.load(tmp_path / "state.pt")["rng"])
    assert genesis.randn(4).tolist() == a
    assert Generator().set_state(state).get_state().tolist() == state.tolist()
    for wrong in ((3, 5), state[:8], state.long()):
        with pytest.raises(ArgumentError, match=r"a tensor u8\[16\], but got"):
            genesis.set_rng_state(wrong)  # type: ignore[arg-type]


def test_generators_are_separate() -> None:
    one, two = Generator(5), Generator().manual_seed(5)
    assert two.initial_seed() == 5
    before = genesis.get_rng_state().tolist()
    np.testing.assert_array_equal(genesis.rand(3, generator=one).numpy(), genesis.rand(3, generator=two).numpy())
    assert genesis.get_rng_state().tolist() == before
    assert (genesis.randperm(20, generator=one).numpy() == genesis.randperm(20, generator=two).numpy()).all()


def test_large_and_negative_seeds() -> None:
    drawn = []
    for seed in (-1, 2**63, 2**64 - 1):
        genesis.manual_seed(seed)
        drawn.append(genesis.rand(4).numpy())
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert (drawn[0] != drawn[1]).any()


def test_a_recorded_step_draws_what_eager_draws_and_goes_on() -> None:
    out = genesis.zeros(3, 2)

    def step() -> None:
        out[0] = genesis.rand(2)
        out[1] = genesis.randn(2)
        out[2] = genesis.rand(2)

    genesis.manual_seed(11)
    eager = []
    for _ in range(2):
        step()
        eager.append(out.numpy().copy())
    genesis.manual_seed(11)
    recorded = Recorded(step)
    start = genesis.default_generator.position()
    recorded()
    np.testing.assert_array_equal(out.numpy(), eager[0])
    assert start == (11, 0)


def test_doubles_have_53_random_bits() -> None:
    def draws() -> list[genesis.Tensor]:
        f64 = genesis.float64
        filled = genesis.zeros(3, 4, dtype=f64)
        filled.normal_()
        empty = genesis.zeros(3, 4, dtype=f64)
        empty.uniform_()
        return [genesis.rand(3, 4, dtype=f64), genesis.randn(3, 4, dtype=f64), genesis.rand_like(empty), filled, empty]

    runs = []
    for run in (draws, genesis.compile(draws), genesis.compile(draws, backend="interpret")):
        genesis.manual_seed(5)
        runs.append([*run(), *run()])
    for eager, *others in zip(*runs, strict=True):
        bits = eager.numpy() * 2.0**30
        assert (bits != np.floor(bits)).all(), "more than the bits of a float32"
        for other in others:
            np.testing.assert_allclose(other.numpy(), eager.numpy(), rtol=1e-14)


def test_uniform_doubles_are_multiples_of_2_to_minus_53_below_1() -> None:
    genesis.manual_seed(2)
    u = genesis.rand(10000, dtype=genesis.float64).numpy()
    scaled = u * 2.0**53
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert (scaled % 2 == 1).any() and u.max() < 1 and u.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_uniform_halves_stay_below_1(name: str) -> None:
    genesis.manual_seed(0)
    u = genesis.rand(20000, dtype=getattr(genesis, name)).float().numpy()
    assert u.max() < 1 and u.min() == 0


def test_randint_of_large_numbers() -> None:
    genesis.manual_seed(0)
    near = genesis.randint(10**12, 10**12 + 5, (200,)).numpy()
    assert set(near) == set(range(10**12, 10**12 + 5))
    wide = genesis.randint(2**50, (200,)).numpy()
    assert (wide % 2 == 1).any() and (wide < 2**50).all() and len(set(wide)) == 200
