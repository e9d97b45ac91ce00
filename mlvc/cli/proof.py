"""``reproduce``."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from mlvc.api import pipeline
from mlvc.api import reproduce as api
from mlvc.api.compared import NOT_RUN, Reproduced
from mlvc.cli import show
from mlvc.cli.display import display
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.errors import UsageError
from mlvc.pipeline import compare

if TYPE_CHECKING:
    from mlvc.api.compared import OutputResult
    from mlvc.cli import shapes
    from mlvc.pipeline.compare import Difference
    from mlvc.repo import Repo

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
_LISTED = 20
_NAMED = 5
NOT_AS_RECORDED = 1


def reproduce(
    rev: Annotated[str, argument("REV", help="A tag, a branch or a commit.")],
    targets: Annotated[
        list[str] | None,
        argument("[TARGET]...", help="Stages or outputs, with what they need; without any, the whole pipeline."),
    ] = None,
    single: Annotated[
        bool, option("-s", "--single-item", help="Only the targets; what they need is taken as it was recorded.")
    ] = False,
    tolerance: Annotated[
        list[str] | None,
        option(
            "--tolerance",
            metavar="N",
            help="Let numbers in metrics differ so much, absolutely or relatively; FILE:KEY=N: one number of a file.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        option(
            *("-j", "--jobs"),
            metavar="N",
            least=0,
            help="How many stages run side by side; 0: as many as there are processors.",
        ),
    ] = None,
    remote: Annotated[str, option("-r", "--remote", metavar="NAME", help="Fetch what is missing from here.")] = "",
    no_fetch: Annotated[bool, option("--no-fetch", help="Take only what is in the store.")] = False,
    keep: Annotated[
        str | None, option("--keep", metavar="DIR", help="Work in this new directory and leave it: a worktree of Git.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show whether the results of a revision come out again.

    Runs its stages anew and compares what comes out with what mlvc.lock recorded there. This happens in a worktree of
    its own, which is removed afterwards: your working tree, mlvc.lock, the run cache and all branches stay as they
    are. Each output is identical, within the tolerance, or different; then it says where.

    Example: mlvc reproduce v1.2 --tolerance 1e-6
    """
    if keep == "":
        raise UsageError("--keep is given an empty word", hint="is the variable set that it was made from?")
    with opened() as repo:
        options = api.Options(
            tuple(targets or ()),
            single=single,
            fetch=not no_fetch,
            remote=remote,
            jobs=pipeline.jobs(repo, jobs),
            tolerance=compare.tolerance(tolerance or (), repo.path),
            keep=keep or "",
        )
        with display(jobs=options.jobs, as_json=False, explain=False) as shown:
            telling = pipeline.Telling(shown, shown.hears)
            done = api.reproduce(repo, os.environ, rev, options, telling=telling, progress=show.Line())
        if as_json:
            show.json_out(_json(done))
        else:
            _print(done)
        if done.touched:
            _print_touched(repo, done.touched)
    if done.error:
        raise done.error
    return 0 if done.is_good and not done.touched else NOT_AS_RECORDED


def _json(done: Reproduced) -> shapes.Reproduced:
    return {
        "revision": done.rev,
        "commit": done.commit,
        "as_recorded": done.is_good,
        "stages": [
            {
                "stage": stage.stage,
                "outcome": stage.outcome,
                "reasons": list(stage.reasons),
                "seconds": round(stage.seconds, 3),
                "outputs": [
                    {
                        "path": out.path,
                        "verdict": str(out.verdict),
                        "differences": [_difference_json(each) for each in out.differences],
                    }
                    for out in stage.outputs
                ],
            }
            for stage in done.stages
        ],
        "kept": done.kept,
        "touched": list(done.touched),
    }


def _difference_json(difference: Difference) -> shapes.OutputDifference:
    return {
        "change": difference.change,
        "file": difference.file,
        "key": difference.key,
        "recorded": difference.recorded,
        "now": difference.now,
        "offset": difference.offset,
    }


def _print(done: Reproduced) -> None:
    for stage in done.stages:
        outcome = "not run" if stage.outcome in ("frozen", "skipped") else stage.outcome
        show.report(f"{stage.stage}: {outcome}" + (f" ({'; '.join(stage.reasons)})" if stage.reasons else ""))
        for out in stage.outputs:
            for line in _lines(out):
                show.report(line)
    counts = Counter(str(out.verdict) for stage in done.stages for out in stage.outputs)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no outputs"
    show.err(f"{done.rev} ({done.commit[:10]}): {_result(done)} ({told})")
    if done.kept:
        show.err(f"kept at {done.kept}")
        show.to_type("remove it", f"git worktree remove --force {show.quoted(done.kept)}")


def _print_touched(repo: Repo, paths: Sequence[str]) -> None:
    names = ", ".join(show.clean(repo.typed(path)) for path in paths[:_NAMED])
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    show.always(f"changed in your working tree meanwhile: {names}{more}")
    show.always("hint: if that was not you, a command goes to an absolute path, or writes outside of its directory")


def _result(done: Reproduced) -> str:
    """What is shown by all of it: of what did not run, nothing."""
    left = [stage for stage in done.stages if stage.outcome in (NOT_RUN, "frozen", "skipped")]
    if not done.has_run and len(left) == len(done.stages):
        return "nothing was run, so nothing is shown"
    if not all(stage.is_good for stage in done.stages if stage not in left):
        return "not as recorded"
    if not done.is_good:
        return "what ran is as recorded, but not all of it ran"
    return "what ran is as recorded" if left else "as recorded"


def _lines(out: OutputResult) -> Iterable[str]:
    head = f"  {out.verdict}  {show.clean(out.path)}"
    told = [_told(difference) for difference in out.differences]
    if len(told) == 1:
        yield f"{head}: {told[0]}"
        return
    yield head + (f": {show.number(len(told), 'difference')}" if told else "")
    shown = told if show.manner.verbose else told[:_LISTED]
    yield from (f"    {line}" for line in shown)
    if len(shown) < len(told):
        yield f"    … and {len(told) - len(shown):,} more (`--json` lists all)"


def _told(difference: Difference) -> str:
    """One difference as a sentence."""
    name = show.clean(difference.key or difference.file) + " " if difference.key or difference.file else ""
    old, new = difference.recorded, difference.now
    if difference.change == compare.ADDED:
        return f"{name}is new"
    if difference.change == compare.GONE:
        return f"{name}is gone"
    if difference.change == compare.KIND:
        kinds = {"f": "a file", "x": "executable", "l": "a link", "d": "a directory", "dir": "a directory"}
        return f"{name}is {kinds.get(new, new)}, was {kinds.get(old, old)}"
    if difference.change == compare.VALUE:
        return f"{name}is {_value(new)}, was {_value(old)}"
    where = "" if difference.offset is None else f" from byte {difference.offset:,} on"
    size = "" if old == new else f" ({show.size(new)}, was {show.size(old)})"
    return f"{name}differs{where}{size}"


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


COMMANDS = {"reproduce": reproduce}
