"""Where something stands in a pipeline file, and what is said of it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

from mlvc.errors import PipelineError

if TYPE_CHECKING:
    from mlvc import codec


class Trouble(Exception):  # noqa: N818 - it never reaches a user: whoever knows the place makes a PipelineError of it
    """What is wrong with a value, raised by who does not know where it stands."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.steps: list[str | int] = []
        """How to come to it from the value that was asked for; whoever lets it through puts a step in front."""


class Place(NamedTuple):
    """A place in a pipeline file; line and column are looked up only for a message."""

    file: str
    document: codec.Yaml | None
    path: tuple[str | int, ...]
    stage: str = ""
    """The Stage that it belongs to, as a message names it."""
    root: str = ""
    """The absolute path of the repository, where it is known: an absolute path in the file may lie in it."""

    def on(self, *steps: str | int) -> Place:
        """The place below this one."""
        return Place(self.file, self.document, self.path + steps, self.stage, self.root)

    def of(self, stage: str) -> Place:
        """The same place, for the Stage ``stage``: one of those that a ``foreach`` or ``matrix`` makes."""
        return Place(self.file, self.document, self.path, stage, self.root)

    def fail(self, message: str, *, hint: str = "") -> NoReturn:
        """PipelineError with file, line, column and Stage."""
        where = ""
        if self.document is not None:
            line, column = self.document.position(self.path)
            where = f"{self.file}, line {line}, column {column}: "
        stage = f"stage '{self.stage}': " if self.stage else ""
        raise PipelineError(where + stage + message, hint=hint)

    def told(self, trouble: Trouble) -> NoReturn:
        """PipelineError for what went wrong at or below this place."""
        self.on(*trouble.steps).fail(trouble.message, hint=trouble.hint)


def kind(value: object) -> str:
    """What ``value`` is, in words."""
    kinds = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return "empty" if value is None else kinds.get(type(value), type(value).__name__)
