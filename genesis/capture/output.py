"""The prints and logs of a step: taken down while the step is recorded, and shown at every call.

An eager call prints at every call, a recording runs once. So text for ``sys.stdout`` and ``sys.stderr``, and records of
``logging``, are kept; each call shows them before its launch. Contents of tensors cannot be printed in a step, so the
text is the same at every call; another recording that prints something else is an error. Warnings are shown at once.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

_OF_ITS_TIME = "args created msecs relativeCreated thread threadName process processName taskName".split()
"""The attributes of a log record that tell the moment and the thread."""


@dataclass(frozen=True)
class Printed:
    """Text for ``sys.stdout`` or ``sys.stderr``."""

    stream: str
    text: str

    def is_enabled(self) -> bool:
        return True

    def show(self) -> None:
        getattr(sys, self.stream).write(self.text)

    def __str__(self) -> str:
        return f"it prints {self.text!r}"


@dataclass(frozen=True)
class Logged:
    """A record for a logger, which may have been disabled since."""

    logger: logging.Logger
    fields: dict[str, Any]

    def is_enabled(self) -> bool:
        return self.logger.isEnabledFor(self.fields["levelno"])

    def show(self) -> None:
        if self.is_enabled():
            self.logger.handle(logging.makeLogRecord(self.fields))

    def __str__(self) -> str:
        return f"it logs {self.fields['msg']!r}"


Output = list[Printed | Logged]


class _Stream:
    """An output stream that gives away what one thread writes, as long as it is asked to; the rest goes on."""

    def __init__(self, stream: TextIO, take: Callable[[str], None]) -> None:
        self._stream, self._take, self._thread, self.active = stream, take, threading.get_ident(), True

    def write(self, text: str) -> int:
        if not self.active or threading.get_ident() != self._thread or _is_warning():
            return self._stream.write(text)
        self._take(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_warning() -> bool:
    """Whether the module ``warnings`` writes."""
    return sys._getframe(2).f_globals.get("__name__") == "warnings"


@contextmanager
def _streams(take: Callable[[str, str], None]) -> Iterator[None]:
    """Give what this thread writes to ``take``, with the name of the stream."""
    made = {name: _Stream(getattr(sys, name), partial(take, name)) for name in ("stdout", "stderr")}
    for name, stream in made.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in made.items():
            stream.active = False
            if getattr(sys, name) is stream:
                setattr(sys, name, stream._stream)


@contextmanager
def taken_down() -> Iterator[Output]:
    """Keep what this thread prints and logs inside; where an error ends it, it is shown."""
    found: Output = []
    thread, handle = threading.get_ident(), logging.Logger.handle

    def take(name: str, text: str) -> None:
        last = found[-1] if found else None
        if isinstance(last, Printed) and last.stream == name:
            found[-1] = Printed(name, last.text + text)
        else:
            found.append(Printed(name, text))

    def log(logger: logging.Logger, record: logging.LogRecord) -> None:
        if threading.get_ident() != thread or logger.name == "py.warnings":
            handle(logger, record)
            return
        fields = {k: v for k, v in vars(record).items() if k not in _OF_ITS_TIME}
        found.append(Logged(logger, {**fields, "msg": record.getMessage(), "args": None}))

    try:
        with _streams(take), _handling(log):
            yield found
    except BaseException:
        show(found)
        raise


@contextmanager
def _handling(log: Callable[[logging.Logger, logging.LogRecord], None]) -> Iterator[None]:
    """Loggers give their records to ``log``."""
    before = logging.Logger.handle
    setattr(logging.Logger, "handle", log)  # noqa: B010  # mypy takes no assignment here
    try:
        yield
    finally:
        setattr(logging.Logger, "handle", before)  # noqa: B010


def show(output: Output) -> None:
    """Print and log, as a call does."""
    for entry in output:
        entry.show()


@contextmanager
def muted() -> Iterator[None]:
    """Without prints and warnings of this thread."""
    with _streams(lambda name, text: None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
