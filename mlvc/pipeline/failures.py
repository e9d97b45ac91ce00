"""Why a Stage failed, as the error that a person reads: the file, the line, one sentence, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress

from mlvc.errors import FormatError, MlvcError, PipelineError, StageFailedError, UsageError, refused
from mlvc.pipeline import quantities, where
from mlvc.pipeline.executors.base import Ended
from mlvc.pipeline.plan import Decision
from mlvc.pipeline.spec import Stage

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def of_command(stage: Stage, ended: Ended, *, again: bool = False) -> StageFailedError:
    """A command did not end well. ``again``: it had done so the first time, with the same inputs."""
    first, *more = ended.command.strip().splitlines() or [""]
    if ended.timed_out:
        how = f"took longer than its timeout of {quantities.time(stage.timeout)}, and was stopped"
    elif ended.code < 0:
        how = f"was ended by signal {-ended.code}"
    elif ended.code == _NOT_FOUND:
        how = "names a program that was not found (exit code 127)"
    elif ended.code == _NOT_EXECUTABLE:
        how = "names a file that cannot be executed (exit code 126)"
    else:
        how = f"failed with exit code {ended.code}"
    why = "give it more time under 'timeout'" if ended.timed_out else "its own output says why"
    if _is_full(ended.job.directory):
        why = f"the disk is full at {ended.job.directory}: make room"
    return StageFailedError(
        f"{where.of(stage)}: the command of stage '{stage.name}' {how}{' the second time' if again else ''}: "
        f"{first}{' …' if more else ''}",
        hint=f"{why}; what was finished before is recorded, `mlvc repro` goes on from there",
    )


def _is_full(directory: str) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(directory).free < _ROOM
    return False


_ROOM = 1 << 20
"""A disk with less is full: what failed may have removed a little of what it wrote."""


def of_missing(stage: Stage, path: str) -> StageFailedError:
    """An output is not there although the command ended well."""
    return StageFailedError(
        f"{where.of(stage, path)}: the command of stage '{stage.name}' ended well but did not make its output '{path}'",
        hint="correct the command, or the path under 'outs'",
    )


def of_change(stage: Stage, what: str) -> StageFailedError:
    """An input is not what it was when the command began."""
    return StageFailedError(
        f"{where.of(stage, what)}: '{what}' changed while stage '{stage.name}' ran, so its result is not recorded",
        hint="run `mlvc repro` again when nothing writes to it; a stage must not write to what it depends on",
    )


def of_absence(decision: Decision, error: MlvcError) -> MlvcError:
    """A Stage has to run, and what it takes cannot be had. ``error`` says of what."""
    why = f" ({'; '.join(decision.reasons)})" if decision.reasons else ""
    return type(error)(f"stage '{decision.stage}' has to run{why}, and {error.message}", hint=error.hint)


def of_image(stage: Stage, error: MlvcError) -> MlvcError:
    """No container can be run for a Stage. ``error`` says why."""
    place = where.of_key(stage, "image")
    return type(error)(f"{place}: stage '{stage.name}' has to run, and {error.message}", hint=error.hint)


def of_dependency(stage: Stage, path: str, makers: tuple[str, ...]) -> StageFailedError:
    """A dependency is not there when the Stage is to run."""
    told = f", and stage '{makers[0]}' did not make it" if makers else ""
    return StageFailedError(
        f"{where.of(stage, path)}: the dependency '{path}' of stage '{stage.name}' is not there{told}"
    )


def of_taking(stage: Stage, error: MlvcError | OSError) -> MlvcError:
    """What the command made cannot be taken in."""
    why = refused(error) if isinstance(error, OSError) else error
    told = f"{where.of(stage)}: what stage '{stage.name}' made cannot be taken in: {why.message}"
    if isinstance(why, UsageError | PipelineError | FormatError):
        return StageFailedError(told, hint="let its command make files and directories there")
    return type(why)(told, hint=why.hint)


def warning_of_left_out(stage: Stage, path: str, role: str, names: Sequence[str], count: int) -> str:
    """The first ``names`` of ``count`` paths in the directory ``path`` are no part of it."""
    what = "1 path" if count == 1 else f"{count:,} paths"
    lost = f"a restored '{path}' lacks them" if role == "output" else "a change of them does not run it again"
    shown = ", ".join(names) + (", …" if count > len(names) else "")
    return (
        f"warning: stage '{stage.name}': {what} in its {role} '{path}' {'is' if count == 1 else 'are'} left out, and "
        f"{lost if count > 1 else lost.replace('them', 'it')}: {shown}; `mlvc check-ignore` says why: change "
        f".mlvcignore, or what the command {'writes' if role == 'output' else 'reads'}"
    )


def check_stored(stages: Iterable[Stage]) -> None:
    """UsageError for a Stage that cannot run without storing what it makes."""
    for stage in stages:
        if stage.each:
            raise UsageError(
                f"stage '{stage.name}' has 'each', so what its items make is put together in the store",
                hint="leave out --no-commit, or name other stages with --single-item",
            )


def of_stuck(stage: Stage, decision: Decision) -> StageFailedError:
    """A frozen Stage cannot be brought back."""
    missing, *more = [reason for reason in decision.reasons if reason.startswith("output ")]
    also = f" (and {len(more)} more)" if more else ""
    why = [reason for reason in decision.reasons[1:] if not reason.startswith("output ")]
    path = next((out.path for out in stage.outs if missing.startswith(f"output {out.path} ")), "")
    return StageFailedError(
        f"{where.of(stage, path)}: stage '{stage.name}' is frozen, and its {missing} and cannot be brought back{also}"
        + (f": {'; '.join(why)}" if why else ""),
        hint=f"`mlvc fetch` may bring it; `mlvc repro -f -s {stage.name}` runs the stage all the same",
    )
