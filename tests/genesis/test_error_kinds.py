"""Errors that a user can cause are GenesisErrors: no file of the package raises a plain built-in one."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

import genesis
from compiler.errors import GenesisError

PACKAGE = Path(genesis.__file__).parent

OF_A_PROTOCOL = {
    ("watched.py", "KeyError"),  # of a dict
    ("live.py", "KeyError"),
    ("live.py", "NotImplementedError"),  # of a class inside
    ("step/inspection.py", "NotImplementedError"),  # of a base class inside
    ("host_object.py", "NotImplementedError"),
    ("nn/lazy.py", "NotImplementedError"),
    ("nn/utils/legacy_norms.py", "NotImplementedError"),
    ("distributions/discrete.py", "AttributeError"),  # of a property that is computed when it is asked for
    ("distributions/multivariate_normal.py", "AttributeError"),
    ("utils/tensorboard.py", "ModuleNotFoundError"),  # of an optional package, with the way out
    ("legacy.py", "AttributeError"),  # names with underscores, which Python itself looks for
    ("torch_names.py", "AttributeError"),
    ("neighbours.py", "ImportError"),  # of an import that cannot go on
    ("names.py", "AttributeError"),  # names with underscores, which Python itself looks for
    ("replaced.py", "AttributeError"),
    ("tensor/__init__.py", "AttributeError"),
    ("host.py", "LookupError"),  # caught by the caller
}
"""Files with an error that Python, or a caller in the same file, catches."""


def _raised(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(made, ast.Name):
                kind = getattr(builtins, made.id, None)
                if isinstance(kind, type) and issubclass(kind, Exception):
                    yield made.id, node.lineno


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_plain_errors(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    plain = [f"{kind} in line {line}" for kind, line in _raised(path) if (name, kind) not in OF_A_PROTOCOL]
    assert not plain


def test_errors_double_as_those_of_python_and_name_the_line() -> None:
    parameter = genesis.nn.Parameter(genesis.ones(1))
    optimizer = genesis.optim.SGD([parameter], lr=0.1)
    scaler = genesis.amp.GradScaler()
    scaler.scale((parameter * 2).sum()).backward()
    scaler.unscale_(optimizer)
    wrong = [
        (ValueError, lambda: genesis.optim.SGD([parameter], lr=-1)),
        (ValueError, lambda: genesis.optim.SGD([], lr=1)),
        (TypeError, lambda: genesis.optim.SGD([3], lr=1)),
        (TypeError, lambda: genesis.optim.lr_scheduler.StepLR(parameter, 1)),  # type: ignore[arg-type]
        (RuntimeError, lambda: scaler.unscale_(optimizer)),
        (ValueError, lambda: genesis.compile(lambda: None, precision="fp8")),
        (TypeError, lambda: genesis.compile(3)),
        (NotImplementedError, lambda: genesis.utils.data.Dataset()[0]),
        (IndexError, lambda: genesis.utils.data.ConcatDataset([[1, 2]])[5]),
    ]
    for kind, call in wrong:
        with pytest.raises(kind, match=r"\n  at .*test_error_kinds\.py:\d+") as caught:
            call()
        assert isinstance(caught.value, GenesisError)
