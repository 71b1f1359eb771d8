"""Steps in threads of their own, joined by queues of limited length: each core is busy, and memory stays bounded."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Condition, Event, Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_SOURCE_SECONDS = 5.0
"""That a source which waits for a device is waited for; its thread ends with the program."""


_END = object()
"""In place of an item: there are no more."""


class _Closed(Exception):
    """Nothing more goes in or comes out."""


class _Channel:
    """A queue of limited length that can be closed from either end; who waits at it then wakes."""

    def __init__(self, limit: int) -> None:
        self._items: deque[Any] = deque()
        self._limit = limit
        self._changed = Condition()
        self._closed = self._finished = False
        self._error: BaseException | None = None

    def put(self, item: Any) -> None:
        """Wait for room and add an item. Raises _Closed when nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._limit)
            if self._closed:
                raise _Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Any:
        """Wait for an item and take it. After the last one raises the giver's error, or _Closed."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items) or self._closed or self._finished)
            if self._items and not self._closed:
                self._changed.notify_all()
                return self._items.popleft()
            if self._error is not None and not self._closed:
                raise self._error
            raise _Closed

    def finish(self, error: BaseException | None = None) -> None:
        """The giver is done; what waits can still be taken."""
        with self._changed:
            if not self._finished:
                self._finished, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody takes any more; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class HoldingStep(ABC):
    """A step that holds items back until it has seen later ones, and gives them on in their order."""

    @abstractmethod
    def __call__(self, item: Any) -> Sequence[Any]:
        """Take an item; gives those that are ready now."""

    @abstractmethod
    def rest(self) -> Sequence[Any]:
        """Those that it still holds, once no more come."""


class Conveyor(Generic[T]):
    """Sends items through steps in order, each step in a thread of its own; a context manager and an iterator.

    An error in a source or step comes out of the iterator, after the items before it. Leaving the block stops all
    threads, whether the items are at their end or not; a source that waits for a device keeps its own. Steps that hold
    Python's lock take turns; those of numpy, PyTorch and FFmpeg let it go and run at the same time.

    Args:
        source: Where items come from; gone through in a thread of its own.
        steps: Each takes an item and gives what goes to the next, or holds some back.
        limit: Items that may wait between two steps. At most ``(steps + 1) * (limit + 1)`` are under way, besides those
            that are held back.
    """

    def __init__(
        self, source: Iterable[Any], steps: Sequence[Callable[[Any], Any] | HoldingStep], limit: int = 3
    ) -> None:
        self._source = source
        self._steps = list(steps)
        self._channels = [_Channel(limit) for _ in range(len(self._steps) + 1)]
        self._ended = Event()
        self._threads: list[Thread] = []

    def __enter__(self) -> "Conveyor[T]":
        works: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(self._feed, ())]
        works += [(self._work, (number, step)) for number, step in enumerate(self._steps)]
        self._threads = [Thread(target=work, args=arguments, daemon=True) for work, arguments in works]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
        for channel in self._channels:
            channel.close()
        feeding, *working = self._threads
        feeding.join(_SOURCE_SECONDS)
        for thread in working:
            thread.join()

    def __iter__(self) -> "Conveyor[T]":
        return self

    def __next__(self) -> T:
        try:
            return self._channels[-1].get()
        except _Closed:
            raise StopIteration from None

    def end(self) -> None:
        """Take no more from the source; what is under way still comes out, even where the source gives no more."""
        self._ended.set()
        self._channels[0].finish()

    def _feed(self) -> None:
        first = self._channels[0]
        try:
            for item in self._source:
                if self._ended.is_set():
                    break
                first.put(item)
        except _Closed:
            pass
        except BaseException as error:
            first.finish(error)
        first.finish()

    def _work(self, number: int, step: Callable[[Any], Any] | HoldingStep) -> None:
        inlet, outlet = self._channels[number : number + 2]
        error: BaseException | None = None
        try:
            try:
                while (item := self._next_of(inlet)) is not _END:
                    for given in step(item) if isinstance(step, HoldingStep) else (step(item),):
                        outlet.put(given)
            except _Closed:
                raise
            except BaseException as fault:
                error = fault  # what is held came before it
            for given in step.rest() if isinstance(step, HoldingStep) else ():
                outlet.put(given)
        except _Closed:
            pass
        except BaseException as fault:
            error = error or fault
        outlet.finish(error)
        inlet.close()

    @staticmethod
    def _next_of(inlet: _Channel) -> Any:
        try:
            return inlet.get()
        except _Closed:
            return _END
