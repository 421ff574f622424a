"""Everything with a state that a training step reaches: to save it, to put it back, and to compare it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from genesis.capture.guards.backup import Backup
from genesis.capture.guards.reachable import Reachable
from genesis.io import load_checkpoint, save_checkpoint
from genesis.nn.module import Module
from genesis.optim.optimizer import Optimizer
from genesis.pytree import leaves
from genesis.random import default_generator, get_rng_state, set_rng_state
from genesis.step.program import CompiledFunction
from genesis.tensor import Tensor


class TrainingState:
    """Everything with a state that a step and ``also`` reach, what else it is given, and the step, by name."""

    def __init__(
        self, step: Callable[..., Any], objects: Iterable[Any], also: Callable[..., Any] | None = None
    ) -> None:
        function = step.function if isinstance(step, CompiledFunction) else step
        given = [(f"objects[{i}]", thing) for i, thing in enumerate(objects)]
        self._reachable = Reachable(function, given if also is None else [*given, ("after", also)])
        names: dict[int, tuple[str, Any]] = {}
        for name, thing in (*self._reachable.with_state(), *given):
            name = type(thing).__name__ if name.startswith("objects[") else name
            names.setdefault(id(thing), (name, thing))
        found = [*names.values()]
        if isinstance(step, CompiledFunction):
            found.append(("step", step))
        self.objects: dict[str, Any] = {}
        for name, thing in found:
            count = sum(other.split("#")[0] == name for other in self.objects)
            self.objects[f"{name}#{count + 1}" if count else name] = thing
        self.parameters = [
            p for thing in self.objects.values() if isinstance(thing, Module) for p in thing.parameters()
        ]

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers among them."""
        return [thing for thing in self.objects.values() if isinstance(thing, Optimizer)]

    def save(self, path: Path) -> None:
        states = {name: thing.state_dict() for name, thing in self.objects.items()}
        save_checkpoint({"states": states, "rng_state": get_rng_state()}, path)

    def load(self, path: Path) -> None:
        found = load_checkpoint(path)
        for name, thing in self.objects.items():
            thing.load_state_dict(found["states"][name])
        set_rng_state(found["rng_state"])

    @contextmanager
    def kept(self) -> Iterator[Callable[[], None]]:
        """Inside, calling the result puts everything back to what it is now; that also happens at the end."""
        states = {name: deepcopy(thing.state_dict()) for name, thing in self.objects.items()}
        held = [p._cell.grad for p in self.parameters]  # of a compiled step no tensor, where the step used it up
        backup = Backup(self._reachable)
        grads, generator = [g.clone() if isinstance(g, Tensor) else None for g in held], get_rng_state()

        def restart() -> None:
            backup.take_tensors_back()
            for name, thing in self.objects.items():
                thing.load_state_dict(deepcopy(states[name]))
            for p, grad in zip(self.parameters, grads, strict=True):
                p.grad = grad if grad is None else grad.clone()
            set_rng_state(generator)

        try:
            yield restart
        finally:
            restart()

    def state(self) -> dict[str, Any]:
        """Every tensor, as a copy, and every other leaf of all state dicts, by path."""
        found: dict[str, Any] = {}
        for name, thing in self.objects.items():
            found |= {f"{name}{path}": leaf for path, leaf in plain(thing.state_dict()).items()}
        return found | {
            f"the random generator{path}": leaf for path, leaf in plain(default_generator.position()).items()
        }


def plain(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by path; tensors as copies of their arrays."""
    found = {}
    for path, leaf in leaves(tree):
        array = leaf.detach().numpy() if isinstance(leaf, Tensor) else leaf
        found[path] = np.array(array) if isinstance(array, np.ndarray) else array
    return found
