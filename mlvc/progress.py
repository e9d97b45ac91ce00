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
