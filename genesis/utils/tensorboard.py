"""Event files for TensorBoard, written by the library tensorboardX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from compiler.errors import ArgumentError, MissingNameError, TraceError
from compiler.ir.location import here
from genesis.context import current_recording
from genesis.pytree import map_leaves
from genesis.tensor import Tensor

_MADE_BY_NAME = frozenset(
    "add_audio add_embedding add_figure add_histogram add_hparams add_image add_image_with_boxes add_images add_mesh "
    "add_pr_curve add_scalars add_text add_video close flush get_logdir".split()
)


class SummaryWriter:
    """Writes numbers, pictures and texts for TensorBoard into ``log_dir`` (``runs/`` and a name by time if None).

    Its methods are PyTorch's (``add_scalar``, ``add_histogram``, ``add_image``, ``add_text``, ...) and take tensors.
    Raises ModuleNotFoundError where the package tensorboardX is not installed. Call it outside of compiled steps.
    """

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        try:
            import tensorboardX
        except ImportError as error:
            raise ModuleNotFoundError(
                "SummaryWriter needs the package tensorboardX: pip install tensorboardX"
            ) from error
        self._events = tensorboardX.SummaryWriter(
            logdir=None if log_dir is None else str(log_dir),
            comment=comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
        )
        self.log_dir = self._events.logdir

    @property
    def _writer(self) -> Any:
        if current_recording() is not None:
            advice = "return the numbers from the step and write them outside; genesis.monitor does both"
            raise TraceError(here("SummaryWriter in a step that is being compiled", advice))
        return self._events

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """One number at a step. The last two arguments are accepted and change nothing."""
        self._writer.add_scalar(tag, _plain(scalar_value), _plain(global_step), walltime)

    def add_graph(self, model: Any, *args: Any, **kwargs: Any) -> None:
        """Raises TypeError: graphs of models are those of a compiled step."""
        raise ArgumentError('SummaryWriter.add_graph() takes models of PyTorch; step.dump("ir") writes a step\'s graph')

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _MADE_BY_NAME:
            raise MissingNameError(f"SummaryWriter has no attribute {name!r}")
        method = getattr(self._writer, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})

        return call

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _plain(tree: Any) -> Any:
    """Tensors as arrays, also in lists and dicts."""
    if isinstance(tree, Tensor | list | tuple | Mapping):
        return map_leaves(lambda path, leaf: leaf.detach().numpy() if isinstance(leaf, Tensor) else leaf, tree)
    return tree
