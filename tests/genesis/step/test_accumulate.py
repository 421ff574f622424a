"""``accumulate=``: a compiled step over micro-batches gives what the eager step gives on the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import genesis as t
from compiler.errors import TraceError
from genesis import nn, optim
from genesis.amp import GradScaler
from genesis.nn import functional as F

Step = Callable[[Any, Any], Any]
LABELS = [0, 1, 2, 3, 3, 2, 1, 0]


def _leaves(result: Any) -> Iterator[np.ndarray]:
    if isinstance(result, t.Tensor):
        yield np.asarray(result.detach().float().numpy())
    elif isinstance(result, tuple | list):
        for part in result:
            yield from _leaves(part)


class Given:
    """A model of its own, its optimizer, and the state of the generator that belongs to it."""

    def __init__(self, model: Callable[[], nn.Module], adam: bool = False) -> None:
        t.manual_seed(0)
        self.model = model()
        parameters = self.model.parameters()
        self.optimizer: Any = optim.AdamW(parameters, lr=0.05) if adam else optim.SGD(parameters, lr=0.1, momentum=0.9)
        self.scaler = GradScaler(init_scale=4.0)

    def run(self, make: Callable[[Given], Step], backend: str | None, **options: Any) -> list[np.ndarray]:
        """The results of three steps, and the model's state after them."""
        step = make(self)
        if backend is not None:
            step = t.compile(step, backend=backend, **options)
        t.manual_seed(1)
        x, y, found = t.randn(8, 3), t.tensor(LABELS), []
        for _ in range(3):
            found += _leaves(step(x, y))
            found += [p.detach().numpy().copy() for p in (*self.model.parameters(), *self.model.buffers())]
        return found


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 4))


def trains(loss: Callable[[Any, Any], Any], after: Callable[[Any, Any, Any], Any] = lambda z, y, value: ()) -> Any:
    """A step that trains on ``loss(logits, y)`` and also returns ``after(logits, y, loss)``."""

    def make(given: Given) -> Step:
        def step(x: Any, y: Any) -> Any:
            given.optimizer.zero_grad()
            z = given.model(x)
            value = loss(z, y)
            value.backward()
            given.optimizer.step()
            return value, after(z, y, value)

        return step

    return make


WEIGHTS = [1.0, 2.0, 0.5, 3.0]
LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mean": F.cross_entropy,
    "sum": lambda z, y: F.cross_entropy(z, y, reduction="sum"),
    "scaled sum": lambda z, y: F.cross_entropy(z, y, reduction="sum") * 0.125,
    "sum by the batch": lambda z, y: F.cross_entropy(z, y, reduction="sum") / len(z),
    "sum by the inverse of the batch": lambda z, y: F.cross_entropy(z, y, reduction="sum") * (1 / z.shape[0]),
    "rows": lambda z, y: F.cross_entropy(z, y, reduction="none").mean(),
    "weights": lambda z, y: F.cross_entropy(z, y, weight=t.tensor(WEIGHTS)),
    "ignored": lambda z, y: F.cross_entropy(z, y, ignore_index=3, label_smoothing=0.1),
    "nll": lambda z, y: F.nll_loss(z.log_softmax(1), y, weight=t.tensor(WEIGHTS), ignore_index=0),
    "mse": lambda z, y: F.mse_loss(z, F.one_hot(y, 4).float()),
    "mse sum": lambda z, y: F.mse_loss(z, t.zeros(8, 4), reduction="sum"),
    "mask": lambda z, y: ((z * z).sum(1) * (y != 2)).sum() / (y != 2).sum(),
    "penalty": lambda z, y: F.cross_entropy(z, y) + 0.1 * (z * z).mean(),
    "sum and mean": lambda z, y: F.cross_entropy(z, y, reduction="sum") - 3 * z.mean(),
    "picked rows": lambda z, y: -z.log_softmax(1).gather(1, y.unsqueeze(1)).mean(),
    "indexed rows": lambda z, y: -z.log_softmax(1)[t.arange(8), y].mean(),
    "balanced by the batch": lambda z, y: (z.sum(1) * (y.float() - y.float().mean()) / y.float().std()).mean(),
    "chosen values": lambda z, y: F.mse_loss(z[t.arange(8), y], z.detach().amax(1)),
    "transposed": lambda z, y: (z.t() * y).sum(1).sum() / 8,
    "weights per place": lambda z, y: (z * t.arange(32).reshape(8, 4)).mean(),
    "largest": lambda z, y: F.mse_loss(z.topk(2, 1).values, z.detach().sort(1).values[:, :2]),
    "running sums": lambda z, y: (z.cumsum(1) ** 2).mean() + z.logcumsumexp(1).mean(),
    "scattered": lambda z, y: (z.scatter(1, y.unsqueeze(1), z[:, :1] * 2) ** 2).mean(),
    "flattened": lambda z, y: F.binary_cross_entropy_with_logits(z.reshape(-1), (t.arange(32) % 2).float()),
    "kl": lambda z, y: F.kl_div(z.log_softmax(1), F.one_hot(y, 4).float(), reduction="batchmean"),
}


@pytest.mark.parametrize("backend", ["interpret", "auto"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, backend: str) -> None:
    make = trains(LOSSES[name])
    assert_same(Given(mlp).run(make, None), Given(mlp).run(make, backend, accumulate=4))


def assert_same(whole: list[np.ndarray], parts: list[np.ndarray]) -> None:
    assert [a.shape for a in whole] == [a.shape for a in parts]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


RESULTS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "logits": lambda z, y, loss: (z, z.t(), z.reshape(2, 4, 4), z[2:5]),
    "classes": lambda z, y, loss: (z.argmax(1), z.argmax(1) == y),
    "counts": lambda z, y, loss: ((z.argmax(1) == y).sum(), (z > 0).sum(0), (z > 0).sum().int()),
    "accuracy": lambda z, y, loss: ((z.argmax(1) == y).float().mean(), (z.argmax(1) == y).sum() / len(y)),
    "losses of examples": lambda z, y, loss: F.cross_entropy(z, y, reduction="none"),
    "extrema": lambda z, y, loss: (z.max(), z.amin(0), (z > 1).any(), (z < 9).all(0)),
    "roots": lambda z, y, loss: (loss.sqrt(), z.norm(), z.std(0), z.softmax(0)),
    "order": lambda z, y, loss: (z.flip(0), z[::2]),
    "neither": lambda z, y, loss: (t.arange(8) + y, t.ones(3), y),
    "histogram": lambda z, y, loss: F.one_hot(z.argmax(1), 4).sum(0),
}


@pytest.mark.parametrize("backend", ["interpret", "auto"])
@pytest.mark.parametrize("name", RESULTS)
def test_results_behind_backward(name: str, backend: str) -> None:
    make = trains(F.cross_entropy, RESULTS[name])
    assert_same(Given(mlp).run(make, None), Given(mlp).run(make, backend, accumulate=2))


def clipped(given: Given) -> Step:
    def step(x: Any, y: Any) -> Any:
        given.optimizer.zero_grad()
        loss = F.cross_entropy(given.model(x), y)
        given.scaler.scale(loss).backward()
        given.scaler.unscale_(given.optimizer)
        norm = nn.utils.clip_grad_norm_(given.model.parameters(), 0.1)
        given.scaler.step(given.optimizer)
        given.scaler.update()
        return loss, norm

    return step


def gradient_of_the_input(given: Given) -> Step:
    def step(x: Any, y: Any) -> Any:
        given.optimizer.zero_grad()
        x = x.detach().requires_grad_()
        (g,) = t.autograd.grad(F.cross_entropy(given.model(x), y), [x], create_graph=True)
        loss = F.cross_entropy(given.model(x), y) + (g.norm(dim=1) - 1).square().mean()
        loss.backward()
        given.optimizer.step()
        return loss, g

    return step


def two_losses(given: Given) -> Step:
    def step(x: Any, y: Any) -> Any:
        given.optimizer.zero_grad()
        z = given.model(x)
        first, second = F.cross_entropy(z, y), z.square().sum()
        first.backward(retain_graph=True)
        second.backward()
        given.optimizer.step()
        return first, second, first / second

    return step


def two_updates(given: Given) -> Step:
    """The second loss uses the updated weights, as in the training of adversaries."""

    def step(x: Any, y: Any) -> Any:
        losses = []
        for _ in range(2):
            given.optimizer.zero_grad()
            losses.append(F.cross_entropy(given.model(x), y))
            losses[-1].backward()
            given.optimizer.step()
        return losses

    return step


def penalised(given: Given) -> Step:
    def step(x: Any, y: Any) -> Any:
        given.optimizer.zero_grad()
        penalty = sum(p.square().sum() for p in given.model.parameters())
        loss = F.cross_entropy(given.model(x), y, reduction="sum") + 0.1 * penalty
        loss.backward()
        given.optimizer.step()
        return loss, penalty

    return step


def moving_average(given: Given) -> Step:
    average = t.zeros(4)

    def step(x: Any, y: Any) -> Any:
        given.optimizer.zero_grad()
        z = given.model(x)
        average.copy_(0.9 * average + 0.1 * z.detach().mean(0))
        loss = F.cross_entropy(z, y)
        loss.backward()
        given.optimizer.step()
        return loss, average.clone()

    return step


STEPS: dict[str, Callable[[Given], Step]] = {
    f.__name__: f for f in (clipped, gradient_of_the_input, two_losses, two_updates, penalised, moving_average)
}


@pytest.mark.parametrize("backend", ["interpret", "auto"])
@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str, backend: str) -> None:
    make = STEPS[name]
    assert_same(Given(mlp, True).run(make, None), Given(mlp, True).run(make, backend, accumulate=4))


OPTIONS: dict[str, dict[str, Any]] = {
    "clip_grad_norm": {"clip_grad_norm": 0.2},
    "clip_grad_value": {"clip_grad_value": 0.02},
    "loss_scale": {"loss_scale": 8.0},
    "dynamic": {"loss_scale": "dynamic", "clip_grad_norm": 0.2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_the_decorator(name: str) -> None:
    make, options = trains(F.cross_entropy), OPTIONS[name]
    whole = Given(mlp, True).run(make, "auto", **options)
    assert_same(whole, Given(mlp, True).run(make, "auto", accumulate=2, **options))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = nn.LSTM(1, 4, batch_first=True), nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.out(self.layer(x.unsqueeze(2))[0][:, -1])


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.token = nn.Linear(1, 4), nn.Parameter(t.ones(1, 1, 4))
        self.layer = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Any) -> Any:
        x = t.cat([self.token.expand(len(x), 1, 4), self.table(x.unsqueeze(2))], 1)
        return self.layer(x, x, x)[0][:, 0]


class Convolving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.out = nn.Conv2d(1, 2, 3, padding=1), nn.GroupNorm(1, 2), nn.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        x = self.norm(self.layer(x.reshape(len(x), 1, 1, 3)))
        return self.out(F.max_pool2d(F.max_pool2d(x, 1), 3, 1, 1).flatten(1))


class Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(9, 4), nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        return self.out(self.table((x.abs() * 3).long() % 9).flatten(1))


MODELS = {
    "recurrent": Recurrent,
    "attending": Attending,
    "convolving": Convolving,
    "embedding": Embedding,
    "dropout": lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Dropout(1.0), nn.Linear(4, 4)),
}


@pytest.mark.parametrize("backend", ["interpret", "auto"])
@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, backend: str) -> None:
    make: Any = trains(F.cross_entropy, lambda z, y, loss: z)
    model: Any = MODELS[name]
    assert_same(Given(model).run(make, None), Given(model).run(make, backend, accumulate=2))


def test_mixed_precision() -> None:
    make: Any = trains(F.cross_entropy, lambda z, y, loss: (z.argmax(1) == y).sum())
    whole = Given(mlp).run(make, "auto", precision="bf16-mixed")
    for a, b in zip(whole, Given(mlp).run(make, "auto", precision="bf16-mixed", accumulate=2), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-2, atol=2e-2)


def test_gradients_stay_on_top_of_those_that_are_there() -> None:
    def gradients(**options: Any) -> list[np.ndarray]:
        given = Given(mlp)

        @t.compile(keep_grads=True, **options)
        def step(x: Any, y: Any, factor: float) -> None:
            (F.cross_entropy(given.model(x), y) * factor).backward()

        for factor in (1.0, 2.0):
            step(t.ones(8, 3), t.tensor(LABELS), factor)
        return [p.grad.numpy() for p in given.model.parameters()]

    assert_same(gradients(), gradients(accumulate=4))


def test_batch_norm_takes_the_statistics_of_each_micro_batch() -> None:
    def train(parts: int, **options: Any) -> list[np.ndarray]:
        t.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        @t.compile(**options)
        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            losses = [F.cross_entropy(model(a), b) for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True)]
            sum(losses[1:], losses[0]).div(parts).backward()
            optimizer.step()

        t.manual_seed(1)
        step(t.randn(8, 3), t.tensor(LABELS))
        return [p.detach().numpy() for p in (*model.parameters(), *model.buffers()) if p.ndim]

    assert_same(train(4), train(1, accumulate=4))


def test_statistics_of_a_micro_batch_are_no_result() -> None:
    given = Given(lambda: nn.BatchNorm1d(3))

    @t.compile(accumulate=2)
    def step(x: Any) -> Any:
        given.model(x).square().mean().backward()
        return given.model.running_mean + 1

    with pytest.raises(TraceError, match=r"accumulate= cannot tell how a f32\[3\], made by add at .*is joined"):
        step(t.randn(4, 3))


def test_a_loss_that_mixes_examples_names_its_line_and_the_way_out() -> None:
    given = Given(mlp)

    @t.compile(accumulate=2)
    def step(x: Any) -> None:
        given.model(x).norm().backward()

    with pytest.raises(TraceError, match=r"cannot compute vector_norm.*\n  at test_accumulate.py:\d+\n  make the loss"):
        step(t.randn(4, 3))


def test_only_the_activations_of_a_micro_batch_take_memory() -> None:
    def arena(**options: Any) -> int:
        model = nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 4))

        @t.compile(backend="c", **options)
        def step(x: Any, y: Any) -> Any:
            model.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        step(t.randn(1024, 4), t.tensor(LABELS * 128))
        return int(step.plan.arena_bytes)

    assert arena(accumulate=8) < arena() / 4


def test_adversaries_train_in_one_step() -> None:
    """The generator's loss is judged by the updated critic, and reads what the critic's loss has read."""

    def train(**options: Any) -> list[np.ndarray]:
        t.manual_seed(0)
        maker, critic = nn.Linear(3, 4), nn.Linear(4, 1)
        optimizers = [optim.Adam(m.parameters(), lr=0.01) for m in (critic, maker)]

        @t.compile(**options)
        def step(x: Any, z: Any) -> Any:
            fake = maker(z)
            losses = []
            for optimizer, loss in zip(
                optimizers,
                (lambda: critic(fake.detach()).exp().mean() - critic(x).mean(), lambda: -critic(fake).mean()),
                strict=True,
            ):
                optimizer.zero_grad()
                losses.append(loss())
                losses[-1].backward()
                optimizer.step()
            return losses

        t.manual_seed(1)
        results = [part for _ in range(3) for part in _leaves(step(t.randn(8, 4), t.randn(8, 3)))]
        return results + [p.detach().numpy() for p in (*maker.parameters(), *critic.parameters())]

    assert_same(train(), train(accumulate=4))


def test_a_gradient_behind_the_loop_leaves_it_alone() -> None:
    """A gradient that is taken of the whole, of a parameter that the micro-batches read too."""
    w = nn.Parameter(t.linspace(0.1, 1.0, 9).reshape(1, 1, 3, 3))
    optimizer = optim.SGD([w], lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        (g,) = t.autograd.grad(w.tanh().sum(), w, create_graph=True)
        y = F.conv2d(x.expand(4, 3, 5, 5), w.expand(6, 1, 3, 3), stride=3, padding=1, dilation=2, groups=3)
        loss = (y * y).mean() + (w * g).square().mean()
        loss.backward()
        return loss, y, w * g

    x = t.linspace(-1, 1, 100).reshape(4, 1, 5, 5)
    wanted = [*_leaves(step(x)), w.grad.numpy().copy()]
    for got, want in zip([*_leaves(t.compile(step, accumulate=2, keep_grads=True)(x)), w.grad.numpy()], wanted):
        np.testing.assert_allclose(got, want, 1e-5, 1e-6)
