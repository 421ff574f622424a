"""Another default dtype against PyTorch: new tensors, Python floats, fractions of integers, layers, training."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import genesis
from tests.oracle.compare import name_of, same

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True, params=["float64", "float32"])
def default(request: pytest.FixtureRequest) -> Iterator[str]:
    for library in (genesis, torch):
        library.set_default_dtype(getattr(library, request.param))
    yield request.param
    for library in (genesis, torch):
        library.set_default_dtype(library.float32)


CALLS = """
t.tensor(1.5) | t.tensor([1.5, 2]) | t.tensor([1, 2]) | t.Tensor([1, 2]) | t.zeros(2) | t.ones(2) | t.full((2,), 1.5)
t.full((2,), 1) | t.arange(3.0) | t.arange(3) | t.linspace(0, 1, 3) | t.logspace(0, 1, 3) | t.eye(2)
t.scalar_tensor(2.0) | t.arange(3) / 2 | t.arange(3) * 0.5 | t.arange(3) + True | t.arange(3).sqrt()
t.sigmoid(t.arange(3)) | 2 ** t.arange(3.0) | t.arange(1, 4).pow(0.5) | t.arange(3) // 2.0 | t.arange(3).float() * 0.5
t.ones(2, dtype=t.float32) / 3 | t.ones(2, dtype=t.float32) * t.tensor(0.5)
t.where(t.tensor([True, False]), 1.5, 2.5) | t.arange(3).clamp(0.5)
t.where(t.tensor([True, False]), t.arange(2), 0.5) | t.true_divide(t.arange(3), 2) | t.rand(2) * 0 | t.randn(2) * 0
t.hann_window(4) | t.as_tensor([0.1]) | t.asarray(0.1) | t.zeros_like(t.arange(2)) | t.arange(4).new_tensor([1.5])
t.nn.functional.one_hot(t.arange(2)) * 0.1 | t.normal(0.0, 1.0, (2,)) * 0 | t.atan2(t.arange(2), t.arange(2))
t.empty(0) | t.nn.Linear(2, 2).weight * 0 | t.nn.BatchNorm1d(2).running_var | t.nn.Embedding(2, 2).weight * 0
t.nn.LSTM(2, 2).bias_hh_l0 * 0 | t.distributions.Normal(0.0, 1.0).log_prob(t.tensor(0.5)) | t.tensor([0.1]).mean()
t.FloatTensor([0.1]) | t.DoubleTensor([0.1]) | t.result_type(t.arange(2), 1.5) | t.get_default_dtype()
t.cumsum(t.arange(3) * 0.1, 0) | t.tensor(True) * 0.1
"""


@pytest.mark.parametrize("line", [call.strip() for line in CALLS.strip().split("\n") for call in line.split(" | ")])
def test_a_call(line: str, default: str) -> None:
    got, want = eval(line, {"t": genesis}), eval(line, {"t": torch})
    if isinstance(want, torch.dtype):
        assert name_of(repr(got)) == name_of(want)
        return
    assert name_of(repr(got.dtype)) == name_of(want.dtype)
    same(got, want, *((1e-14, 1e-15) if want.dtype == torch.float64 else (1e-6, 1e-6)))


@pytest.mark.parametrize("backend", ["", "interpret", "auto"])
def test_training(backend: str, default: str) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((8, 4)), rng.integers(0, 3, 8)

    def run(t: Any, wrap: Any, weights: Any) -> tuple[Any, list[float], Any]:
        model = t.nn.Sequential(t.nn.Linear(4, 5), t.nn.LayerNorm(5), t.nn.GELU(), t.nn.Linear(5, 3))
        if weights is not None:
            model.load_state_dict({k: t.tensor(v) for k, v in weights.items()})
        weights = {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}
        optimizer = t.optim.Adam(model.parameters(), lr=0.05)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = t.nn.functional.cross_entropy(model(x * 0.5), y) * (t.arange(3) / 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        losses = [step(t.tensor(x.tolist()), t.tensor(y)) for _ in range(5)]
        return weights, [loss.item() for loss in losses], losses[0].dtype

    weights, ours, kind = run(
        genesis, (lambda f: genesis.compile(f, backend=backend)) if backend else lambda f: f, None
    )
    _, theirs, _ = run(torch, lambda f: f, weights)
    assert name_of(repr(kind)) == default
    np.testing.assert_allclose(ours, theirs, rtol=1e-11 if default == "float64" else 2e-5)


def test_a_compiled_step_is_compiled_again() -> None:
    @genesis.compile(backend="interpret")
    def halves(n: genesis.Tensor) -> genesis.Tensor:
        return n / 2

    n = genesis.arange(3)
    kinds = []
    for kind in (genesis.float32, genesis.float64, genesis.float32):
        genesis.set_default_dtype(kind)
        kinds.append(halves(n).dtype)
    assert kinds == [genesis.float32, genesis.float64, genesis.float32] and halves.compiles == 2


def test_the_default_dtype_is_shown_by_no_note() -> None:
    genesis.set_default_dtype(genesis.float64)
    assert "dtype" not in repr(genesis.tensor(0.5)) and "float32" in repr(genesis.ones(1, dtype=genesis.float32))
    genesis.set_default_tensor_type("torch.HalfTensor")
    assert genesis.zeros(1).dtype is genesis.float16


@pytest.mark.parametrize("name", ["Adam", "NAdam", "ASGD", "SGD", "Adagrad", "Adafactor"])
def test_numbers_of_optimizers_are_of_the_default_dtype(name: str) -> None:
    """And a step that is compiled, or follows a loaded state, goes on with them."""
    found = []
    for library in (genesis, torch):
        library.set_default_dtype(library.float64)
        p = library.nn.Parameter(library.ones(2))
        settings = {"momentum": 0.9, "dampening": 0.1} if name == "SGD" else {}
        optimizer = getattr(library.optim, name)([p], lr=0.1, **settings)

        def step() -> None:
            p.grad = p.detach() * 0.5  # noqa: B023
            optimizer.step()  # noqa: B023

        for run in (step, genesis.compile(step, backend="interpret") if library is genesis else step):
            run()
            optimizer.load_state_dict(optimizer.state_dict())
            step()
        state = optimizer.state_dict()["state"][0]
        numbers = {k: str(v.dtype).rpartition(".")[2] for k, v in state.items() if not v.ndim and name != "SGD"}
        found.append((p.tolist(), numbers))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    assert found[0][1] == found[1][1]
