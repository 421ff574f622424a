"""``check_numerics=True``: the first op that makes an infinity or a NaN is named, and nothing is updated."""

from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import NumericsError, UnsupportedError
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from runtime.toolchain import find_compiler

BACKENDS = ["interpret", pytest.param("c", marks=pytest.mark.skipif(find_compiler() is None, reason="no C compiler"))]
X = np.linspace(0.1, 2, 24, dtype=np.float32).reshape(6, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.drop = nn.Dropout(0.1)
        self.power = 0.5

    def forward(self, x: Any) -> Any:
        h = self.drop(self.inner(x)).exp()
        return (h * x[:, :3] ** self.power).sum()


def trained(model: nn.Module, **options: Any) -> Any:
    optimizer = optim.AdamW(model.parameters(), lr=0.1)

    @genesis.compile(check_numerics=True, **options)
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_op_is_named_with_its_operands_and_nothing_is_updated(backend: str) -> None:
    model = Net()
    step = trained(model, backend=backend)
    assert np.isfinite(step(X).item())
    before, state = {k: v.numpy().copy() for k, v in model.state_dict().items()}, genesis.get_rng_state().tolist()
    bad = X.copy()
    bad[2, 1] = -1
    with pytest.raises(NumericsError) as e:
        step(bad)
    lines = str(e.value).splitlines()
    assert lines[0] == "pow made 1 NaN of 18 elements, the first at [2, 1] in the forward pass"
    assert "test_numerics.py" in lines[1] and lines[1].endswith("model")
    assert lines[3].endswith("f32[6,3], from -1 to 1.91739") and lines[3].strip().startswith("slice (")
    assert lines[-1] == "  nothing was updated by this call"
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in model.state_dict().items())
    assert genesis.get_rng_state().tolist() == state
    assert np.isfinite(step(X).item()) and step.last.skip_reason is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_backward_pass_is_named(backend: str) -> None:
    model = Net()
    step = trained(model, backend=backend)
    weight = model.inner.weight.detach().numpy().copy()
    zero = genesis.tensor(X.copy()).requires_grad_()

    @genesis.compile(check_numerics=True, backend=backend)
    def gradient(x: Any) -> Any:
        y = x.sqrt().sum()
        y.backward()
        return y

    assert np.isfinite(gradient(zero).item())
    with genesis.no_grad():
        zero[0, 0] = 0.0
    with pytest.raises(NumericsError, match=r"1 infinite of 24 elements, the first at \[0, 0\] in the backward pass"):
        gradient(zero)
    model.inner.weight.data[1, 1] = float("inf")
    with pytest.raises(
        NumericsError, match=r"linear made .* in the forward pass\n.*model.inner\n(.*\n)*.*1 not finite"
    ):
        step(X)
    assert not np.array_equal(weight, model.inner.weight.detach().numpy())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_skipped_step_says_why(backend: str) -> None:
    model = nn.Linear(4, 1, bias=False)
    model.weight.data = genesis.ones(1, 4)
    optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), GradScaler(init_scale=2.0**15)

    @genesis.compile(check_numerics=True, backend=backend)
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        with autocast(dtype=genesis.float16):
            loss = model(x).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    step(X * 0.01)
    assert step.last.applied and step.last.skip_reason is None
    step(X)
    assert not step.last.applied
    reason = step.last.skip_reason
    assert "in the backward pass" in reason and "infinite of" in reason and "test_numerics.py" in reason
    unchecked = genesis.compile(step.function, backend=backend)
    scaler.load_state_dict({**scaler.state_dict(), "scale": 2.0**15})
    unchecked(X)
    assert unchecked.last.skip_reason.startswith(
        "a gradient was not finite at a loss scale of 32768; check_numerics=True"
    )


def test_what_a_skipped_step_changes_is_kept_as_the_device_left_it() -> None:
    model, scaler = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), GradScaler()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @genesis.compile(check_numerics=True, backend="interpret")
    def step(x: Any) -> None:
        optimizer.zero_grad()
        scaler.scale(model(x).sum()).backward()
        scaler.step(optimizer)
        scaler.update()

    step(X)
    kept = {cell.label: cell for cell in step._program.numerics._before}
    running = [f"model.1.{name}" for name in ("num_batches_tracked", "running_mean", "running_var")]
    assert sorted(kept) == [*running, "scaler.growth_tracker", "scaler.scale"]
    scale = kept["scaler.scale"]

    def fetch() -> None:
        scale.value.data[...], scale.remote = 8, None

    scale.remote = fetch
    step(X)
    assert step._program.numerics._before[scale] == 8


def test_flags_are_taken_where_values_are_made_and_one_kernel_updates_a_parameter() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64))

        def forward(self, x: Any) -> Any:
            return (self.layers(x) ** 2).sum()

    step = trained(Deep(), backend="interpret")
    step(np.ones((64, 32), np.float32))
    graph = step.graph("fuse")
    products = [node for node in graph.nodes if node.attrs["kind"] == "contract"]
    assert len(products) == 5 and all(v.dtype.kind == "float" for node in products for v in node.outputs)
    states = [v for v in graph.inputs("state") if v.type.rank == 2]
    assert len(states) == 6, "two weights and their moments"
    updating = [node for node in graph.nodes if not set(states[2:]).isdisjoint(node.inputs)]
    assert [node.attrs["kind"] for node in updating] == ["pointwise", "pointwise"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_masks_are_not_reported(backend: str) -> None:
    @genesis.compile(check_numerics=True, backend=backend)
    def attend(x: Any) -> Any:
        scores = (x @ x.T).masked_fill(genesis.ones(6, 6).triu(1) > 0, float("-inf"))
        return scores.softmax(-1) @ x

    assert np.isfinite(attend(X).numpy()).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_op_in_the_body_of_a_loop_is_named(backend: str) -> None:
    @genesis.compile(check_numerics=True, backend=backend)
    def walk(xs: Any) -> Any:
        return genesis.scan(lambda h, x: (h + x.log(), h), genesis.zeros(4), xs)[0]

    assert np.isfinite(walk(X).numpy()).all()
    bad = X.copy()
    bad[4, 2] = 0
    with pytest.raises(NumericsError, match=r"^log made 1 infinite of 4 elements, the first at \[2\]"):
        walk(bad)


def test_a_forward_function_with_gradients_is_refused() -> None:
    model = nn.Linear(4, 2)
    forward = genesis.compile(lambda x: model(x), check_numerics=True, backend="interpret")
    with pytest.raises(UnsupportedError, match="compiled with check_numerics=, and its results carry gradients"):
        forward(X)
    with genesis.no_grad():
        assert forward(X).shape == (6, 2)
