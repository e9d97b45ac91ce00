"""``python -m mlvc``."""

from mlvc.cli.main import entry

entry()
