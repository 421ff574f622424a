"""Objects, dicts and lists as arguments: tensors in them are inputs, what a step puts into them is there afterwards."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

import genesis as t
from compiler.errors import TraceError
from genesis.pytree import containers, leaves, map_leaves, structure

Compile = Callable[[Any], Any]
compiled: Compile = t.compile


@dataclass
class Batch:
    x: t.Tensor
    y: t.Tensor
    scale: float = 2.0
    tag: str = "a"


class Cell:
    def __init__(self) -> None:
        self.w = t.ones(2)
        self.inner = SimpleNamespace(b=t.zeros(2))

    def output(self, x: t.Tensor) -> t.Tensor:
        return self.w * x + self.inner.b


def _both(run: Callable[[Compile], list[Any]]) -> None:
    eager, other = run(lambda f: f), run(t.compile)
    assert eager == other


def test_attributes_of_an_object_are_inputs_and_guards() -> None:
    @t.compile
    def step(batch: Batch) -> t.Tensor:
        return (batch.x * batch.scale + batch.y) * (2 if batch.tag == "a" else 1)

    batch = Batch(t.ones(2), t.ones(2))
    assert step(batch).tolist() == [6, 6]
    batch.x = t.ones(2) * 4
    assert step(batch).tolist() == [18, 18]
    assert step(Batch(t.zeros(2), t.ones(2), scale=3.0)).tolist() == [2, 2]
    assert step.compiles == 1
    batch.tag = "b"
    assert step(batch).tolist() == [9, 9]
    assert step.compiles == 2


def test_a_step_changes_the_attributes_of_an_object() -> None:
    def run(compile: Compile) -> list[Any]:
        @compile
        def step(cell: Cell, x: Any) -> Any:
            cell.w.add_(1)
            cell.last = cell.w * 2
            cell.inner.b = cell.inner.b + x
            return cell.output(x)

        cell, out = Cell(), []
        for _ in range(3):
            out += [step(cell, t.ones(2)).tolist()]
            out += [cell.w.tolist(), cell.last.tolist(), cell.inner.b.tolist()]
        return out

    _both(run)


@pytest.mark.parametrize("make", [dict, OrderedDict])
def test_a_step_changes_the_items_of_a_dict(make: Any) -> None:
    def run(compile: Compile) -> list[Any]:
        @compile
        def step(state: Any) -> Any:
            h = state["h"]
            state["h"] = h * 2
            state["new"] = h
            state.pop("old", None)
            return h

        state, out = make(h=t.ones(2), old=t.ones(1)), []
        for _ in range(3):
            out += [step(state).tolist(), list(state), [x.tolist() for x in state.values()], type(state)]
        return out

    _both(run)


def test_a_step_changes_the_items_of_a_list_and_floats_stay_floats() -> None:
    def run(compile: Compile) -> list[Any]:
        @compile
        def step(pair: Any, options: Any) -> None:
            pair[0] = pair[1]
            pair[1] = pair[0] * options["lr"]
            options["lr"] = options["lr"] * 0.5

        pair, options, out = [t.ones(2), t.ones(2) * 3], {"lr": 2.0}, []
        for _ in range(3):
            step(pair, options)
            out += [[x.tolist() for x in pair], options["lr"], type(options["lr"])]
        return out

    _both(run)


def test_one_dict_given_twice_is_one_dict() -> None:
    def run(compile: Compile) -> list[Any]:
        @compile
        def step(a: Any, b: Any) -> Any:
            a["x"] = a["x"] + 1
            return b["x"] * 1

        d, e = {"x": t.ones(2)}, {"x": t.ones(2)}
        return [step(a, b).tolist() for a, b in ((d, d), (d, e), (e, e))] + [d["x"].tolist(), e["x"].tolist()]

    _both(run)


def test_an_object_as_a_result() -> None:
    @t.compile
    def step(x: Any) -> Batch:
        return Batch(x * 2, x + 1)

    result = step(t.ones(2))
    assert isinstance(result, Batch)
    assert (result.x.tolist(), result.y.tolist(), result.scale, result.tag) == ([2, 2], [2, 2], 2.0, "a")


def _count(state: Any) -> Any:
    state["n"] += 1
    return t.ones(1) * state["n"]


def _log(results: Any) -> Any:
    results.append(results[0] * 2)


def _rescale(batch: Batch) -> Any:
    batch.scale = 3.0
    return batch.x


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (_count, {"n": 1}, r"the step changes state\['n'\], an argument, from 1 to 2;.*\n  in _count, .*\.py:\d+"),
        (_log, [t.ones(1)], r"the step changes the length of its argument results, a list, from 1 to 2\n.*_log"),
        (_rescale, Batch(t.ones(1), t.ones(1)), r"the step changes batch\.scale, an argument, from 2\.0 to 3\.0"),
    ],
)
def test_what_calls_cannot_repeat_is_refused(function: Any, argument: Any, message: str) -> None:
    before = repr(argument)
    with pytest.raises(TraceError, match=message):
        t.compile(function)(argument)
    assert repr(argument) == before


def test_trees_are_walked_in_one_order_and_copies_keep_what_is_shared() -> None:
    shared: dict[str, Any] = {"x": t.ones(1)}
    batch = Batch(t.ones(1), t.ones(1))
    tree = (shared, [shared, batch], 3)
    paths = [path for path, _ in leaves(tree)]
    assert paths == ["[0]['x']", "[1][1].x", "[1][1].y", "[1][1].scale", "[1][1].tag", "[2]"]
    copied = map_leaves(lambda path, _: path, tree)
    assert copied[0] is copied[1][0] and copied[0] is not shared
    assert isinstance(copied[1][1], Batch) and copied[1][1].x == "[1][1].x" and isinstance(batch.x, t.Tensor)
    assert structure(tree) != structure(({"x": t.ones(1)}, [{"x": t.ones(1)}, batch], 3))
    assert containers(tree) == [shared, batch, tree[1]]


def test_objects_without_tensors_and_modules_are_leaves() -> None:
    config, module = SimpleNamespace(depth=3), t.nn.Linear(2, 2)
    assert leaves((config, module, len)) == [("[0]", config), ("[1]", module), ("[2]", len)]
