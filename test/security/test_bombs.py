"""S16, S18: small inputs that are made to cost much. Each is refused, or done, within bounded memory and processor time."""
import json

import pytest

from support.sluice import bounded

LAUGHS = "x0: &x0 [lol, lol]\n" + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12))
HEAD = "pipeline: p\nsteps: {a: 'true'}\n"
YAML = {
    "aliases that multiply": "pipeline: p\n" + LAUGHS + "steps: {a: 'true'}\n",
    "an alias of itself": "pipeline: &p p\nsteps: &s {a: *s}\n",
    "merge keys": "pipeline: p\nsteps:\n  a: {<<: {run: 'true'}}\n",
    "100,000 open brackets": "pipeline: " + "[" * 100_000,
    "100,000 open braces": "pipeline: " + "{a: " * 100_000,
    "100,000 dashes": "pipeline:\n" + "- " * 100_000,
    "1,000,000 keys": HEAD + "params: {" + ", ".join(f"k{n}: {{type: string}}" for n in range(1_000_000)) + "}\n",
    "a text of 64 MiB": HEAD + "about: " + "x" * (64 << 20) + "\n",
    "a key of 1 MiB": HEAD + "k" * (1 << 20) + ": 1\n",
    "a tag that makes objects": "pipeline: !!python/object/apply:os.system [id]\nsteps: {a: 'true'}\n",
    "many documents": HEAD + "---\n" * 100_000,
    "no word for false": "pipeline: p\nsteps: {a: {run: 'true', retry: no}}\n",
    "a key that comes twice": "pipeline: p\nsteps: {a: 'true', a: 'false'}\n",
}
EXPRESSIONS = {
    "text that doubles": "('x'):rep(1e9) == ''",
    "text that is joined": "(function() local t = 'x' while true do t = t .. t end end)()",
    "no end": "(function() while true do end end)()",
    "no end behind pcall": "(function() while true do pcall(function() while true do end end) end end)()",
    "no end in a coroutine": "coroutine.wrap(function() while true do end end)()",
    "recursion": "(function() local function f() return 1 + f() end return f() end)()",
    "recursion of patterns": "string.find(('a'):rep(300000), ('a?'):rep(300000) .. 'b')",
    "a pattern that goes back": "string.find(('a'):rep(50), ('a*'):rep(50) .. 'b')",
    "a long table": "(function() local t = {} for i = 1, 1e12 do t[i] = i end end)()",
    "a wide format": "string.format('%999999999d', 1) == ''",
    "bytecode": "load('\\27Lua')()",
    "its own source": "string.dump(function() end) == ''",
    "the collector": "collectgarbage('count') > 0",
    "files": "io.open('/etc/passwd') ~= nil",
    "the system": "os.execute('true')",
    "modules": "require('os') ~= nil",
    "the debugger": "debug.getinfo(1) ~= nil",
    "a metatable": "getmetatable('').__index == nil",
    "a finalizer": "setmetatable({}, {__gc = function() while true do end end}) ~= nil",
    "an error with a voice": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "the environment": "(function() _ENV.x = 1 return true end)() and rawset ~= nil",
}


def bounds(sluice):
    """One GiB of addresses, ten seconds of a processor: a test that needs more is a failure."""
    return bounded(sluice.program, 1 << 30, seconds=10)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", YAML)
def test_s16_a_definition_that_is_a_bomb_is_refused_at_its_place(sluice, name):
    path = sluice.root / "bomb.yaml"
    path.write_text(YAML[name])
    for verb in ("lint", "run"):
        done = sluice(verb, path, code=2, preexec_fn=bounds(sluice))
        assert "bomb.yaml" in done.stderr and len(done.stderr) < 100_000, done.stderr[:1000]
        assert "memory" not in done.stderr, done.stderr[:1000]
    assert not (sluice.home / "runs").exists() or not list((sluice.home / "runs").iterdir())


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_s18_c15_an_expression_that_reaches_out_or_never_ends_does_not_pass(sluice, name):
    """Refused when it is read, or an error when it is asked: the gate does not open, and what stands below does not run."""
    path = sluice.pipeline({"g": {"gate": "hard", "run": "true", "pass": EXPRESSIONS[name]},
                            "below": {"run": "echo ran >ran", "needs": ["g"]}})
    done = sluice("run", path, "--run-id", sluice.id, preexec_fn=bounds(sluice))
    assert done.code in (1, 2), done
    assert not (sluice.root / "ran").exists()
    if done.code == 1:
        assert sluice.log().of("gate.failed", "g") and not sluice.log().of("gate.passed")


def test_s18_an_expression_of_an_ordinary_kind_is_answered_under_the_same_bounds(sluice):
    steps = {"g": {"gate": "hard", "run": "echo '{\"outputs\":{\"n\":3}}' >$SLUICE_OUTPUT", "pass": "output.n == 3 and ('x'):rep(3) == 'xxx'"}}
    path = sluice.pipeline(steps)
    sluice("run", path, "--run-id", sluice.id, code=0, preexec_fn=bounds(sluice))
    assert sluice.log().of("gate.passed", "g")


RESULTS = {
    "deep": "[" * 100_000, "deep and whole": '{"outputs":{"o":' + "[" * 5000 + "]" * 5000 + "}}",
    "wide": json.dumps({"outputs": {f"k{n}": n for n in range(200_000)}}), "long": json.dumps({"outputs": {"o": "x" * (8 << 20)}}),
    "a number of 1 MiB": '{"outputs":{"o":' + "9" * (1 << 20) + "}}", "twice the same key": '{"outputs":{"o":1,"o":2}}',
}


@pytest.mark.parametrize("name", RESULTS)
def test_s16_a_result_that_is_a_bomb_fails_its_step_alone(sluice, name):
    (sluice.root / "result.json").write_text(RESULTS[name])
    path = sluice.pipeline({"a": {"run": 'cat result.json >"$SLUICE_OUTPUT"', "on_failure": "continue"}, "b": "true"}, concurrency=1)
    done = sluice("run", path, "--run-id", sluice.id, preexec_fn=bounds(sluice))
    log = sluice.log()
    assert done.code in (0, 1, 5) and log.of("step.succeeded", "b"), done
    assert sluice.raw().count(b"\n") < 40 and max(map(len, sluice.raw().splitlines())) <= 1 << 20
    sluice("verify", sluice.id, code=0)
