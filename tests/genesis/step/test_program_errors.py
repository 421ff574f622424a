"""Errors about code that cannot be part of a compiled step, and about bad input; nothing is half done."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import OpError, TraceError
from genesis import nn, optim
from genesis.nn import functional as F

interpreted = partial(genesis.compile, backend="interpret")
X = genesis.ones(4, 3)
HERE = Path(__file__).name


def message_of(function: Callable[..., Any], *args: Any) -> str:
    """The error of a call, with line numbers masked."""
    with pytest.raises(Exception) as raised:
        function(*args)
    return f"{type(raised.value).__name__}: " + re.sub(r"(\.py):\d+", r"\1:LINE", str(raised.value))


# Contents that do not exist yet


class Counting(nn.Module):
    """Changes itself in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x


counting, linear = Counting(), nn.Linear(4, 2)


def branch(x: Any) -> Any:
    return x if x.sum() > 0 else -x


def show(x: Any) -> None:
    print(x)


def shape_from_data(x: Any) -> Any:
    return x[x > 0]


def seeded(x: Any) -> Any:
    genesis.manual_seed(0)
    return genesis.rand(2)


UNTRACEABLE: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.sum().item(),
    "branch": branch,
    "print": show,
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "format": lambda x: f"{x.sum():.3f}",
    "index": lambda x: [1, 2, 3][x.sum().to(genesis.int64)],
    "numpy": lambda x: x.numpy(),
    "array": lambda x: np.add(x, 1),
    "tolist": lambda x: x.tolist(),
    "mask": shape_from_data,
    "attribute": lambda x: counting(x),
    "seed": seeded,
    "parameter": lambda x: nn.Linear(3, 3)(x),
    "shapes": lambda x: linear(x),
    "broadcast": lambda x: x + genesis.ones(7),
    "no gradient": lambda x: x.sum().backward(),
}


def test_messages_of_code_that_cannot_be_compiled(golden: Callable[[str, str], None]) -> None:
    text = "".join(f"{name}\n{message_of(interpreted(body), X)}\n\n" for name, body in UNTRACEABLE.items())
    golden("genesis/program_errors.txt", text)


@pytest.mark.parametrize("name", [n for n in UNTRACEABLE if n != "no gradient"])
def test_the_users_line_is_named(name: str) -> None:
    body = UNTRACEABLE[name]
    with pytest.raises((TraceError, OpError)) as raised:
        interpreted(body)(X)
    place = re.search(rf"at {HERE}:(\d+)", str(raised.value))
    assert place is not None
    lines = {line for _, _, line in body.__code__.co_lines()} | {
        line for _, _, line in Counting.forward.__code__.co_lines()
    }
    assert int(place[1]) in lines


def test_code_that_cannot_be_compiled_leaves_everything_as_it_was() -> None:
    model = nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters())
    state = genesis.get_rng_state().tolist()

    @interpreted
    def step(x: Any, fails: bool) -> Any:
        optimizer.zero_grad()
        loss = F.dropout(model(x), 0.5).sum()
        loss.backward()
        optimizer.step()
        if fails:
            loss.item()
        return loss

    before = model.weight.tolist()
    with pytest.raises(TraceError):
        step(X, True)
    assert model.weight.tolist() == before and model.weight.grad is None
    assert genesis.get_rng_state().tolist() == state
    assert genesis.is_grad_enabled()
    assert step.compiles == 0 and not counting.calls
    step(X, False)
    assert model.weight.tolist() != before


def test_writes_to_parameter_groups_take_effect_after_every_call() -> None:
    weight = nn.Parameter(genesis.ones(1))
    optimizer = optim.SGD([weight], lr=1.0)

    @interpreted
    def step() -> None:
        optimizer.zero_grad()
        weight.sum().backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.25

    step()
    assert weight.item() == 0.0 and optimizer.param_groups[0]["lr"] == 0.25
    optimizer.param_groups[0]["lr"] = 1.0
    step()
    assert weight.item() == -1.0 and optimizer.param_groups[0]["lr"] == 0.25


# Tensors that leave the step without being returned


def test_a_leaked_tensor_says_where_it_was_made() -> None:
    kept: SimpleQueue[Any] = SimpleQueue()  # what it holds, no guard can see

    @interpreted
    def step(x: Any) -> Any:
        kept.put(x * 2)
        return x

    step(X)
    leaked = kept.get()
    uses = (lambda t: print(t), lambda t: t + 1, lambda t: t.tolist(), lambda t: t.sum().backward())
    for use in uses:
        assert (
            "a tensor made while a step was being compiled is used outside that step; return it from the "
            f"step instead of storing it\n  it was made at {HERE}:LINE"
        ) in message_of(use, leaked)


def test_a_leaked_tensor_in_another_step() -> None:
    kept: SimpleQueue[Any] = SimpleQueue()

    @interpreted
    def first(x: Any) -> None:
        kept.put(x * 2)

    @interpreted
    def second(x: Any) -> Any:
        return x + leaked

    first(X)
    leaked = kept.get()
    with pytest.raises(TraceError, match="used outside that step"):
        second(X)


# Bad input


class Classifier:
    """An embedding and a classifier under Adam; compiled to C where there is a compiler."""

    def __init__(self) -> None:
        genesis.manual_seed(0)
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)
        model = nn.ModuleList([self.embedding, self.head])
        self.optimizer = optim.Adam(model.parameters(), lr=0.1)
        self.count = genesis.zeros(1)
        self.model = model

        def step(tokens: Any, labels: Any) -> Any:
            self.optimizer.zero_grad()
            self.count.add_(1.0)
            hidden = F.dropout(self.embedding(tokens), 0.1)
            loss = F.cross_entropy(self.head(hidden), labels)
            loss.backward()
            self.optimizer.step()
            return loss

        self.native, self.slow = genesis.compile(step), interpreted(step)

    def state(self) -> list[Any]:
        held = [v for s in self.optimizer.state_dict()["state"].values() for v in s.values()]
        return [t.tolist() for t in (*self.model.parameters(), *held, self.count)] + [genesis.get_rng_state().tolist()]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier()


GOOD = genesis.tensor([0, 1, 6]), genesis.tensor([0, 1, 2])
LOOKUP, LOSS = "self.embedding(tokens)", "F.cross_entropy"
OUT_OF_RANGE = [
    (genesis.tensor([0, 7, 1]), GOOD[1], "embedding index 7 is out of range [0, 7) (element 1)", LOOKUP),
    (genesis.tensor([0, 1, -1]), GOOD[1], "embedding index -1 is out of range [0, 7) (element 2)", LOOKUP),
    (GOOD[0], genesis.tensor([3, 0, 0]), "class index 3 is out of range [0, 3) (element 0)", LOSS),
]


@pytest.mark.parametrize("how", ["native", "slow"])
@pytest.mark.parametrize(("tokens", "labels", "finding", "code"), OUT_OF_RANGE)
def test_an_index_out_of_range_changes_nothing(
    classifier: Classifier, how: str, tokens: Any, labels: Any, finding: str, code: str
) -> None:
    step = getattr(classifier, how)
    step(*GOOD)
    before = classifier.state()
    with pytest.raises(IndexError) as raised:
        step(tokens, labels)
    text = str(raised.value).splitlines()
    assert text[0] == finding
    place = re.search(rf"at {HERE}:(\d+)", text[1])
    assert place is not None and code in Path(__file__).read_text().splitlines()[int(place[1]) - 1]
    assert text[2] == "  nothing was updated by this call"
    assert classifier.state() == before
    step(*GOOD)
    assert classifier.state() != before
    assert step.compiles == 1


def test_an_ignored_label_is_no_error(classifier: Classifier) -> None:
    assert np.isfinite(classifier.native(GOOD[0], genesis.tensor([0, -100, 2])).item())


def test_wrong_shapes_and_types_name_the_call(classifier: Classifier) -> None:
    tokens, labels = GOOD
    for given, message in [
        (
            (tokens, labels[:2]),
            r"cross_entropy\(f32\[3,3\], i64\[2\]\): the input \[3, 3\] needs a target of shape \[3\]",
        ),
        ((tokens.to(genesis.float32), labels), r"embedding\(f32\[7,4\], f32\[3\]\)"),
        ((genesis.ones(0, dtype=genesis.int64), labels), r"argument tokens of .*step is empty: shape \[0\]"),
    ]:
        before = classifier.state()
        with pytest.raises(OpError, match=message) as raised:
            classifier.slow(*given)
        assert HERE in str(raised.value)
        assert classifier.state() == before


def test_wrong_arguments_are_pythons_errors(classifier: Classifier) -> None:
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'labels'"):
        classifier.slow(GOOD[0])
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'label'"):
        classifier.slow(GOOD[0], label=GOOD[1])


def test_a_batch_of_nan_gives_nan() -> None:
    weight = nn.Parameter(genesis.ones(3))

    @interpreted
    def loss(x: Any) -> Any:
        return (weight * x).sum()

    assert np.isnan(loss(genesis.tensor([1.0, float("nan"), 2.0])).item())


def test_errors_of_the_users_own_code_come_through() -> None:
    @interpreted
    def step(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        step(X)
    with pytest.raises(KeyError, match="mine"):
        step(X)
