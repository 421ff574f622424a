"""``genesis.version``: which Genesis this is, and that it was built for no GPU library."""

from __future__ import annotations

from genesis.scope import AROUND
from genesis.torch_version import TorchVersion

__eager_only__ = AROUND

__version__ = TorchVersion("0.1.0")
debug = False
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
git_version = "unknown"
