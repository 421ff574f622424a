"""The contract of a peer, and the program that PyTorch and Genesis write with the same words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import cycle
from typing import Any

from benchmarks.models.model import Array, Model

LEARNING_RATE = 1e-3
BETAS = (0.9, 0.999)
EPSILON = 1e-8
WEIGHT_DECAY = 0.01
MAX_NORM = 1.0

Batches = list[tuple[Array, Array]]
Step = Callable[[Any, Any], Any]


class Program(ABC):
    """Training of ``model`` from ``weights``; the batches come round and round.

    ``precision`` is ``"fp32"`` or ``"bf16"``: matrix products in bfloat16, parameters in float32.
    """

    @abstractmethod
    def __init__(self, model: Model, weights: dict[str, Array], batches: Batches, precision: str) -> None: ...

    @abstractmethod
    def steps(self, count: int) -> float:
        """Train for ``count`` steps; when the last is done, its loss."""

    def products(self) -> dict[str, int] | None:
        """Floating-point operations of a step's products, by the dtype of their operands, from who can tell."""
        return None


class TorchStyleProgram(Program):
    """The step as a user of PyTorch writes it. ``framework`` is ``torch`` or ``genesis``."""

    framework: Any

    def __init__(self, model: Model, weights: dict[str, Array], batches: Batches, precision: str) -> None:
        framework = self.framework
        module = model.module(framework)
        module.load_state_dict(
            {name: framework.from_numpy(weight) for name, weight in weights.items()}, strict=False
        )  # running statistics stay as they are made
        parameters = list(module.parameters())
        optimizer = framework.optim.AdamW(
            parameters, lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, weight_decay=WEIGHT_DECAY, fused=True
        )

        def loss_of(x: Any, y: Any) -> Any:
            return framework.nn.functional.cross_entropy(module(x).flatten(0, -2), y.flatten())

        compiled_loss = self.compile_loss(loss_of)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            with framework.amp.autocast("cpu", dtype=framework.bfloat16, enabled=precision == "bf16"):
                loss = compiled_loss(x, y)
            loss.backward()
            framework.nn.utils.clip_grad_norm_(parameters, max_norm=MAX_NORM)
            optimizer.step()
            return loss

        self._step = self.compile_step(step)
        self._batches = cycle([(framework.from_numpy(x), framework.from_numpy(y)) for x, y in batches])

    def compile_loss(self, loss_of: Step) -> Step:
        """For who compiles the model and its loss."""
        return loss_of

    def compile_step(self, step: Step) -> Step:
        """For who compiles the whole step."""
        return step

    def steps(self, count: int) -> float:
        for _ in range(count):
            loss = self._step(*next(self._batches))
        return loss.item()
