"""Python imports this before anything else where its folder is first on PYTHONPATH: see helpers/faults.py.

MLVC_TEST_KILL_AT=n      die of SIGKILL right before the n-th call that changes the file system
MLVC_TEST_FAIL_AT=n      let the n-th call fail with the number in MLVC_TEST_ERROR
MLVC_TEST_LASTING=1      and all after it
MLVC_TEST_ROOT=path      only calls below this path count
MLVC_TEST_COUNT_TO=path  write the number of calls there when the process ends by itself, then a line for each
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType


def _load_syscalls() -> ModuleType:
    path = Path(__file__).parents[1] / "syscalls.py"
    spec = importlib.util.spec_from_file_location("_mlvc_test_syscalls", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _take(name: str) -> str:
    """The value of a variable, which the processes that this one starts do not see."""
    return os.environ.pop(f"MLVC_TEST_{name}", "")


def _start() -> None:
    syscalls = _load_syscalls()
    numbers = {name: int(_take(name.upper()) or 0) for name in ("kill_at", "fail_at", "error")}
    faults = syscalls.Faults(_take("ROOT"), lasting=bool(_take("LASTING")), **numbers)
    count_to, this, leave = _take("COUNT_TO"), os.getpid(), os._exit

    def write_count() -> None:
        if count_to and os.getpid() == this:
            lines = [str(len(faults.calls)), *(call.replace("\n", "?") for call in faults.calls)]
            text = "".join(line + "\n" for line in lines)
            Path(count_to).write_text(text, encoding="utf-8", errors="surrogateescape")

    def leave_at_once(code: int) -> None:
        write_count()
        leave(code)

    syscalls.install(faults.before)
    atexit.register(write_count)
    os._exit = leave_at_once  # type: ignore[assignment]


if any(name in os.environ for name in ("MLVC_TEST_KILL_AT", "MLVC_TEST_FAIL_AT", "MLVC_TEST_COUNT_TO")):
    _start()
