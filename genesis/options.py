"""The options of ``@genesis.compile``."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.types import bf16, f16

PRECISIONS = {"fp32": None, "bf16-mixed": bf16, "fp16-mixed": f16}
BACKENDS = ("auto", "c", "interpret", "cuda")


@dataclass(frozen=True)
class Options:
    """The arguments of :func:`compile`."""

    precision: str | None = None
    loss_scale: str | float | None = None
    clip_grad_norm: float | None = None
    clip_grad_value: float | None = None
    accumulate: int = 1
    backend: str = "auto"
    keep_grads: bool = False

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r}; choose one of {', '.join(map(repr, PRECISIONS))}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend={self.backend!r}; choose one of {', '.join(map(repr, BACKENDS))}")
        if isinstance(self.loss_scale, str) and self.loss_scale != "dynamic":
            raise ValueError(f"loss_scale={self.loss_scale!r}; it is 'dynamic' or a number")
        if self.accumulate < 1:
            raise ValueError(f"accumulate={self.accumulate}; it is the number of micro-batches, at least 1")
