import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parent.parent / "README.md"


def test_the_sample_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    (sample,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    path = tmp_path / "sample.py"
    path.write_text(sample)
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    labels = np.arange(64) % 10
    images = draw.normal(size=(64, 64)).astype(np.float32) / 4
    images[np.arange(64), labels] += 2
    exec(compile(sample, str(path), "exec"), {"__name__": "sample", "images": images, "labels": labels})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert float(lines[-1].split()[1]) < float(lines[0].split()[1])
    assert (tmp_path / "checkpoint_epoch_10.pth").stat().st_size > 30_000
