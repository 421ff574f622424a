"""The user's line: of the innermost frame that is neither Genesis's nor of Python's library."""

import contextlib
import functools
import json
import os

import pytest

from compiler import callers
from compiler.callers import is_users, user_line


@pytest.mark.parametrize(
    ("file", "users"),
    [
        (contextlib.__file__, False),
        (functools.__file__, False),
        (json.__file__, False),
        (callers.__file__, False),
        ("<frozen importlib._bootstrap>", False),
        (pytest.__file__, True),
        (__file__, True),
        ("<stdin>", True),
        (os.path.join(os.path.dirname(os.__file__), "site-packages", "lightning", "loop.py"), True),
    ],
)
def test_whose_file(file: str, users: bool) -> None:
    assert is_users(file) == users


class Region(contextlib.ContextDecorator):
    def __enter__(self) -> "Region":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_line_is_not_contextlibs() -> None:
    look = Region()(user_line)  # the frame that calls it is contextlib's, as where Genesis decorates its own functions
    file, line = look()
    assert (file, line) == (__file__, test_a_line_is_not_contextlibs.__code__.co_firstlineno + 2)
