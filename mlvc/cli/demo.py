"""`mlvc demo`: the main job from end to end, on a table about penguins, as a person would type it.

Every command is a real process in a real folder, which stays behind. Nothing is claimed that is not checked: digests
are taken of the bytes on disk, and a difference ends the demo with an error.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlvc.errors import DamagedError, MlvcError, UsageError

FOLDER = "mlvc-demo"
TRACKED = ("data/penguins.csv", "data/prepared/train.csv", "data/prepared/test.csv", "model.json")
STEPS = ('"steps": 10', '"steps": 300')
WIDTH = 80
SHOWN = 16
IDENTITY = {"user.name": "Demo", "user.email": "demo@example.org"}
QUIETER = {"commit.gpgSign": "false", "tag.gpgSign": "false", "core.autocrlf": "false"}
OF_A_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")

Digests = Mapping[str, str]


def run(folder: str = FOLDER) -> int:
    """Tell the story in ``folder``, which must be empty or not there; 0 where everything came back bit for bit.

    UsageError where ``folder`` holds something; MlvcError with the exit code of the command that failed;
    DamagedError where bytes differ. Whatever happens, the folder stays as it is then.
    """
    root = _empty(folder)
    project, colleague = root / "project", root / "colleague"
    project.mkdir(parents=True)
    terminal = Terminal(_environment(root))
    _set_up(terminal, project, folder)
    _track(terminal, project)
    first = _train(terminal, project)
    _share(terminal, project, colleague, first)
    second = _change(terminal, project)
    _return(terminal, project, first, second)
    _tell_end(folder)
    return 0


def _empty(folder: str) -> Path:
    path = Path(folder).expanduser()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(
            f"'{folder}' is there already and is not an empty folder",
            hint="remove it, or name another folder: `mlvc demo FOLDER`",
        )
    return path.absolute()


# The story, one function for each of its parts.


def _set_up(terminal: Terminal, project: Path, folder: str) -> None:
    terminal.head("1  A Git repository, and mlvc in it")
    terminal.show("mkdir", "-p", f"{folder}/project")
    terminal.show("cd", f"{folder}/project")
    terminal.run(project, "git", "init", "--quiet", "--initial-branch", "main")
    terminal.run(project, "mlvc", "init")
    terminal.say("A Remote keeps the data for everyone: here a directory, elsewhere a bucket.")
    terminal.run(project, "mlvc", "remote", "add", "-d", "store", "../store")


def _track(terminal: Terminal, project: Path) -> None:
    terminal.head("2  Data: 344 penguins, a public-domain table (ORIGIN.md names its source)")
    with importlib.resources.as_file(importlib.resources.files("mlvc.demo") / "project") as example:
        terminal.show_line(f"cp {shlex.quote(str(example))}/*.* .")
        for path in sorted(example.glob("*.*")):
            shutil.copyfile(path, project / path.name)
        terminal.show("mkdir", "data")
        (project / "data").mkdir()
        terminal.show("cp", str(example / "data" / "penguins.csv"), "data/")
        shutil.copyfile(example / "data" / "penguins.csv", project / "data" / "penguins.csv")
    terminal.say("mlvc keeps the bytes; Git gets a Pointer, a few lines that name them.")
    terminal.run(project, "mlvc", "add", "data/penguins.csv")
    terminal.cat(project, "data/penguins.csv.mlvc")


def _train(terminal: Terminal, project: Path) -> Digests:
    terminal.head("3  A pipeline: prepare, train, evaluate (mlvc.yaml), run and committed")
    terminal.run(project, "mlvc", "repro")
    terminal.cat(project, "metrics.json")
    terminal.say("Code, parameters, metrics and Pointers go into Git; data and model do not.")
    terminal.run(project, "git", "add", ".")
    terminal.run(project, "git", "commit", "--quiet", "-m", "Train a first model")
    terminal.run(project, "git", "tag", "first")
    terminal.run(project, "git", "ls-files")
    terminal.run(project, "mlvc", "push")
    return _digests(project)


def _share(terminal: Terminal, project: Path, colleague: Path, first: Digests) -> None:
    terminal.head("4  A colleague: a clone, and the exact data of its commit")
    terminal.show("cd", "..")
    terminal.run(project.parent, "git", "clone", "--quiet", "project", "colleague")
    terminal.show("cd", "colleague")
    terminal.run(colleague, "mlvc", "pull")
    _expect(terminal, "the clone has the same bytes", first, colleague)


def _change(terminal: Terminal, project: Path) -> Digests:
    terminal.head("5  A change: train longer. Only what depends on that runs again")
    terminal.show("cd", "../project")
    terminal.show("sed", "-i", f"s/{STEPS[0]}/{STEPS[1]}/", "params.json")
    params = project / "params.json"
    params.write_text(params.read_text(encoding="utf-8").replace(*STEPS), encoding="utf-8")
    terminal.run(project, "mlvc", "status")
    before, written = _digests(project), _written(project)
    terminal.run(project, "mlvc", "repro")
    _expect_rerun(terminal, project, before, written)
    terminal.run(project, "mlvc", "status")
    terminal.run(project, "mlvc", "diff")
    terminal.run(project, "git", "commit", "--quiet", "--all", "-m", "Train longer")
    terminal.run(project, "mlvc", "push")
    return _digests(project)


def _return(terminal: Terminal, project: Path, first: Digests, second: Digests) -> None:
    terminal.head("6  Back to the first commit, and its data and model with it")
    terminal.run(project, "git", "checkout", "--quiet", "first")
    terminal.run(project, "mlvc", "checkout")
    _expect(terminal, "data and model are those of the first commit", first, project)
    terminal.say("And forward again, to the newest:")
    terminal.run(project, "git", "checkout", "--quiet", "main")
    terminal.run(project, "mlvc", "checkout")
    _expect(terminal, "data and model are those of the second commit", second, project)


def _tell_end(folder: str) -> None:
    place = shlex.quote(folder)
    print(f"\nEverything came back bit for bit. The folder is yours to play in:\n\n  {place}/project    the repository")
    print(f"  {place}/colleague  the clone\n  {place}/store      the Remote\n")
    if shutil.which("mlvc") is None:
        print(f'First: export PATH="{Path(sys.executable).parent}:$PATH"')
    print(f"Try:   cd {place}/project, change train.rate in params.json, then mlvc repro")


# What is checked.


def _digests(project: Path) -> Digests:
    return {name: hashlib.sha256((project / name).read_bytes()).hexdigest() for name in TRACKED}


def _written(project: Path) -> dict[str, int]:
    return {name: (project / name).stat().st_mtime_ns for name in TRACKED}


def _expect(terminal: Terminal, claim: str, expected: Digests, project: Path) -> None:
    """Show the digests of both; DamagedError names the files whose bytes differ."""
    terminal.say(f"Check (sha256 before = now): {claim}")
    missing = [name for name in expected if not (project / name).is_file()]
    if missing:
        raise DamagedError(f"not there in {project}: {', '.join(missing)}")
    found = _digests(project)
    for name, digest in expected.items():
        sign = "=" if found[name] == digest else "is not"
        print(f"  {name:<24} {digest[:SHOWN]} {sign} {found[name][:SHOWN]}")
    print(flush=True)
    changed = [name for name in expected if found[name] != expected[name]]
    if changed:
        raise DamagedError(f"not the same bytes in {project}: {', '.join(changed)}")


def _expect_rerun(terminal: Terminal, project: Path, before: Digests, written: Mapping[str, int]) -> None:
    """A new model, and no file of an earlier stage so much as written again; MlvcError otherwise."""
    again = [name for name in TRACKED if name != "model.json" and _written(project)[name] != written[name]]
    if again:
        raise MlvcError(f"a stage ran that the change does not touch: it wrote {', '.join(again)}")
    if _digests(project)["model.json"] == before["model.json"]:
        raise MlvcError("the changed parameter made no new model")
    terminal.say("Check: model.json is new, data/prepared was not written again.\n")


# How it is shown.


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs commands with ``env``, and prints each as it would be typed, followed by what it printed."""

    env: Mapping[str, str]

    def head(self, text: str) -> None:
        """The title of a part."""
        print(f"\n{text}\n{'-' * min(len(text), WIDTH)}\n", flush=True)

    def say(self, text: str) -> None:
        """An explanation, as a comment of the shell."""
        print(textwrap.indent(text, "# "), flush=True)

    def show_line(self, line: str) -> None:
        """A command line that is carried out here and not by a process."""
        print(f"$ {line}", flush=True)

    def show(self, *argv: str) -> None:
        """The same, quoted where a shell would want it."""
        self.show_line(shlex.join(argv))

    def cat(self, here: Path, name: str) -> None:
        """The text of a file."""
        self.show("cat", name)
        print((here / name).read_text(encoding="utf-8"), flush=True)

    def run(self, here: Path, *argv: str) -> None:
        """Run ``argv`` in the folder ``here``; MlvcError with its exit code where it fails."""
        self.show(*argv)
        command = [sys.executable, "-P", "-m", *argv] if argv[0] == "mlvc" else argv
        try:
            code, silent = self._pass_through(here, command)
        except FileNotFoundError:
            raise MlvcError(f"'{argv[0]}' is not installed", hint="mlvc works beside Git: install that first") from None
        if code:
            error = MlvcError(f"`{shlex.join(argv)}` ended with exit code {code}", hint=f"it ran in {here}")
            error.exit_code = code if code > 0 else MlvcError.exit_code
            raise error
        if not silent:
            print(flush=True)

    def _pass_through(self, here: Path, command: tuple[str, ...] | list[str]) -> tuple[int, bool]:
        """Exit code, and whether nothing was printed."""
        silent = True
        with subprocess.Popen(
            command,
            cwd=here,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                silent = False
        return process.returncode, silent


def _environment(root: Path) -> dict[str, str]:
    """What the person has, without the repository that they may stand in, and an identity where they have none."""
    env = {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    here = str(Path(str(importlib.resources.files("mlvc"))).parent)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [here, env.get("PYTHONPATH", "")]))
    env |= {"COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8"}
    settings = QUIETER | {name: value for name, value in IDENTITY.items() if not _configured(name, root, env)}
    return env | _git_settings(settings)


def _configured(name: str, root: Path, env: Mapping[str, str]) -> bool:
    git = shutil.which("git", path=env["PATH"])
    if git is None:
        return False
    command = [git, "config", "--get", name]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, check=False).returncode == 0


def _git_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings for Git that are written nowhere: they end with the demo."""
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env
