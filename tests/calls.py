"""Calls as a user writes them, right and wrong, one a line: ``t`` is genesis or torch, ``np`` is NumPy."""

from pathlib import Path
from typing import Any

import numpy as np

CALLS = (Path(__file__).parent / "calls.txt").read_text().splitlines()


def called(source: str, library: Any) -> Any:
    """The result of a line with a library as ``t``; or the error."""
    try:
        return eval(source, {"t": library, "np": np, "float": float, "int": int, "bool": bool})
    except Exception as error:
        return error
