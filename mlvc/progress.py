"""How the core reports what it is doing. It never prints: the command line decides what is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the advance of one long operation. Called from any thread."""

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """A new operation of ``objects`` objects and ``total`` bytes; 0 where not known."""

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """``objects`` more objects and ``size`` more bytes are done."""

    def note(self, message: str) -> None:
        """One line that a person should see, such as the start of a stage."""

    def finish(self) -> None:
        """The operation is over, well or not."""


class Quiet:
    """Shows nothing."""

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """Ignore."""

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """Ignore."""

    def note(self, message: str) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""


QUIET = Quiet()


class Part:
    """The part that one large object has in an operation: told while its bytes pass, whatever the way they take."""

    def __init__(self, progress: Progress, size: int) -> None:
        self._progress = progress
        self._left = size

    def __call__(self, size: int) -> None:
        """``size`` more bytes of it have passed; those that pass a second time do not count."""
        size = min(size, self._left)
        self._left -= size
        self._progress.advance(size=size)

    def end(self) -> None:
        """It is done, with the bytes that nobody told of."""
        self._progress.advance(objects=1, size=self._left)
        self._left = 0
