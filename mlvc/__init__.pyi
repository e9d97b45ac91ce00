from mlvc.api.browse import Listing as Listing
from mlvc.api.browse import Usage as Usage
from mlvc.api.checkout import CheckedOut as CheckedOut
from mlvc.api.fsck import Verified as Verified
from mlvc.api.gc import Collected as Collected
from mlvc.api.get import Got as Got
from mlvc.api.init import Initialised as Initialised
from mlvc.api.log import Log as Log
from mlvc.api.move import Moved as Moved
from mlvc.api.remove import Removed as Removed
from mlvc.api.resolve import Resolved as Resolved
from mlvc.api.status import Diff as Diff
from mlvc.api.status import Status as Status
from mlvc.api.track import Tracked as Tracked
from mlvc.api.transfer import Pulled as Pulled
from mlvc.api.transfer import Transferred as Transferred
from mlvc.api.unprotect import Unprotected as Unprotected
from mlvc.api.view import Item as Item
from mlvc.errors import DamagedError as DamagedError
from mlvc.errors import FormatError as FormatError
from mlvc.errors import MlvcError as MlvcError
from mlvc.errors import NotARepositoryError as NotARepositoryError
from mlvc.errors import ObjectsMissingError as ObjectsMissingError
from mlvc.errors import PipelineError as PipelineError
from mlvc.errors import RemoteError as RemoteError
from mlvc.errors import StageFailedError as StageFailedError
from mlvc.errors import SystemFailureError as SystemFailureError
from mlvc.errors import UsageError as UsageError
from mlvc.errors import WouldOverwriteError as WouldOverwriteError
from mlvc.filesystem import MlvcFileSystem as MlvcFileSystem
from mlvc.library import add as add
from mlvc.library import checkout as checkout
from mlvc.library import commit as commit
from mlvc.library import diff as diff
from mlvc.library import du as du
from mlvc.library import fetch as fetch
from mlvc.library import fs as fs
from mlvc.library import fsck as fsck
from mlvc.library import gc as gc
from mlvc.library import get as get
from mlvc.library import init as init
from mlvc.library import log as log
from mlvc.library import ls as ls
from mlvc.library import move as move
from mlvc.library import open as open
from mlvc.library import pull as pull
from mlvc.library import push as push
from mlvc.library import read as read
from mlvc.library import remove as remove
from mlvc.library import repro as repro
from mlvc.library import resolve as resolve
from mlvc.library import status as status
from mlvc.library import unprotect as unprotect
from mlvc.pipeline.runner import ReproResult as ReproResult
from mlvc.pointer import Content as Content
from mlvc.snapshot import Change as Change

__version__: str
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
    "push",
    "fetch",
    "pull",
    "gc",
    "fsck",
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
    "Transferred",
    "Pulled",
    "Collected",
    "Verified",
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
]
