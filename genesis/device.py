"""Device names."""

from __future__ import annotations

from dataclasses import dataclass


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
    kind, _, number = spec.partition(":")
    if kind not in ("cpu", "cuda"):
        raise RuntimeError(f"unknown device {spec!r}; Genesis has 'cpu' and 'cuda'")
    return Device(kind, int(number) if number else index)
