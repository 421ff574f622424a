"""The rows of the benchmark, by name, and what is aimed at. Another kind of model is another module."""

from benchmarks.models.cnn import CNN
from benchmarks.models.gpt import GPT
from benchmarks.models.lstm import LSTM
from benchmarks.models.mlp import MLP
from benchmarks.models.model import Model

ROWS: dict[str, Model] = {
    "tiny": MLP(sizes=(64, 64, 10), batch=32),
    "mlp": MLP(sizes=(784, 512, 512, 10), batch=64),
    "gpt-small": GPT(layers=4, width=128, heads=4, context=64, batch=8),
    "gpt": GPT(layers=6, width=384, heads=6, context=256, batch=4),
    "gpt-long": GPT(layers=6, width=384, heads=6, context=1024, batch=1),
    "cnn": CNN(channels=(3, 32, 64, 128), size=32, classes=10, batch=64),
    "lstm": LSTM(features=256, hidden=256, layers=2, length=64, classes=10, batch=32),
}

TARGETS: dict[str, dict[str, float]] = {
    "tiny": {"fp32": 4.0, "bf16": 4.0},
    "mlp": {"fp32": 1.7, "bf16": 1.7},
    "gpt-small": {"fp32": 2.0, "bf16": 2.0},
    "gpt": {"fp32": 2.2, "bf16": 1.6},
    "gpt-long": {"fp32": 2.0, "bf16": 1.6},
    "cnn": {"fp32": 1.2, "bf16": 1.2},
    "lstm": {"fp32": 1.5, "bf16": 1.5},
}
"""How many times faster a step of Genesis shall be than that of the fastest other peer, by row and precision."""
FIRST_CALL = 8.0
"""How many times earlier than ``torch.compile`` the first call shall be done."""
WARM_START = 0.5
"""Seconds that a first call with a full cache may take."""
MEMORY = 0.7
"""The most memory, as a part of the leanest other peer's."""
