"""Values that generated code once got wrong: a compiled call gives what the eager call gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import DivisionError
from genesis import nn, optim
from genesis.nn import functional as F
from genesis.tensor import Tensor

INT_MAX, INT_MIN = 2**31 - 1, -(2**31)


def assert_compiled_is_eager(function: Callable[..., Any], *arguments: Any, rtol: float = 1e-6) -> None:
    """All results are equal, NaN and infinities where eager has them."""
    eager, compiled = function(*arguments), genesis.compile(function)(*arguments)
    for want, got in zip(eager, compiled, strict=True):
        assert want.dtype is got.dtype
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=rtol, atol=rtol)


def gradient(function: Callable[[Tensor], Tensor], *shape: int) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The gradient of a sum, taken inside a step."""
    weight = nn.Parameter(genesis.ones(*shape))

    def step(x: Tensor) -> tuple[Tensor, ...]:
        y = function(x * weight)
        (g,) = genesis.autograd.grad(y.sum(), [weight])
        return y.detach(), g

    return step


X33 = genesis.tensor(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3))
WINDOWS: dict[str, Callable[[Tensor], Tensor]] = {
    "max_pool": lambda x: F.max_pool2d(x, 2),
    "max_pool_padded": lambda x: F.max_pool2d(x, 3, 2, 1),
    "avg_pool": lambda x: F.avg_pool2d(x, 3, 1, 1),
    "avg_pool_alone": lambda x: F.avg_pool2d(x, 2, 2, 1, count_include_pad=False),
    "fold": lambda x: F.fold(F.unfold(x, 2), (3, 3), 2),
    "pad_twice": lambda x: F.pad(F.pad(x, (1, 1, 1, 1), value=2.0), (1, 0, 1, 0)),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name: str) -> None:
    assert_compiled_is_eager(gradient(WINDOWS[name], 1, 1, 3, 3), X33)


def test_windows_over_constants_read_the_padding() -> None:
    def step(x: Tensor) -> tuple[Tensor, ...]:
        ones = genesis.ones(1, 1, 3, 3)
        counts = F.fold(F.unfold(ones, 2), (3, 3), 2)
        places = genesis.arange(9).float().reshape(1, 1, 3, 3)
        padded = F.pad(F.pad(ones, (1, 1, 1, 1), value=2.0), (1, 0, 1, 0))
        return x * F.avg_pool2d(ones, 3, 1, 1), counts + x, F.avg_pool2d(places, 3, 1, 1) + x, padded.sum(-1) + x.sum()

    assert_compiled_is_eager(step, X33)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("size", [1.0, 1e4, 1e8])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_large_scores(size: float, masked: bool) -> None:
    """Scores up to 1e16; with a mask, one row sees nothing."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 2, 9, 10)).astype(np.float32) for _ in range(3))
    leaves = [nn.Parameter(genesis.tensor(x)) for x in (q * np.float32(size), k * np.float32(size), v)]
    mask = genesis.tensor(np.tril(np.ones((9, 9), bool), -1)) if masked else None

    def step() -> tuple[Tensor, ...]:
        y = F.scaled_dot_product_attention(*leaves, attn_mask=mask)
        return (y.detach(), *genesis.autograd.grad((y * y).sum(), leaves))

    for want, got in zip(step(), genesis.compile(step)(), strict=True):
        assert np.isfinite(want.numpy()).all()
        # dS is a difference of numbers near one, and is multiplied by Q and K
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=3e-6 * size)


def test_integers_wrap_around() -> None:
    def step(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        return x + 1 > x, x * 3, -x, x.abs(), x // y, x % y, x**2, (x - 1).sum(), x**y

    for dtype, least, most in ((genesis.int32, INT_MIN, INT_MAX), (genesis.int64, -(2**63), 2**63 - 1)):
        x = genesis.tensor([most, least, 2, -1, 1, 0], dtype=dtype)
        y = genesis.tensor([1, -1, -1, -2, -3, 7], dtype=dtype)
        with np.errstate(all="ignore"):
            assert_compiled_is_eager(step, x, y)


def test_floats_without_an_integer_become_the_least() -> None:
    def step(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(x.to(t) for t in (genesis.int64, genesis.int32, genesis.int16, genesis.int8, genesis.uint8))

    x = genesis.tensor([1e30, -1e30, float("nan"), float("inf"), 3e9, -1.5, 300.7, 2.0**31, 2.0**63])
    assert_compiled_is_eager(step, x)
    assert step(x)[1].tolist() == [INT_MIN, INT_MIN, INT_MIN, INT_MIN, INT_MIN, -1, 300, INT_MIN, INT_MIN]


@pytest.mark.parametrize(
    ("divide", "name"),
    [
        (lambda x, y: x // y, "floor_divide"),
        (lambda x, y: x % y, "remainder"),
        (lambda x, y: x.clone().remainder_(y), "remainder"),
        (genesis.floor_divide, "floor_divide"),
    ],
    ids=["quotient", "remainder", "in place", "function"],
)
def test_division_by_zero_raises_and_updates_nothing(divide: Callable[[Tensor, Tensor], Tensor], name: str) -> None:
    """As PyTorch does for tensors of integers."""
    weight = nn.Parameter(genesis.ones(3))
    optimizer = optim.SGD([weight], lr=1.0)

    @genesis.compile
    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        (weight * divide(x, y)).sum().backward()
        optimizer.step()
        return x

    x, zero = genesis.tensor([5, 6, 7]), genesis.tensor([1, 0, 0])
    message = rf"{name}\(i64\[3\], i64\[3\]\): integer division by zero \(element 1\)\n  at test_compiled_values.py"
    with pytest.raises(ZeroDivisionError, match=message):
        divide(x, zero)
    place = r"(.|\n)*at test_compiled_values.py(.|\n)*nothing was updated"
    with pytest.raises(DivisionError, match=rf"{name}: integer division by zero \(element 1\)" + place):
        step(x, zero)
    assert weight.tolist() == [1.0, 1.0, 1.0]
    step(x, genesis.tensor([1, 2, 3]))
    assert weight.tolist() != [1.0, 1.0, 1.0]


def test_logarithms_of_powers_of_two_are_exact() -> None:
    powers = np.arange(-149, 128)
    x = genesis.tensor(np.exp2(powers.astype(np.float64)).astype(np.float32))
    assert genesis.compile(lambda x: x.log2())(x).tolist() == powers.tolist()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_first_bad_index_is_reported_at_any_number_of_threads(threads: int) -> None:
    table = genesis.zeros(10, 3)
    index = np.zeros(300_000, np.int64)
    index[[99_999, 100_000, 199_999, 299_999]] = 11, 12, 13, 5_000_000_000
    before = genesis.get_num_threads()
    genesis.set_num_threads(threads)
    try:
        step = genesis.compile(lambda i: F.embedding(i, table).sum())
        for _ in range(3):
            with pytest.raises(IndexError, match=r"embedding index 11 is out of range \[0, 10\) \(element 99999\)"):
                step(genesis.tensor(index))
    finally:
        genesis.set_num_threads(before)


@pytest.mark.parametrize(
    "name", ["*/ oops", "/* a", 'quote" \\', 'three"""', "line\nend();", "at the end\\", "??/", "ключ²", "\u2028\x00"]
)
def test_names_stay_names(name: str) -> None:
    """Names come from dictionaries and checkpoints: they never become text of a program."""
    model = nn.ModuleDict({name: nn.Linear(2, 2)})
    x = genesis.ones(1, 2)
    step = genesis.compile(lambda x: model[name](x))
    np.testing.assert_allclose(step(x).detach().numpy(), model[name](x).detach().numpy(), rtol=1e-6)
    parameters = [line for line in step.source("c").splitlines() if " /* f32[2,2] " in line]
    assert len(parameters) == 1 and parameters[0].endswith(".weight */")


@pytest.mark.parametrize("dtype", [genesis.float64, genesis.float32])
def test_a_kernel_reads_an_operand_before_a_result_overwrites_it(dtype: Any) -> None:
    """The second of a kernel's two results reads the memory that the first one overwrites."""

    def trained(compile: Any) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        w = nn.Parameter(genesis.tensor(rng.standard_normal((2, 1, 7)) * 0.5).to(dtype))
        scale = nn.Parameter(genesis.tensor(rng.standard_normal(1) * 0.5).to(dtype))
        optimizer = optim.SGD([w, scale], lr=0.05)

        def step() -> tuple[Any, ...]:
            optimizer.zero_grad()
            scaled = w * scale
            mixed = F.scaled_dot_product_attention(w, w, w, is_causal=True)
            loss = (scaled**2).mean() + (mixed**2).mean()
            loss.backward()
            optimizer.step()
            return loss, scaled, mixed

        compile(step)()
        return [w.detach().numpy(), scale.detach().numpy()]

    for got, expected in zip(trained(genesis.compile), trained(lambda f: f), strict=True):
        np.testing.assert_allclose(got, expected, 1e-5, 1e-6)


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_scatters_of_halves(dtype: Any) -> None:
    genesis.manual_seed(0)
    table, rows = nn.Embedding(5, 3).to(dtype), genesis.tensor([1, 1, 2, 1])
    index = genesis.tensor([[0, 1, 0], [0, 1, 1], [0, 0, 0], [2, 2, 2]])
    x, source = genesis.randn(6, 3).to(dtype), genesis.randn(4, 3).to(dtype)

    def step() -> Any:
        table.weight.grad = None
        (table(rows).float() * 2).sum().backward()
        return table.weight.grad + 0, x.scatter_add(0, index, source)

    for got, expected in zip(genesis.compile(step)(), step(), strict=True):
        assert got.tolist() == expected.tolist()
