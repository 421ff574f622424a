"""``genesis.distributed`` with one process: collectives are what they are for a group of one.

Genesis does not train in several processes. A program that is written for them runs with one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Any

from compiler.errors import ChoiceError, UnsupportedError
from compiler.ir.location import here
from genesis.context import grad_mode
from genesis.scope import AROUND
from genesis.tensor import Tensor

__eager_only__ = AROUND

default_pg_timeout = timedelta(minutes=30)
_backend: list[str] = []
"""The name of the backend while the group is there."""


class ReduceOp(Enum):
    """How a collective joins the tensors of all processes; of one, each leaves the tensor as it is."""

    SUM = "sum"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"
    AVG = "avg"
    BAND = "band"
    BOR = "bor"
    BXOR = "bxor"


class ProcessGroup:
    """A group of one process."""

    def rank(self) -> int:
        """0."""
        return 0

    def size(self) -> int:
        """1."""
        return 1


class Work:
    """A collective that is done."""

    def wait(self, timeout: Any = None) -> bool:
        """True, at once."""
        return True

    def is_completed(self) -> bool:
        """True."""
        return True

    is_success = is_completed


class group:
    """The names of groups."""

    WORLD = ProcessGroup()


def is_available() -> bool:
    """True: a group of one process can be made."""
    return True


def is_initialized() -> bool:
    """Whether :func:`init_process_group` was called."""
    return bool(_backend)


def is_nccl_available() -> bool:
    """False: there is no communication between processes."""
    return False


is_gloo_available = is_mpi_available = is_ucc_available = is_torchelastic_launched = is_nccl_available


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Make the group of this one process. Nothing is connected, whatever ``backend`` and ``init_method`` say.

    Raises:
        UnsupportedError: ``world_size``, or the environment variable ``WORLD_SIZE`` if it is not given, is above 1.
        ValueError: the group is there already.
    """
    size = world_size if world_size > 0 else int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1:
        raise UnsupportedError(
            here(
                f"init_process_group() of {size} processes: Genesis trains in one", "start the program without torchrun"
            )
        )
    if _backend:
        raise ChoiceError("trying to initialize the default process group twice!")
    _backend.append((backend or "gloo").lower())


def destroy_process_group(group: Any = None) -> None:
    """Drop the group."""
    _backend.clear()


def _here() -> None:
    if not _backend:
        raise ChoiceError(
            "Default process group has not been initialized, please make sure to call init_process_group."
        )


def get_backend(group: Any = None) -> str:
    """The name that :func:`init_process_group` was given. Raises ValueError without a group."""
    _here()
    return _backend[0]


def get_rank(group: Any = None) -> int:
    """0. Raises ValueError without a group."""
    _here()
    return 0


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """0. Raises ValueError without a group."""
    return get_rank()


def get_global_rank(group: Any, group_rank: int) -> int:
    """0, the only rank. Raises ValueError without a group, and for another rank."""
    if group_rank:
        raise ChoiceError(f"the only process of the group has rank 0, not {group_rank}")
    return get_rank(group)


def get_group_rank(group: Any, global_rank: int) -> int:
    """0, the only rank. Raises ValueError without a group, and for another rank."""
    return get_global_rank(group, global_rank)


def get_world_size(group: Any = None) -> int:
    """1. Raises ValueError without a group."""
    _here()
    return 1


def new_group(*args: Any, **kwargs: Any) -> ProcessGroup:
    """A group of this process. Raises ValueError without the group of all."""
    _here()
    return ProcessGroup()


def _done(async_op: bool) -> Work | None:
    _here()
    return Work() if async_op else None


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Do nothing: no other process has to come here."""
    return _done(async_op)


def all_reduce(tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """Leave ``tensor`` as it is: it is the sum, the mean, ... of one."""
    return _done(async_op)


def reduce(
    tensor: Tensor, dst: int | None = None, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Leave ``tensor`` as it is."""
    return _done(async_op)


def broadcast(tensor: Tensor, src: int | None = None, group: Any = None, async_op: bool = False) -> Work | None:
    """Leave ``tensor`` as it is."""
    return _done(async_op)


def _copy(to: Tensor, source: Tensor) -> None:
    with grad_mode(False):
        to.copy_(source.reshape(*to.shape))


def all_gather(tensor_list: Sequence[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False) -> Work | None:
    """Copy ``tensor`` to the one tensor of ``tensor_list``."""
    done = _done(async_op)
    _copy(tensor_list[0], tensor)
    return done


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copy ``input_tensor`` to ``output_tensor``."""
    done = _done(async_op)
    _copy(output_tensor, input_tensor)
    return done


all_gather_single = all_gather_into_tensor


def reduce_scatter(
    output: Tensor, input_list: Sequence[Tensor], op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copy the one tensor of ``input_list`` to ``output``."""
    done = _done(async_op)
    _copy(output, input_list[0])
    return done


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copy ``input`` to ``output``."""
    done = _done(async_op)
    _copy(output, input)
    return done


reduce_scatter_single = reduce_scatter_tensor


def gather(
    tensor: Tensor,
    gather_list: Sequence[Tensor] | None = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Copy ``tensor`` to the one tensor of ``gather_list``."""
    done = _done(async_op)
    if gather_list:
        _copy(gather_list[0], tensor)
    return done


def scatter(
    tensor: Tensor,
    scatter_list: Sequence[Tensor] | None = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Copy the one tensor of ``scatter_list`` to ``tensor``."""
    done = _done(async_op)
    if scatter_list:
        _copy(tensor, scatter_list[0])
    return done


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Put ``obj`` in ``object_list[0]``."""
    _here()
    object_list[0] = obj


def gather_object(
    obj: Any, object_gather_list: list[Any] | None = None, dst: int | None = None, group: Any = None
) -> None:
    """Put ``obj`` in ``object_gather_list[0]``."""
    _here()
    if object_gather_list:
        object_gather_list[0] = obj


def broadcast_object_list(
    object_list: list[Any], src: int | None = None, group: Any = None, device: Any = None
) -> None:
    """Leave ``object_list`` as it is."""
    _here()
