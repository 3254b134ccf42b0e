"""A mapping of bounded size, for what is kept of each sender."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class BoundedMap(OrderedDict[_K, _V], Generic[_K, _V]):
    """The values of the keys that were used last; beyond ``capacity`` the one unused for longest is forgotten.

    :meth:`use` takes the same time however many keys there are. Everything else is a dict's.

    Attributes:
        capacity: keys that are kept.
        forgotten: keys that had to go.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.forgotten = 0

    def use(self, key: _K, make: Callable[[_K], _V]) -> _V:
        """The value of ``key``, which counts as used now; ``make`` gives a new key its value."""
        try:
            self.move_to_end(key)
        except KeyError:
            value = self[key] = make(key)
            if len(self) > self.capacity:
                self.forgotten += 1
                self.popitem(last=False)
            return value
        return self[key]
