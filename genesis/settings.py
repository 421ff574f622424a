"""Settings of the process that PyTorch has; where Genesis has no choice, they accept the one value it has."""

from __future__ import annotations

from typing import Any

from compiler.errors import ArgumentError, ChoiceError, MisuseError
from compiler.ir.location import here
from compiler.ir.types import DType, defaults, dtype
from genesis.device import Device, on_cpu
from genesis.eager.pieces import Repeatable
from genesis.kinds import dtype_named
from genesis.memory.cells import changes
from genesis.scope import AROUND

__eager_only__ = AROUND

_state: dict[str, Any] = {
    "precision": "highest",
    "deterministic": False,
    "warn_only": False,
    "always": False,
    "interop": 1,
}


def get_default_dtype() -> DType:
    """What :func:`set_default_dtype` set, ``float32`` before."""
    return defaults.float


def set_default_dtype(d: Any) -> None:
    """Set the dtype of new tensors and parameters, of Python floats, and of the fractions of integers.

    Compiled steps are compiled again. Raises TypeError for a dtype that is not floating-point.
    """
    kind = dtype(d)
    if not kind.is_floating_point:
        raise ArgumentError(here(f"only floating-point types are supported as the default type, not {kind!r}"))
    if kind is not defaults.float:
        defaults.float = kind
        changes.tick()


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype to the dtype of a type of tensors: ``genesis.DoubleTensor``, or its name."""
    set_default_dtype(dtype_named(t))


def get_default_device() -> Device:
    """The CPU."""
    return Device("cpu")


def set_default_device(device: Any) -> None:
    """Accept the CPU, the device of all eager tensors. Raises UnsupportedError for another one."""
    on_cpu(device)


def get_float32_matmul_precision() -> str:
    """What :func:`set_float32_matmul_precision` set, ``"highest"`` before."""
    return str(_state["precision"])


def set_float32_matmul_precision(precision: str) -> None:
    """Allow less than float32 in products: ``"highest"``, ``"high"`` or ``"medium"``.

    Products are computed in float32 all the same; ``precision="bf16-mixed"`` makes a step use 16 bits.
    Raises ValueError for another text.
    """
    if precision not in ("highest", "high", "medium"):
        raise ChoiceError(f"precision={precision!r}; choose one of 'highest', 'high', 'medium'")
    _state["precision"] = precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that are equal from run to run.

    Compiled steps give such whatever ``mode`` says. Eager ops do not, by rounding, while programs for them are built in
    the background; after this call they wait for the programs. Call it before the first op.
    """
    Repeatable.wanted = mode
    _state.update(deterministic=mode, warn_only=warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What :func:`use_deterministic_algorithms` set."""
    return bool(_state["deterministic"])


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What :func:`use_deterministic_algorithms` set as ``warn_only``."""
    return bool(_state["warn_only"])


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """:func:`use_deterministic_algorithms` by a word or its number: "default" 0, "warn" 1, "error" 2.

    Raises RuntimeError for another one.
    """
    words = "default", "warn", "error"
    number = words.index(debug_mode) if debug_mode in words else debug_mode
    if number not in (0, 1, 2):
        raise MisuseError(f"debug_mode={debug_mode!r}; choose one of 'default', 'warn', 'error', 0, 1, 2")
    use_deterministic_algorithms(number != 0, warn_only=number == 1)


def get_deterministic_debug_mode() -> int:
    """The number that :func:`set_deterministic_debug_mode` takes."""
    return 0 if not _state["deterministic"] else 1 if _state["warn_only"] else 2


def set_warn_always(b: bool) -> None:
    """Do nothing: what Genesis says once stays said once."""
    _state["always"] = b


def is_warn_always_enabled() -> bool:
    """What :func:`set_warn_always` set."""
    return bool(_state["always"])


def set_flush_denormal(mode: bool) -> bool:
    """False: subnormal numbers are kept as they are."""
    return False


def get_num_interop_threads() -> int:
    """What :func:`set_num_interop_threads` set, 1 before."""
    return int(_state["interop"])


def set_num_interop_threads(num: int) -> None:
    """Do nothing: one op runs at a time, on ``set_num_threads`` threads. Raises ValueError for a number below 1."""
    if num < 1:
        raise ChoiceError("expected a positive number of threads")
    _state["interop"] = num
