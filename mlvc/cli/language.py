"""``schema``."""

from __future__ import annotations

from mlvc.cli import show


def schema() -> None:
    """Print the JSON Schema of mlvc.yaml, for editors.

    Keep it in a file and tell the editor of it: `# yaml-language-server: $schema=mlvc.schema.json` in the first line
    of mlvc.yaml does for most. mlvc checks pipeline files against the same schema.

    Example: mlvc schema > mlvc.schema.json
    """
    from mlvc.pipeline.schema import text  # noqa: PLC0415

    show.out(text().rstrip("\n"))


COMMANDS = {"schema": schema}
