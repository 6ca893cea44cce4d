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
    """A computation of some parts, each kept when it is done; warnings of empty layers are left to the slider's words.

    Parameters
    ----------
    start : returns an iterator over the parts; called again after an error or an interrupt
    length : how many parts there are
    """

    def __init__(self, start: Callable[[], Iterator[T]], length: int) -> None:
        self._start, self.length = start, length
        self._left = start()
        self.parts: list[T] = []

    @property
    def done(self) -> bool:
        """Whether all parts are there."""
        return len(self.parts) == self.length

    def go_on(self, seconds: float = PART) -> None:
        """Compute until the time is over, at least one part if any is left."""
        clock = Clock(seconds)
        while not self.done:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", EmptyLayerWarning)
                    self.parts.append(next(self._left))
            except BaseException:
                self._left, self.parts = self._start(), []
                raise
            if clock.over():
                break
        if self.done:
            self._left = iter(())  # what it has computed with is not needed any more


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
