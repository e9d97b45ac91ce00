"""Every error that mlvc raises on purpose, and the exit code that each one becomes.

The exit codes are part of the interface (docs/reference/exit-codes.md):

====  ==========================================================================
0     all of the work was done
1     ``--exit-code``: changes; ``check-ignore``: none; ``doctor``: broken; ``reproduce``: not so; ``repro -i``: no
2     the command line, a setting or a file of the user cannot be used as it is
3     a bug in mlvc
4     an object is missing or damaged
5     refused: it would overwrite what is stored nowhere
6     a Remote cannot be reached or used
7     the command of a stage failed
8     the system said no: disk full, permission, another mlvc at work
130   interrupted
====  ==========================================================================
"""

import errno
import os


class MlvcError(Exception):
    """A failure that the user can understand, and mend with the help of ``hint``.

    ``result``: where a part of the work was done, what the function of the Python API would have returned.
    """

    exit_code = 2
    result: object = None

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MlvcError):
    """What was asked for makes no sense here."""


class NotARepositoryError(MlvcError):
    """No Git repository, or one without mlvc."""


class FormatError(MlvcError):
    """A file that does not parse, or of a format version that this mlvc does not know."""


class PipelineError(MlvcError):
    """``mlvc.yaml`` or its parameters do not describe a pipeline."""


class ObjectsMissingError(MlvcError):
    """Objects that were asked for are not to be had. The rest of the work is done."""

    exit_code = 4


class DamagedError(MlvcError):
    """Bytes do not hash to the name that they are stored under."""

    exit_code = 4


class WouldOverwriteError(MlvcError):
    """The only copy of something would be lost."""

    exit_code = 5


class RemoteError(MlvcError):
    """A Remote does not answer, or is not what it should be."""

    exit_code = 6


class StageFailedError(MlvcError):
    """A stage's command failed, or did not make what it promised."""

    exit_code = 7


class SystemFailureError(MlvcError):
    """The operating system refused: no space, no permission."""

    exit_code = 8


class BusyError(SystemFailureError):
    """Another process holds what is needed."""


def refused(error: OSError) -> SystemFailureError:
    """What the system refused, as a sentence."""
    # Of a rename, the second name is the one that a person knows.
    name = error.filename2 or error.filename
    where = f": {os.fsdecode(name)}" if isinstance(name, (str, bytes)) else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SystemFailureError(
            f"the disk is full{where}", hint="make room, then run the command again; nothing that was there is lost"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SystemFailureError(
            f"no permission{where}", hint="check who owns it, and whether you may read and write it"
        )
    if error.errno in (errno.EISDIR, errno.ENOTDIR):
        wrong = "a file belongs there" if error.errno == errno.EISDIR else "a part of this path is a file"
        return SystemFailureError(f"{error.strerror}{where}", hint=f"{wrong}: move away what is in its place")
    return SystemFailureError(f"{error.strerror or error}{where}")
