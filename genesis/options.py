"""The options of ``@genesis.compile``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from compiler.errors import ChoiceError
from compiler.ir.types import bf16, f16
from genesis.once import say_once

PRECISIONS = {"fp32": None, "bf16-mixed": bf16, "fp16-mixed": f16}
BACKENDS = ("auto", "c", "interpret", "cuda")


_OF_TORCH = ("mode", "fullgraph", "dynamic", "options")
_BACKENDS_OF_TORCH = ("inductor", "eager", "aot_eager", "cudagraphs", "onnxrt", "openxla", "tvm", "tensorrt")


def without_torch(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of :func:`compile` without the options of ``torch.compile``; says once which of these change nothing.

    ``fullgraph`` asks for something that always holds, and ``backend="inductor"`` for the best backend there is.
    """
    kept = {name: value for name, value in given.items() if name not in _OF_TORCH}
    ignored = {name: given[name] for name in ("mode", "dynamic", "options") if given.get(name) is not None}
    if kept.get("backend") in _BACKENDS_OF_TORCH:
        backend = kept.pop("backend")
        if backend != "inductor":
            ignored["backend"] = backend
    if ignored:
        shown = ", ".join(f"{name}={value!r}" for name, value in ignored.items())
        say_once(f"compile({shown})", "a step is one graph of static shapes, in generated C", 4)
    return kept


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
    activation_memory: int | float | str | None = None
    check_numerics: bool = False

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in PRECISIONS:
            raise ChoiceError(f"precision={self.precision!r}; choose one of {', '.join(map(repr, PRECISIONS))}")
        if self.backend not in BACKENDS:
            raise ChoiceError(f"backend={self.backend!r}; choose one of {', '.join(map(repr, BACKENDS))}")
        if isinstance(self.loss_scale, str) and self.loss_scale != "dynamic":
            raise ChoiceError(f"loss_scale={self.loss_scale!r}; it is 'dynamic' or a number")
        if self.accumulate < 1:
            raise ChoiceError(f"accumulate={self.accumulate}; it is the number of micro-batches, at least 1")
        self.budget()

    def budget(self) -> int | float | None:
        """``activation_memory`` in bytes, or as a float part of what the step takes without it."""
        amount = self.activation_memory
        if isinstance(amount, str):
            found = re.fullmatch(r"\s*([\d.]+)\s*([kKMGT]?)(i?)B?\s*", amount)
            if found is not None:
                number, prefix, binary = found.groups()
                with suppress(ValueError):
                    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))
        elif amount is None or (type(amount) is int and amount > 0) or (isinstance(amount, float) and 0 < amount <= 1):
            return amount
        raise ChoiceError(
            f"activation_memory={amount!r}; it is a number of bytes, a text like '512MB' or '1.5GiB', or a float up to "
            "1.0: the part of what the step takes without it"
        )
