"""NaN in eager gradients, found where they are made."""

import pytest

import genesis
from genesis.autograd import detect_anomaly, is_anomaly_enabled, set_detect_anomaly


def loss(x: genesis.Tensor) -> genesis.Tensor:
    return (x.sqrt() * 0.0).sum()


def test_the_line_of_the_op_is_named() -> None:
    x = genesis.zeros(2, requires_grad=True)
    loss(x).backward()
    assert x.grad.isnan().all()
    with detect_anomaly():
        assert is_anomaly_enabled()
        with pytest.raises(RuntimeError, match=r"Function 'sqrt' returned nan(.|\n)*test_anomaly\.py:10"):
            loss(x).backward()
        loss(genesis.ones(2, requires_grad=True)).backward()
    assert not is_anomaly_enabled()
    with detect_anomaly(check_nan=False):
        loss(x).backward()


def test_it_is_switched_on_and_off() -> None:
    set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match="returned nan values"):
            loss(genesis.zeros(2, requires_grad=True)).backward()
    finally:
        set_detect_anomaly(False)
    with set_detect_anomaly(True):
        assert is_anomaly_enabled()
    assert not is_anomaly_enabled()


def test_compiled_steps_have_their_own() -> None:
    def step(x: genesis.Tensor) -> genesis.Tensor:
        with detect_anomaly():
            return x * 2

    with pytest.raises(RuntimeError, match="check_numerics=True"):
        genesis.compile(step)(genesis.ones(2))
