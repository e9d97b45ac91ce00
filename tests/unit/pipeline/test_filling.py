"""How items get into commands; the commands are run, because it is the shell that decides."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlvc.errors import PipelineError
from mlvc.manifest import Entry
from mlvc.pipeline import filling

SHELLS = tuple(path for name in ("sh", "dash", "bash", "zsh") if (path := shutil.which(name)))
NASTY = (
    "plain",
    "a b",
    "it's",
    'a "b"',
    "$HOME",
    "`touch PWNED`",
    "$(touch PWNED)",
    "$(touch PWNED).txt",
    "a;touch PWNED",
    "';touch PWNED;'",
    '";touch PWNED;"',
    "a[$(touch PWNED)]",
    "\nEND\ntouch PWNED\n",
    ")touch PWNED",
    "}touch PWNED",
    "a\\b",
    "a#b",
    "*",
    "a&b",
    "-n",
    "ä ö",
    "a\nb",
    "\udcff",
)
COMMON = (
    "printf %s ${item.path}",
    'printf %s "${item.path}"',
    "printf %s '${item.path}'",
    "printf %s x${item.path} | tail -c +2",
    'printf %s "x${item.path}" | tail -c +2',
    'printf %s "$(printf %s ${item.path}; echo .)" | head -c -1',
    'printf %s "$(printf %s "${item.path}"; echo .)" | head -c -1',
    "echo '${item.stem}' > /dev/null; printf %s ${item.path}",
    'echo "it\'s" > /dev/null; printf %s ${item.path}',
    "echo it\\'s > /dev/null; printf %s ${item.path}",
    "true # it's nothing\nprintf %s ${item.path}",
    "true ${item.stem} # don't ${item.path}\nprintf %s ${item.path}",
    "(cd / && printf %s ${item.path})",
    'x=${item.path}; printf %s "$x"',
    'printf %s "\\${x:-}${item.path}"',
    'printf %s "\\${x:-${item.path}}"',
    "printf %s \\${x:-${item.path}}",
    "echo $((1 + 1)) > /dev/null; printf %s ${item.path}",
    "echo $(( (1 + 1) * 2 ))$((3)) > /dev/null; printf %s '${item.path}'",
    "echo $( (echo 1) ) > /dev/null; printf %s '${item.path}'",
    'printf %s "`printf %s "${item.path}"; echo .`" | head -c -1',
    'x=`printf %s ${item.path}; echo .`; printf %s "$x" | head -c -1',
    'printf %s "$(case a in a) printf %s "${item.path}";; esac; echo .)" | head -c -1',
    'printf %s "$( # it\'s\nprintf %s ${item.path}; echo .)" | head -c -1',
    'x=$(# it\'s `\nprintf %s ${item.path}; echo .); printf %s "$x" | head -c -1',
    "case ${item.path} in x) ;; *) printf %s ${item.path};; esac",
    "cat <<END | head -c -1\n${item.path}\nEND",
    "cat <<-END | head -c -1\n\t${item.path}\n\tEND\n",
    "cat <<END | head -c -1; echo '${item.stem}' > /dev/null\n${item.path}\nEND\ntrue 'x'",
    "cat <<'A' > /dev/null; cat <<B | head -c -1\nit's\nA\n${item.path}\nB\n",
    "cat <<END > /dev/null\nit's \"\nEND\nprintf %s ${item.path}",
    'x=prefix; y=x${item.path}; printf %s "\\${y#x}"',
    'x=a-b-c; y=${item.path}; printf %s "\\${x#a-b-c}${item.path}"',
    "if true; then printf %s ${item.path}; fi",
    "sh -c 'printf %s \"$1\"' sh ${item.path}",
    "sh -c 'printf %s \"$MLVC_ITEM_PATH\"' # ${item.stem}",
)
"""Where a value gets through as it is."""
ODD = (
    'printf %s "\\${x:-"${item.path}"}"',
    "printf %s $'it\\'s' \"${item.path}\"",
    "printf %s \"\\${x:-'${item.path}'}\"",
    'printf %s "`printf %s \\"${item.path}\\"`"',
    "x=`printf %s \\`printf %s ${item.path}\\``; printf %s $x",
    "x=aXb; printf %s \\${x/${item.path}/r}",
    'x=aXb; printf %s "\\${x/${item.path}/r}"',
    'x=abc; printf %s "\\${x%${item.path}}" \\${x#"${item.path}"}',
    "printf %s $(echo case) ${item.path} 'x' \"${item.path}\"",
    "cat <<< ${item.path}",
    "cat <<${item.path}\nx\n${item.path}\n",
    "cat <<'END'\n${item.path}\nEND\n",
    "cat << \\END\n${item.path}\nEND\n",
    "printf %s 'a' \"b' ${item.path}",
    "echo \"${item.path} '${item.path}' \\\" ${item.path}",
    ") ${item.path} ( '${item.path} \" ${item.path}",
    "printf %s $\"${item.path}\" $'${item.path}'",
    "[ ${item.path} = a ] && [[ ${item.path} == a* ]]",
    "echo {a,${item.path}} ~${item.path}",
)
"""Where a value may become several words, or the command fails."""
COMPUTING = (
    "echo $((${item.stem} + 1))",
    "echo $(( (1 + 2) * (${item.stem}) ))",
    'echo "$((${item.stem} + 1))"',
    "echo $[${item.stem} + 1]",
    "((x = ${item.stem} + 1)); echo $x",
    "x=abc; echo \\${x:${item.stem}:1}",
    "x=(a b); echo \\${x[${item.stem}]}",
)
NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)


def run(shell: str, context: str, value: str, where: Path) -> tuple[str, int]:
    """What the shell prints, and its exit code; nothing was executed that the value says."""
    values = {"item.path": value, "item.stem": "it's"}
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **filling.environment(values)}
    text = filling.fill(context).text
    done = subprocess.run([shell, "-c", text], capture_output=True, check=False, cwd=where, env=env)
    assert not (where / "PWNED").exists(), (text, value)
    return os.fsdecode(done.stdout), done.returncode


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("context", COMMON)
def test_the_shell_sees_each_value_as_it_is(context: str, shell: str, tmp_path: Path) -> None:
    for value in NASTY:
        assert run(shell, context, value, tmp_path) == (value, 0), filling.fill(context).text


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("context", ODD)
def test_no_value_is_ever_executed(context: str, shell: str, tmp_path: Path) -> None:
    for value in NASTY:
        run(shell, context, value, tmp_path)


PIECES = (
    "'",
    '"',
    "`",
    "$(",
    ")",
    "(",
    "$'",
    "\\",
    "\\${x:-",
    "\\${x#",
    "}",
    " ",
    "\n",
    "# ",
    "<<E",
    "\nE\n",
    ";",
    "echo ",
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    context=st.lists(st.sampled_from((*PIECES, *["${item.path}"] * 6)), min_size=2, max_size=12).map("".join),
    value=st.sampled_from(NASTY),
    shell=st.sampled_from(SHELLS),
)
def test_nothing_is_executed_wherever_it_stands(context: str, value: str, shell: str, tmp_path: Path) -> None:
    run(shell, context, value, tmp_path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=NAMES, context=st.sampled_from(COMMON), shell=st.sampled_from(SHELLS))
def test_any_text_gets_through(value: str, context: str, shell: str, tmp_path: Path) -> None:
    assert run(shell, context, value, tmp_path) == (value, 0)


@pytest.mark.parametrize(
    ("path", "wdir", "expected"),
    [
        ("raw/a b.jpg", "", ("raw/a b.jpg", "a b.jpg", "a b", ".jpg", "raw")),
        ("raw/a.jpg", "work", ("../raw/a.jpg", "a.jpg", "a", ".jpg", "../raw")),
        ("work/a.jpg", "work", ("a.jpg", "a.jpg", "a", ".jpg", ".")),
        ("raw/.hidden", "", ("raw/.hidden", ".hidden", ".hidden", "", "raw")),
        ("-rf.txt", "", ("./-rf.txt", "-rf.txt", "-rf", ".txt", ".")),
    ],
)
def test_what_a_command_may_ask(path: str, wdir: str, expected: tuple[str, ...]) -> None:
    values = filling.values_of(Entry(path, "f", 1, bytes(16)), "o", wdir)
    assert tuple(values[f"item.{name}"] for name in filling.NAMES) == (*expected, "xxh128:" + "00" * 16)
    assert values["out"] == "o"


@pytest.mark.parametrize("context", COMPUTING)
def test_only_numbers_come_where_the_shell_computes(context: str, tmp_path: Path) -> None:
    filled = filling.fill(context)
    assert filled.computed == {"item.stem"}
    for value in ("a[$(touch PWNED)]", "1;touch PWNED", "PATH", "", "-1", "1\n"):
        with pytest.raises(PipelineError, match=r"\$\{item.stem\} is .* here, and the command computes with it"):
            filled.check({"item.stem": value})
    filled.check({"item.stem": "1"})
    env = {"PATH": os.environ["PATH"], **filling.environment({"item.stem": "1"})}
    subprocess.run([shutil.which("bash") or "sh", "-c", filled.text], check=True, env=env, capture_output=True)


@pytest.mark.parametrize("first", ["<<'END'", '<<"END"', "<< \\END", "<<-'END'", "<<${item.path}"])
def test_a_here_document_in_which_nothing_is_replaced(first: str) -> None:
    command = f"cat {first}\n${{item.path}}\nEND\necho ${{item.name}}"
    assert filling.fill(command).lost[:1] == ("item.path",)
    assert "item.name" not in filling.fill(command).lost or "<<$" in first


def test_what_is_the_shells_stays() -> None:
    assert filling.fill("echo \\${x} \0 \\\\${y} ${out}").text == 'echo ${x} \0 \\${y} "${MLVC_OUT}"'
    assert filling.fill("plain").text == "plain"


@pytest.mark.parametrize(
    ("command", "expected"),
    [("x ${out}", True), ('x "$MLVC_OUT"', True), ("x \\${MLVC_OUT}", True), ("x $MLVC_OUTS", False), ("out", False)],
)
def test_whether_a_command_asks_for_something(command: str, expected: bool) -> None:
    assert filling.asks(command, "out") is expected


def test_a_list_has_a_line_for_each_item() -> None:
    assert filling.listing([("a b.jpg", "o/1"), ("ä.jpg", "o/2")]).decode() == "a b.jpg\to/1\nä.jpg\to/2\n"


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb"])
def test_a_name_that_no_list_can_tell(name: str) -> None:
    with pytest.raises(PipelineError, match="has a tab or a new line") as caught:
        filling.listing([(name, "o/1")])
    assert caught.value.hint == "rename it, or leave 'batch' out"
    with pytest.raises(PipelineError):
        filling.check_listed([Entry(name, "f", 0, b"")])
