"""What is said of pipeline files: ``schema``, ``stage``, ``freeze``, targets, patterns, and messages with their place."""

from __future__ import annotations

import json

from mlvc.pipeline import schema
from tests.helpers import run_mlvc


def test_the_schema_is_printed_anywhere(tmp_path):
    result = run_mlvc("schema", cwd=tmp_path)
    assert result.out == schema.text()
    assert json.loads(result.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert result.err == ""
