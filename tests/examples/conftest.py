"""The examples as modules."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """``example(name)`` is the module of ``examples/<name>.py``; without what it imports, the test is skipped."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            pytest.skip(f"{error.name} is not installed")
        return module

    return load


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps are so large that to optimise them a little saves time, and that threads wait for each other."""
    monkeypatch.setenv("GENESIS_CFLAGS", "-O1")
    monkeypatch.setenv("GENESIS_NUM_THREADS", "1")
