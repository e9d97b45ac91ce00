"""A Lockfile or a manifest of somebody else cannot make mlvc write outside of the working tree, or into .git."""

from __future__ import annotations

import json

import pytest

from mlvc import manifest
from mlvc.errors import FormatError
from mlvc.snapshot import _locked

BAD = ("../x", "a/../../x", "/etc/x", "a//b", ".", "", ".git/hooks/post-checkout", "a/.GIT/config")


@pytest.mark.parametrize("path", BAD)
def test_a_path_that_leads_away_is_refused(path):
    out = {"kind": "file", "oid": "xxh128:" + "0" * 32, "size": 1}
    lock = {"mlvc_lock": 1, "stages": {"s": {"outs": {path: out}}}}
    with pytest.raises(FormatError, match=r"mlvc\.lock names the path"):
        _locked(json.dumps(lock).encode(), "mlvc.lock")
    with pytest.raises(FormatError, match="a manifest names the path"):
        manifest.check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.git/c", ".gitignore", "..a/b..", "git/.gitx"])
def test_an_ordinary_path_is_not(path):
    manifest.check_path(path)
