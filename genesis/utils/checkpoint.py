"""``genesis.utils.checkpoint``: the function is called. A compiled step recomputes by a plan of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from compiler.errors import ChoiceError
from genesis.misuse import explained
from genesis.once import say_once

__eager_only__ = ""

__all__ = [
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]


@explained
def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Any = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """The results of ``function(*args, **kwargs)``; their values and gradients are those of PyTorch.

    Says once that it saves no memory: ``genesis.compile(activation_memory=...)`` makes a step recompute what it must.
    """
    say_once("utils.checkpoint", "genesis.compile(activation_memory='1GiB') makes a step fit by recomputing", level=4)
    return function(*args, **kwargs)


@explained
def checkpoint_sequential(
    functions: Iterable[Callable[..., Any]], segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """``functions`` called one after the other; see :func:`checkpoint`. Raises ValueError for ``segments < 1``."""
    if segments < 1:
        raise ChoiceError(f"checkpoint_sequential() takes at least one segment, not {segments}")
    return checkpoint(_in_turn, list(functions), input)


def noop_context_fn() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Two contexts that change nothing."""
    return nullcontext(), nullcontext()


def set_checkpoint_early_stop(enable: bool) -> AbstractContextManager[None]:
    """A context that changes nothing: nothing is computed again here."""
    return nullcontext()


def set_checkpoint_debug_enabled(enabled: bool | None) -> AbstractContextManager[None]:
    """A context that changes nothing: nothing is computed again here."""
    return nullcontext()


def _in_turn(functions: Sequence[Callable[..., Any]], input: Any) -> Any:
    for function in functions:
        input = function(input)
    return input
