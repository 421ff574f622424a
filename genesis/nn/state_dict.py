"""The state dict of a tree of modules, and loading it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from compiler.errors import ArgumentError, InvariantError, MisuseError, OpError, UndefinedError
from genesis.context import grad_mode
from genesis.functions.conversion import copy_, detach
from genesis.hooks import RemovableHandle, add
from genesis.members import Parameter
from genesis.nn.tables import HookTable
from genesis.replaced import Watched
from genesis.tensor import Tensor, tensor

EXTRA_STATE = "_extra_state"
"""The end of the key of what :meth:`Module.get_extra_state` returns."""


class IncompatibleKeys(tuple[list[str], list[str]]):
    """What :meth:`Module.load_state_dict` returns: ``(missing_keys, unexpected_keys)``, also by name."""

    missing_keys = property(lambda self: self[0])
    unexpected_keys = property(lambda self: self[1])

    def __new__(cls, missing_keys: list[str], unexpected_keys: list[str]) -> IncompatibleKeys:
        return super().__new__(cls, (missing_keys, unexpected_keys))

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def load_members(
    members: Iterable[tuple[str, Tensor]],
    values: Mapping[str, Any],
    prefix: str,
    put: Callable[[str, Tensor], None] | None,
    missing: list[str],
    errors: list[str],
) -> None:
    """Copy ``values`` into the members of one module, whose keys begin with ``prefix``; or ``put`` them in their place.

    A name that is not there is added to ``missing``, another shape to ``errors``.
    """
    for name, member in members:
        key = prefix + name
        if key not in values:
            missing.append(key)
            continue
        given = tensor(values[key])
        if given.shape != member.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, "
                f"the shape in current model is {member.shape}."
            )
        elif put is None:
            with grad_mode(False):
                copy_(member, given)
        else:
            put(name, Parameter(given, member.requires_grad) if isinstance(member, Parameter) else given)


def raise_errors(owner: str, strict: bool, missing: list[str], unexpected: list[str], errors: list[str]) -> None:
    """RuntimeError for what did not fit: shapes and, if ``strict``, names."""
    found = list(errors)
    if strict and unexpected:
        found.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    if strict and missing:
        found.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if found:
        listed = "\n\t".join(found)
        raise OpError(f"Error(s) in loading state_dict for {owner}:\n\t{listed}")


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{k}"' for k in keys)


class Stateful(metaclass=Watched):
    """The part of a module that gives its state as a dict and takes it back."""

    _version = 1  # of the layout of a state dict, which records it
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: Mapping[str, Stateful | None]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks = HookTable("_state_dict_hooks")
    _state_dict_pre_hooks = HookTable("_state_dict_pre_hooks")
    _load_state_dict_pre_hooks = HookTable("_load_state_dict_pre_hooks")
    _load_state_dict_post_hooks = HookTable("_load_state_dict_post_hooks")

    def _persistent(self) -> Iterator[tuple[str, Tensor]]:
        for name, member in (*self._parameters.items(), *self._buffers.items()):
            if member is not None and name not in self._non_persistent_buffers_set:
                yield name, member

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Name -> parameter or persistent buffer, detached (unless ``keep_vars``) but on the same storage.

        Its ``_metadata`` has the versions of the modules, as in PyTorch.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        local = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix.removesuffix(".")] = local
        for before in tuple(self._state_dict_pre_hooks.values()):
            before(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for after, replaces in tuple(self._state_dict_hooks.values()):
            changed = after(self, destination, prefix, local)
            if changed is not None:
                if not replaces:
                    raise MisuseError("state_dict post-hook must return None")
                destination = changed
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Add what this module holds itself, without its submodules."""
        for name, member in self._persistent():
            destination[prefix + name] = member if keep_vars else detach(member)
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def get_extra_state(self) -> Any:
        """Extra state to keep in the state dict; a subclass may define it, and :meth:`set_extra_state`."""
        raise UndefinedError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """Take over what :meth:`get_extra_state` returned."""
        raise UndefinedError("Reached a code path in Module.set_extra_state() that should never be called.")

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before this module's part of a state dict is made."""
        return add(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` behind it, to change the dict in place."""
        return add(self._state_dict_hooks, (hook, False))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return add(self._state_dict_hooks, (hook, True))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook`` before this module loads, to change the dict in place.

        Its arguments: module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs.
        """
        return add(self._load_state_dict_pre_hooks, (hook, True))

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        return add(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after this module has loaded; it may change the lists of keys."""
        return add(self._load_state_dict_post_hooks, hook)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values (tensors, NumPy arrays, tensors of other libraries) into the existing storage.

        ``assign`` replaces the parameters and buffers instead. Raises RuntimeError, after everything that fits was
        loaded, for shapes that do not match and, if ``strict``, for names that are missing or unexpected.
        """
        if not isinstance(state_dict, Mapping):
            raise ArgumentError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        keys = IncompatibleKeys([], [])
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", {})
        self._load_tree(dict(state_dict), "", metadata, assign, keys, errors)
        raise_errors(type(self).__name__, strict, *keys, errors)
        return keys

    def _load_tree(
        self,
        values: dict[str, Any],
        prefix: str,
        metadata: Mapping[str, Any],
        assign: bool,
        keys: IncompatibleKeys,
        errors: list[str],
    ) -> None:
        local = {**metadata.get(prefix[:-1], {}), "assign_to_params_buffers": assign}
        self._load_from_state_dict(values, prefix, local, True, *keys, errors)
        for name, module in self._modules.items():
            if module is not None:
                inner = f"{prefix}{name}."
                theirs = {key: value for key, value in values.items() if key.startswith(inner)}
                module._load_tree(theirs, inner, metadata, assign, keys, errors)
        for hook in tuple(self._load_state_dict_post_hooks.values()):
            if hook(self, keys) is not None:
                raise InvariantError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                    "values, if incompatible_keys need to be modified, it should be done inplace."
                )

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load what this module holds itself from the keys that begin with ``prefix``.

        A subclass may define it, to rename keys of older versions, say. Keys that do not fit are added to the lists.
        """
        for hook, with_module in tuple(self._load_state_dict_pre_hooks.values()):
            rest = (state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
            hook(self, *rest) if with_module else hook(*rest)
        members = dict(self._persistent())
        put = partial(setattr, self) if local_metadata.get("assign_to_params_buffers") else None
        lacking: list[str] = missing_keys if strict else []
        load_members(members.items(), state_dict, prefix, put, lacking, error_msgs)
        extra = prefix + EXTRA_STATE
        has_extra = type(self).set_extra_state is not Stateful.set_extra_state
        if has_extra and extra in state_dict:
            self.set_extra_state(state_dict[extra])
        elif has_extra:
            lacking.append(extra)
        if strict:
            known = {*members, *((EXTRA_STATE,) if has_extra else ())}
            for key in state_dict:
                if key.startswith(prefix):
                    first, *below = key[len(prefix) :].split(".")
                    if first not in (self._modules if below else known):
                        unexpected_keys.append(key)
