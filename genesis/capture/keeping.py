"""Places outside of a step where it keeps tensors: ``self.hidden = h``, ``features[name] = out``, ``global last``.

The tensors that a call finds in such a place are arguments of the call, and the tensors that the step leaves there are
results, which every call puts there. So a program depends on their types, not on which tensors they are: while guards
look around and while the step is recorded, an object that is always the same stands in the place.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from types import CellType
from typing import Any, Literal, NamedTuple
from weakref import WeakSet

from genesis.forks import give_lock
from genesis.memory.cells import changes
from genesis.memory.identity import GONE
from genesis.nn.tables import Table
from genesis.pytree import leaves
from genesis.tensor import Tensor

Where = Literal["item", "attribute", "slot"]
"""Where something stands: in a dict or list, a class or the variable of a closure; in a ``__dict__``; in a slot."""


class Spot(NamedTuple):
    """A key of a dict or list, of a class or an object with slots; or the variable of a closure."""

    holder: Any
    key: Any
    in_slot: bool = False

    def get(self) -> Any:
        holder, key, in_slot = self
        if isinstance(holder, dict) and not in_slot:
            return dict.get(holder, key, GONE)
        if isinstance(holder, list) and not in_slot:
            return holder[key] if key < len(holder) else GONE
        if isinstance(holder, type):
            return vars(holder).get(key, GONE)
        try:
            return holder.cell_contents if isinstance(holder, CellType) else getattr(holder, key)
        except (AttributeError, ValueError):
            return GONE

    def put(self, value: Any) -> None:
        holder, key, in_slot = self
        if isinstance(holder, dict) and not in_slot:
            # A subclass of dict may look at what is set; an ordered one keeps its order so.
            kind = OrderedDict if isinstance(holder, OrderedDict) else dict
            if value is not GONE:
                kind.__setitem__(holder, key, value)
            elif key in holder:
                kind.__delitem__(holder, key)
        elif isinstance(holder, list) and not in_slot:
            holder[key] = value
        elif isinstance(holder, CellType):
            if value is not GONE:
                holder.cell_contents = value
            else:
                del holder.cell_contents
        else:
            owner = type if isinstance(holder, type) else object
            if value is not GONE:
                owner.__setattr__(holder, key, value)
            elif self.get() is not GONE:
                owner.__delattr__(holder, key)


@dataclass(frozen=True, eq=False)
class Keep:
    """A place where a step keeps tensors: ``key`` of the object of a ``kind`` that ``owner`` finds at every call."""

    name: str
    owner: Callable[[], Any]
    kind: type
    key: Any
    where: Where

    def spot(self, owner: Any) -> Spot:
        """The place in the object ``owner``."""
        return Spot(vars(owner) if self.where == "attribute" else owner, self.key, self.where == "slot")


class Keeps:
    """The places where a step keeps tensors, as far as its recordings showed.

    ``read``: those at whose tensors the step looks before it replaces them: a program depends on their types.
    """

    def __init__(self) -> None:
        self.places: list[Keep] = []
        self.read: set[Keep] = set()
        with _ALL._lock:
            _ALL.keeps.add(self)

    def adopt(self, reaches: Callable[[Any, Any], bool]) -> bool:
        """Add the places of other steps that this one reaches, as ``reaches(owner, key)`` says; False without any."""
        known = {(id(keep.owner()), keep.key) for keep in self.places}
        before = len(self.places)
        with _ALL._lock:
            others = [keep for keeps in _ALL.keeps if keeps is not self for keep in keeps.places]
        for keep in others:
            place = id(keep.owner()), keep.key
            if place not in known and reaches(keep.owner(), keep.key):
                known.add(place)
                self.places.append(keep)
        return len(self.places) > before


class _All:
    """The places of all functions: what one step keeps is another tensor at every call of another step, too.

    ``_lock`` is held by the thread that looks at places or puts something there; others would see the stand-ins.
    """

    _lock: RLock

    def __init__(self) -> None:
        self.keeps: WeakSet[Keeps] = WeakSet()
        give_lock(self)


_ALL = _All()


class Held:
    """The tensors that a call finds in ``places``.

    Attributes:
        spots: the places that are there at all, as this call finds them.
        values: what stands there, in their order: tensors, or lists, tuples, dicts and objects of tensors; GONE where
            nothing stands. None for anything else, which guards look at.
        owners: for the identities of the objects that have the places what guards see of this: nobody may exchange one
            for an equal one, unless it is exchanged wherever the step finds it.
    """

    def __init__(self, places: Sequence[Keep] = ()) -> None:
        self.spots: dict[Keep, Spot] = {}
        self.owners: dict[int, Hashable] = {}
        for number, keep in enumerate(places):
            owner = keep.owner()
            if type(owner) is keep.kind:
                self.spots[keep] = keep.spot(owner)
                self.owners.setdefault(id(owner), ("keeps", number))
        self._keeps = list(self.spots)
        with _ALL._lock:
            found = [spot.get() for spot in self.spots.values()]
        self.values = tuple([x if x is GONE or (has_tensors(x) and keepable(x)) else None for x in found])
        values = zip(self.spots.values(), self.values, strict=True)
        self._full = [spot for spot, x in values if x is not None and x is not GONE]

    def keep_at(self, path: str) -> Keep | None:
        """The place that is meant by a path into arguments, keyword arguments and ``values``; None for an argument."""
        match = re.match(r"\[2\]\[(\d+)\]", path)
        return None if match is None else self._keeps[int(match[1])]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, always the same object stands in the places of tensors."""
        if not self._full:
            yield
            return
        with _ALL._lock:
            before = [(spot, spot.get()) for spot in self._full]
            for spot in self._full:
                spot.put(None if isinstance(spot.holder, Table) else _STAND_IN)
            try:
                yield
            finally:
                for spot, thing in before:
                    spot.put(thing)

    def put(self, things: Iterable[tuple[Keep, Any]]) -> None:
        """Leave ``things`` in their places."""
        with _ALL._lock:
            for keep, thing in things:
                spot = self.spots[keep]
                spot.put(thing)
                if isinstance(spot.holder, Table):
                    changes.tick()


class _StandIn:
    """Stands in a place of tensors while guards look at it; in the place of a buffer stands None."""


_STAND_IN = _StandIn()


def keepable(thing: Any) -> bool:
    """Whether a call can leave ``thing`` in a place: nothing, or tensors and containers of tensors."""
    return thing is GONE or all(
        leaf is None or (isinstance(leaf, Tensor) and _is_plain(leaf)) for leaf in _leaves(thing)
    )


def has_tensors(thing: Any, traced: bool = False) -> bool:
    """Whether a tensor is in ``thing``, or one that was made while a step was recorded."""
    return any(isinstance(leaf, Tensor) and not (traced and leaf._cell.home is None) for leaf in _leaves(thing))


def _leaves(thing: Any) -> list[Any]:
    return [thing] if type(thing) is Tensor else [leaf for _, leaf in leaves(thing)]


def _is_plain(tensor: Tensor) -> bool:
    """Whether a call can make ``tensor``, if the step did: no Parameter, no number, nothing with attributes."""
    return (type(tensor) is Tensor and not vars(tensor)) or tensor._cell.home is None


def same_objects(given: Sequence[Any], own: int) -> tuple[Hashable, ...]:
    """For each of ``given`` behind the first ``own``, the place where the same object stands first."""
    first: dict[int, int] = {}
    return tuple([first.setdefault(id(x), i) for i, x in enumerate(given)][own:])
