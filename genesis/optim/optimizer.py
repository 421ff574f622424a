"""The base of all optimizers: parameter groups, state, and what one step does around the update of a parameter.

Steps that run at once and steps that are being compiled go through the same lines. Hyper-parameters that are numbers
are read at every step (:mod:`genesis.live`), so a compiled step follows a schedule without being compiled again;
whatever else it depends on (which parameters there are, flags such as ``amsgrad``) moves the clock ``changes`` on when
it is written.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import wraps
from typing import Any, ClassVar
from weakref import ref

import numpy as np

from compiler.errors import (
    ArgumentError,
    ChoiceError,
    GenesisWarning,
    MisuseError,
    TraceError,
    UndefinedError,
    UnsupportedError,
)
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import o
from genesis.context import current_recording, grad_mode
from genesis.hooks import RemovableHandle, add
from genesis.host import Numbers, Undo
from genesis.live import LiveDict, changes, on_host, recording_of_step
from genesis.memory.identity import IdentityKey
from genesis.misuse import UNNAMED, refuse
from genesis.optim.saving import alike, number, restored
from genesis.recording import Recording
from genesis.replaced import Watched
from genesis.tensor import Tensor, from_array

Closure = Callable[[], Any]
ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
StateDict = dict[str, Any]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()
"""The default of a hyper-parameter that every parameter group has to name."""


class _Watched(list[Any]):
    """A list whose changes tick."""

    def settle(self) -> None:
        changes.tick()

    def __reduce__(self) -> Any:
        return list, (list(self),)


def _settling(name: str) -> Any:
    change = getattr(list, name)

    def method(self: _Watched, *args: Any) -> Any:
        result = change(self, *args)
        self.settle()
        return result

    return method


for _name in "append extend insert pop remove clear reverse sort __setitem__ __delitem__ __iadd__".split():
    setattr(_Watched, _name, _settling(_name))


class _Groups(_Watched):
    """The groups of an optimizer; a dict that is put there becomes a group."""

    def __init__(self, owner: Optimizer, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups)
        self._owner = ref(owner)
        self.settle()

    def settle(self) -> None:
        owner = self._owner()
        for i, group in enumerate(self):
            if not isinstance(group, ParamGroup) and owner is not None:
                list.__setitem__(self, i, ParamGroup(group, owner, recording_of_step()))
        super().settle()


class ParamGroup(LiveDict):
    """Parameters with their hyper-parameters, of the optimizer ``owner``."""

    def __init__(self, items: Mapping[str, Any], owner: Optimizer, home: Recording | None) -> None:
        super().__init__({**items, "params": _Watched(items["params"])}, home)
        self.switches, self.exact = owner.switches, owner.exact
        self._owner = ref(owner)

    def _converted(self, value: Any) -> Any:
        tensors = type(value) is list and all(isinstance(item, Tensor) for item in value)
        return _Watched(value) if tensors else value

    def label(self, key: Any, item: int | None = None) -> str:
        """``lr[0]`` of the first group, ``beta1[0]`` for the first of its ``betas``."""
        owner = self._owner()
        places = [] if owner is None else [i for i, group in enumerate(owner.param_groups) if group is self]
        name = str(key) if item is None else f"{str(key).removesuffix('s')}{item + 1}"
        return f"{owner.label}.{name}[{places[0]}]" if owner is not None and places else name


class State(LiveDict):
    """The memory of an optimizer: a dict per parameter, made when it is first looked at.

    Numbers in these dicts are read at every call of a compiled step, as hyper-parameters are.
    """

    def __missing__(self, key: Any) -> LiveDict:
        found = LiveDict()
        dict.__setitem__(self, key, found)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, Mapping) and not isinstance(value, LiveDict):
            super().__setitem__(key, LiveDict())
            self[key].update(value)
        else:
            super().__setitem__(key, value)

    def get(self, key: Any, default: Any = None) -> Any:
        known = key in self
        return self[key] if known else default


def _counted(step: Any) -> Any:
    """``step`` with the hooks around it, counted for the schedules. One that a subclass calls is a part of its own."""

    @wraps(step)
    def counted(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if type(self).step is not counted:
            return step(self, *args, **kwargs)
        for before in (*_STEP_PRE_HOOKS.values(), *self._step_pre_hooks.values()):
            changed = before(self, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise MisuseError(
                    f"{before} must return None or a tuple of (new_args, new_kwargs), but got {type(changed).__name__}."
                )
            args, kwargs = changed
        try:
            result = step(self, *args, **kwargs)
        except UNNAMED:
            if step.__module__.startswith("genesis."):  # an optimizer of a user speaks for itself
                refuse(f"{type(self).__name__}.step", step, (self, *args), kwargs)
            raise
        for after in (*self._step_post_hooks.values(), *_STEP_POST_HOOKS.values()):
            after(self, args, kwargs)
        self._stepped()
        return result

    return counted


_STEP_PRE_HOOKS: OrderedDict[int, Any] = OrderedDict()
_STEP_POST_HOOKS: OrderedDict[int, Any] = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """:meth:`Optimizer.register_step_pre_hook` for all optimizers."""
    return add(_STEP_PRE_HOOKS, hook, clock=changes)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """:meth:`Optimizer.register_step_post_hook` for all optimizers."""
    return add(_STEP_POST_HOOKS, hook, clock=changes)


_HOOKS = (
    "_step_pre_hooks",
    "_step_post_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_post_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Optimizer(metaclass=Watched):
    """The base of all optimizers, and of those of users.

    Attributes:
        param_groups: the groups, each with ``"params"`` and its hyper-parameters.
        state: per parameter what the optimizer remembers, under the names PyTorch gives it.
        defaults: the hyper-parameters of groups that do not name their own.
        label: how the optimizer is called in compiled graphs.
    """

    switches: ClassVar[frozenset[str]] = frozenset()
    exact: ClassVar[frozenset[str]] = frozenset()
    _step_pre_hooks: OrderedDict[int, Any]
    _step_post_hooks: OrderedDict[int, Any]
    _state_dict_pre_hooks: OrderedDict[int, Any]
    _state_dict_post_hooks: OrderedDict[int, Any]
    _load_state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_post_hooks: OrderedDict[int, Any]
    numbers: ClassVar[tuple[str, ...]] = ("step",)
    """The state of a parameter that is one number, f32[] or f64[].

    Those of a group that are always updated together share it.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise ArgumentError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, not "
                f"a {type(params).__name__}"
            )
        if defaults.get("foreach") and defaults.get("fused"):
            raise MisuseError("`fused` and `foreach` cannot be `True` together.")
        if defaults.get("differentiable"):
            raise UnsupportedError("optimizers with differentiable=True")
        given: list[Any] = list(params)
        if not given:
            raise ChoiceError("optimizer got an empty parameter list")
        self.defaults: dict[str, Any] = LiveDict(defaults)
        self.state = State()
        self.param_groups = []
        self.label = "optimizer"
        self._step_count = 0
        self._generation = 0
        for name in _HOOKS:
            self.__dict__[name] = OrderedDict()
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self._append(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in vars(cls):
            cls.step = _counted(vars(cls)["step"])  # type: ignore[method-assign]

    @property
    def param_groups(self) -> list[Any]:
        """The groups. Whatever changes the list ticks; a dict that is put there becomes a group."""
        return self._groups

    @param_groups.setter
    def param_groups(self, groups: Iterable[dict[str, Any]]) -> None:
        self._groups = _Groups(self, groups)

    def add_param_group(self, param_group: ParamGroup) -> None:
        """Train more parameters; hyper-parameters that the group does not name are the defaults."""
        _only_outside("add_param_group")
        self._append(param_group)
        changes.tick()

    def _append(self, given: dict[str, Any]) -> None:
        if not isinstance(given, dict):
            raise ArgumentError(f"param_group must be a dict, but got {type(given).__name__}")
        if isinstance(given["params"], set):
            raise ArgumentError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [given["params"]] if isinstance(given["params"], Tensor) else list(given["params"])
        for p in params:
            if not isinstance(p, Tensor):
                raise ArgumentError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ChoiceError("can't optimize a non-leaf Tensor")
        if len(set(params)) < len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters", GenesisWarning, stacklevel=4
            )
        if not set(params).isdisjoint(self._parameters()):
            raise ChoiceError("some parameters appear in more than one parameter group")
        items = {**self.defaults, **given, "params": params}
        unset = next((name for name, value in items.items() if value is required), None)
        if unset is not None:
            raise ChoiceError(f"parameter group didn't specify a value of required optimization parameter {unset}")
        self.param_groups.append(ParamGroup(items, self, recording_of_step()))

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def __setstate__(self, state: dict[str, Any]) -> None:
        groups = state.pop("_groups")
        self.__dict__.update(state)
        self.param_groups = groups
        for group in groups:
            group._owner = ref(self)

    def structure(self, asked: Collection[Hashable] = ()) -> tuple[Any, ...]:
        """The settings that compiled steps have baked in. They change only with a tick of the clock ``changes``."""
        hooks = (*_STEP_PRE_HOOKS, *_STEP_POST_HOOKS, *self._step_pre_hooks, *self._step_post_hooks)
        return (self._generation, hooks, *((IdentityKey(group), group.structure()) for group in self.param_groups))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop every gradient, or fill it with zeros."""
        for p in self._parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                with grad_mode(False):
                    p.grad.write(o.zeros(shape=tuple(p.shape), dtype=p.dtype))

    # One step

    @_counted
    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient.

        ``closure`` computes loss and gradients once more; its result is returned.
        """
        loss = None
        if closure is not None:
            with grad_mode(True):
                loss = closure()
        with grad_mode(False):
            work = [
                (group, {p: p.grad.value for p in group["params"] if p.grad is not None}) for group in self.param_groups
            ]
            with on_host():
                for group, grads in work:
                    for p in grads:
                        self._remember(group, p, self.state[p])
            self._refuse_state_of_a_call()
            self._count([p for group, grads in work for p in grads if self._counts(group)])
            for index, (group, grads) in enumerate(work):
                if grads:
                    self._update(index, group, grads)
        return loss

    def _remember(self, group: ParamGroup, p: Tensor, state: dict[str, Tensor]) -> None:
        """Add to ``state`` what the update of ``p`` needs and it lacks."""
        raise UndefinedError(f"{type(self).__name__} has to define _remember()")

    @property
    def keeps_tensors(self) -> bool:
        """Whether this is an optimizer of Genesis, whose state is tensors of known shapes."""
        return type(self).step is Optimizer.step

    def shape_of(self, p: Tensor, key: str) -> tuple[int, ...]:
        """The shape of the state of ``p`` under ``key``."""
        return () if key in self.numbers else tuple(p.shape)

    def _counts(self, group: ParamGroup) -> bool:
        """Whether the updates of ``group`` depend on how many there were, as ``state[p]["step"]`` says."""
        raise UndefinedError(f"{type(self).__name__} has to define _counts()")

    def _update(self, index: int, group: ParamGroup, grads: dict[Tensor, Value]) -> None:
        """Update the parameters of the group at ``index`` that have a gradient."""
        raise UndefinedError(f"{type(self).__name__} has to define _update()")

    def _stepped(self) -> None:
        """Count a step, which schedules want to have seen."""
        recording = recording_of_step()
        if recording is None:
            self._step_count += 1
        else:
            recording.host.act(self._count_a_step, self)

    def _count_a_step(self, numbers: Numbers) -> Undo:
        self._step_count += 1
        return self._uncount_a_step

    def _uncount_a_step(self) -> None:
        self._step_count -= 1

    def _refuse_state_of_a_call(self) -> None:
        """An optimizer that is made inside a compiled step may not remember anything."""
        recording = recording_of_step()
        made_inside = recording is not None and any(group.home is recording for group in self.param_groups)
        if made_inside and any(self.state.values()):
            raise TraceError(
                f"{type(self).__name__} is made inside a step that is being compiled, and remembers something from "
                f"step to step\n  at {user_location()}\n  make it outside; one without state may be made inside"
            )

    def _scalar(self, index: int, name: str, item: int | None = None) -> Value:
        """A hyper-parameter of a group, or one of a tuple, as f64[]; a compiled step reads it at every call."""
        value: Value = self.param_groups[index].number(name, item)
        recording = current_recording()
        if isinstance(recording, Recording) and (index, name) == (0, "lr"):
            recording.last.setdefault("lr", value)
        return value

    def _count(self, params: list[Tensor]) -> None:
        """Add one to the step counters of ``params``; a graph counts once for all that share one."""
        for counter in self._shared(params, "step", 0.0):
            counter.write(o.count_step(counter.value))

    def _shared(self, params: Collection[Tensor], key: str, start: float) -> list[Tensor]:
        """The distinct numbers that ``params`` remember under ``key``; new ones are ``start``.

        Parameters that have always been updated together share one. Those that part from the others get a copy.
        """
        with on_host():
            copies = self._assign(dict.fromkeys(params), key, start)
        recording = current_recording()
        for shared, copy in copies.items():
            if isinstance(recording, Recording) and shared._cell in recording.written:
                copy.write(shared.value)
        if copies:
            self._state_replaced()
        self._name_state()
        return list(dict.fromkeys(self.state[p].raw(key) for p in params))

    def _assign(self, sharers: Collection[Tensor], key: str, start: float) -> dict[Tensor, Tensor]:
        """Give ``sharers`` numbers that no other parameter has. Returns number -> copy, where they part."""
        others = {state[key] for p, state in self.state.items() if p not in sharers and key in state}
        copies: dict[Tensor, Tensor] = {}
        new: Tensor | None = None
        for p in sharers:
            found = self.state[p].get(key)
            if found is None:
                found = new = number(start) if new is None else new
            elif found in others:
                if found not in copies:
                    copies[found] = from_array(np.array(found._cell.fetched().data))
                found = copies[found]
            self.state[p][key] = found
        return copies

    def _state_replaced(self) -> None:
        """Compiled steps that hold the tensors of before are out of date."""
        self._generation += 1
        changes.tick()

    def _name_state(self) -> None:
        """Label the state for the graph, after the parameters; a counter of all is named for the optimizer alone."""
        if current_recording() is None:
            return
        with on_host():
            counters = {state["step"] for state in self.state.values() if "step" in state}
            for index, p in reversed(list(enumerate(self._parameters()))):
                for key, held in self.state.get(p, {}).items():
                    shared = key == "step" and len(counters) == 1
                    held._cell.label = f"{self.label}.{key}" + ("" if shared else f"[{p._cell.label or index}]")

    # Hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new ``(args, kwargs)``.

        In a compiled step the hooks of steps run while it is recorded, as everything else in it does.
        """
        return add(self._step_pre_hooks, hook, clock=changes)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return add(self._step_post_hooks, hook, clock=changes)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before :meth:`state_dict`."""
        return add(self._state_dict_pre_hooks, hook, prepend, changes)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after :meth:`state_dict`; it may return another one."""
        return add(self._state_dict_post_hooks, hook, prepend, changes)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before :meth:`load_state_dict`; it may return another one."""
        return add(self._load_state_dict_pre_hooks, hook, prepend, changes)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after :meth:`load_state_dict`."""
        return add(self._load_state_dict_post_hooks, hook, prepend, changes)

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {index: {name: Tensor}}, "param_groups": [...]}``, the layout of PyTorch.

        Nothing is copied but numbers: where parameters share one, each entry has its own, as PyTorch expects.
        """
        for before in tuple(self._state_dict_pre_hooks.values()):
            before(self)
        state = self._state_dict()
        for after in tuple(self._state_dict_post_hooks.values()):
            changed = after(self, state)
            state = state if changed is None else changed
        return state

    def _state_dict(self) -> dict[str, Any]:
        index: dict[Any, Any] = {p: i for i, p in enumerate(self._parameters())}
        groups = [{**group, "params": [index[p] for p in group["params"]]} for group in self.param_groups]
        kept = {index.get(p, p): dict(s) if isinstance(s, dict) else s for p, s in self.state.items() if s != {}}
        met: set[Tensor] = set()
        for state in kept.values():
            for key in self.numbers if isinstance(state, dict) and current_recording() is None else ():
                number = state.get(key)
                if isinstance(number, Tensor):
                    state[key] = from_array(np.array(number._cell.fetched().data)) if number in met else number
                    met.add(number)
        return {"state": kept, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, here or in PyTorch; nothing changes where it does not fit.

        Compiled steps go on with the loaded state. Raises ValueError for another number of groups or parameters, or
        state of another shape than its parameter.
        """
        _only_outside("load_state_dict")
        for before in tuple(self._load_state_dict_pre_hooks.values()):
            changed = before(self, dict(state_dict))
            state_dict = state_dict if changed is None else changed
        self._load(state_dict)
        for after in tuple(self._load_state_dict_post_hooks.values()):
            after(self)

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ChoiceError("loaded state dict has a different number of parameter groups")
        if any(len(s["params"]) != len(g["params"]) for s, g in zip(saved, self.param_groups)):
            raise ChoiceError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        places = [place for group in saved for place in group["params"]]
        loaded = restored(self, dict(zip(self._parameters(), places)), state_dict["state"])
        if alike(self.state, loaded, self.numbers):
            for p, state in loaded.items():
                for key, value in state.items():
                    if isinstance(value, Tensor):
                        self.state[p][key].write(value.value)
                    else:
                        self.state[p][key] = value
        else:
            self.state = State()
            self.state.update(loaded)
            self._state_replaced()
        for s, group in zip(saved, self.param_groups):
            group.update({key: deepcopy(value) for key, value in s.items() if key != "params"})

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            values = [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
            groups.append("\n".join([f"Parameter Group {i}", *values]))
        return f"{type(self).__name__} (\n" + "\n\n".join(groups) + "\n)"


def check(condition: bool, what: str, value: Any) -> None:
    """Raise ValueError ``Invalid <what>: <value>`` unless ``condition``."""
    if not condition:
        raise ChoiceError(f"Invalid {what}: {value}")


def _only_outside(what: str) -> None:
    if current_recording() is not None:
        raise TraceError(f"optimizer.{what}() inside a compiled step; call it outside")
