"""The one tree of errors and its exit codes."""

import inspect
import re

import pytest

from mlvc import errors
from mlvc.errors import MlvcError

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, MlvcError)]


def test_the_tree_stays_small():
    assert len(CLASSES) < 15


@pytest.mark.parametrize("error", CLASSES)
def test_exit_codes_are_the_documented_ones(error):
    documented = {int(code) for code in re.findall(r"^(\d+) ", errors.__doc__, re.MULTILINE)}
    # 0 and 1 are no errors, 3 is for what nobody raises on purpose, 130 is Ctrl-C.
    assert error.exit_code in documented - {0, 1, 3, 130}


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_says_what_happened_and_what_to_do(error):
    raised = error("it rained", hint="take an umbrella")
    assert (str(raised), raised.message, raised.hint) == ("it rained", "it rained", "take an umbrella")
    assert error("it rained").hint == ""
    with pytest.raises(TypeError):
        error("it rained", "take an umbrella")


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_says_when_it_is_raised(error):
    assert error.__doc__
