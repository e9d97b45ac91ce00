"""``repro``, ``stage`` and ``dag``: the pipeline of a repository."""

from __future__ import annotations

import os
import posixpath
import shlex
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mlvc import files, git, globs, manifest, snapshot
from mlvc import pointer as pointers
from mlvc.api.each import RepoItems
from mlvc.api.isolation import RepoIsolation
from mlvc.api.sharing import Afar, Recorded, SharedRuns, known, run_cache
from mlvc.api.sharing import afar as open_afar
from mlvc.api.transfer import chosen as chosen_remote
from mlvc.errors import DamagedError, ObjectsMissingError, PipelineError, UsageError
from mlvc.git import gitignore
from mlvc.manifest import EMPTY_DIR
from mlvc.pipeline import edit, graph, params, resources, runner, spec, tables, where
from mlvc.pipeline.claims import HeldClaims
from mlvc.pipeline.executors.contained import Contained, Containers, remove_left
from mlvc.pipeline.executors.local import Local
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.lockfile import FILE as LOCKFILE
from mlvc.pipeline.lockfile import LockfileStore
from mlvc.pipeline.logs import Logs
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.plan import Action, Decision
from mlvc.pipeline.run import RunCache
from mlvc.pipeline.runner import Options, ReproResult, Tools
from mlvc.pipeline.spec import Out, ParamRef, Stage
from mlvc.pipeline.tables import Tables
from mlvc.pipeline.told import Listener
from mlvc.pipeline.variables import Surroundings
from mlvc.pointer import SUFFIX, Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.store.base import Lost
from mlvc.workspace import checkout, placed
from mlvc.workspace.clear import clear
from mlvc.workspace.link import SYMLINK
from mlvc.workspace.tree import Look


class RepoTree:
    """The working tree as the runner needs it. See runner.Tree."""

    def __init__(
        self, repo: Repo, progress: Progress, *, afar: Afar | None = None, absent: Recorded | None = None
    ) -> None:
        """``afar``: Remotes that are asked for what is not here. ``absent``: what is taken to be there and is not."""
        self._repo = repo
        self._progress = progress
        self.fitting: dict[str, Look] = {}
        """What was last seen of the files that fit each pattern."""
        self._afar = afar
        self._absent = absent
        self._made: set[str] = set()
        """Outputs of commands that were run: they are what stands on the disk."""

    @cached_property
    def _recorded(self) -> dict[str, Content]:
        """Outputs that Git keeps, as the last runs made them: what looks just so need not be kept aside."""
        entries = LockfileStore(os.path.join(self._repo.root, LOCKFILE)).load().stages.values()
        return {path: entry.outs[path] for entry in entries for path in entry.uncached}

    def identify(self, paths: Sequence[str]) -> dict[str, Content | None]:
        """The content on disk of each path, of what a symbolic link leads to, and of all that fits a pattern.

        Of a path that is taken to be there and is not, it is what is recorded.
        """
        found = {path: look.content for path, look in self.looks(paths).items()}
        if self._absent is not None:
            for path in [path for path in paths if found[path] is None and path not in self._made]:
                found[path] = self._absent.content(path)
        return found

    def looks(self, paths: Sequence[str], *, lenient: bool = False) -> dict[str, Look]:
        """What stands at each path, at what a symbolic link leads to, or fits a pattern. ``lenient``: see WorkTree."""
        tree = self._repo.tree
        found = {path: tree.fitting(path, progress=self._progress) for path in paths if globs.is_pattern(path)}
        self.fitting.update(found)
        goals = {path: self.followed(path) for path in paths if path not in found}
        looks = tree.look(dict.fromkeys(goals.values()), lenient=lenient, progress=self._progress)
        return found | {path: looks[goal] for path, goal in goals.items()}

    def followed(self, path: str) -> str:
        """Where ``path`` leads as a symbolic link within the repository, and not into the Store; else itself."""
        root = self._repo.root
        for _ in range(_MOST_LINKS):
            full = f"{root}/{path}"
            if not os.path.islink(full):
                break
            goal = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(full)), os.readlink(full)))
            inside = goal.removeprefix(root + os.sep).replace(os.sep, "/")
            if inside == goal or inside.startswith(".git/"):
                break
            path = inside
        return path

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """The content of each path, durable in the Store."""
        with self._repo.turn(together=True, progress=self._progress):
            looks = self._repo.tree.store(paths, self._repo.store, progress=self._progress)
        return {path: look.content for path, look in looks.items() if look.content is not None}

    def restore(self, contents: Mapping[str, Content]) -> None:
        """Bring each path to its content from the Store."""
        repo = self._repo
        with repo.turn(together=False, progress=self._progress):
            plans, lost = checkout.plan(repo.tree, repo.store, contents, progress=self._progress)
            checkout.guard(plans, extra=True, cwd=repo.cwd)
            lost |= checkout.execute(repo.tree, repo.store, plans, links=repo.links, progress=self._progress).lost
        if lost:
            path, reason = next(iter(lost.items()))
            kind = DamagedError if reason == "damaged" else ObjectsMissingError
            raise kind(f"{path} cannot be restored: its object is {reason}", hint="get it with `mlvc fetch`")

    def available(self, contents: Iterable[Content]) -> bool:
        """Whether every object of all contents is in the Store, or on Remotes, from where it is brought."""
        contents = list(contents)
        lost: Lost = {}
        oids = manifest.objects_of(self._repo.store, contents, lost)
        if not lost and not self._repo.store.missing(oids):
            return True
        return self._afar is not None and self._afar.has(contents)

    def ready(self, deps: Sequence[str], outs: Sequence[str]) -> None:
        """Bring dependencies that are only recorded into the working tree. See runner.Tree."""
        self._made.update(outs)
        if self._absent is not None:
            self._absent.bring(deps, self._progress)
        self._keep_lists(
            [path for path in deps if globs.is_pattern(path) or os.path.isdir(f"{self._repo.root}/{path}")]
        )

    def _keep_lists(self, paths: Sequence[str]) -> None:
        """Store the lists of files of dependencies that are directories, so that `mlvc why` can compare with them."""
        store = self._repo.store
        seen = {path: self.fitting[path] for path in paths if path in self.fitting}
        left = [path for path in paths if path not in seen]
        looks = seen | (self.looks(left, lenient=True) if left else {})
        new = [look for look in looks.values() if look.content and store.missing([look.content.oid])]
        if new:
            with store.batch() as batch:
                for look in new:
                    batch.put_hashed(manifest.build(look.scan.entries(), store.hashing)[1])
                batch.commit()

    def remove(self, paths: Sequence[str]) -> None:
        """Take outputs out of the way; what is stored nowhere is kept aside in the Git directory."""
        with self._repo.turn(together=False, progress=self._progress):
            self._remove(paths)

    def _remove(self, paths: Sequence[str]) -> None:
        repo = self._repo
        looks = repo.tree.look([path for path in paths if files.exists(f"{repo.root}/{path}")])
        for path, look in looks.items():
            if look.content is None:
                continue
            full = f"{repo.root}/{path}"
            alone = repo.store.missing(entry.oid for entry in look.entries() if entry.kind != EMPTY_DIR)
            if alone and look.content != self._recorded.get(path):
                self._aside(path, full, f"What stood at {path}")
            elif not clear(repo.root, look):
                self._aside(path, full, f"What is ignored in {path}")

    def _aside(self, path: str, full: str, what: str) -> None:
        target = _free(os.path.join(self._aside_now(), *path.split("/")))
        _move(full, target)
        self._progress.note(f"{what} was stored nowhere; it is kept at {target}")

    def _aside_now(self) -> str:
        return os.path.join(self._repo.private, "aside", time.strftime("%Y%m%d-%H%M%S"))

    def set_aside(self, paths: Sequence[str]) -> str:
        """Move what stands at the paths into a directory of its own in the Git directory."""
        there = [path for path in paths if files.exists(f"{self._repo.root}/{path}")]
        if not there:
            return ""
        place = _free(self._aside_now())
        with self._repo.turn(together=False, progress=self._progress):
            for path in there:
                _move(f"{self._repo.root}/{path}", os.path.join(place, *path.split("/")))
        return place


def _free(path: str) -> str:
    """``path``, or where something is there the same with a number."""
    number, found = 1, path
    while files.exists(found):
        number += 1
        found = f"{path}.{number}"
    return found


def _move(source: str, target: str) -> None:
    files.make_dirs(os.path.dirname(target))
    try:
        os.rename(source, target)
    except OSError:  # another file system
        import shutil  # noqa: PLC0415

        shutil.move(source, target)


_MOST_LINKS = 40
_FILES = (spec.FILE, "*/" + spec.FILE)


def stages(repo: Repo) -> tuple[Stage, ...]:
    """The Stages of all pipeline files in the repository."""
    found: list[Stage] = []
    for path in snapshot.listed(repo.git, _FILES):
        data = files.read_or_none(f"{repo.root}/{path}")
        if data is not None:
            found += spec.parse(_text(data, path), path, surroundings(repo))
    return tuple(_with_param_files(repo, stage) for stage in found)


def _with_param_files(repo: Repo, stage: Stage) -> Stage:
    """The Stage with the files that fit in place of a pattern of parameter files; of a pattern that none fits, it."""
    if not any(globs.is_pattern(ref.file) for ref in stage.params):
        return stage
    files_of = {ref.file: (repo.tree.named(ref.file) if globs.is_pattern(ref.file) else []) for ref in stage.params}
    refs = [ParamRef(file, ref.key) for ref in stage.params for file in files_of[ref.file] or [ref.file]]
    return replace(stage, params=tuple(dict.fromkeys(refs)))


def surroundings(repo: Repo) -> Surroundings:
    """What the templates of pipeline files are resolved with: files of the working tree, and the environment."""
    return Surroundings(params.loader(lambda path: files.read_or_none(f"{repo.root}/{path}")), repo.environment)


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PipelineError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None


def load(repo: Repo) -> Graph:
    """The Graph of all Stages; PipelineError for cycles and for outputs with two makers."""
    return graph.build(stages(repo))


def tools(
    repo: Repo,
    environment: Mapping[str, str],
    *,
    progress: Progress = QUIET,
    afar: Afar | None = None,
    absent: Recorded | None = None,
    images: Containers | None = None,
) -> Tools:
    """What reproduction works with; see RepoTree for ``afar`` and ``absent``.

    ``images``: where those of the Stages were looked up, else nowhere yet.
    """
    tree = RepoTree(repo, progress, afar=afar, absent=absent)
    images = images or containers(repo, environment)
    return Tools(
        tree,
        LockfileStore(os.path.join(repo.root, LOCKFILE), os.path.join(repo.git.own, "recording")),
        SharedRuns(run_cache(repo), known(repo), afar),
        Contained(Local(environment), images, _names(repo), _mounts(repo)),
        ParamFiles(lambda path: files.read_or_none(f"{repo.root}/{path}")),
        repo.hashing,
        progress,
        root=repo.root,
        env=environment,
        claims=HeldClaims(os.path.join(repo.git.own, "claims")),
        logs=logs(repo),
        isolation=RepoIsolation(repo, tree.followed),
        check_image=images.check,
        unstored=RunCache(os.path.join(repo.git.own, "unstored"), repo.hashing),
        items=RepoItems(repo, tree.fitting, progress, afar),
        tables=Tables(os.path.join(repo.private, tables.FOLDER), repo.hashing),
    )


def containers(repo: Repo, environment: Mapping[str, str]) -> Containers:
    """The container engine that the settings ask for."""
    extra = shlex.split(repo.config.get("pipeline.container.args"))
    return Containers(environment, repo.config.get("pipeline.container.engine"), extra)


def with_images(repo: Repo, whole: Graph, images: Containers, names: Collection[str], *, pull: bool) -> Graph:
    """The Graph with the ids of the images of the Stages ``names``, as far as they are to be had.

    Where there is no engine to ask, an image counts as the one that the Lockfile names. ``pull``: see Containers.
    """
    wanted = [whole.stages[name] for name in names if whole.stages[name].image and name not in whole.skipped]
    if not wanted:
        return whole
    entries = LockfileStore(os.path.join(repo.root, LOCKFILE)).load().stages
    found = dict(whole.stages)
    for stage in wanted:
        id_ = images.identify(stage.image, pull=pull)
        if id_ is None:
            id_ = entries[stage.name].image if stage.name in entries else ""
        found[stage.name] = replace(stage, image_id=id_)
    return replace(whole, stages=found)


def _selected(whole: Graph, options: Options) -> Collection[str]:
    """The Stages that may run."""
    if options.force_downstream:
        return whole.stages
    names = graph.select(whole, options.targets, single=options.single, downstream=options.downstream)
    return [name for name in names if options.force or not whole.stages[name].frozen]


def _names(repo: Repo) -> str:
    return os.path.join(repo.git.own, "containers")


def _mounts(repo: Repo) -> list[str]:
    """What links in the working tree lead to: a command in a container has to see it."""
    return [repo.store.root] if SYMLINK in repo.links else []


def logs(repo: Repo) -> Logs:
    """What the commands of the last Runs printed."""
    return Logs(os.path.join(repo.private, "logs"))


def repro(
    repo: Repo,
    environment: Mapping[str, str],
    options: Options,
    *,
    telling: Telling | None = None,
    progress: Progress = QUIET,
) -> ReproResult:
    """Rerun the Stages whose inputs changed, and restore the others' outputs. See runner.repro."""
    telling = telling or Telling()
    whole = load(repo)
    if not whole.stages:
        raise UsageError("there is no pipeline here", hint=_no_pipeline(repo))
    _apart(repo, whole.stages.values())
    options = replace(_targets(repo, whole, options), elsewhere=_elsewhere(repo), limits=limits(repo))
    images = containers(repo, environment)
    remove_left(_names(repo), lambda: images.engine)
    whole = with_images(repo, whole, images, _selected(whole, options), pull=True)
    repo.store.join()  # what is restored from the run cache gets a name in the Lockfile
    files.sweep_replaced(repo.root)  # beside the Lockfile, which may not be written this time
    cached = [out.path for stage in whole.stages.values() for out in stage.outs if out.cache]
    before = files.read_or_none(f"{repo.root}/{LOCKFILE}")
    with repo.exclusive():
        changed = gitignore.add(repo.git, cached)
    try:
        with _from_afar(repo, whole, options, progress, bring=True) as (afar, absent):
            given = tools(repo, environment, progress=progress, afar=afar, absent=absent, images=images)
            given = replace(given, listener=telling.listener, hears=telling.hears, ask=telling.ask)
            if afar is not None:
                _bring_together(whole, given, options, afar)
            result = runner.repro(whole, given, options)
        with repo.exclusive():
            placed.update(repo.placed, result.cached)
    finally:
        after = files.read_or_none(f"{repo.root}/{LOCKFILE}")
        if repo.config.get("core.autostage"):
            git.stage(repo.git, changed if after is None else [*changed, LOCKFILE])
        if after != before:
            changed.append(LOCKFILE)
    return replace(result, record=_to_record(repo, whole, result)) if changed else result


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told what a reproduction does, and who is asked. See runner.Tools."""

    listener: Listener = bool
    hears: bool = False
    ask: Callable[[Decision], bool] | None = None


def limits(repo: Repo) -> dict[str, float]:
    """What all running Stages together may take: processors and memory of this machine, and what the settings say."""
    return resources.limits(repo.config.below("pipeline.limits."))


def jobs(repo: Repo, given: int | None) -> int:
    """How many Stages may run at the same time; 0 stands for as many as there are processors."""
    wanted: int = repo.config.get("pipeline.jobs") if given is None else given
    return wanted or resources.processors()


def _no_pipeline(repo: Repo) -> str:
    if any(os.path.exists(os.path.join(repo.root, folder, "dvc.yaml")) for folder in ("", repo.cwd)):
        return "rename dvc.yaml to mlvc.yaml: its words are the same"
    return "describe stages in mlvc.yaml, or use `mlvc stage add`"


def _elsewhere(repo: Repo) -> tuple[str, ...]:
    """How the names of Stages begin whose files a sparse checkout leaves out; UsageError for the Lockfile."""
    if not git.is_sparse(repo.git):
        return ()
    names = [LOCKFILE, *snapshot.listed(repo.git, _FILES)]
    left = git.skipped(repo.git, [name for name in names if not files.exists(f"{repo.root}/{name}")])
    if LOCKFILE in left:
        raise UsageError(
            f"{LOCKFILE} is left out by the sparse checkout of Git", hint="bring it with `git sparse-checkout add`"
        )
    return tuple(spec.address(path, "") for path in left)


def _to_record(repo: Repo, whole: Graph, result: ReproResult) -> tuple[str, ...]:
    """What a commit of this result takes that Git does not have as it is: files of mlvc, and outputs that Git keeps."""
    done = [whole.stages[stage.stage] for stage in result.stages]
    kept = [out.path for stage in done for out in stage.outs if not out.cache]
    ours = [LOCKFILE]
    for stage in whole.stages.values():
        ours.append(stage.file)
        ours += [posixpath.join(posixpath.dirname(out.path), ".gitignore") for out in stage.outs if out.cache]
    asked = list(dict.fromkeys([*ours, *kept]))
    new = git.unstaged(repo.git, asked)
    around = {parent for path in new for parent in (path, *snapshot.parents(path))}
    return tuple(path for path in asked if path in around)


def _apart(repo: Repo, stages: Iterable[Stage]) -> None:
    """PipelineError where an output overlaps what a Pointer tracks, or Git has it although it goes into the Store."""
    tracked = sorted(pointers.tracked_by(path) for path in snapshot.listed(repo.git, ("*" + SUFFIX,)))
    stages = list(stages)
    around = {parent for stage in stages for out in stage.outs for parent in snapshot.parents(out.path)}
    inner = {path for path in around if repo.inner(path)}
    of_git = git.tracked(repo.git, [out.path for stage in stages for out in stage.outs if out.cache])
    for stage in stages:
        for out in stage.outs:
            if snapshot.within(out.path, inner):
                raise PipelineError(
                    f"{_output(stage, out)} lies in another mlvc root", hint="let a stage of that root make it"
                )
            other = _overlapping(out.path, tracked)
            if other == out.path:
                raise PipelineError(
                    f"{_output(stage, out)} is tracked by a Pointer",
                    hint=f"it can be one or the other: delete {out.path}{SUFFIX}, or the output",
                )
            if other:
                how = "inside" if out.path.startswith(other + "/") else "around"
                raise PipelineError(
                    f"{_output(stage, out)} is {how} '{other}', which is tracked by a Pointer",
                    hint=f"let the stage write to a place of its own, or untrack '{other}': delete {other}{SUFFIX}",
                )
            if out.cache and out.path in of_git:
                raise PipelineError(
                    f"{_output(stage, out)} is tracked by Git",
                    hint=f"`git rm -r --cached {out.path}`, or write `cache: false` below it",
                )


def _output(stage: Stage, out: Out) -> str:
    return f"{where.of(stage, out.path)}: output '{out.path}'"


def _overlapping(path: str, tracked: Sequence[str]) -> str:
    """The one of ``tracked``, which are sorted, that is ``path``, around it or in it; '' where none is."""
    for around in (path, *snapshot.parents(path)):
        at = bisect_left(tracked, around)
        if tracked[at : at + 1] == [around]:
            return around
    at = bisect_left(tracked, path + "/")
    return next((found for found in tracked[at : at + 1] if found.startswith(path + "/")), "")


def targets(repo: Repo, whole: Graph, word: str) -> tuple[str, ...]:
    """The Stages that a person in the directory ``repo.cwd`` means with ``word``. PipelineError where it names none.

    One of the pipeline file there comes first, then ``FILE:NAME``, the maker of that path, and one at the top. NAME
    may be that of a ``foreach`` or ``matrix``, for all Stages of it, and a pattern, and so may a path.
    """
    found = _by_name(repo, whole, word)
    if not found:
        path = repo.path(word)
        maker = graph.maker(whole, path)
        found = (maker,) if maker is not None else _named(whole, spec.FILE, word)
        if not found and globs.is_pattern(path):
            found = tuple(dict.fromkeys(made for out, made in whole.outputs.items() if globs.fits(path)(out)))
    if not found:
        outputs = (posixpath.relpath(out, repo.cwd or ".") for out in whole.outputs)
        raise graph.unknown(word, [*_typed_names(repo, whole.stages.values()), *outputs])
    return found


def names(repo: Repo) -> list[str]:
    """What can be typed in the directory ``repo.cwd`` for Stages and for a ``foreach`` or ``matrix``, sorted."""
    return sorted(_typed_names(repo, stages(repo)))


def _typed_names(repo: Repo, found: Iterable[Stage]) -> set[str]:
    prefix = spec.address(spec.file_in(repo.cwd), "")
    found = list(found)
    groups = (spec.address(stage.file, stage.group) for stage in found if stage.group)
    return {name.removeprefix(prefix) for name in (*groups, *(stage.name for stage in found))}


def target(repo: Repo, whole: Graph, word: str) -> str:
    """The one Stage that ``word`` means, as ``targets``; UsageError where it means several."""
    found = targets(repo, whole, word)
    if len(found) > 1:
        raise UsageError(f"'{word}' names {len(found)} stages", hint=f"name one of them, such as '{found[0]}'")
    return found[0]


def _by_name(repo: Repo, whole: Graph, word: str) -> tuple[str, ...]:
    """The Stages of the pipeline file here, or of the one that ``word`` names before a colon."""
    found = _named(whole, spec.file_in(repo.cwd), word)
    file, colon, name = word.rpartition(":")
    return _named(whole, repo.path(file), name) if colon and not found else found


def apart(repo: Repo, words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Stages that some of ``words`` name, and the other words: paths. What is there as a path is one."""
    paths = [word for word in words if files.exists(os.path.join(repo.root, repo.cwd, word))]
    if len(paths) == len(words):
        return (), tuple(words)
    whole = load(repo)
    found = {word: _by_name(repo, whole, word) for word in words if word not in paths}
    names = dict.fromkeys(name for stages in found.values() for name in stages)
    return tuple(names), tuple(word for word in words if not found.get(word))


def _named(whole: Graph, file: str, name: str) -> tuple[str, ...]:
    """The Stages of ``file``, which may be a pattern, that ``name`` is the name, the group or a pattern of."""
    if spec.address(file, name) in whole.stages:
        return (spec.address(file, name),)
    stages = whole.stages.values()
    group = tuple(stage.name for stage in stages if stage.group == name and stage.file == file)
    if group or not globs.is_pattern(file + name):
        return group
    fits, of_file = globs.fits(_one_name(name)), globs.fits(file)
    return tuple(
        stage.name
        for stage in stages
        if (stage.file == file or of_file(stage.file))
        and (stage.group == name or fits(_one_name(spec.name_in_file(stage))))
    )


def _one_name(text: str) -> str:
    """A name of a Stage, or a pattern of such names, as that of a file: no part of it is a directory, or hidden."""
    return "." + text.replace("/", "\0").replace("**", "*")


def _targets(repo: Repo, whole: Graph, options: Options) -> Options:
    found = (name for word in options.targets for name in targets(repo, whole, word))
    return replace(options, targets=tuple(dict.fromkeys(found)))


@contextmanager
def _from_afar(
    repo: Repo, whole: Graph, options: Options, progress: Progress, *, bring: bool
) -> Iterator[tuple[Afar | None, Recorded | None]]:
    """The Remotes that are asked, and what is taken to be there although it is not, each where ``options`` say so."""
    if not (options.pull or options.allow_missing):
        yield None, None
        return
    shot = snapshot.on_disk(repo.git)
    contents = shot.contents()
    if not options.allow_missing:
        # What the chosen Stages make is restored, or made; all else is brought before a command that needs it.
        chosen = graph.select(whole, options.targets, single=options.single, downstream=options.downstream)
        made = {out.path for name in chosen for out in whole.stages[name].outs}
        contents = {path: content for path, content in contents.items() if path not in made}
    with ExitStack() as stack:
        afar = None
        if options.pull:
            names = [chosen_remote(repo.config, options.remote), *_homes(repo, whole)]
            afar = stack.enter_context(open_afar(repo, names, progress, bring=bring))
        yield afar, Recorded(repo, contents, afar)


def _homes(repo: Repo, whole: Graph) -> list[str]:
    """The Remotes that outputs name as the only ones that they go to."""
    return sorted({out.remote for stage in whole.stages.values() for out in stage.outs} & repo.config.remotes.keys())


def _bring_together(whole: Graph, parts: Tools, options: Options, afar: Afar) -> None:
    """Fetch at once what is to be restored, as far as it is known before anything runs."""
    with afar.looking():
        decisions = runner.plan(whole, parts, options)
    afar.has(list(dict.fromkeys(content for decision in decisions for content in decision.restore.values())))


def plan(repo: Repo, environment: Mapping[str, str], options: Options) -> tuple[Decision, ...]:
    """What ``repro`` would do, and why. Nothing is changed."""
    whole = load(repo)
    _apart(repo, whole.stages.values())
    options = _targets(repo, whole, options)
    images = containers(repo, environment)
    whole = with_images(repo, whole, images, _selected(whole, options), pull=False)
    with _from_afar(repo, whole, options, QUIET, bring=False) as (afar, absent):
        return runner.plan(whole, tools(repo, environment, afar=afar, absent=absent, images=images), options)


def waiting(repo: Repo, environment: Mapping[str, str], names: Collection[str] = ()) -> tuple[Decision, ...]:
    """The Decision for every Stage, for ``status``, but those of which nothing is asked: none without a pipeline.

    ``names``: only of these Stages.
    """
    whole = load(repo)
    images = containers(repo, environment)
    whole = with_images(repo, whole, images, _selected(whole, Options()), pull=False)
    found = runner.status(whole, tools(repo, environment, images=images)) if whole.stages else ()
    silent = (Action.UNCHANGED, Action.FROZEN, Action.SKIPPED)
    asked = [decision for decision in found if decision.action not in silent]
    return tuple(decision for decision in asked if not names or decision.stage in names)


def add_stage(repo: Repo, name: str, fields: Mapping[str, Any], *, force: bool = False) -> str:
    """Write a Stage into the ``mlvc.yaml`` of the user's directory, leaving the rest as it is. The file's path."""
    with repo.exclusive():
        path = spec.file_in(repo.cwd)
        full = f"{repo.root}/{path}"
        text = edit.add_stage(_text(files.read_or_none(full) or b"", path), name, fields, file=path, force=force)
        others = [stage for stage in stages(repo) if stage.file != path]
        made = graph.build([*others, *spec.parse(text, path, surroundings(repo))]).stages[spec.address(path, name)]
        _apart(repo, [made])
        files.replace(full, text.encode())
        changed = gitignore.add(repo.git, [out.path for out in made.outs if out.cache])
        if repo.config.get("core.autostage"):
            git.stage(repo.git, [path, *changed])
    return path


def freeze(repo: Repo, words: Sequence[str], *, on: bool) -> tuple[Frozen, ...]:
    """Say in their pipeline files that Stages do not run, or that they do again; the rest of the files stays.

    PipelineError, before anything is written, for a word that names no Stage or a part of a ``foreach`` or ``matrix``,
    and for a layout that cannot be changed.
    """
    with repo.exclusive():
        whole = load(repo)
        entries = _entries(repo, whole, words)
        before = {file: _text(files.read_or_none(f"{repo.root}/{file}") or b"", file) for file, _ in entries}
        after = dict(before)
        found = []
        for (file, name), stages in entries.items():
            text = edit.set_flag(after[file], name, "frozen", on=on, file=file)
            at = whole.stages[stages[0]].at
            looped = at is not None and at.path[2:] == ("do",)
            found.append(Frozen(file, name, tuple(stages), looped=looped, changed=text != after[file]))
            after[file] = text
        changed = [file for file, text in after.items() if text != before[file]]
        for file in changed:
            files.replace(f"{repo.root}/{file}", after[file].encode())
        if changed and repo.config.get("core.autostage"):
            git.stage(repo.git, changed)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Frozen:
    """An entry below ``stages`` of a pipeline file, the Stages that it makes, and whether it had to be changed.

    ``looped``: it is a ``foreach``, and what is said of its Stages stands below ``do``.
    """

    file: str
    entry: str
    stages: tuple[str, ...]
    looped: bool
    changed: bool


def _entries(repo: Repo, whole: Graph, words: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """By file and name the entries that ``words`` name, with the Stages that each makes: all of them, or none."""
    every: dict[tuple[str, str], list[str]] = {}
    for stage in whole.stages.values():
        every.setdefault(_entry_of(stage), []).append(stage.name)
    named = dict.fromkeys(name for word in words for name in targets(repo, whole, word))
    found = {_entry_of(whole.stages[name]): name for name in named}
    for entry, name in found.items():
        if not named.keys() >= set(every[entry]):
            raise PipelineError(
                f"{where.of(whole.stages[name])}: '{name}' is one of the {len(every[entry])} stages of '{entry[1]}', "
                "which are frozen together",
                hint=f"name '{spec.address(*entry)}', or write out this stage as one of its own",
            )
    return {entry: every[entry] for entry in found}


def _entry_of(stage: Stage) -> tuple[str, str]:
    return stage.file, stage.group or spec.name_in_file(stage)
