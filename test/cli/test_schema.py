"""The JSON Schema of the pipeline file: it is current, takes what lint takes, and refuses bad form."""
import copy
import json
import pathlib
import re
import sys

import pytest

jsonschema = pytest.importorskip("jsonschema")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
import core_yaml  # noqa: E402

COMMITTED = ROOT / "docs" / "format" / "pipeline.schema.json"
EXAMPLES = sorted((ROOT / "examples").glob("**/*.yaml"))
FULL = """\
format: 1
pipeline: everything.1
version: 1.10
description: all of it
params:
  day: {type: string, default: "2026-01-31", pattern: "[%d-]+", help: x}
  mode: {type: enum, values: [fast, 2], default: fast}
  n: {type: int, min: 1, max: 5, required: true}
  token: {type: secret, from: {env: API_TOKEN}}
  fd: {type: secret, from: {fd: 3}}
env: {A: 1, B: text, PROXY: {from: env}}
defaults: {timeout: 1h30m, retry: {max_attempts: 2, on: [timeout], jitter: 10%}}
concurrency: 4
timeout: 2h
sync: interval:20ms
steps:
  a: {run: "true", needs: [], exit_codes: {3: data_quality, 75: timeout}, outputs: {rows: {type: int, required: true}}}
  b: {argv: [echo, 1, true], needs: [a], gate: hard, pass: output.x == 1, reason: no}
  c: {noop: true, needs_any: [a, b], gate: manual, approve: {by: [me], count: 1, timeout: 1d, on_timeout: reject}}
  d: {run: x, shell: [sh, -c], grace: 0s, silence_timeout: 5s, output_limit: 1MiB, cwd: /tmp, inputs: [a.csv], tags: [t], on_lost: ask, priority: -3, cache: true, quality: {min_valid_rate: 0.5, max_null_rate: 1, min_record_count: 0, max_record_count: 9, severity: soft},
      stdin: {text: x}, context: true, streams: split, user: root, orphans: allow,
      limits: {nofile: 64, cpu: 90s, as: 2GiB, core: 0B},
      on_stop: cancel, on_failure: ignore, when: true, artifacts: [{name: r, path: r.csv}], description: d}
"""
BAD = {  # what is wrong: the file; lint and the schema both refuse it
    "no pipeline": "steps: {a: {noop: true}}",
    "no steps": "pipeline: p",
    "empty steps": "pipeline: p\nsteps: {}",
    "steps as a list": "pipeline: p\nsteps: [{noop: true}]",
    "a root that is a list": "- pipeline: p",
    "unknown key": "pipeline: p\nstepz: {}\nsteps: {a: {noop: true}}",
    "unknown key of a step": "pipeline: p\nsteps: {a: {noop: true, colour: red}}",
    "key of a later version": "pipeline: p\nnotify: x\nsteps: {a: {noop: true}}",
    "newer format": "format: 2\npipeline: p\nsteps: {a: {noop: true}}",
    "bad name of the pipeline": "pipeline: a..b\nsteps: {a: {noop: true}}",
    "bad name of a step": "pipeline: p\nsteps: {a-b: {noop: true}}",
    "a word of Lua as a step": "pipeline: p\nsteps: {end: {noop: true}}",
    "step without a kind": "pipeline: p\nsteps: {a: {tags: [x]}}",
    "step with two kinds": "pipeline: p\nsteps: {a: {run: x, noop: true}}",
    "step that is a text": "pipeline: p\nsteps: {a: echo}",
    "empty run": "pipeline: p\nsteps: {a: {run: ''}}",
    "argv that is a text": "pipeline: p\nsteps: {a: {argv: echo}}",
    "empty argv": "pipeline: p\nsteps: {a: {argv: []}}",
    "noop false": "pipeline: p\nsteps: {a: {noop: false}}",
    "noop with env": "pipeline: p\nsteps: {a: {noop: true, env: {A: x}}}",
    "shell of argv": "pipeline: p\nsteps: {a: {argv: [x], shell: [sh]}}",
    "needs a text": "pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs: a}}",
    "needs twice": "pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs: [a, a]}}",
    "empty needs_any": "pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs_any: []}}",
    "unknown gate": "pipeline: p\nsteps: {a: {noop: true, gate: firm}}",
    "pass without gate": "pipeline: p\nsteps: {a: {run: x, pass: true}}",
    "approve of a hard gate": "pipeline: p\nsteps: {a: {run: x, gate: hard, approve: {count: 1}}}",
    "duration without unit": "pipeline: p\ntimeout: 30\nsteps: {a: {noop: true}}",
    "zero timeout": "pipeline: p\ntimeout: 0s\nsteps: {a: {noop: true}}",
    "size without unit": "pipeline: p\nsteps: {a: {run: x, output_limit: 100}}",
    "retry as a number": "pipeline: p\nsteps: {a: {run: x, retry: 3}}",
    "retry of unknown class": "pipeline: p\nsteps: {a: {run: x, retry: {on: [weather]}}}",
    "retry of a class that never is": "pipeline: p\nsteps: {a: {run: x, retry: {on: [configuration]}}}",
    "no attempts": "pipeline: p\nsteps: {a: {run: x, retry: {max_attempts: 0}}}",
    "exit code 0": "pipeline: p\nsteps: {a: {run: x, exit_codes: {0: timeout}}}",
    "exit code 256": "pipeline: p\nsteps: {a: {run: x, exit_codes: {256: timeout}}}",
    "exit class lost": "pipeline: p\nsteps: {a: {run: x, exit_codes: {3: lost}}}",
    "env of ours": "pipeline: p\nenv: {SLUICE_X: a}\nsteps: {a: {noop: true}}",
    "env null": "pipeline: p\nenv: {X: }\nsteps: {a: {noop: true}}",
    "output without type": "pipeline: p\nsteps: {a: {run: x, outputs: {r: {required: true}}}}",
    "secret output": "pipeline: p\nsteps: {a: {run: x, outputs: {r: {type: secret}}}}",
    "artifact without path": "pipeline: p\nsteps: {a: {run: x, artifacts: [{name: r}]}}",
    "param without type": "pipeline: p\nparams: {x: {help: y}}\nsteps: {a: {noop: true}}",
    "enum without values": "pipeline: p\nparams: {x: {type: enum}}\nsteps: {a: {noop: true}}",
    "values of an int": "pipeline: p\nparams: {x: {type: int, values: [1]}}\nsteps: {a: {noop: true}}",
    "min of a text": "pipeline: p\nparams: {x: {type: string, min: 1}}\nsteps: {a: {noop: true}}",
    "secret without from": "pipeline: p\nparams: {x: {type: secret}}\nsteps: {a: {noop: true}}",
    "secret from two": "pipeline: p\nparams: {x: {type: secret, from: {env: A, file: b}}}\nsteps: {a: {noop: true}}",
    "secret with default": "pipeline: p\nparams: {x: {type: secret, from: {env: A}, default: b}}\nsteps: {a: {noop: true}}",
    "required with default": "pipeline: p\nparams: {x: {type: int, required: true, default: 1}}\nsteps: {a: {noop: true}}",
    "run as a default": "pipeline: p\ndefaults: {run: x}\nsteps: {a: {noop: true}}",
    "stdin of nothing": "pipeline: p\nsteps: {a: {run: x, stdin: {}}}",
    "rate above one": "pipeline: p\nsteps: {a: {run: x, quality: {min_valid_rate: 99}}}",
    "limit without unit": "pipeline: p\nsteps: {a: {run: x, limits: {as: 5}}}",
    "unknown limit": "pipeline: p\nsteps: {a: {run: x, limits: {files: 5}}}",
    "priority as a text": "pipeline: p\nsteps: {a: {run: x, priority: high}}",
    "expression in braces": "pipeline: p\nsteps: {a: {run: x, when: '${params.x}'}}",
    "no steps at once": "pipeline: p\nconcurrency: 0\nsteps: {a: {noop: true}}",
    "sync of no kind": "pipeline: p\nsync: sometimes\nsteps: {a: {noop: true}}",
}


def schema():
    return json.loads(COMMITTED.read_text())


def judge():
    return jsonschema.Draft202012Validator(schema())


def document_pipelines():
    """Whole pipelines in the documents: where they stand, and their text."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]:
        text = path.read_text()
        for match in re.finditer(r"^```yaml(?: +file=\S+)? *\n(.*?)^```", text, re.M | re.S):
            if all(re.search(f"^{key}:", match[1], re.M) for key in ("pipeline", "steps")):
                yield f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}", match[1]


def test_the_committed_schema_is_what_the_program_prints(sluice):
    assert sluice.run("schema", check=0).stdout == COMMITTED.read_text()
    assert sluice.run("schema", "FILE", check=2).stdout == ""


def test_the_schema_is_a_schema_whose_references_all_hold():
    jsonschema.Draft202012Validator.check_schema(schema())
    text = COMMITTED.read_text()
    assert {name for name in re.findall(r'"#/\$defs/(\w+)"', text)} <= set(schema()["$defs"])


def test_every_key_has_a_description():
    for scope in [schema(), *schema()["$defs"].values()]:
        for name, value in scope.get("properties", {}).items():
            assert value["description"], name


def test_every_default_fits_its_own_key():
    whole = schema()
    for scope in [whole, *whole["$defs"].values()]:
        for name, value in scope.get("properties", {}).items():
            if "default" in value:
                jsonschema.Draft202012Validator({**value, "$defs": whole["$defs"]}).validate(value["default"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_is_taken(path):
    judge().validate(core_yaml.load(path.read_text()))


def test_every_pipeline_of_the_documents_is_taken_by_lint_and_schema(sluice):
    found = set()
    for place, text in document_pipelines():
        found.add(place.split(":")[0])
        done = sluice.run("lint", sluice.write("document.yaml", text))
        assert done.returncode == 0, f"{place}: {done.stderr}"
        errors = [error.message for error in judge().iter_errors(core_yaml.load(text))]
        assert not errors, f"{place}: {errors}"
    newcomers = {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "coming-from").glob("*.md")}
    assert {"README.md", "docs/tutorial.md"} | newcomers <= found and len(newcomers) == 4


def test_a_file_with_every_key_is_taken(sluice):
    sluice.run("lint", sluice.write("full.yaml", FULL), check=0)
    judge().validate(core_yaml.load(FULL))


@pytest.mark.sweep(5)
@pytest.mark.parametrize("wrong", BAD)
def test_what_lint_refuses_for_its_form_the_schema_refuses(sluice, wrong):
    sluice.run("lint", sluice.write("bad.yaml", BAD[wrong]), check=2)
    assert not judge().is_valid(core_yaml.load(BAD[wrong]))


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from places(child, path + (key,))


def changed(value, path, new):
    value = copy.deepcopy(value)
    at = value
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return value


@pytest.mark.slow
def test_the_schema_refuses_nothing_that_lint_takes(sluice):
    """Every value of a whole file replaced by others: lint judges the same JSON text."""
    base = core_yaml.load(FULL)
    validator = judge()
    wrong, both = [], 0
    for path in list(places(base))[1:]:
        for new in ("", "x", "hard", 0, 1, 75, 2.5, True, None, [], ["a"], {}, "5s", "1MiB", "20%", "0s"):
            text = json.dumps(changed(base, path, new))
            if validator.is_valid(json.loads(text)) or (path[-1], new) == ("name", None):
                continue  # lint takes null as a name: the word has the form of one
            both += 1
            if sluice.run("lint", "-q", sluice.write("m.yaml", text)).returncode != 2:
                wrong.append((path, new))
    assert wrong == [] and both > 500
