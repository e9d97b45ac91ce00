"""``freeze``, ``unfreeze``, ``schema``; what ``stage list`` and ``stage show`` say of a Stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.pipeline.spec import Out, Stage

_TARGETS = argument("TARGET...", help="Stages of this directory, DIR/mlvc.yaml:STAGE, a foreach or matrix, a pattern.")


def freeze(targets: Annotated[list[str], _TARGETS]) -> None:
    """Make stages stay as they are until `mlvc unfreeze`.

    Writes `frozen: true` below them in their mlvc.yaml, and leaves the rest of the file as it is. The stages of a
    foreach or matrix are frozen together. A frozen stage does not run; what needs its outputs takes them as they are.

    Example: mlvc freeze prepare
    """
    _freeze(targets, on=True)


def unfreeze(targets: Annotated[list[str], _TARGETS]) -> None:
    """Let frozen stages run again.

    Takes `frozen: true` out of their mlvc.yaml, and leaves the rest of the file as it is.

    Example: mlvc unfreeze prepare
    """
    _freeze(targets, on=False)


def _freeze(targets: list[str], *, on: bool) -> None:
    from mlvc.api import stages  # noqa: PLC0415  (not for the schema)

    with opened() as repo:
        for done in stages.freeze(repo, targets, on=on):
            alone = done.stages[0] if len(done.stages) == 1 else ""
            who = f"stage '{alone}' is" if alone else f"the {len(done.stages)} stages of '{done.entry}' are"
            how = "frozen" if on else "not frozen any more" if done.changed else "not frozen"
            how += " already" if on and not done.changed else ""
            where = ": `frozen: true` stands below 'do'" if on and done.changed and done.looped else ""
            show.err(f"{who} {how}{where}")


def schema() -> None:
    """Print the JSON Schema of mlvc.yaml, for editors.

    Keep it in a file and tell the editor of it: `# yaml-language-server: $schema=mlvc.schema.json` in the first line
    of mlvc.yaml does for most. mlvc checks pipeline files against the same schema.

    Example: mlvc schema > mlvc.schema.json
    """
    from mlvc.pipeline.schema import text  # noqa: PLC0415

    show.out(text().rstrip("\n"))


COMMANDS = {"freeze": freeze, "unfreeze": unfreeze, "schema": schema}


def resolved(stage: Stage) -> shapes.Stage:
    """All that there is to say of a Stage, with templates resolved and paths from the root."""
    return {
        "name": stage.name,
        "file": stage.file,
        "line": stage.line,
        "group": stage.group,
        "cmd": list(stage.cmd),
        "wdir": stage.wdir,
        "deps": list(stage.deps),
        "outs": [out.path for out in stage.outs],
        "outputs": [_output(out) for out in stage.outs],
        "params": [str(ref) for ref in stage.params],
        "env": dict(stage.env),
        "env_through": list(stage.env_through),
        "image": stage.image,
        "each": stage.each,
        "batch": stage.batch,
        "timeout": float(stage.timeout),
        "retries": stage.retries,
        "resources": {name: float(amount) for name, amount in stage.resources.items()},
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "skip": stage.skip,
        "desc": stage.desc,
        "meta": stage.meta,
    }


def _output(out: Out) -> shapes.Output:
    return {
        "path": out.path,
        "role": out.role,
        "cache": out.cache,
        "persist": out.persist,
        "push": out.push,
        "remote": out.remote,
        "desc": out.desc,
        "options": dict(out.options),
    }


def described(stage: Stage) -> list[str]:
    """The same for people: lines of YAML, with what says more than its default."""
    from mlvc.pipeline.edit import emit  # noqa: PLC0415

    told: dict[str, Any] = dict(resolved(stage))
    told["timeout"] = _whole(stage.timeout)
    told["resources"] = {name: _whole(amount) for name, amount in stage.resources.items()}
    del told["name"], told["outs"]
    told["outputs"] = [_short(out) for out in told["outputs"]]
    return [f"{stage.name}:", *("  " + line for line in emit({key: value for key, value in told.items() if value}))]


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def _short(out: dict[str, Any]) -> Any:
    """An output as it would be written."""
    usual = {"role": "outs", "cache": True, "push": True}
    flags = {key: value for key, value in out.items() if key != "path" and (value or key in usual)}
    flags = {key: value for key, value in flags.items() if value != usual.get(key)}
    return {out["path"]: flags} if flags else out["path"]
