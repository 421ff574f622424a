"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from compiler.errors import ChoiceError
from genesis.host import Undo, take_back
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable, number, set_number
from genesis.optim.lr_scheduler.plateau import ReduceLROnPlateau


class _CompositeLR(LRScheduler):
    """A schedule made of other schedules of the same optimizer."""

    def __init__(self, optimizer: Schedulable | None, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        if not schedulers:
            raise ChoiceError(f"{name} expects at least one scheduler, but got no scheduler.")
        self.optimizer = optimizer or schedulers[0].optimizer
        self._schedulers = list(schedulers)
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ChoiceError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
                    f"specified when calling `step`, but got one at index {i} in the given schedulers sequence."
                )
            if scheduler.optimizer is not self.optimizer:
                raise ChoiceError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i} of another one."
                )

    def holders(self) -> list[Any]:
        return [*super().holders(), *(holder for part in self._schedulers for holder in part.holders())]

    def _saved(self) -> Undo:
        undo = [super()._saved(), *(part._saved() for part in self._schedulers)]
        return lambda: take_back(undo)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"_schedulers": self._schedulers})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)

    def _restart(self) -> None:
        # Every schedule set its own first rate when it was made, on top of the others'.
        for group in self.optimizer.param_groups:
            set_number(group, "lr", number(group, "initial_lr"))
        self._forget()
        self._initial_step()

    def _forget(self) -> None:
        for scheduler in self._schedulers:
            scheduler._forget()


class SequentialLR(_CompositeLR):
    """One schedule after the other: ``schedulers[i + 1]`` begins at epoch ``milestones[i]``."""

    def __init__(
        self, optimizer: Schedulable, schedulers: Sequence[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ChoiceError(
                f"Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number of milestones to be "
                f"equal to {len(milestones)}"
            )
        self._milestones = milestones
        if last_epoch == -1:
            self._restart()
        else:
            self.last_epoch = last_epoch + 1
            self._note_lr()

    def step(self) -> None:  # type: ignore[override]
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self._note_lr()

    def _initial_step(self) -> None:
        self.last_epoch = 0
        self._schedulers[bisect_right(self._milestones, 0)]._initial_step()
        self._note_lr()


class ChainedScheduler(_CompositeLR):
    """Several schedules at once: each changes what the one before it has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Schedulable | None = None) -> None:
        super().__init__(optimizer, schedulers)
        self._note_lr()

    def step(self) -> None:  # type: ignore[override]
        for scheduler in self._schedulers:
            scheduler.step()
        self._note_lr()

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._note_lr()
