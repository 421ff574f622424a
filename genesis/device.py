"""Device names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compiler.errors import ArgumentError, DeviceError, UnsupportedError
from compiler.ir.location import here


@dataclass(frozen=True, slots=True)
class Device:
    """A place where tensors live: ``device("cpu")``, ``device("cuda", 0)``."""

    type: str
    index: int | None = None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )


def device(spec: str | Device, index: int | None = None) -> Device:
    """A device from ``"cpu"``, ``"cuda"``, ``"cuda:0"`` or another device. Raises RuntimeError for an unknown one."""
    if isinstance(spec, Device):
        return spec
    if not isinstance(spec, str):
        raise ArgumentError(here(f"device(): expected a name such as 'cpu' or a device, not {type(spec).__name__}"))
    kind, _, number = spec.partition(":")
    if kind not in ("cpu", "cuda") or (":" in spec and not number.isdecimal()):
        raise DeviceError(
            here(f"unknown device {spec!r}; Genesis has 'cpu' and 'cuda', and 'cuda:0' for a numbered one")
        )
    return Device(kind, int(number) if number else index)


def on_cpu(spec: Any) -> None:
    """Raise unless ``spec``, the ``device=`` of an eager tensor, is the CPU or None."""
    if spec is not None and device(spec).type != "cpu":
        raise UnsupportedError(
            here(
                f"tensors on device {str(spec)!r}: eager tensors are in the memory of the CPU",
                "leave device= away, and compile the step with backend='cuda' to run it on a GPU",
            )
        )
