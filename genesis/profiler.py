"""``genesis.profiler``: PyTorch's profiler is not there; its contexts record nothing, and say so once.

``step.profile()`` measures a compiled step: per kernel, per module, per line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from enum import Enum
from typing import Any, NoReturn

from compiler.errors import UnsupportedError
from compiler.ir.location import here
from genesis.once import say_once
from genesis.scope import AROUND

__eager_only__ = AROUND

_INSTEAD = "step.profile() measures a compiled step, per kernel, module and line"


class ProfilerActivity(Enum):
    """What PyTorch's profiler would record."""

    CPU = "cpu"
    CUDA = "cuda"
    XPU = "xpu"


class ProfilerAction(Enum):
    """What PyTorch's profiler would do in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class profile(ContextDecorator):
    """A context that records nothing, and says so once."""

    def __init__(
        self,
        *,
        activities: Iterable[Any] | None = None,
        schedule: Any = None,
        on_trace_ready: Any = None,
        **options: Any,
    ) -> None:
        say_once("profiler.profile()", _INSTEAD)

    def __enter__(self) -> profile:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def step(self) -> None:
        """Do nothing."""

    def key_averages(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise UnsupportedError: nothing was recorded."""
        raise UnsupportedError(here("profile.key_averages(): nothing was recorded", _INSTEAD))

    def export_chrome_trace(self, path: str) -> NoReturn:
        """Raise UnsupportedError: nothing was recorded."""
        raise UnsupportedError(here("profile.export_chrome_trace(): nothing was recorded", _INSTEAD))

    def events(self) -> NoReturn:
        """Raise UnsupportedError: nothing was recorded."""
        raise UnsupportedError(here("profile.events(): nothing was recorded", _INSTEAD))


class record_function(ContextDecorator):
    """A label for PyTorch's profiler, as a context or a decorator; it changes nothing."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name

    def __enter__(self) -> record_function:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, **_: Any
) -> Callable[[int], Any]:
    """A plan of recording, which nothing follows: no step is recorded."""
    return lambda step: ProfilerAction.NONE


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """A handler that is not called: nothing is recorded."""
    return lambda recorded: None
