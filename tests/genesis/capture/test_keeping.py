"""Tensors that a step puts on objects, into containers and variables: every call puts its own there, as eager does."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
import pytest

import genesis
from compiler.errors import AutogradError, ResumeError, TraceError, UnsupportedError
from genesis import gpu, nn, optim
from genesis.pytree import leaves
from tests.runtime.devices.conftest import driver, library

__all__ = ["driver", "library"]  # fixtures
pytestmark = pytest.mark.filterwarnings("error::compiler.errors.GenesisWarning")


class Case(NamedTuple):
    """A step, and a look at what it keeps."""

    step: Callable[[Any], Any]
    look: Callable[[], Any]


class Plain:
    def __init__(self) -> None:
        self.h: Any = None


class Slotted:
    __slots__ = ("h",)

    def __init__(self) -> None:
        self.h: Any = None


class SlottedDict(dict[str, Any]):
    __slots__ = ("h",)


class SlottedList(list[Any]):
    __slots__ = ("h",)


class Setter:
    def __init__(self) -> None:
        self._h: Any = None

    @property
    def h(self) -> Any:
        return self._h

    @h.setter
    def h(self, h: Any) -> None:
        self._h = h


@dataclass
class Data:
    h: Any = None


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.h: Any = None


HOLDERS = (Plain, Slotted, Setter, Data, Layer, SimpleNamespace)
SHARED: Any = None
WEIGHT = genesis.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)


def carried(box: Any, x: Any) -> Any:
    """State from call to call."""
    h = x * 2 if box.h is None else x * 2 + 0.5 * box.h
    box.h = h.detach()
    return h.sum()


def _attribute(kind: Any) -> Case:
    box = kind(h=None) if kind is SimpleNamespace else kind()
    return Case(lambda x: carried(box, x), lambda: box.h)


def _argument() -> Case:
    box = Plain()
    return Case(lambda x, box=box: carried(box, x), lambda: box.h)


def _inner_attribute() -> Case:
    outer = SimpleNamespace(boxes=[Plain()])
    return Case(lambda x: carried(outer.boxes[0], x), lambda: outer.boxes[0].h)


def _global() -> Case:
    def step(x: Any) -> Any:
        global SHARED
        SHARED = x if SHARED is None else SHARED * 0.5 + x
        return SHARED.sum()

    globals()["SHARED"] = None
    return Case(step, lambda: SHARED)


def _global_object() -> Case:
    globals()["SHARED"] = Plain()
    return Case(lambda x: carried(SHARED, x), lambda: SHARED.h)


def _closure() -> Case:
    h = None

    def step(x: Any) -> Any:
        nonlocal h
        h = x if h is None else h * 0.5 + x
        return h.sum()

    return Case(step, lambda: h)


def _class() -> Case:
    class Net(nn.Module):
        last: Any = None

    net = Net()

    def step(x: Any) -> Any:
        Net.last = x * 1 if net.last is None else x + Net.last.detach()
        return x.sum()

    return Case(step, lambda: Net.last)


def _new_class_attribute() -> Case:
    class Net:
        pass

    def step(x: Any) -> Any:
        Net.last = x + 1  # type: ignore[attr-defined]
        return x.sum()

    return Case(step, lambda: Net.last)  # type: ignore[attr-defined]


def _method() -> Case:
    class Trainer:
        def __init__(self) -> None:
            self.pair: Any = None

        def step(self, x: Any) -> Any:
            h, c = (x, x * 0) if self.pair is None else self.pair
            h, c = h * 0.5 + x, c + h
            self.pair = (h.detach(), c.detach())
            return h.sum()

    trainer = Trainer()
    return Case(trainer.step, lambda: trainer.pair)


def _of(make: Callable[[], Any], do: Callable[[Any, Any], Any]) -> Callable[[], Case]:
    def case() -> Case:
        thing = make()

        def step(x: Any) -> Any:
            do(thing, x)
            return x.sum()

        return Case(step, lambda: vars(thing) if hasattr(thing, "__dict__") and not isinstance(thing, dict) else thing)

    return case


def _hooked() -> Case:
    layer, seen = nn.Sequential(nn.Linear(2, 2), nn.Tanh()), {}  # type: ignore[var-annotated]
    with genesis.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(0.5)
    for name, part in layer.named_children():
        part.register_forward_hook(lambda module, args, output, name=name: seen.__setitem__(name, output))
    return Case(lambda x: layer(x).sum(), lambda: seen)


def _filled_anew(box: Any, x: Any) -> None:
    box.outputs = {}
    box.states = []
    for i in range(3):
        box.outputs[f"layer{i}"] = x + i
        box.states.append((x * i, None))


def _shifted(box: Any, x: Any) -> None:
    box.older, box.h = box.h, x * 1


def _views(box: Any, x: Any) -> None:
    whole = x * 2
    box.whole, box.row, box.h = whole, whole[0], whole
    whole.mul_(3)


def _accumulated(box: Any, x: Any) -> None:
    box.total = 0.0
    for i in range(3):
        box.total = box.total + i * x.sum()


def _written_in_place(box: Any, x: Any) -> None:
    box.h = genesis.zeros(2, 2) if box.h is None else box.h
    box.h.add_(x.detach())
    box.seen = box.h * 2
    box.h = box.seen.detach() + 1


def _weight_shown(box: Any, x: Any) -> None:
    box.shown = WEIGHT.detach()
    box.row = WEIGHT[0]


def _retained(box: Any, x: Any) -> None:
    box.h = (WEIGHT * x.detach()).tanh()
    box.h.retain_grad()
    box.h.register_hook(lambda g: setattr(box, "seen", g))
    box.h.square().sum().backward()
    box.grad = box.h.grad * 1
    WEIGHT.grad = None


def _trained_by_hand(box: Any, x: Any) -> None:
    box.w = genesis.ones(2, requires_grad=True) if box.h is None else box.w
    (box.w * x.detach()).square().sum().backward()
    box.h = box.w = (box.w - 0.01 * box.w.grad).detach().requires_grad_()


def _reset(box: Any, x: Any) -> None:
    box.h = x.detach() if box.h is None else None


CASES: dict[str, Callable[[], Case]] = {
    **{f"attribute of a {kind.__name__}": lambda kind=kind: _attribute(kind) for kind in HOLDERS},
    "argument": _argument,
    "attribute of an attribute": _inner_attribute,
    "global": _global,
    "attribute of a global": _global_object,
    "closure": _closure,
    "class attribute": _class,
    "new class attribute": _new_class_attribute,
    "pair on a bound object": _method,
    "setattr": _of(Plain, lambda box, x: setattr(box, "fresh", x * 1)),
    "vars": _of(Plain, lambda box, x: vars(box).update(fresh=x * 1)),
    "object.__setattr__": _of(Layer, lambda box, x: object.__setattr__(box, "fresh", x * 1)),
    "__dict__": _of(Layer, lambda box, x: box.__dict__.__setitem__("fresh", x * 1)),
    "dict item": _of(dict, lambda d, x: d.update(a=x + 1, b=d.get("a", x) * 2)),
    "ordered dict": _of(OrderedDict, lambda d, x: d.update(a=x + 1)),
    "dict emptied and filled": _of(dict, lambda d, x: (d.clear(), d.update(a=x * 2))),
    "list item": _of(lambda: [None, None], lambda items, x: items.__setitem__(slice(None), [x * 2, items[0]])),
    "containers made anew": _of(Layer, _filled_anew),
    "from one place to another": _of(Plain, _shifted),
    "views": _of(Plain, _views),
    "views of a weight": _of(Plain, _weight_shown),
    "gradients": _of(Plain, _retained),
    "a weight trained by hand": _of(lambda: SimpleNamespace(h=None, w=None), _trained_by_hand),
    "the argument itself": _of(Plain, lambda box, x: setattr(box, "h", x)),
    "a number at first": _of(Plain, _accumulated),
    "written in place before": _of(Plain, _written_in_place),
    "taken away at every other call": _of(Layer, _reset),
    "outputs of hooks": _hooked,
}


def _form(thing: Any, objects: list[int]) -> Any:
    """A tensor as PyTorch shows it, and which tensors are the same object or share memory."""
    if not isinstance(thing, genesis.Tensor):
        return thing
    assert thing._cell.home is None, "a traced tensor is left"
    objects += [id(thing), id(thing._cell)]
    same = objects.index(id(thing)), objects.index(id(thing._cell))
    grad = None if thing.grad is None else thing.grad.tolist()
    return thing.tolist(), thing.dtype, thing.requires_grad, thing.is_leaf, grad, same


def _run(case: Case, step: Any, gradient: bool) -> list[Any]:
    """The results of nine calls, and what is kept after each; what was kept before is not changed."""
    found = []
    for i in range(9):
        x = (genesis.arange(4.0).reshape(2, 2) + i).requires_grad_(gradient)
        old = [leaf for _, leaf in leaves(case.look() if i else ()) if isinstance(leaf, genesis.Tensor)]
        before = [(leaf, leaf.tolist()) for leaf in old]
        result = step(x)
        objects: list[int] = []
        found.append([(path, _form(leaf, objects)) for path, leaf in leaves((x, result, case.look()))])
        found.append([leaf.tolist() == contents for leaf, contents in before])
    return found


@pytest.mark.parametrize("gradient", [False, True], ids=["plain", "gradient"])
@pytest.mark.parametrize("name", CASES)
def test_what_a_step_keeps_is_what_eager_keeps(name: str, gradient: bool) -> None:
    eager = CASES[name]()
    expected = _run(eager, eager.step, gradient)
    case = CASES[name]()
    step = genesis.compile(case.step, backend="interpret")
    assert _run(case, step, gradient) == expected
    assert step.compiles <= 3


def compiled(function: Any, **options: Any) -> Any:
    return genesis.compile(function, backend="interpret", **options)


X = genesis.arange(4.0).reshape(2, 2)


# Programs


def test_a_place_that_is_not_read_compiles_nothing() -> None:
    """Tensors of another type there are no reason, and so are as many as one likes."""
    box = Plain()

    def step(x: Any) -> Any:
        box.h = x * 2
        return x.sum()

    fast = compiled(step)
    for rows in (2, 3, 4, 3, 2, 4):
        fast(genesis.ones(rows, 2))
    assert box.h.shape == (4, 2)
    assert fast.compiles == 3 + 1, "one a shape, and one for the first call, which found nothing"


def test_a_place_that_is_read_compiles_for_each_type() -> None:
    box = Plain()
    fast = compiled(lambda x: carried(box, x))
    for call in range(40):
        if call % 10 == 0:
            box.h = None
        fast(X)
    assert fast.compiles == 2
    box.h = genesis.ones(1)
    fast(X)
    assert fast.compiles == 3
    assert "box.h" in str(fast.explain_recompiles()) and "f32[1]" in str(fast.guards())


def test_what_one_step_keeps_another_reads() -> None:
    box = Plain()
    write, read = compiled(lambda x: carried(box, x)), compiled(lambda x: (x * box.h).sum())
    for _ in range(40):
        write(X)
        assert read(X).item() == (X * box.h).sum().item()
    assert (write.compiles, read.compiles) == (2, 1)


@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_an_empty_place_is_not_one_of_none(kind: Callable[[], Any]) -> None:
    box = kind()

    def step(x: Any) -> Any:
        if not hasattr(box, "h"):
            return x * 5
        box.h = x if box.h is None else box.h + x
        return box.h

    fast = compiled(step)
    box.h = None
    assert [fast(X).tolist() for _ in range(4)] == [(X * i).tolist() for i in range(1, 5)]
    for _ in range(3):
        del box.h
        assert fast(X).tolist() == (X * 5).tolist() and not hasattr(box, "h")
        box.h = None
        assert fast(X).tolist() == X.tolist() == box.h.tolist()


def test_an_argument_may_stand_in_a_place() -> None:
    box = Plain()
    box.h = mine = genesis.zeros_like(X)

    def step(h: Any, x: Any) -> Any:
        h.add_(x)
        box.h = box.h * 2
        return box.h.sum()

    fast, total = compiled(step), 0.0
    for _ in range(5):
        before, total = box.h, 2 * (total + X.sum().item())
        assert fast(box.h, X).item() == box.h.sum().item() == 2 * before.sum().item() == total
    assert mine.tolist() == X.tolist()


def test_a_container_may_be_exchanged() -> None:
    box = SimpleNamespace(seen={})

    def step(x: Any) -> Any:
        box.seen["x"] = x * 2
        return x

    fast = compiled(step)
    for i in range(4):
        box.seen, old = {}, box.seen
        fast(X + i)
        assert box.seen["x"].tolist() == ((X + i) * 2).tolist() and box.seen is not old
    assert fast.compiles == 1


def test_an_object_that_equals_another_is_not_taken_for_it() -> None:
    outer = SimpleNamespace(data=Data())

    def step(x: Any) -> Any:
        outer.data.h = x * 2
        return x

    fast = compiled(step)
    for i in range(3):
        outer.data, old = Data(), outer.data
        before = old.h
        fast(X + i)
        assert outer.data.h.tolist() == ((X + i) * 2).tolist() and old.h is before


# Failures


def test_a_call_that_fails_changes_nothing() -> None:
    box, table = Plain(), genesis.ones(3, 2)

    def step(i: Any) -> Any:
        box.h = nn.functional.embedding(i, table) if box.h is None else box.h + nn.functional.embedding(i, table)
        return box.h.sum()

    fast = compiled(step)
    fast(genesis.tensor([0, 1]))
    fast(genesis.tensor([0, 1]))
    before = box.h
    with pytest.raises(IndexError):
        fast(genesis.tensor([0, 7]))
    assert box.h is before

    def failing(x: Any) -> Any:
        box.h = x
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            compiled(failing)(X)
        assert box.h is before


@pytest.mark.parametrize("value", [3, "text", 2.5, genesis.Generator()], ids=["int", "str", "float", "object"])
def test_something_else_in_a_place_of_tensors_is_refused(value: Any) -> None:
    box = Plain()

    def step(x: Any, other: bool) -> Any:
        box.h = value if other else x * 1
        return x

    fast = compiled(step)
    fast(X, False)
    before = box.h
    with pytest.raises(TraceError, match=r"step changes box\.h; .*\n  at test_keeping\.py:\d+\n.*keep a tensor there"):
        fast(X, True)
    assert box.h is before


def test_what_a_call_cannot_make_is_refused() -> None:
    box = Plain()

    def noted(x: Any) -> Any:
        box.h = x * 1
        box.h.note = "text"
        return x

    def number(x: Any, k: float) -> Any:
        box.h = k * 2
        return x

    for function, arguments in ((noted, (X,)), (number, (X, 2.0))):
        with pytest.raises(TraceError, match=r"changes box\.h"):
            compiled(function)(*arguments)
        assert box.h is None


def test_a_plain_value_beside_a_tensor_is_refused_by_name() -> None:
    box = SimpleNamespace(h=None, n=0)

    def step(x: Any) -> Any:
        box.h = x * 2
        box.n += 1
        return x

    with pytest.raises(TraceError, match=r"changes box\.n"):
        compiled(step)(X)
    assert vars(box) == {"h": None, "n": 0}


def test_other_names_at_every_recording_are_refused() -> None:
    seen: dict[Any, Any] = {}

    def step(x: Any) -> Any:
        seen[object()] = x * 2
        return x

    with pytest.raises(TraceError, match="changes seen"):
        compiled(step)(X)
    assert not seen


# Gradients


def _training(net: Any) -> Any:
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = net(x).square().mean() + 0.1 * net.aux
        loss.backward()
        optimizer.step()
        return loss

    return step


class Routed(nn.Module):
    """Leaves a loss behind."""

    aux: Any

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        with genesis.no_grad():
            self.layer.weight.copy_(genesis.tensor([[0.5, -1.0], [2.0, 0.25]]))
            self.layer.bias.fill_(0.125)

    def forward(self, x: Any) -> Any:
        gate = self.layer(x).softmax(-1)
        self.aux = gate.square().sum()
        return gate * x


def test_a_loss_that_a_module_keeps_is_trained_on() -> None:
    nets = Routed(), Routed()
    eager, fast = _training(nets[0]), compiled(_training(nets[1]))
    for i in range(5):
        np.testing.assert_allclose(fast(X + i).item(), eager(X + i).item(), rtol=1e-5)
        np.testing.assert_allclose(nets[1].aux.item(), nets[0].aux.item(), rtol=1e-5)
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.tolist(), q.tolist(), rtol=1e-5)
    for net in nets:
        with pytest.raises(AutogradError, match="backward through the graph a second time"):
            net.aux.backward()


@pytest.mark.parametrize("form", ["function", "module", "in place"])
def test_a_gradient_goes_back_through_what_is_kept(form: str) -> None:
    nets = Routed(), Routed()
    if form == "in place":
        nets[1].compile(backend="interpret")
    call = {"function": compiled(lambda x: nets[1](x)), "module": compiled(nets[1]), "in place": nets[1]}[form]
    for i in range(3):
        for net, forward in zip(nets, (nets[0], call), strict=True):
            net.zero_grad()
            (forward(X + i).sum() + 3 * net.aux).backward()
        expected = nets[0].layer.weight.grad
        np.testing.assert_allclose(nets[1].layer.weight.grad.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_a_history_that_is_gone_is_found_before_anything_is_updated() -> None:
    net, box = nn.Linear(2, 2), Plain()
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        box.h = net(x) if box.h is None else net(x) + box.h
        loss = box.h.square().sum()
        loss.backward()
        optimizer.step()
        return loss

    fast = compiled(step)
    fast(X)
    kept, weight = box.h, net.weight.tolist()
    for _ in range(2):
        with pytest.raises(AutogradError, match="backward through the graph a second time"):
            fast(X)
        assert box.h is kept and net.weight.tolist() == weight


def test_a_gradient_that_comes_too_late_is_refused() -> None:
    """Behind an argument the backward pass goes on after the call, when the step has updated the parameters."""
    net = nn.Linear(2, 2)
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def step(h: Any) -> Any:
        loss = h.square().sum()
        loss.backward()
        optimizer.step()
        return loss

    h, weight = net(X), net.weight.tolist()
    net(X).sum().backward()
    with pytest.raises(AutogradError, match=r"goes on behind an argument f32\[2,2\].*\n  compute the argument inside"):
        compiled(step)(h)
    assert net.weight.tolist() == weight


# Buffers


@pytest.mark.parametrize("value", [lambda x: x * 2, lambda x: x[0] * 2], ids=["gradient", "shape"])
def test_a_buffer_of_another_kind_is_another_tensor(value: Callable[[Any], Any]) -> None:
    def run(compile: Callable[[Any], Any]) -> list[Any]:
        net = nn.Module()
        net.register_buffer("h", genesis.zeros(2, 2))

        def step(x: Any) -> Any:
            net.h = value(x)
            return (net.h + x).sum()

        fast, found = compile(step), []
        for i in range(4):
            x = (X + i).requires_grad_()
            fast(x).backward()
            found.append((net.h.tolist(), net.h.requires_grad, x.grad.tolist(), list(net.state_dict())))
        return found

    assert run(compiled) == run(lambda step: step)


def test_a_buffer_of_the_same_kind_keeps_its_storage() -> None:
    net = nn.Module()
    net.register_buffer("mean", genesis.zeros(2))

    def step(x: Any) -> Any:
        net.mean = 0.5 * net.mean + 0.5 * x.mean(0)
        return net.mean.sum()

    fast, storage = compiled(step), net.mean
    for _ in range(3):
        fast(X)
    assert net.mean is storage and fast.compiles == 1
    assert net.mean.tolist() == (X.mean(0) * 0.875).tolist()


# Tools


def test_micro_batches_are_joined_as_results_are() -> None:
    box, weight = Plain(), genesis.ones(2, requires_grad=True)

    def step(x: Any) -> Any:
        rows = (x * weight).square()
        box.h, box.mean = rows, rows.mean()
        box.mean.backward()
        return box.mean

    step(X)
    expected = box.h.tolist(), box.mean.item()
    compiled(step, accumulate=2)(X)
    assert (box.h.tolist(), box.mean.item()) == expected


def test_an_edited_step_keeps_tensors() -> None:
    box = Plain()
    fast = compiled(lambda x: carried(box, x))
    for _ in range(2):
        fast(X)
    box.h = X
    fast.replace(fast.graph("traced"))
    fast(X)
    assert box.h.tolist() == (X * 2.5).tolist()


def test_export_has_what_is_kept_as_a_result(tmp_path: Path) -> None:
    box = Plain()

    def step(x: Any) -> Any:
        box.h = x * 2
        return x.sum()

    fast = genesis.compile(step)
    fast(X)
    fast.export(tmp_path)
    assert "OUTPUT" in (tmp_path / "step.h").read_text()
    carrying = genesis.compile(lambda x: carried(box, x))
    carrying(X)
    with pytest.raises(UnsupportedError, match=r"reads what it kept at the call before: box\.h;"):
        carrying.export(tmp_path)


def test_a_resumed_training_misses_what_is_not_saved(tmp_path: Path) -> None:
    box = Plain()
    step = compiled(lambda x: carried(box, x))
    batches = [(X + i,) for i in range(4)]
    with pytest.raises(ResumeError, match="the result of call 3"):
        genesis.verify_resume(step, 2, 2, batches)
    assert box.h is None

    def save(path: Path) -> None:
        genesis.save_checkpoint({"h": box.h}, path)

    def load(path: Path) -> None:
        box.h = genesis.load_checkpoint(path)["h"]

    genesis.verify_resume(step, 2, 2, batches, save=save, load=load)
    assert box.h is None


def test_nothing_is_left_where_two_threads_keep() -> None:
    box = Plain()
    steps = [compiled(lambda x, k=k: carried(box, x * k)) for k in (1, 2)]
    for step in steps:
        step(X)
    found: list[BaseException] = []

    def work(step: Any) -> None:
        try:
            for _ in range(30):
                step(X)
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not found and isinstance(box.h, genesis.Tensor)


def test_what_was_kept_is_let_go() -> None:
    box, kept = Plain(), []
    fast = compiled(lambda x: carried(box, x))
    for _ in range(9):
        fast(X)
        kept.append(ref(box.h))
    gc.collect()
    assert [tensor() is not None for tensor in kept] == [False] * 8 + [True]


def test_a_step_on_the_gpu_keeps_tensors(driver: Any) -> None:
    gpu.gpu.cache_clear()
    box = Plain()
    fast = genesis.compile(lambda x: carried(box, x), backend="cuda")
    for _ in range(3):
        fast(genesis.ones(16, 16))
        assert box.h.shape == (16, 16) and box.h.numpy().dtype == np.float32
    assert fast.compiles == 2
    gpu.gpu.cache_clear()


@pytest.mark.parametrize("kind", [SlottedDict, SlottedList])
def test_a_slot_of_a_container_is_none_of_its_items(kind: Callable[[], Any]) -> None:
    box = kind()

    @genesis.compile(backend="interpret")
    def step(x: Any) -> Any:
        box.h = x * 2
        return x

    for i in range(5):
        step(genesis.tensor([float(i)]))
        assert box.h.tolist() == [2.0 * i] and not box
