"""The writer hands on arrays; without its library it says what to install."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import genesis
from genesis.utils.tensorboard import SummaryWriter


class Recorder:
    """In the place of the library's writer: keeps the calls."""

    def __init__(self, **options: Any) -> None:
        self.logdir, self.calls = options["logdir"] or "runs/now", []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))


def test_tensors_become_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Recorder))
    with SummaryWriter("somewhere") as writer:
        calls = writer._writer.calls
        writer.add_scalar("loss", genesis.tensor(0.5, requires_grad=True), 3, new_style=True)
        writer.add_scalars("both", {"a": genesis.tensor(1.0), "b": 2.0}, global_step=4)
        writer.add_histogram("w", genesis.ones(3))
    assert writer.log_dir == "somewhere"
    assert [name for name, *_ in calls] == ["add_scalar", "add_scalars", "add_histogram", "close"]
    assert calls[0][1][:3] == ("loss", np.float32(0.5), 3)
    assert calls[1][1][1] == {"a": np.float32(1.0), "b": 2.0} and calls[1][2] == {"global_step": 4}
    assert isinstance(calls[2][1][1], np.ndarray)
    with pytest.raises(AttributeError, match="add_everything"):
        writer.add_everything  # noqa: B018
    with pytest.raises(TypeError, match="takes models"):
        writer.add_graph(None)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboardX"):
        SummaryWriter()
