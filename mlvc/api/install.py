"""``install``: tell Git to call mlvc, and take it back."""

from __future__ import annotations

import os
import posixpath
import shlex
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc import files, git
from mlvc.errors import UsageError
from mlvc.git import hooked
from mlvc.repo import Repo
from mlvc.roots import roots
from mlvc.snapshot import parents

HOOKS = ("post-checkout", "post-merge", "post-rewrite", "pre-commit", "pre-push")
BEFORE = ".before-mlvc"
"""What the name of a hook ends in that stood there before; ours calls it first."""
ATTRIBUTES = ("*.mlvc merge=mlvc diff=mlvc", "mlvc.lock merge=mlvc-lock")
_LINES = tuple(line.encode() for line in ATTRIBUTES)
_ATTRIBUTES_FILE = ".gitattributes"
_SECTIONS = ("merge.mlvc", "merge.mlvc-inner", "merge.mlvc-lock", "diff.mlvc")


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook. ``state``: ``installed``, ``unchanged``, ``removed`` or ``absent``.

    ``before``: whether there is another hook, which stood there before.
    """

    name: str
    state: str
    before: bool


THIS, ANOTHER, GONE, IDLE, REPLACED = "this", "another", "gone", "idle", "replaced"


@dataclass(frozen=True, slots=True)
class Calling:
    """Which mlvc Git calls: ``this`` one, ``another`` one, or one that is ``gone``.

    ``hooks``: for each hook of ours; ``idle`` where Git does not run it, for it is not executable; ``replaced`` where
    something else was put into its place since. ``drivers``: for the
    merge driver and the textconv, '' where there are none. ``pythons``: those of the others. ``attributes``: whether
    ``.gitattributes`` names the merge driver.
    """

    directory: str
    hooks: Mapping[str, str]
    drivers: str
    attributes: bool
    pythons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Installed:
    """What Git knows of mlvc now, and what changed.

    ``attributes``: whether ``.gitattributes`` has the lines that name the merge driver and the textconv, in each root
    that lies in no other one. ``attributes_changed``: those of these files that were just written, relative to the top
    of the working tree. ``drivers``: whether Git's settings have the merge driver and the textconv.
    """

    directory: str
    hooks: tuple[Hook, ...]
    drivers: bool
    attributes: bool
    attributes_changed: tuple[str, ...] = ()


def install(repo: Repo, names: Sequence[str] = (), *, python: str, package: str) -> Installed:
    """Install hooks (all, or those named), the merge driver and the textconv, for all roots of the repository.

    Doing it again changes nothing.
    A hook that is there is kept under another name and called first. ``python`` and ``package``: the interpreter and
    the directory of the mlvc that Git is to call. UsageError, and nothing changed, where a hook cannot be kept.
    """
    directory = os.path.realpath(hooked.hooks_dir(repo.git))
    wanted = {name: _script(name, shlex.quote(python), shlex.quote(package)) for name in _known(names)}
    with repo.exclusive():
        for name in wanted:
            _check(_place(f"{directory}/{name}"))
        done = tuple(Hook(name, *_put(_place(f"{directory}/{name}"), text)) for name, text in wanted.items())
        for setting, value in _settings(shlex.quote(python)).items():
            if hooked.setting(repo.git, setting) != value:
                hooked.set_setting(repo.git, setting, value)
        changed = tuple(name for name in _attributes_files(repo) if _add_attributes(f"{repo.git.top}/{name}"))
    if changed and repo.config.get("core.autostage"):
        git.stage(repo.git.below(""), changed)
    return Installed(directory, done, drivers=True, attributes=True, attributes_changed=changed)


def uninstall(repo: Repo, names: Sequence[str] = ()) -> Installed:
    """Take back what ``install`` did: the hooks that are named, or everything. What stood there before is back.

    Lines of ``.gitattributes`` that are committed stay: others use them, and without a driver they mean nothing.
    """
    directory = os.path.realpath(hooked.hooks_dir(repo.git))
    with repo.exclusive():
        for name in _known(names):
            _check(_place(f"{directory}/{name}"))
        done = tuple(Hook(name, *_take(_place(f"{directory}/{name}"))) for name in _known(names))
        if names:
            return Installed(directory, done, drivers=True, attributes=True)
        for section in _SECTIONS:
            hooked.drop_settings(repo.git, section)
        top = repo.git.below("")
        names_ = _attributes_files(repo, inner=True)
        kept = {name for name in names_ if not set(hooked.committed(top, name).splitlines()).isdisjoint(_LINES)}
        changed = tuple(name for name in names_ if name not in kept and _drop_attributes(f"{top.root}/{name}"))
    return Installed(directory, done, drivers=False, attributes=bool(kept), attributes_changed=changed)


def calling(repo: Repo, *, python: str, package: str) -> Calling:
    """Which mlvc Git calls here; ``python`` and ``package`` are those of this one. Nothing is changed."""
    directory = os.path.realpath(hooked.hooks_dir(repo.git))
    hooks: dict[str, str] = {}
    pythons: dict[str, None] = {}
    for name in HOOKS:
        path = _place(f"{directory}/{name}")
        if _is_ours(path):
            words = dict(line.split("=", 1) for line in _text(path).splitlines() if line.startswith(_NAMES))
            named = tuple("".join(shlex.split(words.get(each, ""))) for each in ("python", "package"))
            hooks[name] = _which(named, (python, package)) if os.access(path, os.X_OK) else IDLE
            pythons.update({named[0]: None} if hooks[name] in (ANOTHER, GONE) else {})
        elif files.exists(path + BEFORE):
            hooks[name] = REPLACED
    driver = hooked.setting(repo.git, "merge.mlvc.driver") or ""
    used = _driver_python(driver)
    drivers = _which((used,), (python,)) if driver else ""
    pythons.update({used: None} if drivers in (ANOTHER, GONE) else {})
    lines = [files.read_or_none(f"{repo.git.top}/{name}") or b"" for name in _attributes_files(repo)]
    attributes = all(set(_LINES) <= set(text.splitlines()) for text in lines)
    return Calling(directory, hooks, drivers, attributes, tuple(pythons))


_NAMES = ("python=", "package=")


def _which(named: Sequence[str], own: Sequence[str]) -> str:
    """Whether a Python, and a package, are our ``own``."""
    if tuple(named) == tuple(own):
        return THIS
    there = os.access(named[0], os.X_OK) and all(files.exists(f"{package}/hooks.py") for package in named[1:])
    return ANOTHER if there else GONE


def _driver_python(driver: str) -> str:
    """The Python that a merge driver of ours starts."""
    try:
        words = shlex.split(driver)
    except ValueError:
        return ""
    return words[words.index("-x") + 1] if "-x" in words[:-1] else ""


def _text(path: str) -> str:
    return files.read(path).decode(errors="surrogateescape")


def _known(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in HOOKS:
            raise UsageError(f"mlvc has no hook '{name}'", hint=f"its hooks: {', '.join(HOOKS)}")
    return tuple(dict.fromkeys(names)) or HOOKS


# -- hooks -------------------------------------------------------------------------------------

_LEGACY = ".legacy"
"""What the pre-commit framework adds to the name of a hook that stood there before its own, which calls it first."""


def _place(path: str) -> str:
    """Where our hook is, or is to be: the framework may have put it beside its own."""
    legacy = path + _LEGACY
    return legacy if _is_ours(legacy) and not _is_ours(path) and files.exists(path) else path


_HEAD = """\
#!/bin/sh
# Installed by `mlvc install`; `mlvc install --uninstall` takes it away and brings back what stood here before.
"""
_MADE_BY = """\
python={python}
package={package}
"""
# Some hooks, as those of husky, go by their own name: a script for a shell is read under the name that Git gave it,
# unless it asks whether it is read.
_KEPT = """\
kept() {{
    IFS= read -r first < "$0{before}"
    case $first in
    '#!'*[/\\ ]sh | '#!'*[/\\ ]sh\\ * | '#!'*[/\\ ]dash | '#!'*[/\\ ]bash | '#!'*[/\\ ]bash\\ *)
        if ! grep -q BASH_SOURCE "$0{before}"; then
            ${{first#??}} -c '. "$0{before}"' "$0" "$@"
            return
        fi ;;
    esac
    "$0{before}" "$@"
}}
"""
_ARGUMENTS = """\
if test -x "$0{before}"; then kept "$@" || exit; fi
test "$MLVC_HOOKS" = 0 && exit 0
if test -x "$python" && test -e "$package/hooks.py"; then
    trap '' INT  # until mlvc is there to say what that means
    exec "$python" -P -m mlvc.hooks {name} "$@"
fi
"""
# Both hooks are to read what Git says on standard input.
_INPUT = """\
refs=$(cat)
feed() {{ test -z "$refs" || printf '%s\\n' "$refs"; }}
if test -x "$0{before}"; then feed | kept "$@" || exit; fi
test "$MLVC_HOOKS" = 0 && exit 0
if test -x "$python" && test -e "$package/hooks.py"; then
    trap '' INT  # until mlvc is there to say what that means
    feed | "$python" -P -m mlvc.hooks {name} "$@"
    exit
fi
"""
_GONE = """\
echo "mlvc: the {name} hook does nothing: the mlvc that installed it is gone; run mlvc install again" >&2
"""


def _script(name: str, python: str, package: str) -> bytes:
    """The text of a hook; ``python`` and ``package`` are quoted for a shell."""
    body = _MADE_BY + _KEPT + (_INPUT if name == "pre-push" else _ARGUMENTS) + _GONE
    text = body.format(name=name, before=BEFORE, python=python, package=package).encode(errors="surrogateescape")
    return _HEAD.encode() + _seal(text) + text


def _seal(text: bytes) -> bytes:
    """A line by which any later mlvc sees that nobody edited what follows."""
    return f"# lines below: {zlib.crc32(text):08x}\n".encode()


def _is_ours(path: str) -> bool:
    return not os.path.islink(path) and (files.read_or_none(path) or b"").startswith(_HEAD.encode())


def _check(path: str) -> None:
    """UsageError where a hook was edited since mlvc wrote it, or what would be kept has no place."""
    link = os.path.realpath(path)
    if os.path.islink(path) and os.path.dirname(link) == os.path.dirname(path) and os.path.basename(link) in HOOKS:
        raise UsageError(
            f"{path} is a link to {os.path.basename(link)}, which would be another hook then",
            hint=f"make it a copy: `cp --remove-destination {link} {path}`",
        )
    if not _is_ours(path):
        if files.exists(path + BEFORE) and files.read_or_none(path) not in (None, files.read_or_none(path + BEFORE)):
            raise UsageError(
                f"{path} was replaced since `mlvc install` wrote it",
                hint=f"put what is needed of {path}{BEFORE} into it, delete that file, and try again",
            )
        return
    seal, end, text = files.read(path).removeprefix(_HEAD.encode()).partition(b"\n")
    if seal + end != _seal(text):
        raise UsageError(
            f"{path} was edited since `mlvc install` wrote it",
            hint=f"put your lines into {path}{BEFORE}, delete {path}, and run `mlvc install` again",
        )


def _put(path: str, text: bytes) -> tuple[str, bool]:
    """Write a hook. What stands there is kept beside it first; after a crash, either verb goes on from there."""
    before = path + BEFORE
    if files.read_or_none(path) == text and os.access(path, os.X_OK):
        return "unchanged", files.exists(before)
    if files.exists(path) and not _is_ours(path):
        os.rename(path, before)
    files.replace(path, text)
    os.chmod(path, 0o755)  # noqa: S103  (Git runs no other)
    return "installed", files.exists(before)


def _take(path: str) -> tuple[str, bool]:
    """Remove a hook of ours; what stood there before comes back."""
    before = path + BEFORE
    if not _is_ours(path) and (files.exists(path) or not files.exists(before)):
        return "absent", False
    if files.exists(before):
        os.replace(before, path)
        return "removed", True
    os.unlink(path)
    other = path.removesuffix(_LEGACY)
    if other != path and files.read_or_none(other + BEFORE) == files.read_or_none(other):
        files.remove(other + BEFORE)  # the framework's hook, which it has put there once more
    return "removed", False


# -- merge driver and textconv -----------------------------------------------------------------

# Where mlvc is gone or fails, Git's own merge of text leaves the markers: no side may win by that.
_MERGE = (
    'f() {{ test -x {python} && {python} -P -m mlvc.hooks {name} "$@" && return; test $? = 2 && return 1; '
    'echo "mlvc: $5 is not merged: the mlvc that was installed fails or is gone" >&2; '
    'git merge-file -q -L ours -L base -L theirs --marker-size="$4" "$2" "$1" "$3"; return 1; }}; f %O %A %B %L %P'
)
_TEXTCONV = 'f() {{ test -x {python} && {python} -P -m mlvc.hooks textconv "$1" || cat "$1"; }}; f'


def _settings(python: str) -> Mapping[str, str]:
    outer = _MERGE.format(python=python, name="merge")
    return {
        "merge.mlvc.name": "Pointers of mlvc, file by file",
        "merge.mlvc.driver": outer,
        "merge.mlvc.recursive": "mlvc-inner",
        "merge.mlvc-inner.name": "Pointers of mlvc, to a common base",
        "merge.mlvc-inner.driver": _MERGE.format(python=python, name="merge-inner"),
        "merge.mlvc-lock.name": "mlvc.lock, by stage",
        "merge.mlvc-lock.driver": outer,
        "diff.mlvc.textconv": _TEXTCONV.format(python=python),
    }


def _attributes_files(repo: Repo, *, inner: bool = False) -> list[str]:
    """The file for each root that lies in no other one, relative to the top; with ``inner``, for every root."""
    every = roots(repo.git) | {repo.git.prefix}
    chosen = [prefix for prefix in sorted(every) if inner or not prefix or every.isdisjoint((*parents(prefix), ""))]
    return [posixpath.join(prefix, _ATTRIBUTES_FILE) for prefix in chosen]


def _add_attributes(path: str) -> bool:
    """Put what is not there before all other lines, so that those win. Whether the file was written."""
    old = files.read_or_none(path) or b""
    new = [line for line in _LINES if line not in old.splitlines()]
    if new:
        files.replace(path, b"".join(line + b"\n" for line in new) + old)
    return bool(new)


def _drop_attributes(path: str) -> bool:
    old = files.read_or_none(path)
    if old is None:
        return False
    new = b"".join(line for line in old.splitlines(keepends=True) if line.rstrip(b"\r\n") not in _LINES)
    if new == old:
        return False
    if new:
        files.replace(path, new)
    else:
        files.remove(path)
    return True
