"""Which kernel attention may use, as programs tell PyTorch. The compiler chooses it here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from compiler.errors import ArgumentError


class SDPBackend(Enum):
    """The kernels of PyTorch's ``scaled_dot_product_attention``."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[None]:
    """A context or decorator that changes nothing: each of these kernels computes the same, and the compiler chooses.

    Raises TypeError for an argument that is neither an SDPBackend nor a list of them.
    """
    given = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(given, list | tuple | set) or not all(isinstance(b, SDPBackend) for b in given):
        raise ArgumentError("sdpa_kernel() takes an SDPBackend, or a list of them")
    yield
