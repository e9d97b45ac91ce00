"""What `import mlvc` offers: a change of it has to be meant."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mlvc
from mlvc import errors, library

FUNCTIONS = [name for name in mlvc.__all__ if name.islower()]

SIGNATURES = """\
init(*, hash='', subdir=False, cwd='.')
add(*paths, glob=False, out='', cwd='.')
commit(*paths, cwd='.')
move(*sources, to, dry_run=False, cwd='.')
remove(*paths, data=False, force=False, dry_run=False, cwd='.')
unprotect(*paths, cwd='.')
resolve(*paths, side, cwd='.')
status(*paths, cwd='.')
diff(old='HEAD', new='', *paths, cwd='.')
checkout(*paths, rev='', force=False, relink=False, dry_run=False, cwd='.')
repro(*targets, force=False, single=False, downstream=False, keep_going=False, run_cache=True, pull=False, \
remote='', allow_missing=False, force_downstream=False, commit=True, isolated=False, \
check_deterministic=False, jobs=None, cwd='.')
reproduce(rev, *targets, single=False, tolerance=(), jobs=None, remote='', fetch=True, keep='', cwd='.')
stages(*, cwd='.')
params_diff(old='HEAD', new='', *, targets=(), everything=False, cwd='.')
metrics_show(*targets, revs=(), all_branches=False, all_tags=False, all_commits=False, cwd='.')
metrics_diff(old='HEAD', new='', *, targets=(), everything=False, cwd='.')
push(*paths, revs=(), all_branches=False, all_tags=False, all_commits=False, remote='', jobs=0, run_cache=False, \
dry_run=False, cwd='.')
fetch(*paths, revs=(), all_branches=False, all_tags=False, all_commits=False, remote='', jobs=0, run_cache=False, \
dry_run=False, cwd='.')
pull(*paths, revs=(), all_branches=False, all_tags=False, all_commits=False, remote='', jobs=0, \
run_cache=False, force=False, dry_run=False, cwd='.')
gc(*, runs=False, aside=False, remote='', force=False, dry_run=False, cwd='.')
fsck(*, all_commits=False, repair=False, remote='', cwd='.')
doctor(*, cwd='.')
install(*hooks, cwd='.')
uninstall(*hooks, cwd='.')
destroy(*, force=False, dry_run=False, cwd='.')
ls(path='', *, rev='', recursive=False, repo='', remote='', cwd='.')
du(*paths, rev='', repo='', remote='', cwd='.')
log(path, *, remote='', cwd='.')
get(repo, path, out='', *, rev='', remote='', force=False)
open(path, mode='r', *, rev='', repo='', remote='', cwd='.', encoding=None, errors=None, newline=None)
read(path, *, rev='', repo='', remote='', cwd='.')
fs(*, rev='', repo='', remote='', cwd='.', inside='')
"""


def signature(name: str) -> str:
    plain = inspect.signature(getattr(mlvc, name))
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in plain.parameters.values()]
    return name + str(plain.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def test_the_functions_and_what_they_take():
    assert "".join(f"{signature(name)}\n" for name in FUNCTIONS) == SIGNATURES


def test_all_names_are_there_and_no_more():
    assert [name for name in mlvc.__all__ if not name.islower()] == [
        *("Initialised", "Tracked", "Moved", "Removed", "Unprotected", "Resolved", "Status", "Diff", "CheckedOut"),
        *(
            "ReproResult",
            "Reproduced",
            "Stage",
            "Metrics",
            "Figures",
            "ValuesDiff",
            "ValueChange",
            "Transferred",
            "Pulled",
            "Collected",
            "Verified",
            "Report",
            "Installed",
            "Plan",
        ),
        *("Listing", "Usage", "Log", "Got", "Item"),
        *("Change", "Content", "MlvcFileSystem", "MlvcError", "UsageError", "NotARepositoryError", "FormatError"),
        *("PipelineError", "ObjectsMissingError", "DamagedError", "WouldOverwriteError", "RemoteError"),
        *("StageFailedError", "SystemFailureError", "BusyError"),
    ]
    for name in mlvc.__all__:
        value = getattr(mlvc, name)
        assert value.__name__ == name
        assert inspect.getdoc(value), name
    assert set(mlvc.__all__) <= set(dir(mlvc))
    public = {name for name, value in vars(library).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert {name for name in public if getattr(library, name).__module__ == library.__name__} == set(FUNCTIONS)


def test_every_error_that_users_may_meet_is_there():
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name for name in mlvc.__all__ if name.endswith("Error")} == kinds


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="nothing"):
        _ = mlvc.nothing


def test_types_are_declared_for_all_of_it():
    path = Path(mlvc.__file__).with_suffix(".pyi")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(mlvc.__all__)
    for name in FUNCTIONS:
        plain = inspect.signature(getattr(mlvc, name))
        assert plain.return_annotation != inspect.Signature.empty
        assert all(one.annotation != inspect.Parameter.empty for one in plain.parameters.values())


def test_what_import_loads():
    code = "import sys, mlvc; print(*(name for name in sys.modules if name.startswith('mlvc') or name == 'fsspec'))"
    assert subprocess.check_output([sys.executable, "-P", "-c", code], text=True).split() == ["mlvc"]


def test_the_filesystem_is_found_by_its_protocol():
    code = "import fsspec; print(fsspec.get_filesystem_class('mlvc').__name__)"
    assert subprocess.check_output([sys.executable, "-P", "-c", code], text=True).split() == ["MlvcFileSystem"]


def test_a_function_has_the_options_of_its_command():
    """A new option of a command is to be thought of here, too."""
    from mlvc.cli.table import TABLE

    only_shown = {"--json", "--md", "--exit-code", "--tree", "--size", "--bytes", "--dry", "--restore", "--hash"}
    only_shown |= {
        "--interactive",
        "--explain",
        "--yes",
        "--uninstall",
        "-q",
        "--quiet",
        "-v",
        "--verbose",
        "--no-progress",
    }
    renamed = {
        "single-item": "single",
        "no-run-cache": "run_cache",
        "no-commit": "commit",
        "rev": "revs",
        "ours": "side",
        "theirs": "side",
    }
    renamed |= {"no-fetch": "fetch"}
    renamed |= {"working": "side", "target": "paths", "hook": "hooks"}
    for name in sorted(set(FUNCTIONS) & set(TABLE)):
        _, options, _ = TABLE[name]
        taken = set(inspect.signature(getattr(mlvc, name)).parameters)
        for option in options:
            if not option.startswith("--") or option in only_shown or (name == "repro" and option == "--dry-run"):
                continue
            word = option.removeprefix("--")
            assert {re.sub("-", "_", word), renamed.get(word, "")} & taken, (name, option)
