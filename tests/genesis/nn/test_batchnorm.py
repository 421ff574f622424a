"""Running statistics: what moves them, and that compiled steps move them as eager ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim
from genesis.nn import functional as F


def images(seed: int, *shape: int) -> Any:
    array = np.random.default_rng(seed).standard_normal(shape or (6, 3, 4, 5)) * 3 + 1
    return genesis.tensor(array.astype(np.float32))


def state(module: nn.Module) -> list[np.ndarray]:
    return [np.array(t.numpy()) for t in module.state_dict().values()]


NETS: dict[str, Any] = {
    "batch": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3, momentum=None), nn.Flatten()),
    "rows": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(60), nn.Linear(60, 8), nn.BatchNorm1d(8, affine=False)),
    "instance": lambda: nn.Sequential(nn.InstanceNorm2d(3, affine=True, track_running_stats=True), nn.Flatten()),
    "group": lambda: nn.Sequential(nn.GroupNorm(3, 3), nn.Flatten(), nn.GroupNorm(4, 60)),
}


@pytest.mark.parametrize("name", NETS)
def test_compiled_training_is_eager_training(name: str) -> None:
    def trained(compiled: bool) -> tuple[list[float], nn.Module]:
        genesis.manual_seed(3)
        net = NETS[name]()
        optimizer = optim.SGD(net.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (net(x) ** 3).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = genesis.compile(step) if compiled else step
        return [run(images(i)).item() for i in range(4)], net

    (losses, mine), (expected, eager) = trained(True), trained(False)
    assert losses == pytest.approx(expected, rel=1e-5)
    for a, b in zip(state(mine), state(eager), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    evaluate = genesis.compile(lambda x: mine(x))
    mine.eval(), eager.eval()
    expected_output = eager(images(9)).detach().numpy()
    np.testing.assert_allclose(evaluate(images(9)).detach().numpy(), expected_output, rtol=1e-4, atol=1e-4)


def test_a_skipped_step_moves_the_statistics_and_nothing_else() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(60, 2))
    optimizer = optim.AdamW(net.parameters())
    scaler = genesis.amp.GradScaler(init_scale=2.0**127)

    @genesis.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = net(x).square().sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    before = net.state_dict()
    before = {k: np.array(v.numpy()) for k, v in before.items()}
    step(images(0))
    assert step.last.applied is False
    after = {k: v.numpy() for k, v in net.state_dict().items()}
    assert {k for k in after if (after[k] != before[k]).any()} == {
        "0.running_mean",
        "0.running_var",
        "0.num_batches_tracked",
    }


def test_batch_norm_stays_whole_and_keeps_its_type() -> None:
    net = nn.BatchNorm2d(3)

    @genesis.compile
    def step(x: Any) -> Any:
        with genesis.amp.autocast(dtype=genesis.bfloat16):
            return net(x)

    assert step(images(0)).dtype is genesis.float32
    assert step(images(0).bfloat16()).dtype is genesis.bfloat16
    assert [n.op.name for n in step.graph("traced").nodes].count("batch_norm") == 1
    assert net.running_mean.dtype is genesis.float32
    assert net.num_batches_tracked.item() == 2


def test_evaluation_moves_nothing_and_states_no_gradient() -> None:
    net = nn.BatchNorm2d(3)
    net(images(0))
    before = state(net)
    net.eval()
    x = images(1)
    x.requires_grad_()
    net(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[0, :, 0, 0], 1 / np.sqrt(before[3] + net.eps), rtol=1e-6)
    for a, b in zip(state(net), before, strict=True):
        np.testing.assert_array_equal(a, b)
    net.reset_running_stats()
    assert [t.item() for t in (net.running_mean.sum(), net.running_var.sum(), net.num_batches_tracked)] == [0, 3, 0]


def test_second_derivatives() -> None:
    def double(norm: Any) -> np.ndarray:
        x = images(2, 5, 4)
        x.requires_grad_()
        (first,) = genesis.autograd.grad((norm(x) ** 3).sum(), [x], create_graph=True)
        (second,) = genesis.autograd.grad((first**2).sum(), [x])
        return second.numpy()

    def by_hand(x: Any) -> Any:
        return (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()

    np.testing.assert_allclose(
        double(lambda x: F.batch_norm(x, None, None, training=True)), double(by_hand), rtol=1e-3, atol=1e-4
    )


def test_synchronised_batch_norm_is_batch_norm() -> None:
    np.testing.assert_array_equal(*(n(images(0)).detach().numpy() for n in (nn.SyncBatchNorm(3), nn.BatchNorm2d(3))))
    with pytest.raises(ValueError, match="at least 2D"):
        nn.SyncBatchNorm(3)(images(0, 3))
