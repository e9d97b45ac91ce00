"""The README's table of what becomes of odd things: the column of mlvc is true, and every scenario has a row."""

import importlib.util
import re
import sys

import pytest

from tests.helpers.pages import ROOT

SCRIPT = ROOT / "tests/benchmarks/behaviour.py"
TABLE = re.compile(r"<!-- behaviour -->\n(.*)<!-- /behaviour -->", re.DOTALL)


def load():
    spec = importlib.util.spec_from_file_location("behaviour", SCRIPT)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


behaviour = load()


def told() -> dict[str, str]:
    """What the table says of mlvc."""
    table = TABLE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].splitlines()]
    assert rows[0][:2] == ["what", "mlvc"]
    return {row[0]: row[1] for row in rows[2:]}


def test_every_scenario_has_a_row():
    assert list(told()) == list(behaviour.SCENARIOS)


@pytest.mark.parametrize("name", behaviour.SCENARIOS)
def test_mlvc_does_what_the_table_says(name, tmp_path):
    mlvc = behaviour.tools((sys.executable, "-P", "-m", "mlvc"), "", "")[0]
    case = behaviour.Case(mlvc, tmp_path / "case")
    assert behaviour.SCENARIOS[name](case) == told()[name]
