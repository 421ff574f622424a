"""Muon."""

from __future__ import annotations

from math import sqrt

import numpy as np

from compiler.errors import ChoiceError
from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.optim.optimizer import Optimizer, ParamGroup
from genesis.optim.rule import Params
from genesis.tensor import Tensor, from_array

_RATIOS = {
    None: lambda rows, columns: sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * sqrt(max(rows, columns)),
}


class Muon(Optimizer):
    """Steps by the orthogonal matrix near the momentum, for matrices in hidden layers.

    The matrix comes from ``ns_steps`` Newton-Schulz iterations in bf16. ``adjust_lr_fn``: how the rate follows a shape
    ``[A, B]``: ``"original"`` by ``sqrt(max(1, A / B))``, ``"match_rms_adamw"`` by ``0.2 sqrt(max(A, B))``. Sources:
    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is scalable for
    LLM training", 2025.
    """

    exact = frozenset({"ns_coefficients", "ns_steps"})

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        for value, what in ((lr, "Learning rate"), (momentum, "momentum"), (weight_decay, "weight decay")):
            if value < 0:
                raise ChoiceError(f"{what} should be >= 0 but is: {value}")
        if adjust_lr_fn not in _RATIOS:
            raise ChoiceError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": tuple(ns_coefficients),
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for p in self._parameters():
            if p.ndim != 2:
                raise ChoiceError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {tuple(p.shape)}"
                )

    def _counts(self, group: ParamGroup) -> bool:
        return False

    def _remember(self, group: ParamGroup, p: Tensor, state: dict[str, Tensor]) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = from_array(np.zeros(p.shape, p.dtype.numpy))

    def _update(self, index: int, group: ParamGroup, grads: dict[Tensor, Value]) -> None:
        scalars = [self._scalar(index, name) for name in ("lr", "weight_decay", "momentum", "eps")]
        for p, g in grads.items():
            buffer = self.state[p]["momentum_buffer"]
            stepped, moved = o.muon_update(
                p.value,
                g,
                buffer.value,
                *scalars,
                nesterov=group["nesterov"],
                coefficients=group["ns_coefficients"],
                steps=group["ns_steps"],
                ratio=_RATIOS[group["adjust_lr_fn"]](*p.shape),
            )
            p.write(stepped)
            buffer.write(moved)
