"""``doctor``."""

from __future__ import annotations

from typing import Annotated, Any

from mlvc.api import doctor as api
from mlvc.api.install import Calling
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import option
from mlvc.errors import MlvcError

BROKEN = 1
_COLUMN = 24
"""A longer name, such as a path, has a line of its own."""


def doctor(as_json: Annotated[bool, option("--json", help="Print the result as JSON.")] = False) -> int:
    """Tell what mlvc runs on, what works, and what is slow or wrong.

    Versions, the repository and its store, file systems, the link types that work (they are tried), whether each
    Remote answers, and which mlvc Git calls. Changes nothing. Exits with 1 where something is broken.

    Example: mlvc doctor
    """
    try:
        with opened() as repo, show.working("looking around"):
            found = api.doctor(repo)
    except MlvcError as error:
        found = api.without_repository(error)
    if as_json:
        show.json_out(_json(found))
    else:
        _print(found)
    return BROKEN if found.broken else 0


def _print(found: api.Report) -> None:
    _table("Versions", found.versions.items())
    facts = found.repository
    if facts:
        rows = [(name, str(facts[key])) for name, key in (("root", "root"), ("Git directory", "git_dir"))]
        rows += [("hash", str(facts["hash"])), ("store", str(facts["store"]))]
        for name in ("packs", "loose", "quarantine"):
            rows.append((name, f"{facts[name]:,} ({show.size(int(facts[name + '_size']))})"))
        _table("Repository", rows)
    _table("File systems", [(place.path, _place(place)) for place in found.places])
    _table("Link types", [(name, "works" if works else "does not work") for name, works in found.links.items()])
    _table("Remotes", [(remote.name, _reached(remote)) for remote in found.remotes])
    if found.calling is not None:
        _table("Git calls mlvc", _calls(found.calling))
    for finding in found.findings:
        show.report(f"{finding.level}: {show.clean(finding.message)}")
        if finding.hint:
            show.report(f"  hint: {finding.hint}")
    if not found.findings:
        show.report("nothing is wrong")


def _table(title: str, rows: Any) -> None:
    rows = [(show.clean(name), show.clean(value)) for name, value in rows]
    if not rows:
        return
    width = max((len(name) for name, _ in rows if len(name) <= _COLUMN), default=0)
    show.report(title)
    for name, value in rows:
        if len(name) > _COLUMN:
            show.report(f"  {name}")
        show.report(f"  {name if len(name) <= _COLUMN else '':{width}}  {value}")
    show.report()


def _place(place: api.Place) -> str:
    letters = "capital letters matter" if place.case_sensitive else "capital letters do not matter"
    return f"{place.kind or 'unknown'}, {show.size(place.free)} free, {letters}"


def _reached(remote: api.Reached) -> str:
    state = "does not answer" if not remote.reachable else "nothing pushed yet" if remote.empty else "answers"
    return f"{remote.url}: {state} ({remote.seconds:.2f} s)"


def _calls(called: Calling) -> list[tuple[str, str]]:
    states = {
        "this": "this one",
        "another": "another one",
        "gone": "one that is gone",
        "idle": "not executable",
        "replaced": "replaced",
        "": "not set up",
    }
    hooks = [(name, states[state]) for name, state in called.hooks.items()] or [("hooks", "none; see `mlvc install`")]
    return [*hooks, ("merge and diff", states[called.drivers])]


def _json(found: api.Report) -> dict[str, object]:
    return {
        "broken": found.broken,
        "versions": dict(found.versions),
        "repository": dict(found.repository),
        "file_systems": [
            {"path": p.path, "kind": p.kind, "free": p.free, "case_sensitive": p.case_sensitive} for p in found.places
        ],
        "links": dict(found.links),
        "remotes": [
            {"name": r.name, "url": r.url, "reachable": r.reachable, "seconds": r.seconds, "empty": r.empty}
            for r in found.remotes
        ],
        "hooks": dict(found.calling.hooks) if found.calling else {},
        "drivers": (found.calling.drivers or None) if found.calling else None,
        "findings": [{"level": f.level, "message": f.message, "hint": f.hint} for f in found.findings],
    }


COMMANDS = {"doctor": doctor}
