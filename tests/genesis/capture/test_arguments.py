"""A compiled step does the same as the eager step to its arguments, and to tensors that share storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis as t
from compiler.errors import TraceError
from genesis import nn, optim

Compile = Callable[[Any], Any]
SCENARIOS: dict[str, Callable[[Compile], list[Any]]] = {}


def scenario(function: Callable[[Compile], list[Any]]) -> Callable[[Compile], list[Any]]:
    """A program whose observations must not depend on whether its functions are compiled."""
    SCENARIOS[function.__name__] = function
    return function


def seen(thing: Any) -> Any:
    """``thing`` as numbers."""
    if isinstance(thing, t.Tensor):
        return np.asarray(thing.detach().numpy(), np.float64).tolist()
    if isinstance(thing, list | tuple):
        return [seen(item) for item in thing]
    if isinstance(thing, dict):
        return [seen(value) for value in thing.values()]
    return thing.tolist() if isinstance(thing, np.ndarray) else thing


# Arguments that are written


@scenario
def a_tensor(compile: Compile) -> list[Any]:
    @compile
    def step(h: Any, x: Any) -> Any:
        h.copy_(h * 2 + x)
        return h.sum()

    h = t.ones(4)
    alias, out = h[1:], []
    for i in range(3):
        out += [seen(step(h, t.ones(4) * i)), seen(h), seen(alias)]
    return out


@scenario
def an_array(compile: Compile) -> list[Any]:
    @compile
    def step(h: Any, x: Any) -> Any:
        h += x
        return (h * 1).sum()

    h, x, out = np.ones(4, np.float32), np.ones(4, np.float32), []
    alias = h[1:]
    for _ in range(3):
        out += [float(step(h, x)), seen(h), seen(alias)]
    return out


@scenario
def an_item_of_a_dict(compile: Compile) -> list[Any]:
    @compile
    def step(state: Any) -> Any:
        state["n"] += 1
        return state["n"] * 2

    state, out = {"n": t.zeros(2)}, []
    for _ in range(3):
        out += [seen(step(state)), seen(state)]
    return out


@scenario
def a_view(compile: Compile) -> list[Any]:
    @compile
    def step(row: Any) -> Any:
        row.add_(1)
        return row.sum()

    x, out = t.zeros(3, 4), []
    for i in range(3):
        out += [seen(step(x[i])), seen(x)]
    return out


@scenario
def overlapping_views(compile: Compile) -> list[Any]:
    @compile
    def step(a: Any, b: Any) -> Any:
        a.add_(1)
        b.mul_(2)
        return a + b

    x, out = t.ones(6), []
    for _ in range(2):
        out += [seen(step(x[:4], x[2:])), seen(x)]
    out += [seen(step(x, x)), seen(x)]
    y, z = t.ones(4), t.ones(4)
    return [*out, seen(step(y, z)), seen(y), seen(z)]


@scenario
def a_leaf_under_no_grad(compile: Compile) -> list[Any]:
    @compile
    def step(w: Any) -> Any:
        with t.no_grad():
            w.add_(1)
        return w.detach().sum()

    w = t.ones(3, requires_grad=True)
    return [seen(step(w)), seen(w), w.requires_grad, seen(step(w)), seen(w)]


@scenario
def averaged_weights(compile: Compile) -> list[Any]:
    t.manual_seed(0)
    model, average, out = nn.Linear(3, 2), nn.Linear(3, 2), []

    @compile
    def step(averages: Any, weights: Any) -> None:
        with t.no_grad():
            for a, w in zip(averages, weights, strict=True):
                a.mul_(0.9).add_(w, alpha=0.1)

    for _ in range(3):
        step(list(average.parameters()), list(model.parameters()))
        out += [seen(list(average.parameters()))]
    return out


@scenario
def running_statistics(compile: Compile) -> list[Any]:
    @compile
    def step(x: Any, mean: Any, var: Any) -> Any:
        return nn.functional.batch_norm(x, mean, var, training=True)

    t.manual_seed(0)
    mean, var, out = t.zeros(3), t.ones(3), []
    for _ in range(2):
        out += [seen(step(t.randn(4, 3), mean, var)), seen(mean), seen(var)]
    return out


@pytest.mark.parametrize("compile", [lambda f: f, t.compile], ids=["eager", "compiled"])
def test_a_leaf_is_not_written_where_gradients_are_recorded(compile: Compile) -> None:
    @compile
    def step(w: Any) -> Any:
        return w.add_(1)

    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        step(t.ones(3, requires_grad=True))


def test_arrays_that_cannot_be_written_stop_the_call_before_it_changes_anything() -> None:
    w = t.zeros(2)

    @t.compile
    def step(h: Any, x: Any) -> None:
        h += x
        w.add_(1)

    step(np.zeros(3, np.float32), np.ones(3, np.float32))
    fixed = np.zeros(3, np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only NumPy array"):
        step(fixed, np.ones(3, np.float32))
    both = np.zeros(4, np.float32)
    with pytest.raises(TraceError, match="whose memory another argument shares"):
        step(both[1:], both[:3])
    assert w.tolist() == [1, 1] and not both.any()


# Arguments that are states


@scenario
def a_parameter_of_the_optimizer(compile: Compile) -> list[Any]:
    w, out = nn.Parameter(t.ones(3)), []
    optimizer = optim.SGD([w], lr=0.1)

    @compile
    def step(w: Any, x: Any) -> Any:
        optimizer.zero_grad()
        loss = (w * x).sum() ** 2
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        out += [seen(step(w, t.ones(3))), seen(w)]
    return out


@scenario
def a_parameter_used_both_ways(compile: Compile) -> list[Any]:
    w, out = nn.Parameter(t.ones(3)), []
    optimizer = optim.SGD([w], lr=0.01)

    @compile
    def step(v: Any, x: Any) -> Any:
        optimizer.zero_grad()
        loss = (v * w * x).sum() ** 2
        loss.backward()
        optimizer.step()
        return loss

    for v in (w, w, t.ones(3), w):
        out += [seen(step(v, t.ones(3))), seen(w)]
    return out


STATE = {
    "same": lambda w: w,
    "detached": lambda w: w.detach(),
    "data": lambda w: w.data,
    "view": lambda w: w.t(),
    "copy": lambda w: w.clone(),
}


@pytest.mark.parametrize("size", [4, 300], ids=["copied in", "passed"])
@pytest.mark.parametrize("kind", STATE)
def test_an_argument_that_shares_memory_with_a_written_state(kind: str, size: int) -> None:
    def run(compile: Compile) -> list[Any]:
        w, out = t.arange(float(size * size)).reshape(size, size) * 1, []

        @compile
        def step(x: Any) -> Any:
            w.add_(1)
            return x.t() + w

        for _ in range(3):
            out += [seen(step(STATE[kind](w)).sum()), seen(w.sum())]
        return out

    assert run(lambda f: f) == pytest.approx(run(t.compile), rel=1e-4)


@scenario
def views_of_a_state(compile: Compile) -> list[Any]:
    w, out = t.arange(6.0) * 1, []

    @compile
    def step(x: Any) -> Any:
        w.add_(1)
        return x * 2 + w[-1]

    for x in (w[2:], w[:3], w[2:], w, t.ones(6)):
        out += [seen(step(x)), seen(w)]
    return out


@pytest.mark.parametrize("size", [4, 300])
def test_an_array_that_shares_memory_with_a_written_state_is_refused(size: int) -> None:
    w = t.zeros(size, size)

    @t.compile
    def step(x: Any) -> Any:
        w.add_(1)
        return x.T + w

    step(w.detach())
    for shown in (w.detach().numpy(), w.detach().numpy().T, t.from_numpy(w.numpy())):
        with pytest.raises(
            TraceError, match=r"shares its memory with a state that the step writes(.|\n)*x\.detach\(\)"
        ):
            step(shown)
    assert w.tolist() == t.ones(size, size).tolist()
    assert step(w.numpy().copy()).numpy().max() == 3


# Gradients


@scenario
def a_gradient_as_argument_now_and_then(compile: Compile) -> list[Any]:
    w, out = t.ones(2, requires_grad=True), []
    w.grad = t.ones(2)

    @compile
    def step(g: Any) -> Any:
        (w * 3).sum().backward()
        return g * 2

    for kind in ("other", "other", "itself", "other", "itself", "detached", "part", "other"):
        grad = w.grad
        assert grad is not None
        given = {"other": t.ones(2), "itself": grad, "detached": grad.detach(), "part": grad[:1]}[kind]
        out += [seen(step(given)), seen(w.grad)]
    return out


@scenario
def a_gradient_as_argument(compile: Compile) -> list[Any]:
    out = []
    for kind in (lambda g: g, lambda g: g[1:], lambda g: g.clone()):
        w = t.ones(4, requires_grad=True)
        w.grad = t.ones(4)

        @compile
        def step(g: Any, w: Any = w) -> Any:
            (w * w).sum().backward()
            return g * 2

        for _ in range(3):
            out += [seen(step(kind(w.grad))), seen(w.grad)]
    return out


@scenario
def gradients_in_one_flat_tensor(compile: Compile) -> list[Any]:
    flat, out = t.zeros(6), []
    a, b = t.ones(4, requires_grad=True), t.ones(2, requires_grad=True)
    a.grad, b.grad = flat[:4], flat[4:]

    @compile
    def step() -> Any:
        ((a * a).sum() + (b * 3).sum()).backward()
        return flat.sum()

    for _ in range(3):
        out += [seen(step()), seen(flat), seen(a.grad)]
    return out


@scenario
def one_gradient_of_two_tensors(compile: Compile) -> list[Any]:
    a, b, g = t.ones(2, requires_grad=True), t.ones(2, requires_grad=True), t.zeros(2)
    a.grad = b.grad = g
    out = []

    @compile
    def step() -> None:
        ((a * 2).sum() + (b * 3).sum()).backward()

    for _ in range(3):
        step()
        out += [seen(a.grad), seen(b.grad), seen(g)]
    return out


@scenario
def the_gradient_of_an_argument(compile: Compile) -> list[Any]:
    x, out = t.ones(3, requires_grad=True), []

    @compile
    def add(x: Any) -> Any:
        (x * x).sum().backward()
        return x.grad * 1

    @compile
    def renew(x: Any) -> Any:
        x.grad = None
        (x * x).sum().backward()
        return x.grad

    @compile
    def clear(x: Any) -> Any:
        (x * 3).sum().backward()
        found = x.grad.clone()
        x.grad = None
        return found

    @compile
    def zero(x: Any) -> None:
        x.grad.zero_()
        (x * 3).sum().backward()

    for _ in range(3):
        out += [seen(add(x)), seen(x.grad)]
    g = x.grad
    add(x)
    out += [seen(g), g is x.grad]
    for _ in range(2):
        g = renew(x)
        out += [seen(g), seen(x.grad), g is x.grad]
    out += [seen(clear(x)), x.grad is None, seen(clear(x)), x.grad is None]
    x.grad = t.ones(3)
    zero(x)
    return [*out, seen(x.grad)]


@scenario
def the_same_leaf_twice(compile: Compile) -> list[Any]:
    @compile
    def step(a: Any, b: Any) -> Any:
        return t.autograd.grad((a * b * b).sum(), a)[0]

    x, y = t.ones(3, requires_grad=True), t.ones(3, requires_grad=True)
    return [seen(step(x, x)), seen(step(x, y)), seen(step(x, x))]


@scenario
def a_gradient_returned(compile: Compile) -> list[Any]:
    w, out = t.ones(3, requires_grad=True), []

    @compile
    def step() -> Any:
        (w * w).sum().backward()
        return w.grad

    for _ in range(3):
        found = step()
        out += [seen(found), found is w.grad]
        found.mul_(2)
        out += [seen(w.grad)]
    return out


@scenario
def a_gradient_from_outside(compile: Compile) -> list[Any]:
    w, v = t.ones(3, requires_grad=True), t.ones(3) * 7

    @compile
    def step() -> None:
        w.grad = v

    step()
    return [w.grad is v, seen(w.grad)]


# Results


@scenario
def results_that_alias(compile: Compile) -> list[Any]:
    t.manual_seed(0)
    w, model, out = t.zeros(4), nn.Linear(2, 2), []

    @compile
    def step(x: Any) -> Any:
        w.add_(1)
        y = x * 2
        return w, w[:2], x, x[1:], y, y, y[:2], model.weight

    for _ in range(2):
        x = t.ones(3)
        r = step(x)
        out += [seen(r), r[0] is w, r[2] is x, r[4] is r[5], r[7] is model.weight]
        r[4].add_(5)
        r[3].add_(7)
        r[1].add_(9)
        out += [seen(r), seen(x), seen(w)]
    return out


@scenario
def results_at_a_place_that_the_step_computes(compile: Compile) -> list[Any]:
    w = t.zeros(4)

    @compile
    def step(x: Any) -> Any:
        y, i = x * 2, (x.sum() * 0 + 1).long()
        return y, y[i], w[i], x[i], y[i]

    x, out = t.ones(3), []
    for _ in range(2):
        r = step(x)
        for part in r[1:4]:
            part.add_(5)
        out += [seen(r), seen(w), seen(x)]
    return out


# The comparison


@pytest.mark.parametrize("name", SCENARIOS)
def test_eager_and_compiled_programs_observe_the_same(name: str) -> None:
    eager = SCENARIOS[name](lambda f: f)
    compiled = SCENARIOS[name](t.compile)
    flat_eager, flat_compiled = _flat(eager), _flat(compiled)
    assert flat_eager == pytest.approx(flat_compiled, rel=1e-4, abs=1e-6)


def _flat(thing: Any) -> list[Any]:
    return [x for item in thing for x in _flat(item)] if isinstance(thing, list | tuple) else [thing]
