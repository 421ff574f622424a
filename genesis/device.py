"""Device names."""

from __future__ import annotations

import builtins
from typing import Any, NoReturn

from compiler.errors import ArgumentError, DeviceError, MissingNameError, UnsupportedError
from compiler.ir.location import here

_KINDS = "cpu cuda mps xpu hpu meta mtia vulkan xla ipu ideep mkldnn maia fpga hip lazy".split()


class Device:
    """A place where tensors live: ``device("cpu")``, ``device("cuda:0")``, ``device("cuda", 0)``, or another device.

    As a context manager it chooses the device of new tensors. Raises RuntimeError for a name that PyTorch does not know
    either; tensors are on the CPU, and functions that take ``device=`` refuse the others.
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str | Device, index: int | None = None) -> None:
        if isinstance(type, Device):
            kind, number = type.type, type.index
        elif not isinstance(type, str):
            raise ArgumentError(
                here(f"device(): expected a name such as 'cpu' or a device, not {builtins.type(type).__name__}")
            )
        else:
            kind, _, text = type.partition(":")
            if kind not in _KINDS or (":" in type and not text.isdecimal()):
                raise DeviceError(
                    here(f"unknown device {type!r}; Genesis has 'cpu' and 'cuda', and 'cuda:0' for a numbered one")
                )
            number = int(text) if text else index
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "index", number)

    def __setattr__(self, name: str, value: Any) -> None:
        raise MissingNameError(
            here(f"a device does not change: cannot set {name}", "make another one, genesis.device(...)")
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return Device, (self.type, self.index)

    def __enter__(self) -> Device:
        on_cpu(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        pass

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )


device = Device


def on_cpu(spec: Any) -> None:
    """Raise unless ``spec``, the ``device=`` of an eager tensor, is the CPU or None."""
    if spec is not None and device(spec).type != "cpu":
        raise UnsupportedError(
            here(
                f"tensors on device {str(spec)!r}: eager tensors are in the memory of the CPU",
                "leave device= away, and compile the step with backend='cuda' to run it on a GPU",
            )
        )


def no_device(namespace: str, name: str) -> NoReturn:
    """Raise DeviceError: there is no device that ``genesis.<namespace>.<name>()`` could act on."""
    advice = "; compile the step with backend='cuda' to run it on a GPU" if namespace == "cuda" else ""
    raise DeviceError(
        here(
            f"{namespace}.{name}(): eager tensors are on the CPU, there is no device for {namespace}",
            f"ask is_available() first{advice}",
        )
    )
