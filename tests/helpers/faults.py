"""Faults by counting: the n-th call that changes the file system fails, or the process dies before it.

In this process::

    for n in itertools.count(1):
        ...  # set the scene
        with fail_at(n, root=repo) as faults:
            ...  # the operation; it may raise
        ...  # what must hold whatever happened
        if not faults.failed:
            break  # fewer than n calls: every one has failed once

In an mlvc process::

    done = run_mlvc("add", "data", check=False, env=process_faults(kill_at=n, root=repo))
    done.code == -signal.SIGKILL  # or 0 where there are fewer than n calls

Which calls are seen: helpers/syscalls.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.helpers import syscalls
from tests.helpers.syscalls import Faults

KILLER = Path(__file__).parent / "killer"


@contextmanager
def fail_at(
    n: int, error: int = errno.ENOSPC, *, root: str | os.PathLike[str], lasting: bool = False
) -> Iterator[Faults]:
    """Within, the ``n``-th call below ``root`` raises OSError(``error``); the call is not made."""
    faults = Faults(os.fspath(root), error, n, lasting)
    undo = syscalls.install(faults.before)
    try:
        yield faults
    finally:
        undo()


def count_syscalls(root: str | os.PathLike[str], error: int = errno.ENOSPC) -> AbstractContextManager[Faults]:
    """Within, nothing fails; afterwards ``calls`` lists what ``fail_at`` with ``error`` would count."""
    return fail_at(0, error, root=root)


def process_faults(
    *,
    kill_at: int = 0,
    fail_at: int = 0,
    error: int = 0,
    lasting: bool = False,
    root: str | os.PathLike[str] | None = None,
    count_to: str | os.PathLike[str] | None = None,
) -> dict[str, str]:
    """Variables that make the next Python process count its calls below ``root`` (anywhere, where not given).

    It kills itself right before the ``kill_at``-th that changes something; or the ``fail_at``-th
    fails with ``error`` (ENOSPC where not given), as with ``fail_at`` above. When it ends by itself,
    ``count_to`` says what was counted. Processes that it starts are left alone.
    """
    error = error or (errno.ENOSPC if fail_at else 0)
    wanted = {
        "MLVC_TEST_KILL_AT": str(kill_at or ""),
        "MLVC_TEST_FAIL_AT": str(fail_at or ""),
        "MLVC_TEST_ERROR": str(error or ""),
        "MLVC_TEST_LASTING": "1" if lasting else "",
        "MLVC_TEST_ROOT": os.path.abspath(root) if root else "",
        "MLVC_TEST_COUNT_TO": os.path.abspath(count_to) if count_to else "",
    }
    return {name: value for name, value in wanted.items() if value} | {"PYTHONPATH": str(KILLER)}


def counted(path: str | os.PathLike[str]) -> list[str]:
    """The calls that a process has written to its ``count_to``."""
    number, *calls = Path(path).read_text(errors="surrogateescape").split("\n")[:-1]
    assert int(number) == len(calls)
    return calls
