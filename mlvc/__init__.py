"""mlvc: version data and models next to the code that made them, with Git.

The functions of this package do what the commands of the same names do; ``open``, ``read`` and ``fs`` read tracked data
of any revision without a checkout. docs/reference/python.md describes them.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = [  # noqa: RUF022  (in the order of the reference)
    # what can be done
    "init",
    "add",
    "commit",
    "move",
    "remove",
    "unprotect",
    "resolve",
    "status",
    "diff",
    "checkout",
    "repro",
    "reproduce",
    "stages",
    "params_diff",
    "metrics_show",
    "metrics_diff",
    "push",
    "fetch",
    "pull",
    "gc",
    "fsck",
    "doctor",
    "install",
    "uninstall",
    "destroy",
    "ls",
    "du",
    "log",
    "get",
    "open",
    "read",
    "fs",
    # what comes back
    "Initialised",
    "Tracked",
    "Moved",
    "Removed",
    "Unprotected",
    "Resolved",
    "Status",
    "Diff",
    "CheckedOut",
    "ReproResult",
    "Reproduced",
    "Stage",
    "Metrics",
    "Figures",
    "ValuesDiff",
    "ValueChange",
    "Transferred",
    "Pulled",
    "Collected",
    "Verified",
    "Report",
    "Installed",
    "Plan",
    "Listing",
    "Usage",
    "Log",
    "Got",
    "Item",
    "Change",
    "Content",
    "MlvcFileSystem",
    # what can go wrong
    "MlvcError",
    "UsageError",
    "NotARepositoryError",
    "FormatError",
    "PipelineError",
    "ObjectsMissingError",
    "DamagedError",
    "WouldOverwriteError",
    "RemoteError",
    "StageFailedError",
    "SystemFailureError",
    "BusyError",
]

_HOMES = {
    "Initialised": "mlvc.api.init",
    "Tracked": "mlvc.api.track",
    "Moved": "mlvc.api.move",
    "Removed": "mlvc.api.remove",
    "Unprotected": "mlvc.api.unprotect",
    "Resolved": "mlvc.api.resolve",
    "Status": "mlvc.api.status",
    "Diff": "mlvc.api.status",
    "CheckedOut": "mlvc.api.checkout",
    "ReproResult": "mlvc.pipeline.tools",
    "Stage": "mlvc.pipeline.spec",
    "Metrics": "mlvc.api.metrics",
    "Figures": "mlvc.api.metrics",
    "ValuesDiff": "mlvc.api.metrics",
    "ValueChange": "mlvc.metrics",
    "Transferred": "mlvc.api.transfer",
    "Pulled": "mlvc.api.transfer",
    "Collected": "mlvc.api.gc",
    "Verified": "mlvc.api.fsck",
    "Report": "mlvc.api.doctor",
    "Installed": "mlvc.api.install",
    "Plan": "mlvc.api.destroy",
    "Listing": "mlvc.api.browse",
    "Usage": "mlvc.api.browse",
    "Log": "mlvc.api.log",
    "Got": "mlvc.api.get",
    "Item": "mlvc.api.view",
    "Change": "mlvc.snapshot",
    "Content": "mlvc.pointer",
    "MlvcFileSystem": "mlvc.filesystem",
}


def __getattr__(name: str) -> object:
    # Loaded on use: every command begins here, and most need none of it. Type checkers read __init__.pyi.
    if name not in __all__:
        raise AttributeError(f"module 'mlvc' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES.get(name, "mlvc.errors" if name.endswith("Error") else "mlvc.library")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
