"""Makes tests/golden/dvc: what DVC makes of pipeline files. Run it with a Python that has DVC 3.67:

    python tests/golden/make_dvc.py

Each case is a small project; the file beside it holds the Stages as DVC resolved them, or says that it refused.
"""

# ruff: noqa: INP001, T201 - a script for people who have DVC

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from pathlib import Path

PLACE = Path(__file__).parent / "dvc"

CASES: dict[str, dict[str, str]] = {}


def case(name: str, pipeline: str, **files: str) -> None:
    """Note a project: ``a__yaml`` is ``a.yaml``, ``sub___a__yaml`` is ``sub/a.yaml``."""
    named = {key.replace("___", "/").replace("__", "."): text for key, text in files.items()}
    CASES[name] = {"dvc.yaml": textwrap.dedent(pipeline).lstrip(), **named}


PARAMS = """\
lr: 0.001
epochs: 10
flag: true
off: false
nothing: null
name: cnn
small: 1e-3
text: "10"
layers: [64, 32, {units: 16}]
models: {cnn: {depth: 3, on: true}, rnn: {depth: 5, on: false}}
names: [cnn, rnn]
numbers: [1, 2.5, 1e-3]
flags: [true, false]
opts:
  a: 1
  b: true
  c: false
  d: [x, "y z", 3]
  e: {f: 2.5, g: "it's"}
  h: null
  i: {}
  j: []
"""

case(
    "plain",
    """
    stages:
      prep:
        cmd: python prep.py
        deps: [prep.py, data/raw]
        outs: [data/clean]
      train:
        cmd: [echo one, echo two]
        wdir: sub
        deps: [../data/clean]
        outs: [model.bin]
        frozen: true
        always_changed: true
        desc: Trains
        meta: {who: me}
    """,
    sub___keep="",
)
case(
    "outs",
    """
    stages:
      s:
        cmd: x
        outs:
          - a
          - b: {cache: false, persist: true}
          - c: {push: false, desc: C, type: model, labels: [l], meta: {k: 1}}
          - d: {remote: far}
        metrics: [m.json: {cache: false}, n.json]
        plots: [p.csv: {x: a, y: b, title: T, x_label: X, y_label: Y, template: linear, header: false}, q.csv]
    """,
    _dvc___config="[core]\n    no_scm = true\n['remote \"far\"']\n    url = /tmp/far\n",
)
case(
    "params",
    """
    stages:
      s:
        cmd: x
        params: [lr, models.cnn, p.json: [a.b, c], q.toml: , r.py: [X]]
    """,
    params__yaml=PARAMS,
    p__json='{"a": {"b": 1}, "c": 2}',
    q__toml="x = 1\n",
    r__py="X = 1\n",
)
case(
    "params-whole-and-keys",
    "stages: {s: {cmd: x, params: [lr, params.yaml: , p.yaml: [a], p.yaml: [b]]}}",
    params__yaml=PARAMS,
)
case(
    "params-of-wdir",
    "stages: {s: {cmd: x, wdir: sub, params: [lr, ../params.yaml: [epochs]]}}",
    params__yaml=PARAMS,
    sub___params__yaml="lr: 1\n",
)
case(
    "default-vars",
    "stages: {s: {cmd: 'run ${lr} ${epochs} ${flag} ${off} ${nothing} ${small} ${text}'}}",
    params__yaml=PARAMS,
)
case(
    "attributes-and-indexes",
    """
    stages:
      s: {cmd: "${models.cnn.depth} ${layers[0]} ${layers[2].units} ${layers.1} ${ models . rnn . depth } ${layers[-1].units}"}
    """,
    params__yaml=PARAMS,
)
case("index-with-spaces", "stages: {s: {cmd: '${layers[ 0 ]} ${layers [1]}'}}", params__yaml=PARAMS)
case(
    "escapes",
    r"""
    stages:
      s:
        cmd: 'echo \${HOME} ${name} $HOME $${name} \\${name} ${ {'
        outs: ['\${a}', '${name}\${b}']
    """,
    params__yaml=PARAMS,
)
case(
    "whole-values",
    "stages: {s: {cmd: x, desc: '${text}', meta: {a: '${lr}', b: ['${flag}', '${nothing}']}}}",
    params__yaml=PARAMS,
)
case(
    "keys",
    """
    stages:
      s:
        cmd: x
        outs: ["${name}.bin": {cache: false, desc: "${name} ${lr}"}]
        params: ["${name}.yaml": ["${name}", a]]
    """,
    params__yaml=PARAMS,
    cnn__yaml="cnn: 1\na: 2\n",
)
case(
    "everywhere",
    """
    stages:
      s:
        cmd: ['a ${lr}', 'b ${name}']
        wdir: ${name}
        deps: ['${name}.py', '../${models.cnn.depth}']
        outs: ['${name}.bin']
        metrics: ['${name}.json': {cache: false}]
        plots: ['${name}.csv': {x: '${name}', y: y}]
        params: ['models.${name}.depth']
    """,
    params__yaml=PARAMS,
    cnn___params__yaml="models: {cnn: {depth: 1}}\n",
)
case("a-map-in-cmd", "stages: {s: {cmd: 'run ${opts} end ${models.cnn}'}}", params__yaml=PARAMS)
case("a-map-in-a-list-of-cmd", "stages: {s: {cmd: ['run ${opts}', 'two ${opts.e}']}}", params__yaml=PARAMS)
case("an-empty-map-in-cmd", "stages: {s: {cmd: 'run ${opts.i} end'}}", params__yaml=PARAMS)
case("a-list-in-a-list-of-a-map", "stages: {s: {cmd: 'run ${m}'}}", params__yaml="m: {a: [[1]]}\n")
case("a-map-outside-of-cmd", "stages: {s: {cmd: x, deps: ['${opts}']}}", params__yaml=PARAMS)
case("a-map-within-a-path", "stages: {s: {cmd: x, deps: ['a${opts}']}}", params__yaml=PARAMS)
case("a-list-in-cmd", "stages: {s: {cmd: 'run ${names}'}}", params__yaml=PARAMS)
case("a-list-for-cmd", "stages: {s: {cmd: '${names}'}}", params__yaml=PARAMS)
case("no-such-variable", "stages: {s: {cmd: 'run ${lrr}'}}", params__yaml=PARAMS)
case("no-such-index", "stages: {s: {cmd: 'run ${layers[7]}'}}", params__yaml=PARAMS)
case("part-of-a-number", "stages: {s: {cmd: 'run ${lr.x}'}}", params__yaml=PARAMS)
case("not-a-template", "stages: {s: {cmd: 'run ${a..b}'}}", params__yaml=PARAMS)
case("an-empty-template", "stages: {s: {cmd: 'run ${}'}}", params__yaml=PARAMS)
case("not-a-template-index", "stages: {s: {cmd: 'run ${layers[0]x}'}}", params__yaml=PARAMS)
case("without-params", "stages: {s: {cmd: 'run ${lr}'}}")
case(
    "vars-inline",
    """
    vars: [{a: 1, m: {x: 1}}, {b: two, m: {y: 2}}]
    stages: {s: {cmd: "${a} ${b} ${m.x} ${m.y}"}}
    """,
)
case(
    "vars-files",
    """
    vars: [v.json, w.toml, x.py, y.yaml]
    stages: {s: {cmd: "${j.a} ${t.b} ${P} ${C.q} ${y} ${lr}"}}
    """,
    v__json='{"j": {"a": 1}}',
    w__toml="[t]\nb = 'x'\n",
    x__py="P = 3\nclass C:\n    q = 4\n",
    y__yaml="y: 5\n",
    params__yaml=PARAMS,
)
case(
    "vars-selected",
    "vars: ['v.yaml:a,c', 'v.yaml:d']\nstages: {s: {cmd: '${a} ${c.x} ${d}'}}",
    v__yaml="a: 1\nb: 2\nc: {x: 3}\nd: 4\n",
)
case("vars-not-selected", "vars: ['v.yaml:a']\nstages: {s: {cmd: '${a} ${b}'}}", v__yaml="a: 1\nb: 2\n")
case(
    "vars-merged",
    "vars: [v.yaml, {m: {z: 3}}]\nstages: {s: {cmd: '${m.x} ${m.y} ${m.z}'}}",
    params__yaml="m: {x: 1}\n",
    v__yaml="m: {y: 2}\n",
)
case("vars-conflict", "vars: [v.yaml]\nstages: {s: {cmd: x}}", params__yaml="m: {x: 1}\n", v__yaml="m: {x: 1}\n")
case("vars-conflict-of-kinds", "vars: [{m: 1}]\nstages: {s: {cmd: x}}", params__yaml="m: {x: 1}\n")
case("vars-conflict-inline", "vars: [{a: 1}, {a: 2}]\nstages: {s: {cmd: x}}")
case("vars-file-missing", "vars: [v.yaml]\nstages: {s: {cmd: x}}")
case("vars-key-missing", "vars: ['v.yaml:z']\nstages: {s: {cmd: x}}", v__yaml="a: 1\n")
case(
    "vars-twice-the-same",
    "vars: [params.yaml, v.yaml, v.yaml]\nstages: {s: {cmd: 'x ${a} ${lr}'}}",
    params__yaml=PARAMS,
    v__yaml="a: 1\n",
)
case("vars-whole-then-part", "vars: [v.yaml, 'v.yaml:a']\nstages: {s: {cmd: x}}", v__yaml="a: 1\n")
case("vars-part-then-whole", "vars: ['v.yaml:a', v.yaml]\nstages: {s: {cmd: x}}", v__yaml="a: 1\nb: 2\n")
case("vars-part-twice", "vars: ['v.yaml:a', 'v.yaml:a,b']\nstages: {s: {cmd: x}}", v__yaml="a: 1\nb: 2\n")
case("vars-with-a-template", "vars: [{a: '${lr}'}]\nstages: {s: {cmd: x}}", params__yaml=PARAMS)
case("vars-not-a-mapping", "vars: [v.yaml]\nstages: {s: {cmd: x}}", v__yaml="[1]\n")
case(
    "vars-of-a-stage",
    """
    vars: [{g: 1}]
    stages:
      s: {cmd: "${a} ${g} ${lr} ${m.y} ${m.z}", vars: [{a: 2, m: {y: 1}}, v.yaml]}
      t: {cmd: "${g}"}
    """,
    params__yaml=PARAMS,
    v__yaml="m: {z: 3}\n",
)
case(
    "vars-of-a-stage-in-its-wdir",
    "stages: {s: {cmd: '${a}', wdir: '${name}', vars: [v.yaml]}}",
    params__yaml=PARAMS,
    cnn___v__yaml="a: 7\n",
)
case("vars-of-a-stage-end-with-it", "stages: {s: {cmd: x, vars: [{a: 1}]}, t: {cmd: '${a}'}}")
case("vars-of-a-stage-conflict", "stages: {s: {cmd: x, vars: [{lr: 1}]}}", params__yaml=PARAMS)
case(
    "vars-of-a-stage-cannot-be-in-its-wdir-name", "stages: {s: {cmd: x, wdir: '${a}', vars: [{a: sub}]}}", sub___keep=""
)
case("foreach-list", "stages: {s: {foreach: [us, 1, 2.5, 1e-3], do: {cmd: 'x ${item}', outs: ['o-${item}']}}}")
case("foreach-words", "stages: {s: {foreach: [true, null, 010, 0x10, yes], do: {cmd: 'x ${item}'}}}")
case("foreach-the-same-twice", "stages: {s: {foreach: [a, b, a, 1, '1'], do: {cmd: 'x ${item}'}}}")
case(
    "foreach-list-of-maps",
    "stages: {s: {foreach: [{a: 1}, {a: 2, b: x}], do: {cmd: 'x ${item.a}', outs: ['${item.a}.o']}}}",
)
case("foreach-mixed", "stages: {s: {foreach: [a, [1, 2]], do: {cmd: 'x'}}}")
case("foreach-map", "stages: {s: {foreach: {a: {n: 1}, b: {n: 2}}, do: {cmd: '${key} ${item.n}', outs: ['${key}']}}}")
case("foreach-map-of-words", "stages: {s: {foreach: {a: 1, 2: b, true: c}, do: {cmd: '${key} ${item}'}}}")
case(
    "foreach-template",
    "stages: {s: {foreach: '${names}', do: {cmd: '${item}', outs: ['${item}.o']}}}",
    params__yaml=PARAMS,
)
case(
    "foreach-template-map",
    "stages: {s: {foreach: '${models}', do: {cmd: '${key} ${item.depth} ${item.on} ${lr}'}}}",
    params__yaml=PARAMS,
)
case(
    "foreach-template-flags",
    "stages: {s: {foreach: '${flags}', do: {cmd: 'x ${item}'}}, t: {foreach: ['${flag}', true], do: {cmd: 'x ${item}'}}}",
    params__yaml=PARAMS,
)
case("foreach-template-numbers", "stages: {s: {foreach: '${numbers}', do: {cmd: '${item}'}}}", params__yaml=PARAMS)
case(
    "foreach-templates-within",
    "stages: {s: {foreach: ['${name}', 'x${lr}'], do: {cmd: '${item}'}}, t: {foreach: {k: '${models.cnn}'}, do: {cmd: '${item.depth}'}}}",
    params__yaml=PARAMS,
)
case("foreach-nothing", "stages: {s: {foreach: [], do: {cmd: '${item}'}}, t: {cmd: x}}")
case("foreach-number", "stages: {s: {foreach: '${lr}', do: {cmd: '${item}'}}}", params__yaml=PARAMS)
case("foreach-text", "stages: {s: {foreach: abc, do: {cmd: '${item}'}}}", params__yaml=PARAMS)
case("foreach-without-do", "stages: {s: {foreach: [1]}}")
case("do-without-foreach", "stages: {s: {do: {cmd: x}}}")
case("foreach-and-cmd", "stages: {s: {foreach: [1], do: {cmd: x}, cmd: y}}")
case("foreach-map-in-cmd", "stages: {s: {foreach: '${models}', do: {cmd: 'run ${item}'}}}", params__yaml=PARAMS)
case("foreach-key-of-a-list", "stages: {s: {foreach: [a], do: {cmd: '${key}'}}}")
case(
    "foreach-over-a-variable-of-that-name",
    "stages: {s: {foreach: [a], do: {cmd: '${item} ${key}'}}, t: {cmd: '${item}'}}",
    params__yaml="item: global\nkey: k\n",
)
case(
    "foreach-with-vars",
    "stages: {s: {foreach: [a, b], do: {vars: [{v: 1}], wdir: '${item}', cmd: '${item} ${v}'}}}",
    a___keep="",
    b___keep="",
)
case(
    "foreach-with-vars-of-each-wdir",
    "stages: {s: {foreach: [a, b], do: {vars: [v.yaml], wdir: '${item}', cmd: '${item} ${v}'}}}",
    a___v__yaml="v: 1\n",
    b___v__yaml="v: 2\n",
)
case("foreach-with-vars-of-its-name", "stages: {s: {foreach: [a], do: {vars: [{item: 1}], cmd: '${item}'}}}")
case("foreach-no-such-part", "stages: {s: {foreach: [{a: 1}], do: {cmd: '${item.b}'}}}")
case(
    "foreach-frozen", "stages: {s: {foreach: [a], do: {cmd: x, frozen: true, always_changed: true, desc: 'D ${item}'}}}"
)
case(
    "matrix",
    "stages: {train: {matrix: {model: [cnn, rnn], n: [1, 2]}, cmd: '${item.model} ${item.n} ${key}', outs: ['${key}.o']}}",
)
case("matrix-of-one", "stages: {train: {matrix: {n: [1, 2.5, true]}, cmd: 'x ${item.n}'}}")
case(
    "matrix-of-maps-and-lists",
    "stages: {t: {matrix: {a: [{x: 1}, {x: 2}], b: [[1, 2], z]}, cmd: '${item.a.x} ${key}'}}",
)
case(
    "matrix-templates",
    "stages: {t: {matrix: {a: '${names}', b: ['${lr}', '${flag}'], c: '${layers}'}, cmd: '${item.a} ${item.b} ${key}'}}",
    params__yaml=PARAMS,
)
case("matrix-template-map", "stages: {t: {matrix: {a: '${models}'}, cmd: '${item.a}'}}", params__yaml=PARAMS)
case("matrix-empty-axis", "stages: {t: {matrix: {a: [], b: [1]}, cmd: x}, u: {cmd: y}}")
case("matrix-not-a-list", "stages: {t: {matrix: {a: 1}, cmd: x}}")
case("matrix-number", "stages: {t: {matrix: {a: '${lr}'}, cmd: x}}", params__yaml=PARAMS)
case("matrix-not-a-mapping", "stages: {t: {matrix: [1], cmd: x}}")
case("matrix-and-foreach", "stages: {t: {matrix: {a: [1]}, foreach: [1], do: {cmd: x}}}")
case(
    "matrix-in-everything",
    """
    stages:
      t:
        matrix: {m: [a, b]}
        wdir: ${item.m}
        cmd: x
        deps: ['${item.m}.py']
        outs: ['${item.m}.o': {persist: true}]
        metrics: ['${key}.json': {cache: false}]
        params: ['${item.m}.lr', '../p.yaml': ['${key}']]
    """,
    a___params__yaml="a: {lr: 1}\n",
    b___params__yaml="b: {lr: 1}\n",
    p__yaml="a: 1\nb: 2\n",
)
case(
    "top-level",
    """
    vars: [{dir: out, ids: [{f: out/a.csv}], show: {x: s, y: [a, b]}}]
    metrics: ["${dir}/m.json", plain.json]
    params: ["${dir}/p.yaml"]
    plots:
      - ${dir}/a.csv: {x: step, y: {"${dir}/a.csv": [loss, acc]}, title: "T ${dir}", x_label: "${dir}"}
      - ${ids[0].f}
      - curve: {x: s, y: {b.csv: "${show.y[0]}"}}
    artifacts:
      model: {path: "${dir}/model", type: model, desc: "In ${dir}", labels: ["${dir}"], meta: {d: "${dir}"}}
    stages: {s: {cmd: x}}
    """,
)
case("top-level-name", "artifacts: {'${n}': {path: m}}\nvars: [{n: big}]\nstages: {s: {cmd: x}}")
case("top-level-escape", "metrics: ['\\${a}.json']\nstages: {s: {cmd: x}}")
case("top-level-missing", "metrics: ['${a}.json']\nstages: {s: {cmd: x}}")
case(
    "multi-line-cmd",
    """
    stages:
      s:
        cmd: >-
          python train.py
          --lr ${lr}
          --name ${name}
      t:
        cmd: |
          echo ${name}
          echo two
    """,
    params__yaml=PARAMS,
)
case(
    "a-folder",
    "stages: {top: {cmd: x}}",
    sub___dvc__yaml="""\
vars: [{v: 1}]
stages:
  s: {cmd: "${lr} ${v}", deps: [a], outs: [../b, c]}
  f: {foreach: [1, 2], do: {cmd: "${item}", wdir: .., outs: ["o${item}"]}}
""",
    sub___params__yaml="lr: 5\n",
    params__yaml=PARAMS,
)
case(
    "yaml-anchors",
    """
    stages:
      a: &base {cmd: 'x ${name}', deps: [d]}
      b:
        <<: *base
        cmd: 'y ${name}'
    """,
    params__yaml=PARAMS,
)
case(
    "a-realistic-project",
    """
    vars:
      - config.yaml
      - root: data
    stages:
      fetch:
        foreach: ${sources}
        do:
          cmd: python fetch.py --url ${item.url} --out ${root}/${key}
          deps: [fetch.py]
          outs:
            - ${root}/${key}
      featurise:
        cmd: python featurise.py ${root} ${features}
        deps: ['${root}/a', '${root}/b', featurise.py]
        params: [features]
        outs: [features.csv]
      train:
        matrix:
          model: ${models_to_train}
          seed: [1, 2]
        cmd: python train.py --model ${item.model} --seed ${item.seed} ${model_args}
        deps: [features.csv, train.py]
        params: [lr, config.yaml: [model_args]]
        outs: ['models/${key}.bin']
        metrics: ['metrics/${key}.json': {cache: false}]
    metrics: ['metrics/${models_to_train[0]}-1.json']
    """,
    params__yaml="lr: 0.1\nfeatures: {ngrams: 2, lower: true}\n",
    config__yaml="sources: {a: {url: http://a}, b: {url: http://b}}\nmodels_to_train: [cnn, rnn]\nmodel_args: {depth: 3, fast: false}\n",
)
# Where mlvc differs on purpose.
case("other-number-for-a-path", "stages: {s: {cmd: x, deps: ['${epochs}'], outs: ['${lr}']}}", params__yaml=PARAMS)
case("other-number-in-params", "stages: {s: {cmd: x, params: ['${n}']}}", params__yaml="n: 1\n1: 2\n")
case("other-map-for-cmd", "stages: {s: {cmd: '${opts}'}}", params__yaml=PARAMS)
case("other-environment", "stages: {s: {cmd: '${env.NAME:-me} ${env.NAME}'}}")
case("other-default", "stages: {s: {cmd: '${none:-1} ${none.x:-} ${lr:-2} ${nothing:-3}'}}", params__yaml=PARAMS)
case("other-number-as-key", "stages: {s: {cmd: '${m.1} ${m.2}'}}", params__yaml="m: {1: x, 2: y}\n")
case("other-matrix-of-nothing", "stages: {t: {matrix: {}, cmd: x}}")
case("other-underscores", "stages: {s: {cmd: '${n}'}}", params__yaml="n: 1_000\n")
case("other-date", "stages: {s: {cmd: '${n}'}}", params__yaml="n: 2024-05-01\n")
case("other-frozen", "stages: {s: {cmd: x, frozen: '${flag}', deps: }}", params__yaml=PARAMS)
case("other-name", "stages: {'my stage': {cmd: x}}")
case("other-address", "stages: {s: {cmd: x, deps: ['https://example.com/a']}}")
case("dep-outside", "stages: {s: {cmd: x, deps: [../a]}}")
case("other-twice", "stages: {s: {cmd: x, deps: [a, a]}}")
case("other-mapping-of-outs", "stages: {s: {cmd: x, outs: {a: {persist: true}}}}")
case("other-plot-twice", "stages: {s: {cmd: x, plots: [p.csv: [{x: a}, {x: b}]]}}")
case("other-checkpoint", "stages: {s: {cmd: x, outs: [a: {checkpoint: true}]}}")
case("other-datasets", "datasets: [{name: d, type: url, url: 'https://example.com/a'}]\nstages: {s: {cmd: x}}")
case("other-beside-foreach", "stages: {s: {foreach: [1], do: {cmd: x, matrix: {a: [1]}}}}")


def resolved(repo: object) -> dict[str, object]:
    """What DVC makes of the project."""
    from dvc.dependency.param import ParamsDependency
    from dvc.dvcfile import load_file

    root = os.getcwd()

    def path(item: object) -> str:
        return os.path.relpath(item.fs_path, root)

    def stage(found: object) -> dict[str, object]:
        params = [dep for dep in found.deps if isinstance(dep, ParamsDependency)]
        return {
            "name": (os.path.dirname(found.relpath) + "/" if os.path.dirname(found.relpath) else "") + found.name,
            "cmd": found.cmd if isinstance(found.cmd, list) else str(found.cmd).splitlines(),  # as DVC runs them
            "wdir": os.path.relpath(found.wdir, root),
            "deps": [path(dep) for dep in found.deps if not isinstance(dep, ParamsDependency)],
            "params": {path(dep): sorted(dep.params) for dep in params},
            "outs": [out(item) for item in found.outs],
            "frozen": found.frozen,
            "always_changed": found.always_changed,
            "desc": found.desc or "",
            "meta": found.meta,
        }

    def out(item: object) -> dict[str, object]:
        role = "metrics" if item.metric else "plots" if item.plot else "outs"
        return {
            "path": path(item),
            "role": role,
            "cache": item.use_cache,
            "persist": item.persist,
            "push": item.can_push,
            "remote": item.remote or "",
            "desc": item.annot.desc or "",
        }

    top = load_file(repo, "dvc.yaml").resolver
    return {
        "stages": [stage(found) for found in repo.index.stages],
        "metrics": top.resolve_metrics(),
        "params": top.resolve_params(),
        "plots": top.resolve_plots(),
        "artifacts": top.resolve_artifacts(),
    }


def made(files: dict[str, str]) -> dict[str, object]:
    """What DVC says of the project with ``files``."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Repo.init(".", no_scm=True)
        for name, text in files.items():
            target = Path(name.replace("_dvc/", ".dvc/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        try:
            return json.loads(json.dumps(resolved(Repo(".")), default=str).replace(folder, "/project"))
        except (DvcException, TypeError, ValueError, AttributeError, AssertionError) as error:
            return {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        finally:
            os.chdir("/")


def main() -> None:
    """Write a file for each case."""
    PLACE.mkdir(exist_ok=True)
    for name, files in CASES.items():
        value = {"files": files, **made(files)}
        text = json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
        (PLACE / f"{name}.json").write_text(text, encoding="utf-8")
        print(name, value.get("refused", ""))


if __name__ == "__main__":
    main()
