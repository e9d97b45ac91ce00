"""What a command could not have, as the error that ends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError
from mlvc.snapshot import problem
from mlvc.store.base import MISNAMED


def check(
    lost: Mapping[str, str],
    verb: str,
    unreadable: Collection[FormatError] = (),
    *,
    rev: str = "",
    bundles: Sequence[str] = (),
) -> MlvcError | None:
    """The error that ends a command which could not do all of its work; None where it could.

    ``unreadable``: what is wrong with Pointers that it could not read. ``rev``: the revision that it was about.
    ``bundles``: the addresses of damaged bundles of Runs.
    """
    if not lost:
        return problem(unreadable) or _of_bundles(bundles)
    path, reason = next(iter(lost.items()))
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    if reason == MISNAMED:
        return DamagedError(f"{path} could not be {verb}: its object is {reason}{more}", hint=_MISNAMED)
    kind = DamagedError if reason == "damaged" else ObjectsMissingError
    told = hint(verb, reason)
    if rev:
        told = told.replace("`mlvc pull`", f"`mlvc pull --rev {rev}`")
    return kind(f"{path} could not be {verb}: its object is {reason}{more}", hint=told)


def _of_bundles(bundles: Sequence[str]) -> DamagedError | None:
    if not bundles:
        return None
    more = f", and {len(bundles) - 1} more" if len(bundles) > 1 else ""
    return DamagedError(f"a bundle of Runs is damaged on the remote: {bundles[0]}{more}", hint=_BUNDLE)


def hint(verb: str, reason: str) -> str:
    """What to do about an object that is ``missing`` or ``damaged`` and could not be pushed, fetched and so on."""
    return _DAMAGED if (verb, reason) == ("fetched", "damaged") else _HINTS.get(verb, "")


_DAMAGED = (
    "the remote's copy is damaged: delete the packs there that are named above, "
    "then `mlvc push` from a clone that has the data"
)


_BUNDLE = (
    "`mlvc push --run-cache` from a clone that has read it, or made it, mends it; "
    "otherwise delete it there: what it recorded is computed again"
)

_MISNAMED = "bring the Pointer back as it was, with Git, or write it anew from the data with `mlvc commit`"

_HINTS = {
    "compared": "get what names its files with `mlvc fetch --all-commits`",
    "pushed": "get it with `mlvc fetch` from a remote that has it, or track the data again with `mlvc add`",
    "fetched": "push it again from a clone that has it: `mlvc push` there restores what the remote lacks",
    "checked out": "`mlvc pull` gets it from a remote and checks it out",
    "copied": "get it from a remote with `mlvc fetch`, then run `mlvc unprotect` again",
}
