"""Plans in the cache belong to this compiler: its files count with their contents, not with their times."""

import os
from pathlib import Path

import pytest

from compiler import pipeline
from genesis.compiled import compiler_version


def test_contents_count_and_times_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "__file__", str(tmp_path / "pipeline.py"))

    def version(text: str, time: int) -> str:
        (tmp_path / "passes").mkdir(exist_ok=True)
        (tmp_path / "passes" / "fuse.py").write_text(text)
        os.utime(tmp_path / "passes" / "fuse.py", (time, time))
        return compiler_version.__wrapped__()

    first = version("LIMIT = 1", 0)  # in a reproducible wheel all files bear one time
    assert version("LIMIT = 1", 1_000_000) == first
    assert version("LIMIT = 2", 0) != first
