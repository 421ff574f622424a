"""Loops by ``genesis.scan``: eager and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import OpError, TraceError

BACKENDS = ["eager", "interpret", "c"]
Runner = Callable[[Callable[..., Any]], Callable[..., Any]]


@pytest.fixture(params=BACKENDS)
def runs(request: pytest.FixtureRequest) -> Runner:
    """Turns a function into one that runs in one of the ways there are."""
    if request.param == "eager":
        return lambda f: f
    return genesis.compile(backend=request.param)


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_scan_is_its_iterations(runs: Runner) -> None:
    def mean(x: Any) -> Any:
        def body(carry: Any, x: Any) -> Any:
            total, count = carry
            total, count = total + x, count + 1
            return (total, count), {"mean": total / count, "double": 2 * x}

        return genesis.scan(body, (genesis.zeros(3), genesis.tensor(0)), x)

    x = array(5, 3)
    (total, count), ys = runs(mean)(genesis.tensor(x))
    np.testing.assert_allclose(total.numpy(), x.sum(0), 1e-5, 1e-6)
    assert count.item() == 5
    np.testing.assert_allclose(ys["mean"].numpy(), x.cumsum(0) / np.arange(1, 6)[:, None], 1e-5, 1e-6)
    np.testing.assert_array_equal(ys["double"].numpy(), 2 * x)


def test_reverse_keeps_slices_together(runs: Runner) -> None:
    def suffix_sums(x: Any) -> Any:
        return genesis.scan(lambda c, x: (c + x, c), genesis.zeros(2), x, reverse=True)

    x = array(4, 2)
    last, before = runs(suffix_sums)(genesis.tensor(x))
    np.testing.assert_allclose(last.numpy(), x.sum(0), 1e-5, 1e-6)
    np.testing.assert_allclose(before.numpy(), x[::-1].cumsum(0)[::-1] - x, 1e-5, 1e-5)


def test_without_sequences_and_without_a_carry(runs: Runner) -> None:
    def powers(x: Any) -> Any:
        _, ys = genesis.scan(lambda c, _: (c * x, c), genesis.ones(2), length=4)
        _, zs = genesis.scan(lambda _, y: (None, y + 1), None, ys)
        return zs

    np.testing.assert_allclose(
        runs(powers)(genesis.tensor([2.0, 3.0])).numpy(), [[2, 2], [3, 4], [5, 10], [9, 28]], 1e-6
    )


def gradients(runs: Runner, loss: Callable[..., Any], **given: np.ndarray) -> tuple[np.ndarray, ...]:
    parameters = {k: genesis.nn.Parameter(genesis.tensor(v)) for k, v in given.items()}

    def step() -> Any:
        for p in parameters.values():
            p.grad = None
        loss(**parameters).backward()
        return tuple(p.grad for p in parameters.values())

    return tuple(g.numpy() for g in runs(step)())


def test_gradients_reach_everything(runs: Runner) -> None:
    def looped(w: Any, x: Any, h: Any) -> Any:
        h, ys = genesis.scan(lambda h, x: ((h := genesis.tanh(h @ w + x)), h * x), h, x)
        return (h * h).sum() + ys.sum()

    def written_out(w: Any, x: Any, h: Any) -> Any:
        total = genesis.zeros(())
        for t in range(4):
            h = genesis.tanh(h @ w + x[t])
            total = total + (h * x[t]).sum()
        return (h * h).sum() + total

    given = {"w": array(3, 3), "x": array(4, 2, 3, seed=1), "h": array(2, 3, seed=2)}
    for a, b in zip(gradients(runs, looped, **given), gradients(lambda f: f, written_out, **given), strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-5)


def test_scans_within_scans(runs: Runner) -> None:
    def looped(w: Any, x: Any) -> Any:
        def inner(c: Any, x: Any) -> Any:
            return genesis.sin(c * w + x), None

        def outer(c: Any, row: Any) -> Any:
            c, _ = genesis.scan(inner, c, row)
            return c, c

        _, ys = genesis.scan(outer, genesis.zeros(2), x)
        return (ys * ys).sum()

    def written_out(w: Any, x: Any) -> Any:
        c, total = genesis.zeros(2), genesis.zeros(())
        for i in range(3):
            for j in range(2):
                c = genesis.sin(c * w + x[i, j])
            total = total + (c * c).sum()
        return total

    given = {"w": array(2), "x": array(3, 2, 2, seed=1)}
    for a, b in zip(gradients(runs, looped, **given), gradients(lambda f: f, written_out, **given), strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_draws_are_those_of_the_iterations(runs: Runner, reverse: bool) -> None:
    def drawing(x: Any) -> Any:
        first = genesis.rand(2)
        _, ys = genesis.scan(lambda c, x: (c, genesis.rand(2) + genesis.randn(2) * x), None, x, reverse=reverse)
        return first, ys, genesis.rand(2)

    genesis.manual_seed(4)
    expected = [genesis.rand(2).numpy(), *((genesis.rand(2) + genesis.randn(2) * 2).numpy() for _ in range(3))]
    expected.append(genesis.rand(2).numpy())
    state = genesis.get_rng_state().tolist()
    genesis.manual_seed(4)
    first, ys, last = runs(drawing)(genesis.full((3, 1), 2.0))
    order = ys.numpy()[::-1] if reverse else ys.numpy()
    np.testing.assert_allclose(np.stack([first.numpy(), *order, last.numpy()]), np.stack(expected), 1e-5, 1e-6)
    assert genesis.get_rng_state().tolist() == state


def test_autocast_reaches_the_body(runs: Runner) -> None:
    w = genesis.tensor(array(8, 8))

    def products(x: Any) -> Any:
        with genesis.autocast(dtype=genesis.bfloat16):
            _, ys = genesis.scan(lambda c, x: (c, x @ w), None, x)
        return ys

    ys = runs(products)(genesis.tensor(array(3, 8, 8, seed=1)))
    assert ys.dtype is genesis.bfloat16


def test_no_grad_in_the_body(runs: Runner) -> None:
    def loss(w: Any) -> Any:
        def body(c: Any, _: Any) -> Any:
            with genesis.no_grad():
                constant = c * w
            return c + constant * w, None

        return genesis.scan(body, genesis.ones(2), length=2)[0].sum()

    (g,) = gradients(runs, loss, w=np.array([2.0, 3.0], np.float32))
    np.testing.assert_allclose(g, [2 + (1 + 4) * 2, 3 + (1 + 9) * 3], 1e-6)


ERRORS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "another shape": (lambda x: genesis.scan(lambda c, x: (x, c), genesis.zeros(2), x), OpError, "keep its structure"),
    "another dtype": (
        lambda x: genesis.scan(lambda c, x: (c + x, c), genesis.zeros(3, dtype=genesis.float16), x),
        OpError,
        r"enters the body as \(f16\[3\]\) and leaves it as \(f32\[3\]\)",
    ),
    "no pair": (lambda x: genesis.scan(lambda c, x: c, genesis.zeros(3), x), OpError, "returns a pair"),
    "no length": (lambda x: genesis.scan(lambda c, _: (c, c), x), OpError, "no xs, length=None"),
    "two lengths": (lambda x: genesis.scan(lambda c, x: (c, c), None, (x, x[:2])), OpError, "one number of iterations"),
    "a wrong length": (lambda x: genesis.scan(lambda c, x: (c, c), None, x, length=3), OpError, "length=3"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_line(runs: Runner, name: str) -> None:
    call, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message) as raised:
        runs(call)(genesis.zeros(4, 3))
    assert "test_scan.py" in str(raised.value)


def test_writing_to_the_outside_is_an_error(runs: Runner) -> None:
    seen = genesis.zeros(3)

    def writes(x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            seen.add_(x)
            return c, x

        return genesis.scan(body, None, x)

    with pytest.raises(TraceError, match="carry it instead"):
        runs(writes)(genesis.zeros(4, 3))


def test_a_tensor_of_the_body_stays_in_it(runs: Runner) -> None:
    kept = []

    def leaks(x: Any) -> Any:
        genesis.scan(lambda c, x: (c, kept.append(x)), None, x)
        return kept[-1] + 1

    with pytest.raises(TraceError, match="used outside"):
        runs(leaks)(genesis.zeros(4, 3))


def test_hooks_and_gradients_in_the_body_are_not_there_yet(runs: Runner) -> None:
    def hooked(x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            y = c * x
            y.register_hook(lambda g: 2 * g)
            return y, y

        return genesis.scan(body, genesis.ones(3, requires_grad=True), x)

    with pytest.raises(NotImplementedError, match="hooks in the body"):
        runs(hooked)(genesis.zeros(4, 3))


def test_gradients_of_the_outside_are_not_read_in_the_body(runs: Runner) -> None:
    weight = genesis.nn.Parameter(genesis.ones(3))
    weight.grad = genesis.ones(3)

    def reads(x: Any) -> Any:
        return genesis.scan(lambda c, x: (c, x * weight.grad), None, x)

    with pytest.raises(TraceError, match="optimizers in the body of a loop"):
        runs(reads)(genesis.zeros(4, 3))


@pytest.mark.parametrize("backend", ["interpret", "c"])
def test_a_gradient_of_a_gradient_beside_a_loop_under_autocast(backend: str) -> None:
    genesis.manual_seed(0)
    network, x = genesis.nn.GRU(3, 4), genesis.nn.Parameter(genesis.tensor(array(2, 1, 3)))

    def step() -> Any:
        x.grad = None
        with genesis.autocast("cpu", dtype=genesis.bfloat16):
            loss = network(x)[0].float().square().mean()
        loss.backward()
        (slope,) = genesis.autograd.grad(x.tanh().sum(), x, create_graph=True)
        (x * slope).sum().backward()
        return x.grad + 0

    np.testing.assert_allclose(genesis.compile(step, backend=backend)().numpy(), step().numpy(), atol=1e-2)


def _steep(c: Any) -> Any:
    return genesis.fmin(c.sin(), c).square().sum()


@pytest.mark.parametrize("inside", [True, False], ids=["of the carry", "of a value made inside"])
@pytest.mark.parametrize("second", [True, False], ids=["with a gradient of its own", "without"])
def test_a_body_takes_gradients(runs: Runner, inside: bool, second: bool) -> None:
    """``autograd.grad`` in a body is that of the same loop in Python, and so is the gradient through it."""

    def cell(h: Any, x: Any) -> tuple[Any, Any]:
        c = h if inside else h + x
        (g,) = genesis.autograd.grad(_steep(c), c, create_graph=second)
        return h * x - 0.1 * g, g

    def whole(start: Any, x: Any) -> Any:
        h, ys = genesis.scan(cell, start * 1, x)
        return h.sum() + (ys * ys).sum()

    def unrolled(start: Any, x: Any) -> Any:
        h, total = start * 1, 0.0
        for i in range(4):
            h, y = cell(h, x[i])
            total = total + (y * y).sum()
        return h.sum() + total

    def with_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
        def step(start: Any, x: Any) -> Any:
            result = f(start, x)
            return result, *genesis.autograd.grad(result, (start, x), allow_unused=True)

        return step

    start, x = (genesis.tensor(array(*shape), requires_grad=True) for shape in ((3,), (4, 3)))
    for got, want in zip(runs(with_gradient(whole))(start, x), with_gradient(unrolled)(start, x), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), 1e-5, 1e-5)


@pytest.mark.parametrize("shape", [(1, 3), (3,)], ids=["expanded", "reshaped"])
def test_what_a_loop_starts_from_may_be_a_result(runs: Runner, shape: tuple[int, ...]) -> None:
    def sums(x: Any) -> Any:
        start = x.sum(0, keepdim=True).expand(1, 3).reshape(shape)
        last, _ = genesis.scan(lambda c, y: (c + y, None), start, x)
        return last, start

    x = array(4, 1) * np.ones(3, np.float32)
    last, start = runs(sums)(genesis.tensor(x))
    np.testing.assert_allclose(start.numpy(), x.sum(0).reshape(shape), 1e-5)
    np.testing.assert_allclose(last.numpy(), 2 * x.sum(0).reshape(shape), 1e-5)
    column = genesis.tensor(x[:, :1])
    last, start = runs(sums)(column)
    np.testing.assert_allclose(last.numpy(), 2 * x.sum(0).reshape(shape), 1e-5)
