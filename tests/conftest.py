"""Options and fixtures that every test shares."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from runtime.cache import writable_folder

# Many tests want eager results that equal interpreted ones bit for bit; tests/genesis/eager/ is about others, too.
os.environ.setdefault("GENESIS_EAGER", "numpy")

# The C compiler takes a third of its time. Tests about what it makes of a program by default ask for `optimized`.
os.environ.setdefault("GENESIS_CFLAGS", "-O0")

# Every child process would compile the sources of Genesis again.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(writable_folder() / "bytecode"))

GOLDEN = Path(__file__).parent / "golden"

# A loaded machine is slow, not wrong; and every run draws the same examples.
settings.register_profile("genesis", deadline=None, derandomize=True)
settings.load_profile("genesis")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the tests produce into tests/golden")
    parser.addoption("--seed", type=int, default=0, help="every test starts from this seed (default 0)")


ORACLE = Path(__file__).parent / "oracle"


def compares_with_pytorch(config: pytest.Config) -> bool:
    """Whether the tests with PyTorch were asked for: by their mark, or by a path below ``tests``."""
    paths = [(config.invocation_params.dir / arg).resolve() for arg in config.args]
    return "oracle" in config.option.markexpr or paths != [ORACLE.parent]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path == ORACLE and not compares_with_pytorch(config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if ORACLE in item.path.parents:
            item.add_marker(pytest.mark.oracle)
        if config.pluginmanager.hasplugin("xdist") and shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    if not compares_with_pytorch(config):
        left_out = [item for item in items if item.get_closest_marker("oracle")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def shares_a_fixture(item: pytest.Item) -> bool:
    """Whether it reads what its module makes once, a compiled library as a rule: one process then makes it."""
    fixtures: dict[str, Any] = item._fixtureinfo.name2fixturedefs
    return any(made[-1].scope == "module" for made in fixtures.values())


def libraries() -> list[Any]:
    return [sys.modules[name] for name in ("genesis", "torch") if name in sys.modules]


@pytest.fixture(autouse=True)
def independent(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test draws the same numbers, whatever ran before it, and takes back the defaults that it sets."""
    seed = request.config.getoption("--seed")
    random.seed(seed)
    np.random.seed(seed)
    for lib in libraries():
        lib.manual_seed(seed)
    yield
    for lib in libraries():
        defaults = (lib.get_default_dtype(), lib.get_default_device(), lib.is_grad_enabled())
        assert defaults == (lib.float32, lib.device("cpu"), True), f"the test changed defaults of {lib.__name__}"


@pytest.fixture
def optimized(monkeypatch: pytest.MonkeyPatch) -> None:
    """C is compiled with the flags that users have."""
    monkeypatch.delenv("GENESIS_CFLAGS")


@pytest.fixture
def generated(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`generated(path, text)` asserts that the file at `path`, from the root of the repository, holds `text`.

    With `--update-golden` it writes the file instead.
    """
    update = request.config.getoption("--update-golden")

    def check(name: str, text: str) -> None:
        path = Path(__file__).parents[1] / name
        if update:
            path.write_text(text)
        assert path.exists() and text == path.read_text(), f"{name} is old; run pytest with --update-golden"

    return check


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` asserts that `text` equals the file `tests/golden/<name>`.

    With `--update-golden` it writes the file instead; the difference is then read in the commit.
    """
    update = request.config.getoption("--update-golden")

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing; run pytest with --update-golden and read what it wrote"
        assert text == path.read_text()

    return check
