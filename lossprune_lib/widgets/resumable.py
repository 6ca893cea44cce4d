"""What takes long, in parts: a new picture now and then, and a computation that is left and taken up again."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from lossprune_lib.pruning.stage import EmptyLayerWarning

T = TypeVar("T")
PART = 0.06  # seconds: enough work to be worth a new picture


class Resumable(Generic[T]):
    """A computation in parts, of which the latest is kept; warnings of empty layers are left to the slider's words.

    Parameters
    ----------
    start : returns an iterator over the parts; called again after an error or an interrupt
    length : how many parts there are

    Attributes
    ----------
    number : how many are done
    """

    def __init__(self, start: Callable[[], Iterator[T]], length: int) -> None:
        self._start, self.length = start, length
        self._left, self.number = start(), 0
        self._latest: T | None = None

    @property
    def done(self) -> bool:
        """Whether all parts are done."""
        return self.number == self.length

    def go_on(self, seconds: float = PART) -> T:
        """Compute until the time is over, at least one part if any is left; return the latest."""
        clock = Clock(seconds)
        while not self.done:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", EmptyLayerWarning)
                    self._latest = next(self._left)
            except BaseException:
                self._left, self.number = self._start(), 0
                raise
            self.number += 1
            if clock.over():
                break
        if self.done:
            self._left = iter(())  # what it has computed with is not needed any more
        assert self._latest is not None
        return self._latest


class Clock:
    """Says when it is time for a new picture."""

    def __init__(self, seconds: float = PART) -> None:
        self.seconds = seconds
        self.began = time.monotonic()

    def over(self) -> bool:
        """Return whether enough time has passed since this last said so."""
        now = time.monotonic()
        late = now - self.began > self.seconds
        self.began = now if late else self.began
        return late
