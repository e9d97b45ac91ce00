"""``repro``, ``stage``, ``dag``, ``demo``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from mlvc.api import described
from mlvc.api import pipeline as api
from mlvc.api import stages as writing
from mlvc.api import targets as naming
from mlvc.cli import language, show, terminal
from mlvc.cli.display import display, summary
from mlvc.cli.opening import opened
from mlvc.cli.words import Group, argument, option
from mlvc.errors import UsageError
from mlvc.pipeline import draw, quantities
from mlvc.pipeline.graph import ancestors
from mlvc.pipeline.plan import Action, Decision, first_problem
from mlvc.pipeline.tools import Options

if TYPE_CHECKING:
    from mlvc.pipeline.spec import Stage
    from mlvc.pipeline.told import Left
    from mlvc.pipeline.tools import ReproResult
    from mlvc.repo import Repo

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
_NONE = "no stages yet: describe them in mlvc.yaml, or use `mlvc stage add`"


def repro(
    targets: Annotated[
        list[str] | None,
        argument(
            "[TARGET]...",
            help="Stages of this directory, DIR/mlvc.yaml:STAGE, or outputs; without any, the whole pipeline.",
        ),
    ] = None,
    force: Annotated[bool, option("-f", "--force", help="Run the stages even where nothing changed.")] = False,
    single: Annotated[bool, option("-s", "--single-item", help="Only the targets, without what they need.")] = False,
    downstream: Annotated[bool, option("--downstream", help="The targets and what follows from them.")] = False,
    keep_going: Annotated[
        bool, option("-k", "--keep-going", help="After a failure, go on with what does not need it.")
    ] = False,
    no_run_cache: Annotated[bool, option("--no-run-cache", help="Run stages even where a result is known.")] = False,
    pull: Annotated[
        bool, option("--pull", help="Ask the Remote for results, and for data that are recorded and not here.")
    ] = False,
    remote: Annotated[
        str, option("-r", "--remote", metavar="NAME", help="With --pull: this Remote, not the default one.")
    ] = "",
    allow_missing: Annotated[
        bool, option("--allow-missing", help="Take data that are recorded and not here to be as they are recorded.")
    ] = False,
    jobs: Annotated[
        int | None,
        option(
            *("-j", "--jobs"),
            metavar="N",
            least=0,
            help="How many stages run side by side; 0: as many as there are processors.",
        ),
    ] = None,
    force_downstream: Annotated[
        bool, option("--force-downstream", help="Run the targets, and all that follows from a stage that ran.")
    ] = False,
    no_commit: Annotated[
        bool, option("--no-commit", help="Do not store what is made; the next repro does, and runs nothing again.")
    ] = False,
    isolated: Annotated[bool, option("--isolated", help="Run each stage where only what it declares is.")] = False,
    check_deterministic: Annotated[
        bool, option("--check-deterministic", help="Run each stage twice; it fails where the outputs differ.")
    ] = False,
    interactive: Annotated[bool, option("-i", "--interactive", help="Ask before each stage.")] = False,
    explain: Annotated[
        bool, option("--explain", help="Tell of every stage why it runs or not, before one does.")
    ] = False,
    dry_run: Annotated[bool, option("--dry-run", "--dry", help="Only show what would run, and why.")] = False,
    as_json: Annotated[
        bool, option("--json", help="Print a line of JSON for all that happens; with --dry-run the plan as JSON.")
    ] = False,
) -> None:
    """Rerun the stages whose inputs changed.

    A stage that ran before with the same inputs has its outputs restored instead. What the stages print goes to stderr.

    Example: mlvc repro train -j 4
    """
    if interactive and not dry_run:
        _check_interactive(jobs, as_json=as_json)
    options = Options(
        tuple(targets or ()),
        single=single,
        downstream=downstream,
        force=force,
        keep_going=keep_going,
        run_cache=not no_run_cache,
        pull=pull,
        remote=remote,
        allow_missing=allow_missing,
        force_downstream=force_downstream,
        commit=not no_commit,
        isolated=isolated,
        check_deterministic=check_deterministic,
    )
    if remote and not pull:
        raise UsageError("--remote says which Remote is asked, and none is", hint="add --pull")
    with opened() as repo:
        if dry_run:
            with show.working("looking at stages"):
                decisions = api.plan(repo, os.environ, options)
            _tell_plan(decisions, as_json=as_json)
            return
        options = replace(options, jobs=1 if interactive else api.jobs(repo, jobs))
        with display(jobs=options.jobs, as_json=as_json, explain=explain) as shown:
            telling = api.Telling(shown, shown.hears, _agreed if interactive else None)
            done = api.repro(repo, os.environ, options, telling=telling, progress=show.Line())
        counts = dict(Counter(stage.outcome for stage in done.stages))
        if as_json:
            summary(done, counts)
        else:
            _tell(done, counts, repo, stored=not no_commit)
    if done.error:
        raise done.error


def _tell_plan(decisions: Sequence[Decision], *, as_json: bool) -> None:
    """What would be done; then the error with which it would end before it is begun."""
    if as_json:
        show.json_out([{"stage": d.stage, "action": str(d.action), "reasons": list(d.reasons)} for d in decisions])
    for decision in decisions if not as_json else ():
        show.report(f"{decision.stage}: {decision.action}" + _because(decision.reasons))
    problem = first_problem(decisions)
    if problem is not None:
        raise problem


def _tell(done: ReproResult, counts: Mapping[str, int], repo: Repo, *, stored: bool) -> None:
    """What came of it, but for the first error, which ends the command."""
    for stage in done.stages if set(counts) == {"skipped"} else ():
        show.err(f"Stage '{stage.stage}' is skipped: {'; '.join(stage.reasons)}")
    show.err("pipeline: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    for left in done.left:
        _tell_left(left)
    if not stored and "ran" in counts:
        show.err("hint: `mlvc repro` stores what was made without running it again")
    elif done.record and not done.error:
        show.hint_git(done.record, repo.cwd)
    for error in done.errors[1:]:
        show.failure(error)


def _tell_left(left: Left) -> None:
    """A warning: what is told with --quiet, too, and does not end the command."""
    groups = [str(group) for group in left.groups]
    show.always(
        f"mlvc: stage '{show.clean(left.stage)}' left something running in the background (process group "
        f"{', '.join(groups)}), which may still write to its outputs"
    )
    show.always(
        "hint: let its command wait for that, with `wait`, or start what is to stay outside of the pipeline; "
        f"`kill -- {' '.join('-' + group for group in groups)}` ends it"
    )


def _check_interactive(jobs: int | None, *, as_json: bool) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is nobody to ask: standard input is no terminal", hint="leave out --interactive")
    if as_json or (jobs or 1) > 1:
        other = "--json" if as_json else "--jobs"
        raise UsageError(f"--interactive and {other} do not go together", hint="leave one of them out")


def _agreed(decision: Decision) -> bool:
    """Ask a person whether a Stage is to be brought to what its inputs make of it."""
    verb = "restore" if decision.action is Action.RESTORE else "run"
    terminal.ask(f"{verb} stage '{show.clean(decision.stage)}'{_because(decision.reasons)}? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _because(reasons: tuple[str, ...]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""


# -- stage -------------------------------------------------------------------------------------

Many = list[str] | None


def stage_add(
    command: Annotated[list[str], argument("COMMAND...", help="The command, after all options.", rest=True)],
    name: Annotated[str, option("-n", "--name", metavar="NAME", help="The name of the stage.")],
    deps: Annotated[Many, option("-d", "--deps", metavar="PATH", help="What the command reads.")] = None,
    outs: Annotated[Many, option("-o", "--outs", metavar="PATH", help="What it writes.")] = None,
    outs_no_cache: Annotated[
        Many, option("-O", "--outs-no-cache", metavar="PATH", help="What it writes and Git keeps.")
    ] = None,
    outs_persist: Annotated[
        Many, option("--outs-persist", metavar="PATH", help="What it writes and finds again.")
    ] = None,
    outs_persist_no_cache: Annotated[
        Many, option("--outs-persist-no-cache", metavar="PATH", help="What it writes and finds again, and Git keeps.")
    ] = None,
    params: Annotated[
        Many,
        option(
            *("-p", "--params"),
            metavar="[FILE:]KEYS",
            help="Parameters it depends on: keys of params.yaml or FILE (`a,b` are two), all of FILE with `FILE:`.",
        ),
    ] = None,
    metrics: Annotated[Many, option("-m", "--metrics", metavar="PATH", help="Metrics it writes.")] = None,
    metrics_no_cache: Annotated[
        Many, option("-M", "--metrics-no-cache", metavar="PATH", help="Metrics that Git keeps.")
    ] = None,
    plots: Annotated[Many, option("--plots", metavar="PATH", help="What it writes to be drawn.")] = None,
    plots_no_cache: Annotated[
        Many, option("--plots-no-cache", metavar="PATH", help="What it writes to be drawn, and Git keeps.")
    ] = None,
    wdir: Annotated[str, option("-w", "--wdir", metavar="DIR", help="Where the command runs.")] = "",
    env: Annotated[
        Many, option("--env", metavar="NAME[=VALUE]", help="A variable that counts as input; without VALUE, as it is.")
    ] = None,
    image: Annotated[str, option("--image", metavar="IMAGE", help="The container image that it runs in.")] = "",
    each: Annotated[str, option("--each", metavar="PATTERN", help="Run it for each file that fits.")] = "",
    batch: Annotated[
        int | None, option("--batch", metavar="N", least=1, help="With --each: give it a list of up to so many files.")
    ] = None,
    when: Annotated[str, option("--when", metavar="CONDITION", help="Leave it out where this does not hold.")] = "",
    timeout: Annotated[str, option("--timeout", metavar="TIME", help="How long it may take: 90, 30s, 10m, 2h.")] = "",
    retries: Annotated[int, option("--retries", metavar="N", least=0, help="Try it again after a failure.")] = 0,
    resources: Annotated[
        Many, option("--resource", metavar="NAME=N", help="What it takes: cpus, gpu, memory or a name of your own.")
    ] = None,
    desc: Annotated[str, option("--desc", metavar="TEXT", help="What the stage is for.")] = "",
    always_changed: Annotated[bool, option("--always-changed", help="Run it every time.")] = False,
    force: Annotated[bool, option("-f", "--force", help="Replace a stage of this name.")] = False,
    run: Annotated[bool, option("--run", help="Run it, and no other stage, when it has been added.")] = False,
) -> None:
    """Add a stage to mlvc.yaml; comments and layout of the file stay.

    Example: mlvc stage add -n train -d data -p lr -o model.bin python train.py
    """
    fields: dict[str, Any] = {"cmd": command[0] if len(command) == 1 else _joined(command)}
    if wdir:
        fields["wdir"] = wdir
    if desc:
        fields["desc"] = desc
    lists = (
        ("deps", list(deps or ())),
        ("params", _params(params or ())),
        (
            "outs",
            [
                *(outs or ()),
                *_flagged(outs_no_cache, cache=False),
                *_flagged(outs_persist, persist=True),
                *_flagged(outs_persist_no_cache, cache=False, persist=True),
            ],
        ),
        ("metrics", [*(metrics or ()), *_flagged(metrics_no_cache, cache=False)]),
        ("plots", [*(plots or ()), *_flagged(plots_no_cache, cache=False)]),
    )
    fields.update({key: value for key, value in lists if value})
    more = (
        ("env", _env(env or ())),
        ("image", image),
        ("each", each),
        ("batch", batch),
        ("when", when),
        ("timeout", timeout),
        ("retries", retries),
        ("resources", dict(_amount(text) for text in resources or ())),
    )
    fields.update({key: value for key, value in more if value})
    if always_changed:
        fields["always_changed"] = True
    with opened() as repo:
        path = writing.add_stage(repo, name, fields, force=force)
        show.err(f"stage '{name}' is in {path}")
        if not run:
            show.err(f"hint: run it with `mlvc repro{f' {name}' if repo.cwd else ''}`")
    if run:
        repro([name], single=True)


def _joined(words: list[str]) -> str:
    import shlex  # noqa: PLC0415

    return shlex.join(words)


def _flagged(paths: Many, **flags: bool) -> list[object]:
    return [{path: flags} for path in paths or ()]


def _env(given: Sequence[str]) -> dict[str, str] | list[object]:
    """Values by name; a list where some have none, and are let through."""
    pairs = [text.partition("=") for text in given]
    if all(equals for _, equals, _ in pairs):
        return {name: value for name, _, value in pairs}
    return [{name: value} if equals else name for name, equals, value in pairs]


def _amount(text: str) -> tuple[str, object]:
    name, equals, amount = text.partition("=")
    if not equals:
        raise UsageError(f"--resource takes a name and an amount, and this is '{text}'", hint="such as gpu=1")
    number = quantities.plain(amount)
    return name, amount if number is None else number


def _params(given: Any) -> list[object]:
    """``lr,depth`` are keys of params.yaml, ``FILE:a,b`` keys of a file, ``FILE:`` all of it."""
    found: list[object] = []
    for text in given:
        file, colon, keys = text.rpartition(":")
        if not colon:
            found += keys.split(",")
        else:
            found.append({file: [key for key in keys.split(",") if key] or None})
    return found


def stage_list(
    targets: Annotated[list[str] | None, argument("[TARGET]...", help="Only these stages: names, patterns.")] = None,
    as_json: Json = False,
) -> None:
    """List the stages with what they need and make.

    With --json all that is known of each, with templates resolved.

    Example: mlvc stage list
    """
    with opened() as repo:
        found = _chosen(repo, targets)
        if as_json:
            show.json_out([language.resolved(stage) for stage in found])
            return
        if not found:
            show.err(_NONE)
        width = max((len(s.name) for s in found), default=0)
        for s in found:
            about = s.desc or f"makes {', '.join(o.path for o in s.outs) or 'nothing'}"
            show.out(f"{s.name:<{width}}  {about}")


def stage_show(
    targets: Annotated[list[str], argument("STAGE...", help="Stages: names, patterns, or what they make.")],
    as_json: Json = False,
) -> None:
    """Show all that is said of stages, with templates resolved.

    Paths are from the root of the repository. What is as it would be without a word is left out; --json has it all.

    Example: mlvc stage show train
    """
    with opened() as repo:
        found = _chosen(repo, targets)
        if as_json:
            show.json_out([language.resolved(stage) for stage in found])
            return
        for line in (line for stage in found for line in language.described(stage)):
            show.out(line)


def _chosen(repo: Repo, targets: Many) -> list[Stage]:
    """The Stages that ``targets`` name, all without any, in the order of the Graph."""
    whole = described.load(repo)
    names = {name for word in targets or () for name in naming.targets(repo, whole, word)}
    return [stage for stage in whole.stages.values() if not targets or stage.name in names]


# -- dag ---------------------------------------------------------------------------------------


def dag(
    targets: Annotated[
        list[str] | None, argument("[TARGET]...", help="Stages or outputs, with what they need.")
    ] = None,
    dot: Annotated[bool, option("--dot", help="In the language of Graphviz.")] = False,
    mermaid: Annotated[bool, option("--mermaid", help="As a Mermaid flowchart.")] = False,
    as_json: Json = False,
) -> None:
    """Show which stage feeds which.

    One line for each stage, after the stages that it takes from; their names stand behind the arrow.

    Example: mlvc dag --mermaid
    """
    if dot + mermaid + as_json > 1:
        raise UsageError("choose one of --dot, --mermaid and --json")
    with opened() as repo:
        whole = described.load(repo)
        chosen = None
        if targets:
            chosen = ancestors(whole, [name for word in targets for name in naming.targets(repo, whole, word)])
        if as_json:
            names = [name for name in whole.stages if chosen is None or name in chosen]
            show.json_out({"stages": names, "edges": [list(edge) for edge in draw.edges(whole, chosen)]})
        elif not whole.stages:
            show.err(_NONE)
        else:
            drawn = draw.dot if dot else draw.mermaid if mermaid else draw.text
            show.out(drawn(whole, chosen).rstrip("\n"))


def demo(
    folder: Annotated[str, argument("[FOLDER]", help="Where to make it; must not be there yet.")] = "mlvc-demo",
) -> int:
    """Watch the main job on real data, step by step.

    Makes a repository, tracks a data set and a model, pushes, clones, pulls, changes a parameter, reruns what it
    touches, and goes back. The folder is left behind to play in.

    Example: mlvc demo
    """
    from mlvc.cli.demo import run  # noqa: PLC0415

    return run(folder)


group = Group(
    "Describe the stages of the pipeline.",
    {"add": stage_add, "list": stage_list, "show": stage_show},
    example="mlvc stage add -n clean -d raw.csv -o clean.csv python3 clean.py",
)
COMMANDS = {"repro": repro, "stage": group, "dag": dag, "demo": demo}
