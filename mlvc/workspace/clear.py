"""Taking what was seen out of the working tree, and nothing else."""

from __future__ import annotations

import os
from contextlib import suppress

from mlvc import files
from mlvc.manifest import EMPTY_DIR
from mlvc.workspace.tree import Look


def clear(root: str, look: Look) -> bool:
    """Remove the files that ``look`` found, and the directories that are empty then; whether nothing is left.

    What is ignored was not looked at, so that nobody knows whether it is kept anywhere: it stays where it is.
    """
    if not look.scan.is_dir:
        files.remove(f"{root}/{look.path}")
        return True
    # A directory sorts before all that is in it.
    for directory, records in sorted(look.scan.dirs.items(), reverse=True):
        full = f"{root}/{directory}"
        with suppress(FileNotFoundError):
            for name, record in records.items():
                if record.kind == EMPTY_DIR:
                    _remove_empty(f"{full}/{name}")
                else:
                    files.remove(f"{full}/{name}")
            _remove_empty(full)
    return not files.exists(f"{root}/{look.path}")


def _remove_empty(path: str) -> None:
    with suppress(OSError):  # something else is in it
        os.rmdir(path)
