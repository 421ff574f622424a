"""The CTC loss against PyTorch, behind a softmax."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(19)
LOGITS = (11, 4, 6)
TARGETS = np.array([[1, 2, 2, 3], [5, 5, 1, 0], [4, 0, 0, 0], [3, 3, 3, 3]])
FLAT = np.concatenate([TARGETS[0], TARGETS[1, :3], TARGETS[2, :1], TARGETS[3]])
KNOWN, SPANS = (11, 9, 7, 10), (4, 3, 1, 4)


def loss(targets: np.ndarray, *lengths: Any, **options: Any) -> tuple[Any, ...]:
    def call(t: Any, x: Any, y: Any) -> Any:
        return t.nn.functional.ctc_loss(t.log_softmax(x, -1), y, *lengths, **options)

    return call, LOGITS, targets


CASES: dict[str, tuple[Any, ...]] = {
    "mean": loss(TARGETS, KNOWN, SPANS),
    "sum": loss(TARGETS, KNOWN, SPANS, reduction="sum"),
    "none": loss(TARGETS, KNOWN, SPANS, reduction="none"),
    "concatenated": loss(FLAT, KNOWN, SPANS, reduction="none"),
    "another blank": loss(TARGETS % 4, KNOWN, (3, 2, 1, 2), blank=4),
    "no labels": loss(TARGETS, KNOWN, (0, 3, 0, 4), reduction="none"),
    "too long, zero": loss(TARGETS, (11, 9, 7, 5), SPANS, zero_infinity=True, reduction="none"),
    "tensors of lengths": (
        lambda t, x, y: t.nn.functional.ctc_loss(t.log_softmax(x, -1), y, t.tensor(KNOWN), t.tensor(SPANS)),
        LOGITS,
        TARGETS,
    ),
    "one sequence": (
        lambda t, x, y: t.nn.functional.ctc_loss(
            t.log_softmax(x[:, 0], -1), y[0], t.tensor(11), t.tensor(4), reduction="none"
        ),
        LOGITS,
        TARGETS,
    ),
    "one step": (
        lambda t, x, y: t.nn.functional.ctc_loss(t.log_softmax(x[:1], -1), y[:, :1], (1,) * 4, (1, 0, 1, 1)),
        LOGITS,
        TARGETS,
    ),
    "double": (
        lambda t, x, y: t.nn.functional.ctc_loss(t.log_softmax(x.double(), -1), y, KNOWN, SPANS), LOGITS, TARGETS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_loss(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes, rtol=2e-5, atol=2e-6)


def test_a_target_that_does_not_fit_has_an_infinite_loss() -> None:
    call, shape, targets = loss(TARGETS, (11, 9, 7, 5), SPANS, reduction="none")
    agree(call, shape, targets, grad=False)


def test_the_module() -> None:
    assert repr(nn.CTCLoss(2)) == repr(torch.nn.CTCLoss(2))
    agree(lambda t, x, y: t.nn.CTCLoss(reduction="sum")(x.log_softmax(2), y, KNOWN, SPANS), LOGITS, TARGETS, rtol=2e-5)


@pytest.mark.parametrize("targets", [TARGETS, FLAT], ids=["padded", "concatenated"])
def test_a_compiled_step_computes_the_same(targets: np.ndarray) -> None:
    def gradient(x: Any, y: Any, known: Any, spans: Any) -> Any:
        value = nn.functional.ctc_loss(x.log_softmax(-1), y, known, spans)
        return value.detach(), genesis.autograd.grad(value, x)[0]

    x = genesis.randn(*LOGITS).requires_grad_()
    given = x, genesis.tensor(targets), genesis.tensor(KNOWN), genesis.tensor(SPANS)
    for mine, other in zip(genesis.compile(gradient)(*given), gradient(*given), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), 1e-4, 1e-5)


ERRORS: dict[str, tuple[Any, ...]] = {
    "input lengths": loss(TARGETS, (12, 9, 7, 10), SPANS),
    "batch": loss(TARGETS, KNOWN[:3], SPANS[:3]),
    "blank": loss(TARGETS, KNOWN, SPANS, blank=6),
    "target lengths": loss(TARGETS, KNOWN, (5, 3, 1, 4)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
