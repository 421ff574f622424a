"""The base of all optimizers: parameter groups, state, and what one step does around the update of a parameter.

Steps that run at once and steps that are being compiled go through the same lines. Hyper-parameters that are numbers
are read at every step, so a compiled step follows a schedule without being compiled anew; whatever else it depends on
(which parameters there are, flags such as ``amsgrad``) moves :data:`changes` on when it is written.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from compiler.errors import GenesisWarning, TraceError
from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.context import Clock, current_recording, grad_mode, host_action, read_scalar
from genesis.tensor import Tensor, from_array, tensor

changes = Clock()
"""Ticks when something of an optimizer changes that compiled steps have baked in."""

Closure = Callable[[], Any]
State = defaultdict[Tensor, dict[str, Tensor]]


class ParamGroup(dict[str, Any]):
    """Parameters with their hyper-parameters. A write during the compilation of a step is repeated after every call.

    ``switches`` names the numbers that add ops to a step by being other than zero.
    """

    def __init__(self, items: Mapping[str, Any], switches: frozenset[str]) -> None:
        super().__init__(items)
        self.switches = switches

    def __setitem__(self, key: str, value: Any) -> None:
        if host_action(partial(self.__setitem__, key, value)):
            return
        before = self.structure()
        super().__setitem__(key, value)
        if self.structure() != before:
            changes.tick()

    def structure(self) -> tuple[tuple[str, Any], ...]:
        """What compiled steps have baked in."""
        fixed = ((key, self._fixed(key, value)) for key, value in self.items())
        return tuple((key, value) for key, value in fixed if value is not None)

    def _fixed(self, key: str, value: Any) -> Any:
        if key == "params":
            return tuple(id(p) for p in value)
        if isinstance(value, bool | str | None):
            return value
        return bool(value) if key in self.switches else None

    update = MutableMapping.update
    setdefault = MutableMapping.setdefault


class Optimizer:
    """What :class:`SGD`, :class:`Adam` and :class:`AdamW` have in common.

    Attributes:
        param_groups: the groups, each with ``"params"`` and its hyper-parameters.
        state: per parameter what the optimizer remembers, under the names PyTorch gives it.
        defaults: the hyper-parameters of groups that do not name their own.
        label: how the optimizer is called in compiled graphs.
    """

    switches: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, not a Tensor"
            )
        if defaults.get("foreach") and defaults.get("fused"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        if defaults.get("differentiable"):
            raise NotImplementedError("optimizers with differentiable=True")
        given: list[Any] = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        self.defaults = defaults
        self.state: State = defaultdict(dict)
        self.param_groups: list[Any] = []
        self.label = "optimizer"
        self._step_count = 0
        self._generation = 0
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self._append(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Train more parameters; hyper-parameters that the group does not name are the defaults."""
        _only_outside("add_param_group")
        self._append(param_group)
        changes.tick()

    def _append(self, given: dict[str, Any]) -> None:
        if not isinstance(given, dict):
            raise TypeError(f"param_group must be a dict, but got {type(given).__name__}")
        if isinstance(given["params"], set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [given["params"]] if isinstance(given["params"], Tensor) else list(given["params"])
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(set(params)) < len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters", GenesisWarning, stacklevel=4
            )
        if not set(params).isdisjoint(self._parameters()):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(ParamGroup({**self.defaults, **given, "params": params}, self.switches))

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def structure(self) -> tuple[Any, ...]:
        """What compiled steps have baked in. It changes when :data:`changes` ticks for this optimizer."""
        return (self._generation, *(group.structure() for group in self.param_groups))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop every gradient, or fill it with zeros."""
        for p in self._parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                with grad_mode(False):
                    p.grad.write(o.zeros(shape=tuple(p.shape), dtype=p.dtype))

    # One step

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient.

        ``closure`` computes loss and gradients anew; its result is returned.
        """
        loss = None
        if closure is not None:
            with grad_mode(True):
                loss = closure()
        with grad_mode(False):
            work = [
                (group, {p: p.grad.value for p in group["params"] if p.grad is not None}) for group in self.param_groups
            ]
            for group, grads in work:
                for p in grads:
                    self._remember(group, p, self.state[p])
            self._count([p for group, grads in work for p in grads if self._counts(group)])
            for index, (group, grads) in enumerate(work):
                if grads:
                    self._update(index, group, grads)
        if not host_action(self._stepped):
            self._stepped()
        return loss

    def _remember(self, group: dict[str, Any], p: Tensor, state: dict[str, Tensor]) -> None:
        """Add to ``state`` what the update of ``p`` needs and it lacks."""
        raise NotImplementedError(f"{type(self).__name__}._remember")

    def _counts(self, group: dict[str, Any]) -> bool:
        """Whether the updates of ``group`` depend on how many there were, as ``state[p]["step"]`` says."""
        raise NotImplementedError(f"{type(self).__name__}._counts")

    def _update(self, index: int, group: dict[str, Any], grads: dict[Tensor, Value]) -> None:
        """Update the parameters of the group at ``index`` that have a gradient."""
        raise NotImplementedError(f"{type(self).__name__}._update")

    def _stepped(self) -> None:
        self._step_count += 1

    def _scalar(self, index: int, name: str, read: Callable[[dict[str, Any]], Any] | None = None) -> Value:
        """The hyper-parameter ``name`` of a group as a rank-0 f64, read at every call of a compiled step."""

        def current() -> float:
            group = self.param_groups[index]
            return float(group[name] if read is None else read(group))

        return read_scalar(f"{self.label}.{name}[{index}]", current)

    def _count(self, params: list[Tensor]) -> None:
        """Add one to the step counters of ``params``, f32[].

        Parameters that have always been updated together share one counter, so that a graph counts once, however many
        parameters it updates. Those that part from the others get a copy of their own.
        """
        counted = dict.fromkeys(params)
        others = {state["step"] for p, state in self.state.items() if p not in counted and "step" in state}
        copies: dict[Tensor, Tensor] = {}
        new: Tensor | None = None
        for p in counted:
            counter = self.state[p].get("step")
            if counter is None:
                counter = new = from_array(np.zeros((), np.float32)) if new is None else new
            elif counter in others:
                if counter not in copies:
                    copies[counter] = _copied(counter)
                counter = copies[counter]
            self.state[p]["step"] = counter
        if copies:
            self._state_replaced()
        self._name_state()
        for counter in dict.fromkeys(self.state[p]["step"] for p in counted):
            counter.write(o.count_step(counter.value))

    def _state_replaced(self) -> None:
        """Compiled steps that hold the tensors of before are out of date."""
        self._generation += 1
        changes.tick()

    def _name_state(self) -> None:
        """Label the state for the graph, after the parameters; a counter of all is named for the optimizer alone."""
        if current_recording() is None:
            return
        counters = {state["step"] for state in self.state.values() if "step" in state}
        for index, p in reversed(list(enumerate(self._parameters()))):
            for key, held in self.state.get(p, {}).items():
                shared = key == "step" and len(counters) == 1
                held._cell.label = f"{self.label}.{key}" + ("" if shared else f"[{p._cell.label or index}]")

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {index: {name: Tensor}}, "param_groups": [...]}``, the layout of PyTorch; nothing is copied."""
        index = {p: i for i, p in enumerate(self._parameters())}
        groups = [{**group, "params": [index[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {index[p]: dict(s) for p, s in self.state.items() if s}, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, here or in PyTorch; nothing changes where it does not fit.

        Compiled steps go on with the loaded state. Raises ValueError for another number of groups or parameters, or
        state of another shape than its parameter.
        """
        _only_outside("load_state_dict")
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(s["params"]) != len(g["params"]) for s, g in zip(saved, self.param_groups)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        places = [place for group in saved for place in group["params"]]
        loaded = _restored(dict(zip(self._parameters(), places)), state_dict["state"])
        if _alike(self.state, loaded):
            for p, state in loaded.items():
                for key, value in state.items():
                    self.state[p][key].write(value.value)
        else:
            self.state = loaded
            self._state_replaced()
        for s, group in zip(saved, self.param_groups):
            group.update({key: value for key, value in s.items() if key != "params"})

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            values = [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
            groups.append("\n".join([f"Parameter Group {i}", *values]))
        return f"{type(self).__name__} (\n" + "\n\n".join(groups) + "\n)"


def check(condition: bool, what: str, value: Any) -> None:
    """Raise ValueError ``Invalid <what>: <value>`` unless ``condition``."""
    if not condition:
        raise ValueError(f"Invalid {what}: {value}")


def _only_outside(what: str) -> None:
    if current_recording() is not None:
        raise TraceError(f"optimizer.{what}() inside a compiled step; call it outside")


def _copied(counter: Tensor) -> Tensor:
    """A counter of its own that goes on from ``counter``; the first recording makes it, later ones find it."""
    copy = from_array(np.array(counter._cell.fetched().data))
    recording = current_recording()
    if recording is not None and counter._cell in recording.written:
        copy.write(counter.value)
    return copy


def _restored(places: dict[Tensor, Any], saved: Mapping[Any, Any]) -> State:
    """Copies of saved state in the parameters' dtypes, with one counter for all parameters that count alike."""
    state: State = defaultdict(dict)
    counters: dict[float, Tensor] = {}
    for p, place in places.items():
        for key, value in saved.get(place, {}).items():
            if key == "step":
                state[p][key] = counters.setdefault(float(value), tensor(float(value)))
            elif value is not None:
                restored = state[p][key] = tensor(value, dtype=p.dtype)
                if restored.shape != p.shape:
                    raise ValueError(
                        f"state {key!r} of parameter {place} has shape {list(restored.shape)}, "
                        f"but the parameter has {list(p.shape)}"
                    )
    return state


def _alike(old: State, new: State) -> bool:
    """Whether the tensors of ``old`` can take the values of ``new``: the same ones, and no counter gets two values."""
    counts: dict[Tensor, Tensor] = {}
    for p in {**old, **new}:
        if {k: v._type for k, v in old.get(p, {}).items()} != {k: v._type for k, v in new.get(p, {}).items()}:
            return False
        if "step" in new.get(p, {}) and counts.setdefault(old[p]["step"], new[p]["step"]) is not new[p]["step"]:
            return False
    return True
