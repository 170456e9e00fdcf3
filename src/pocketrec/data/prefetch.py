"""Make the next items while the last one is used: one thread, a bounded queue. No other file here has threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Final, Generic, TypeVar, final

from pocketrec.spec.errors import OptionError

__all__ = ["prefetch"]

T = TypeVar("T")

_END: Final = object()
_PATIENCE_S = 0.05  # how soon the thread notices that nobody wants its items any more


@final
class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Ahead(Generic[T]):
    """Runs an iterator in a thread, at most `depth` items ahead."""

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pocketrec-prefetch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(_END)
        except BaseException as error:
            self._put(_Failed(error))

    def _put(self, item: object) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False

    def get(self) -> object:
        return self._queue.get()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


def prefetch(items: Iterator[T], *, depth: int = 2) -> Iterator[T]:
    """The same items in the same order, made ahead of their use in a thread.

    An exception of `items` is raised where its item would have come. Closing the iterator, or leaving it behind, ends
    the thread.

    Args:
        items: used in the thread only.
        depth: items that wait at most, 1 or more.
    """
    if depth < 1:
        raise OptionError(f"depth must be 1 or more, got {depth}.")
    return _given(items, depth)


def _given(items: Iterator[T], depth: int) -> Iterator[T]:
    ahead = _Ahead(items, depth)
    try:
        while (item := ahead.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item  # type: ignore[misc]  # the queue holds nothing but items besides these two marks
    finally:
        ahead.stop()
