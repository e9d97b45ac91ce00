"""What is to be done for the Stages asked for: what stands on the disk now, beside what is recorded.

It reads and decides; nothing here runs, stores or records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from mlvc.errors import MlvcError
from mlvc.oid import Oid
from mlvc.pipeline import each, failures, where
from mlvc.pipeline import plan as plans
from mlvc.pipeline.each import Table, Work
from mlvc.pipeline.graph import Graph, ancestors, descendants, select
from mlvc.pipeline.graph import target as named
from mlvc.pipeline.journal import Journal
from mlvc.pipeline.params import Values
from mlvc.pipeline.plan import Action, Decision, Known, Seen
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.tools import Options, Tools, with_links
from mlvc.pointer import Content


@dataclass(slots=True)
class Survey:
    """The Stages asked for, and what is to be done for each. It is asked again while other Stages run."""

    graph: Graph
    tools: Tools
    options: Options
    journal: Journal
    names: tuple[str, ...] = ()
    """The Stages asked for, in topological order."""
    forced: set[str] = field(default_factory=set)
    """Those that run whatever is known."""
    _works: dict[str, tuple[Oid, Work]] = field(default_factory=dict)
    """What is to be done for the items of Stages, by the key of the Run that it is for."""
    _problems: Mapping[str, MlvcError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = self.options
        self.names = select(self.graph, options.targets, single=options.single, downstream=options.downstream)
        if options.force:
            self.forced.update(self.names)
        if options.force_downstream and options.targets:
            self.forced |= descendants(self.graph, [named(self.graph, word) for word in options.targets])
            chosen = ancestors(self.graph, self.forced)
            self.names = tuple(name for name in self.graph.stages if name in chosen)

    # -- before anything runs ----------------------------------------------------------------------

    def plan(self, *, strict: bool = True) -> tuple[Decision, ...]:
        """A Decision for each Stage asked for.

        Where a dependency or a parameter is not there, that is the problem of the Stage; unless ``strict``, it is a
        reason to run.
        """
        stages = [self.graph.stages[name] for name in self.names]
        contents = self.tools.tree.identify(list(dict.fromkeys(path for stage in stages for path in _paths(stage))))
        problems: dict[str, MlvcError] = {}
        if strict:
            problems.update(plans.lacking(self.graph, self.names, contents))
        whole = {stage.name: self._linked(stage, contents) for stage in stages}
        graph = replace(self.graph, stages={**self.graph.stages, **whole})
        params: dict[str, Values] = {}
        for stage in stages:
            try:
                params[stage.name] = self._params(stage, placed=strict)
            except MlvcError as error:
                problems.setdefault(stage.name, error)
        seen = Seen(contents, params, self.tools.env, problems)
        decisions = plans.plan(graph, self.names, seen, self._known(unstored=strict))
        if strict:
            decisions = tuple(self._runnable(decision, problems) for decision in decisions)
            self._problems = problems
        else:
            decisions = tuple(replace(d, action=Action.RUN, problem=None) if d.problem else d for d in decisions)
        return tuple(
            decision
            if decision.stage in problems
            else self._counted(whole[decision.stage], decision, contents, params[decision.stage])
            for decision in decisions
        )

    def lengths(self, decisions: Iterable[Decision]) -> dict[str, float]:
        """How long the last Run of each Stage took, where that is known."""
        found: dict[str, float] = {}
        for decision in decisions:
            run = self._last(decision.stage)
            if run is not None:
                found[decision.stage] = run.milliseconds + 1.0
        return found

    # -- while others run --------------------------------------------------------------------------

    def decide(self, stage: Stage) -> Decision:
        """The Decision for a Stage whose inputs are made. MlvcError where it cannot be done.

        What was its problem when ``plan`` looked still is: what made that go away is no Stage that it needs, and
        another time it might come too late.
        """
        if stage.name in self._problems:
            raise self._problems[stage.name]
        contents = self.tools.tree.identify(_paths(stage))
        stage = self._linked(stage, contents)
        params = self._params(stage)
        decision = plans.decide(stage, contents, params, self._known(), env=self.tools.env)
        if decision.action is Action.STUCK:
            raise failures.of_stuck(stage, decision)
        lacking = self._lacking_image(decision)
        if lacking is not None:
            raise lacking
        return self._counted(stage, decision, contents, params)

    def inputs(self, stage: Stage) -> tuple[Stage, Inputs]:
        """What a Run takes now, and the Stage with all that it depends on.

        StageFailedError where a Stage before it did not make a dependency.
        """
        contents = self.tools.tree.identify(stage.deps)
        stage = self._linked(stage, contents)
        params = self.tools.params.values(stage.params, place=partial(where.before, stage))
        taken = plans.inputs_of(stage, contents, params, self.tools.env)
        if taken is None:
            missing = next(path for path in stage.deps if contents.get(path) is None)
            raise failures.of_dependency(stage, missing, self.graph.makers.get(missing, ()))
        return stage, taken

    def stands(self, stage: Stage, key: Oid) -> bool:
        """Whether the Run of ``key`` was made without being stored, and stands there as it was made."""
        anew = stage.name in self.forced or stage.always_changed or not self.options.run_cache
        if self.tools.unstored is None or anew:
            return False
        run = self.tools.unstored.lookup(key)
        return run is not None and plans.stands(run, self.tools.tree.identify(list(run.outs)))

    def work(self, stage: Stage, taken: Inputs) -> Work:
        """What is to be done for the items of a Stage."""
        assert self.tools.items is not None
        key = key_of(taken, self.tools.hashing)
        known = self._works.get(stage.name)
        if known is None or known[0] != key:
            found = self.tools.items.items(stage.each)
            items = each.keys_of(each.definition(taken, stage, self.tools.hashing), found, self.tools.hashing)
            known = self._works[stage.name] = (key, each.plan(items, list(self._known_items(stage, taken))))
        return each.whole(known[1]) if stage.name in self.forced or stage.always_changed else known[1]

    def over(self, name: str) -> None:
        """The items of a Stage are over: forget what was to be done for them."""
        self._works.pop(name, None)

    def ran(self, name: str) -> None:
        """Take note that the commands of a Stage have run well: what follows from it may have to."""
        if self.options.force_downstream:
            self.forced |= descendants(self.graph, [name]) & set(self.names)

    # -- what is known -----------------------------------------------------------------------------

    def _known(self, *, unstored: bool = True) -> Known:
        """``unstored``: whether what was made without being stored need not run."""
        return Known(
            self.journal.lockfile,
            self.tools.hashing,
            self.tools.runs.lookup if self.options.run_cache else _nothing,
            self.tools.tree.available,
            frozenset(self.forced),
            self.tools.tree.why,
            self.tools.unstored.lookup if self.tools.unstored and self.options.run_cache and unstored else _nothing,
            self.tools.tree.fits,
        )

    def _runnable(self, decision: Decision, problems: dict[str, MlvcError]) -> Decision:
        """The Decision, or that its Stage cannot run where no container can; then that is a problem, too."""
        lacking = self._lacking_image(decision)
        if lacking is None:
            return decision
        problems[decision.stage] = lacking
        return Decision(decision.stage, Action.STUCK, (lacking.message,), problem=lacking)

    def _lacking_image(self, decision: Decision) -> MlvcError | None:
        """Why the Stage, which is to run, cannot do so with its image; None where it can."""
        stage = self.graph.stages[decision.stage]
        if decision.action is not Action.RUN or not stage.image:
            return None
        try:
            self.tools.check_image(stage.image, stage.image_id)
        except MlvcError as error:
            return failures.of_image(stage, error)
        return None

    def _params(self, stage: Stage, *, placed: bool = True) -> Values:
        """Parameters now; of files that other Stages make, those that are there. ``placed``: errors say where."""
        if (stage.frozen and stage.name not in self.forced) or stage.name in self.graph.skipped:
            return {}
        pending = [ref.file for ref in stage.params if ref.file in self.graph.makers]
        if not placed:
            return self.tools.params.values(stage.params, pending=pending)
        return self.tools.params.values(stage.params, pending=pending, place=partial(where.before, stage))

    def _linked(self, stage: Stage, contents: dict[str, Content | None]) -> Stage:
        """See with_links; ``contents``, which were just identified, get what it adds."""
        whole = with_links(stage, self.tools.tree)
        if whole is not stage:
            contents |= self.tools.tree.identify([path for path in whole.deps if path not in contents])
        return whole

    def _counted(
        self, stage: Stage, decision: Decision, contents: Mapping[str, Content | None], params: Values
    ) -> Decision:
        """The Decision to run a Stage with ``each``, which says how many items changed."""
        if not stage.each or decision.action is not Action.RUN or decision.waits:
            return decision
        taken = plans.inputs_of(stage, contents, params, self.tools.env)
        if taken is None:
            return decision
        work = self.work(stage, taken)
        told = f"dependency {stage.each} changed"  # which the number of items says better, unless it is that of all
        reasons = [reason for reason in decision.reasons if reason != told or len(work.run) == len(work.items)]
        return replace(decision, reasons=(*reasons, each.told(work)))

    def _known_items(self, stage: Stage, taken: Inputs) -> Iterator[Table]:
        """What is known of the items of a Stage: by its definition, and by the Run that the Lockfile names."""
        assert self.tools.items is not None
        assert self.tools.tables is not None
        run = self._last(stage.name)
        defined = self.tools.tables.lookup(each.definition(taken, stage, self.tools.hashing))
        for content in dict.fromkeys((defined, run.items if run is not None else None)):
            if content is not None:
                yield self.tools.items.table(content, stage.outs[0].path)

    def _last(self, name: str) -> Run | None:
        """The Run that the Lockfile names for a Stage."""
        entry = self.journal.lockfile.stages.get(name)
        return self.tools.runs.lookup(entry.key) if entry is not None else None


def _paths(stage: Stage) -> list[str]:
    return [*stage.deps, *(out.path for out in stage.outs)]


def _nothing(_key: Oid) -> None:
    return None
