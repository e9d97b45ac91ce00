"""A working tree in memory, and commands that are Python functions on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mlvc.errors import WouldOverwriteError
from mlvc.hashing import Hashing, oid_of
from mlvc.oid import Oid
from mlvc.pipeline import graph, spec
from mlvc.pipeline.executors.base import Ended, Job, Post
from mlvc.pipeline.lockfile import Entry, Lockfile
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.run import Run
from mlvc.pipeline.tools import Tools
from mlvc.pointer import Content

HASHING = Hashing("xxh128")


def content(data: bytes) -> Content:
    """The Content of a file with these bytes."""
    return Content("file", oid_of(HASHING, data), len(data))


class FakeTree:
    """Files in a dict; a directory is what begins with its name."""

    def __init__(self, **files: bytes) -> None:
        self.files: dict[str, bytes] = dict(files)
        self.objects: dict[Oid, dict[str, bytes]] = {}
        self.aside: list[str] = []
        self.hashed: list[str] = []

    def below(self, path: str) -> dict[str, bytes]:
        """The files at or below a path, by what follows it."""
        return {
            name.removeprefix(path): data
            for name, data in sorted(self.files.items())
            if name == path or name.startswith(path + "/")
        }

    def identify(self, paths: Sequence[str]) -> dict[str, Content | None]:
        """See Tree."""
        self.hashed += paths
        return {path: self._identify(path) for path in paths}

    def _identify(self, path: str) -> Content | None:
        found = self.below(path)
        if not found:
            return None
        if "" in found:
            return content(found[""])
        return Content("dir", oid_of(HASHING, repr(found).encode()), sum(map(len, found.values())), len(found))

    def left_out(self, path: str) -> Sequence[str]:
        """See Tree."""
        return ()

    def leading(self, path: str, outs: Collection[str]) -> Sequence[str]:
        """See Tree."""
        return ()

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """See Tree."""
        found = {path: made for path in paths if (made := self._identify(path)) is not None}
        for path, made in found.items():
            self.objects[made.oid] = self.below(path)
        return found

    def restore(self, contents: Mapping[str, Content]) -> None:
        """See Tree."""
        for path, wanted in contents.items():
            now = self._identify(path)
            if now is not None and now.oid not in self.objects:
                raise WouldOverwriteError(f"'{path}' is stored nowhere")
            for name in self.below(path):
                del self.files[path + name]
            self.files |= {path + rest: data for rest, data in self.objects[wanted.oid].items()}

    def why(self, content: Content) -> str:
        return ""

    def available(self, contents: Iterable[Content]) -> bool:
        """See Tree."""
        return all(one.oid in self.objects for one in contents)

    def fits(self, contents: Mapping[str, Content]) -> bool:
        """See Tree."""
        return True

    def ready(self, deps: Sequence[str], outs: Sequence[str]) -> None:
        """See Tree."""

    def remove(self, paths: Sequence[str]) -> None:
        """See Tree."""
        for path in paths:
            now = self._identify(path)
            if now is not None and now.oid not in self.objects:
                self.aside.append(path)
            for rest in self.below(path):
                del self.files[path + rest]

    def set_aside(self, paths: Sequence[str]) -> str:
        """See Tree."""
        left = [path for path in paths if self._identify(path) is not None]
        self.aside += left
        for path in left:
            for rest in self.below(path):
                del self.files[path + rest]
        return "aside" if left else ""


class DiskTree(FakeTree):
    """Files on disk, read whenever they are asked for; objects stay in memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__()

    @property
    def files(self) -> dict[str, bytes]:
        """What lies there now, without what is not of the working tree."""
        found = (path for path in sorted(self.root.rglob("*")) if path.is_file() and "runs" not in path.parts)
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in found
            if path.name not in {"mlvc.lock", "shown"}
        }

    @files.setter
    def files(self, value: dict[str, bytes]) -> None:
        """Ignore: the files are what they are."""

    def remove(self, paths: Sequence[str]) -> None:
        """See Tree."""
        for path in paths:
            (self.root / path).unlink(missing_ok=True)

    def set_aside(self, paths: Sequence[str]) -> str:
        """See Tree."""
        left = [path for path in paths if (self.root / path).exists()]
        for path in left:
            (self.root / path).rename(self.root / f"{path}.aside")
        return "aside" if left else ""

    def restore(self, contents: Mapping[str, Content]) -> None:
        """See Tree."""
        for path, wanted in contents.items():
            (self.root / path).write_bytes(self.objects[wanted.oid][""])


class FakeRecords:
    """A Lockfile in memory that counts how often it is written."""

    def __init__(self) -> None:
        self.lockfile = Lockfile()
        self.saves = 0

    def load(self) -> Lockfile:
        """See Records."""
        return self.lockfile

    def change(self, entries: Mapping[str, Entry | None], *, durable: bool = True) -> Lockfile:
        """See Records."""
        stages = {name: entry for name, entry in {**self.lockfile.stages, **entries}.items() if entry is not None}
        self.lockfile = Lockfile(stages, self.lockfile.extra)
        self.saves += durable
        return self.lockfile


class FakeRuns:
    """A run cache in memory."""

    def __init__(self) -> None:
        self.runs: dict[Oid, Run] = {}

    def lookup(self, key: Oid) -> Run | None:
        """See Runs."""
        return self.runs.get(key)

    def put(self, run: Run) -> None:
        """See Runs."""
        self.runs[run.key] = run

    def forget(self, key: Oid) -> None:
        """See Unstored."""
        self.runs.pop(key, None)


class FakeExecutor:
    """Runs the function that a command names, and remembers which ones it ran."""

    def __init__(self, commands: Mapping[str, Callable[[], int | None]]) -> None:
        self.commands = commands
        self.ran: list[str] = []

    def start(self, job: Job, post: Post) -> None:
        """See Executor: it has ended on return."""
        code = 0
        for command in job.commands:
            self.ran.append(command)
            code = self.commands[command]() or 0
            if code:
                break
        post(Ended(job, code, self.ran[-1], 0.001))

    def stop(self, slow: object = None) -> None:
        """See Executor."""


class Notes:
    """Progress that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """See Progress."""

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """See Progress."""

    def note(self, message: str) -> None:
        """See Progress."""
        self.notes.append(message)

    def finish(self) -> None:
        """See Progress."""


class Project:
    """A pipeline over a FakeTree.

    The command ``a+b>c`` writes the bytes of a and b to c; ``cut a>c`` just the first one.
    """

    def __init__(self, text: str, **files: bytes) -> None:
        self.tree = FakeTree(**files)
        self.records = FakeRecords()
        self.runs = FakeRuns()
        self.commands: dict[str, Callable[[], int | None]] = {}
        self.executor = FakeExecutor(self.commands)
        self.notes = Notes()
        self.tools = Tools(
            tree=self.tree,
            records=self.records,
            runs=self.runs,
            executor=self.executor,
            params=ParamFiles(self.tree.files.get),
            hashing=HASHING,
            progress=self.notes,
        )
        self.edit(text)

    def edit(self, text: str) -> None:
        """Put another ``mlvc.yaml`` in place."""
        self.graph = graph.build(spec.parse(text, "mlvc.yaml"))
        for stage in self.graph.stages.values():
            for command in stage.cmd:
                self.commands.setdefault(command, self._command(command))

    def _command(self, command: str) -> Callable[[], int | None]:
        def run() -> int | None:
            sources, _, target = command.removeprefix("cut ").partition(">")
            data = b"".join(self.tree.files[source] for source in sources.split("+") if source)
            self.tree.files[target] = data[:1] if command.startswith("cut ") else data
            return None

        return run

    def ran(self) -> list[str]:
        """The commands run since this was last asked."""
        ran, self.executor.ran = self.executor.ran, []
        return ran
