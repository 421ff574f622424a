"""The prints and logs of a step are shown at every call, as by the eager step."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

import genesis
from compiler.errors import TraceError
from genesis import Tensor

logger = logging.getLogger("genesis.tests.output")


def _prints(x: Tensor) -> Tensor:
    print("shape", tuple(x.shape), x.dtype)
    print("to stderr", file=sys.stderr)
    print("no end", end="", flush=True)
    sys.stdout.write("\n")
    return x * 2


def _logs(x: Tensor) -> Tensor:
    logger.warning("rank %d", x.ndim)
    logger.info("not shown at this level")
    print("between")
    logger.error("again", extra={"run": 3})
    return x * 2


def _redirects(x: Tensor) -> Tensor:
    with redirect_stdout(StringIO()) as text:
        print("hidden")
    print("found", text.getvalue().strip())
    return x * 2


def _warns(x: Tensor) -> Tensor:
    warnings.warn("once for a line", stacklevel=2)
    print("behind")
    return x * 2


@pytest.mark.parametrize("step", [_prints, _logs, _redirects, _warns])
def test_output_is_that_of_the_eager_step(
    step: Callable[[Tensor], Tensor], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def seen(run: Any) -> Any:
        caplog.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for rows in (2, 2, 3, 2, 2, 2, 2):
                run(genesis.ones(rows))
        logs = [(r.name, r.levelname, r.getMessage(), r.lineno, getattr(r, "run", None)) for r in caplog.records]
        return capsys.readouterr(), logs

    caplog.set_level(logging.WARNING, logger.name)
    compiled = genesis.compile(step, backend="interpret")
    assert seen(compiled) == seen(step)
    assert compiled.compiles == 2
    assert type(sys.stdout).__module__ != "genesis.capture.output"


def test_a_logger_that_is_turned_down_later_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger.name)
    step = genesis.compile(_logs, backend="interpret")
    step(genesis.ones(2))
    assert len(caplog.records) == 3
    logger.setLevel(logging.ERROR)
    step(genesis.ones(2))
    assert len(caplog.records) == 4


def test_text_that_changes_is_refused() -> None:
    count = iter(range(100)).__next__  # a change that nothing but the text shows

    @genesis.compile(backend="interpret")
    def step(x: Tensor) -> Tensor:
        print(f"call {count_of()}")
        return x + 1

    def count_of() -> int:
        return count()

    step(genesis.ones(2))
    with pytest.raises(TraceError, match=r"it prints 'call 0\\n'(.|\n)*it prints 'call \d\\n'"):
        step(genesis.ones(2))


def test_what_was_printed_before_an_error_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    @genesis.compile(backend="interpret")
    def step(x: Tensor) -> Tensor:
        print("first")
        print(x)
        return x

    with pytest.raises(TraceError, match=r"printing a tensor(.|\n)*print it outside"):
        step(genesis.ones(2))
    assert capsys.readouterr().out == "first\n"


def test_other_threads_print_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    @genesis.compile(backend="interpret")
    def step(x: Tensor) -> Tensor:
        other = threading.Thread(target=print, args=("other",))
        other.start()
        other.join()
        return x + 1

    step(genesis.ones(2))
    assert capsys.readouterr().out == "other\n"
