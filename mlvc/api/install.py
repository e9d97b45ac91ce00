"""``install``: tell Git to call mlvc, and take it back."""

from __future__ import annotations

import os
import shlex
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc import files, git
from mlvc.errors import UsageError
from mlvc.git import hooked
from mlvc.repo import Repo

HOOKS = ("post-checkout", "post-merge", "post-rewrite", "pre-commit", "pre-push")
BEFORE = ".before-mlvc"
"""What the name of a hook ends in that stood there before; ours calls it first."""
ATTRIBUTES = ("*.mlvc merge=mlvc diff=mlvc", "mlvc.lock merge=mlvc-lock")
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


@dataclass(frozen=True, slots=True)
class Installed:
    """What Git knows of mlvc now, and what changed.

    ``attributes``: whether ``.gitattributes`` has the lines that name the merge driver and the textconv;
    ``attributes_changed``: whether that file was just written. ``drivers``: whether Git's settings have them.
    """

    directory: str
    hooks: tuple[Hook, ...]
    drivers: bool
    attributes: bool
    attributes_changed: bool


def install(repo: Repo, names: Sequence[str] = (), *, python: str, package: str) -> Installed:
    """Install hooks (all, or those named), the merge driver and the textconv. Doing it again changes nothing.

    A hook that is there is kept under another name and called first. ``python`` and ``package``: the interpreter and
    the directory of the mlvc that Git is to call. UsageError, and nothing changed, where a hook cannot be kept.
    """
    directory = os.path.realpath(hooked.hooks_dir(repo.git))
    wanted = {name: _script(name, shlex.quote(python), shlex.quote(package)) for name in _known(names)}
    with repo.exclusive():
        for name in wanted:
            _check(f"{directory}/{name}")
        done = tuple(Hook(name, *_put(f"{directory}/{name}", text)) for name, text in wanted.items())
        for setting, value in _settings(shlex.quote(python)).items():
            if hooked.setting(repo.git, setting) != value:
                hooked.set_setting(repo.git, setting, value)
        changed = _add_attributes(f"{repo.root}/{_ATTRIBUTES_FILE}")
    if changed and repo.config.get("core.autostage"):
        git.stage(repo.git, [_ATTRIBUTES_FILE])
    return Installed(directory, done, drivers=True, attributes=True, attributes_changed=changed)


def uninstall(repo: Repo, names: Sequence[str] = ()) -> Installed:
    """Take back what ``install`` did: the hooks that are named, or everything. What stood there before is back.

    Lines of ``.gitattributes`` that are committed stay: others use them, and without a driver they mean nothing.
    """
    directory = os.path.realpath(hooked.hooks_dir(repo.git))
    attributes = f"{repo.root}/{_ATTRIBUTES_FILE}"
    with repo.exclusive():
        for name in _known(names):
            _check(f"{directory}/{name}")
        done = tuple(Hook(name, *_take(f"{directory}/{name}")) for name in _known(names))
        if names:
            return Installed(directory, done, drivers=True, attributes=True, attributes_changed=False)
        for section in _SECTIONS:
            hooked.drop_settings(repo.git, section)
        committed = hooked.committed(repo.git, _ATTRIBUTES_FILE).decode(errors="surrogateescape").splitlines()
        kept = any(line in committed for line in ATTRIBUTES)
        changed = not kept and _drop_attributes(attributes)
    return Installed(directory, done, drivers=False, attributes=kept, attributes_changed=changed)


def _known(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in HOOKS:
            raise UsageError(f"mlvc has no hook '{name}'", hint=f"its hooks: {', '.join(HOOKS)}")
    return tuple(dict.fromkeys(names)) or HOOKS


# -- hooks -------------------------------------------------------------------------------------

_HEAD = """\
#!/bin/sh
# Installed by `mlvc install`; `mlvc install --uninstall` takes it away and brings back what stood here before.
"""
_MADE_BY = """\
python={python}
package={package}
"""
_ARGUMENTS = """\
if test -x "$0{before}"; then "$0{before}" "$@" || exit; fi
test "$MLVC_HOOKS" = 0 && exit 0
test -x "$python" && test -e "$package/hooks.py" && exec "$python" -P -m mlvc.hooks {name} "$@"
"""
# Both hooks are to read what Git says on standard input.
_INPUT = """\
refs=$(cat)
feed() {{ test -z "$refs" || printf '%s\\n' "$refs"; }}
if test -x "$0{before}"; then feed | "$0{before}" "$@" || exit; fi
test "$MLVC_HOOKS" = 0 && exit 0
if test -x "$python" && test -e "$package/hooks.py"; then
    feed | "$python" -P -m mlvc.hooks {name} "$@"
    exit
fi
"""
_GONE = """\
echo "mlvc: the {name} hook does nothing: the mlvc that installed it is gone; run mlvc install again" >&2
"""


def _script(name: str, python: str, package: str) -> bytes:
    """The text of a hook; ``python`` and ``package`` are quoted for a shell."""
    body = _MADE_BY + (_INPUT if name == "pre-push" else _ARGUMENTS) + _GONE
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
        if files.exists(path) and files.exists(path + BEFORE):
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


def _add_attributes(path: str) -> bool:
    """Put what is not there before all other lines, so that those win. Whether the file was written."""
    old = files.read_or_none(path) or b""
    new = [line for line in ATTRIBUTES if line.encode() not in old.splitlines()]
    if new:
        files.replace(path, "".join(f"{line}\n" for line in new).encode() + old)
    return bool(new)


def _drop_attributes(path: str) -> bool:
    old = files.read_or_none(path)
    if old is None:
        return False
    ours = {f"{line}\n".encode() for line in ATTRIBUTES}
    new = b"".join(line for line in old.splitlines(keepends=True) if line not in ours)
    if new == old:
        return False
    if new:
        files.replace(path, new)
    else:
        files.remove(path)
    return True
