"""The rows of the benchmark, by name. Another row is another entry here; another kind of model another module."""

from benchmarks.models.gpt import GPT
from benchmarks.models.mlp import MLP
from benchmarks.models.model import Model

ROWS: dict[str, Model] = {
    "tiny": MLP(sizes=(64, 64, 10), batch=32),
    "mlp": MLP(sizes=(784, 512, 512, 10), batch=64),
    "gpt-small": GPT(layers=4, width=128, heads=4, context=64, batch=8),
    "gpt": GPT(layers=6, width=384, heads=6, context=256, batch=4),
    "gpt-long": GPT(layers=6, width=384, heads=6, context=1024, batch=1),
}
