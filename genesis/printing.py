"""How tensors are printed."""

from __future__ import annotations

from typing import Any

from compiler.errors import ChoiceError

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": 2**62, "edgeitems": 3, "linewidth": 80},
}
_state: dict[str, Any] = {**_PROFILES["default"], "suppress_small": None}


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Say how tensors are printed: digits behind the point, elements before ``...`` stands for some, and so on.

    ``profile``: ``"default"``, ``"short"`` or ``"full"`` for all of them. ``sci_mode`` switches ``1e3`` on or off, None
    leaves it to the numbers.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ChoiceError(f"profile={profile!r}; choose one of {', '.join(map(repr, _PROFILES))}")
        _state.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _state.update({key: value for key, value in given.items() if value is not None})
    _state["suppress_small"] = None if sci_mode is None else not sci_mode


def options() -> dict[str, Any]:
    """Arguments of ``numpy.array2string``."""
    return {"max_line_width" if key == "linewidth" else key: value for key, value in _state.items()}
