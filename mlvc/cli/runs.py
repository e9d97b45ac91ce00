"""``why`` and ``runs``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

from mlvc.api import runs as api
from mlvc.api import why as reasons
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import Group, argument, option
from mlvc.oid import to_text

if TYPE_CHECKING:
    from mlvc.cli import shapes

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
_MOST = 20
"""Files of one directory that are listed."""
_SHORT = 12


def why(
    stage: Annotated[str, argument("STAGE", help="A stage, or an output of one.")],
    as_json: Json = False,
) -> None:
    """Show what changed for a stage since it last ran.

    Names each file that was added, modified or deleted in its dependencies and outputs, each parameter with its old and
    its new value, the command, and the stages that it waits for. Changes nothing.

    Example: mlvc why train
    """
    with opened() as repo:
        with show.working("looking at stages"):
            found = reasons.why(repo, os.environ, stage)
        if as_json:
            show.json_out(_why_json(found))
        else:
            _print_why(found)


def _print_why(found: reasons.Why) -> None:
    differs = found.command or found.paths or found.params or found.env
    show.report(f"{show.clean(found.stage)}: {_ACTIONS.get(found.action, found.action)}")
    if found.command:
        show.report("  the command changed:")
        for sign, commands in zip("-+", found.command, strict=True):
            for line in "\n".join(commands).splitlines():
                show.report(f"    {sign} {show.clean(line)}")
    for change in found.params:
        show.report(f"  parameter {show.clean(change.name)}: {_values(change)}")
    for change in found.env:
        show.report(f"  variable {show.clean(change.name)}: {_values(change)}")
    for path in found.paths:
        _print_path(path)
    for reason in found.reasons if not differs else _of_its_own(found):
        show.report(f"  {show.clean(reason)}")


_ACTIONS = {
    "unchanged": "unchanged since its last Run",
    "restore": "its outputs would be restored, a Run with these inputs is known",
    "run": "would run",
    "may run": "may run, when the stages before it have run",
    "frozen": "frozen, whatever changed",
    "skipped": "left out",
}


def _of_its_own(found: reasons.Why) -> list[str]:
    """The reasons that nothing of what differs says already."""
    told = ("parameter ", "environment variable ", "dependency ", "output ", "command changed")
    return [reason for reason in found.reasons if not reason.startswith(told)]


def _print_path(found: reasons.PathChange) -> None:
    path = show.clean(found.path)
    if len(found.changes) == 1 and found.changes[0].path == found.path:
        show.report(f"  {found.role} {show.change_line(found.changes[0])}")
        return
    states = {"missing": "is missing", "new": "was not named before", "dropped": "is no longer named"}
    how = states.get(found.state) or f"changed: {found.note or show.summary(found.changes)}"
    show.report(f"  {found.role} {path} {how}")
    for change in found.changes[:_MOST]:
        show.report(f"    {show.change_line(change)}")
    if len(found.changes) > _MOST:
        show.report(f"    … and {len(found.changes) - _MOST:,} more")


def _values(change: reasons.ValueChange) -> str:
    from mlvc import codec  # noqa: PLC0415

    old, new = (show.clean(codec.compact_json(value)) for value in (change.old, change.new))
    return {"new": f"new, {new}", "dropped": f"gone, was {old}"}.get(change.state, f"{old} -> {new}")


def _why_json(found: reasons.Why) -> shapes.Why:
    return {
        "stage": found.stage,
        "action": found.action,
        "reasons": list(found.reasons),
        "waits": list(found.waits),
        "command": {"old": list(found.command[0]), "new": list(found.command[1])} if found.command else None,
        "paths": [
            {
                "path": each.path,
                "role": each.role,
                "state": each.state,
                "changes": [show.change_json(change) for change in each.changes[:_MOST]],
                "count": len(each.changes),
            }
            for each in found.paths
        ],
        "params": [_value_json(each) for each in found.params],
        "env": [_value_json(each) for each in found.env],
    }


def _value_json(each: reasons.ValueChange) -> shapes.ValueChange:
    return {"name": each.name, "state": each.state, "old": each.old, "new": each.new}


# -- runs --------------------------------------------------------------------------------------


def runs_list(
    stage: Annotated[str, argument("[STAGE]", help="Only the Runs of this stage.")] = "",
    as_json: Json = False,
) -> None:
    """List the Runs that are known here.

    For each its key, its stage, when it was recorded, how long its command took, and what it made. A result that is
    not in the store, or that is known from a Remote only, is marked.

    Example: mlvc runs list train
    """
    with opened() as repo:
        with show.working("reading Runs"):
            found = api.runs(repo, stage)
        if as_json:
            show.json_out([_run_json(each) for each in found])
            return
        if not found:
            show.err("no Runs are known here")
        width = max((len(_stage(each)) for each in found), default=0)
        for each in found:
            outs = ", ".join(map(show.clean, each.run.outs)) or "nothing"
            when = _when(each.recorded) or "from a Remote".ljust(19)
            mark = "" if each.here else "  (not in the store)"
            seconds = f"{each.run.milliseconds / 1000:.1f} s"
            key = each.run.key.hex()[:_SHORT]
            show.out(f"{key}  {_stage(each):<{width}}  {when}  {seconds:>8}  {outs}{mark}")


def _stage(each: api.KnownRun) -> str:
    return show.clean(", ".join(each.stages)) or "-"


def _when(seconds: float) -> str:
    import time  # noqa: PLC0415

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def _run_json(each: api.KnownRun) -> shapes.KnownRun:
    return {
        "key": to_text(each.run.key),
        "stages": list(each.stages),
        "recorded": round(each.recorded, 3) or None,
        "seconds": each.run.milliseconds / 1000,
        "outs": list(each.run.outs),
        "here": each.here,
    }


def runs_show(
    key: Annotated[str, argument("KEY", help="The key of the Run, or how it begins.")],
    as_json: Json = False,
) -> None:
    """Show one Run: what it took and what it made.

    Example: mlvc runs show 5cc0a04c
    """
    with opened() as repo:
        (found,) = api.runs(repo, key=key)
        if as_json:
            show.json_out(_whole_json(found))
            return
        _print_run(found)


def _print_run(found: api.KnownRun) -> None:
    run = found.run
    rows = [("key", to_text(run.key)), ("stage", _stage(found))]
    rows += [("command", line) for command in run.inputs.cmd for line in command.splitlines()]
    rows += [("directory", run.inputs.wdir)] if run.inputs.wdir else []
    rows += [("recorded", _when(found.recorded) or "on a Remote")]
    rows += [("seconds", f"{run.milliseconds / 1000:.3f}")]
    rows += [("image", run.inputs.image)] if run.inputs.image else []
    rows += [("variable", f"{name}={value}") for name, value in sorted(run.inputs.env.items())]
    rows += [("parameter", f"{name}: {value}") for name, value in _params(found)]
    rows += [("takes", _content(path, each)) for path, each in run.inputs.deps.items()]
    rows += [("makes", _content(path, each)) for path, each in run.outs.items()]
    rows += [] if found.here else [("note", "what it made is not in the store")]
    for name, value in rows:
        show.out(f"{name:<10} {show.clean(value)}")


def _params(found: api.KnownRun) -> list[tuple[str, str]]:
    from mlvc import codec  # noqa: PLC0415

    return [
        (f"{file}:{key}" if key else file, codec.compact_json(value))
        for file, keys in found.run.inputs.params.items()
        for key, value in keys.items()
    ]


def _content(path: str, content: api.Content) -> str:
    return f"{path}  ({show.size(content.size)}, {to_text(content.oid)})"


def _whole_json(found: api.KnownRun) -> shapes.WholeRun:
    inputs = found.run.inputs
    return {
        **_run_json(found),
        "cmd": list(inputs.cmd),
        "wdir": inputs.wdir,
        "deps": {path: _content_json(each) for path, each in inputs.deps.items()},
        "params": {file: dict(keys) for file, keys in inputs.params.items()},
        "env": dict(inputs.env),
        "image": inputs.image,
        "made": {path: _content_json(each) for path, each in found.run.outs.items()},
    }


def _content_json(content: api.Content) -> shapes.Content:
    return {"kind": content.kind, "oid": to_text(content.oid), "size": content.size, "files": content.files}


def runs_log(
    word: Annotated[str, argument("STAGE|KEY", help="A stage, or how the key of a Run begins.")],
    as_json: Json = False,
) -> None:
    """Show what the commands of a Run printed.

    Of a stage it is what the last one printed that ran here, whether it ended well or not.

    Example: mlvc runs log train
    """
    with opened() as repo:
        log, text = api.log(repo, word)
        if as_json:
            show.json_out(
                {
                    "stage": log.stage,
                    "key": log.key,
                    "began": log.began,
                    "code": text.code,
                    "seconds": text.seconds,
                    "output": text.output.decode(errors="replace"),
                }
            )
            return
        ended = "it has not ended" if text.code is None else f"it ended with {text.code} after {text.seconds} s"
        show.err(f"stage '{log.stage}', key {log.key}, began {log.began}; {ended}")
        sys.stdout.write(text.output.decode(errors="replace"))


group = Group(
    "Look at the Runs that are known here.",
    {"list": runs_list, "show": runs_show, "log": runs_log},
    example="mlvc runs list train",
    default="list",
)
COMMANDS = {"why": why, "runs": group}
