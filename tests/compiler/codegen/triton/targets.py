"""The GPUs that kernels become machine code for: one by default, the others by ``pytest -m machine_code``."""

from typing import Any

import pytest

DEFAULT = "sm_90"
OTHERS = ("sm_80", "gfx942")


def on_request(*values: Any) -> Any:
    """A row of parameters for ``pytest -m machine_code`` alone."""
    return pytest.param(*values, marks=pytest.mark.machine_code)


TARGETS = [DEFAULT, *map(on_request, OTHERS)]
