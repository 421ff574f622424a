"""Options and fixtures that every test shares."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Many tests want eager results that equal interpreted ones bit for bit; tests/genesis/test_pieces.py is about others.
os.environ.setdefault("GENESIS_EAGER", "numpy")

GOLDEN = Path(__file__).parent / "golden"

# A loaded machine is slow, not wrong; and every run draws the same examples.
settings.register_profile("genesis", deadline=None, derandomize=True)
settings.load_profile("genesis")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the tests produce into tests/golden")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    oracle = Path(__file__).parent / "oracle"
    for item in items:
        if oracle in item.path.parents:
            item.add_marker(pytest.mark.oracle)


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
