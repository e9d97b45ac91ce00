"""Remotes by name: which one is meant, where it is, and what this repository keeps of it."""

from __future__ import annotations

import os

from mlvc import files
from mlvc.config import Config
from mlvc.errors import RemoteError, UsageError
from mlvc.hashing import Hashing
from mlvc.repo import Repo
from mlvc.store.blobs import blobs_at
from mlvc.store.remote import RemoteStore


def open_remote(repo: Repo, name: str = "") -> RemoteStore:
    """A Remote by name, or the default one. The caller closes it."""
    name = chosen(repo.config, name)
    url = repo.config.remotes[name]
    address = _address(repo, url)
    return remote_at(name, address, _known_of(repo, address), repo.hashing, configured=url)


def chosen(config: Config, name: str = "") -> str:
    """The name of a Remote that the settings know: this one, or the default; UsageError where there is none."""
    remotes = config.remotes
    name = name or config.get("core.remote") or (next(iter(remotes)) if len(remotes) == 1 else "")
    if not remotes:
        raise UsageError("no remote is configured", hint="add one with `mlvc remote add -d NAME URL`")
    if not name:
        raise UsageError(
            "there are several remotes and none is the default", hint=f"choose with -r: {', '.join(remotes)}"
        )
    if name not in remotes:
        raise UsageError(f"there is no remote '{name}'", hint=f"known remotes: {', '.join(remotes)}")
    return name


def remote_at(name: str, address: str, place: str, hashing: Hashing, *, configured: str = "") -> RemoteStore:
    """The Remote at ``address``; what is known of it is kept in the directory ``place``. The caller closes it."""
    files.make_dirs(place, durable=False)  # nothing in it that cannot be found out again
    try:
        blobs = blobs_at(address)
    except RemoteError as error:
        hint = error.hint or "install what it needs beside mlvc, or correct the address: `mlvc remote list`"
        raise RemoteError(f"remote '{name}': {error.message}", hint=hint) from None
    catalog = os.path.join(place, "catalog.sqlite")
    return RemoteStore(name, address, blobs, hashing, catalog, configured=configured)


def _known_of(repo: Repo, address: str) -> str:
    """The directory with what this repository knows of the Remote at ``address``."""
    return os.path.join(repo.private, "remotes", repo.hashing.of(address.encode()).hex()[:16])


def forget(repo: Repo, name: str) -> None:
    """Forget what is known of a Remote, so that another one may take its place."""
    files.remove_tree(_known_of(repo, _address(repo, repo.config.remotes[name])))


def _address(repo: Repo, url: str) -> str:
    return url if "://" in url else os.path.normpath(os.path.join(repo.root, os.path.expanduser(url)))


__all__ = ["chosen", "forget", "open_remote", "remote_at"]
