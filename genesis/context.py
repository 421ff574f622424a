"""The meaning of op calls right now: at once (eager) or into a graph (recording)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compiler.ir import ambient
from genesis.eager.calls import EagerBuilder
from genesis.recording import RecordingBuilder, Trace


def session() -> EagerBuilder | RecordingBuilder:
    """The ambient builder; it carries the grad mode and the autocast region."""
    return ambient.builder()  # type: ignore[return-value]


def current_recording() -> Trace | None:
    """The trace that op calls go to (of a step, or of a loop's body in it), or None when they run at once."""
    return getattr(ambient.builder(), "recording", None)


@contextmanager
def grad_mode(enabled: bool) -> Iterator[None]:
    """Whether ops inside keep what a backward pass needs."""
    here = session()
    saved = here.grad_enabled
    here.grad_enabled = enabled
    try:
        yield
    finally:
        here.grad_enabled = saved
