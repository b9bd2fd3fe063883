"""lint and plan: they check and show, and write nothing."""
import json

from pipelines import GOOD


def test_a_valid_file(sluice):
    path = sluice.write("good.yaml", GOOD)
    done = sluice.run("lint", path, check=0)
    assert done.stdout == "" and "2 steps" in done.stderr
    assert sluice.run("lint", "-q", path, check=0).stderr == ""
    assert not sluice.home.exists()


def test_one_step_is_one_step(sluice):
    path = sluice.write("one.yaml", "pipeline: x\nsteps:\n  a: {run: 'true'}\n")
    assert sluice.run("lint", path, check=0).stderr == f"{path}: valid, 1 step\n"


def test_all_errors_are_told_in_one_pass(sluice):
    path = sluice.write("bad.yaml", "pipeline: x\nsteps:\n  a: {rnu: 'true'}\n  b: {run: 'true', needs: [zz]}\n")
    done = sluice.run("lint", path, check=2)
    assert f"{path}:3:" in done.stderr and f"{path}:4:" in done.stderr
    assert done.stderr.count("error[SLU") >= 2 and "hint: " in done.stderr


def test_plan_resolves_values_and_masks_secrets_S14(sluice):
    path = sluice.write("p.yaml", """\
pipeline: planned
params:
  size: {type: int, default: 3}
  token: {type: secret, from: {env: API_TOKEN}}
steps:
  a: {argv: ["./a", "--size=${params.size}"], env: {T: "${params.token}"}}
  b: {when: params.size > 10, argv: ["./b"]}
  c: {needs: [a], argv: ["./c", "${outputs.a.rows}"]}
  d: {needs: [], run: 'true'}
""")
    sluice.env["API_TOKEN"] = "hunter2"
    text = sluice.run("plan", path, "-p", "size=7", check=0).stdout
    assert '"--size=7"' in text and "T=***" in text and "token = ***" in text
    assert "${outputs.a.rows}" in text and "hunter2" not in text
    plan = json.loads(sluice.run("plan", path, "--json", check=0).stdout)
    steps = {step["step_id"]: step for step in plan["steps"]}
    assert [step["step_id"] for step in plan["steps"]].index("a") < list(steps).index("c")
    assert steps["b"]["forecast"] == "skipped" and steps["a"]["forecast"] == "runs"
    assert steps["a"]["argv"] == ["./a", "--size=3"] and plan["params"]["token"] == "***"
    assert "written before" in steps["b"]["why"] and "starts at once" in steps["d"]["why"]
    assert not sluice.home.exists()


def test_plan_without_required_params_shows_what_is_missing_S14(sluice):
    path = sluice.write("p.yaml", "pipeline: p\nparams: {day: {type: string, required: true}}\n"
                                  "steps: {a: {argv: [./a, '${params.day}']}}\n")
    text = sluice.run("plan", path, check=0).stdout
    assert "(required, not given)" in text and "Note: " in text
    assert sluice.run("plan", path, "-p", "dya=1", check=2).stdout == ""
    text = sluice.run("plan", path, "--params-file", sluice.write("p.json", '{"day": "mon"}'), check=0).stdout
    assert '"mon"' in text


def test_params_file_problems_S13(sluice):
    path = sluice.write("good.yaml", GOOD)
    sluice.run("plan", path, "--params-file", "nowhere.json", check=9)
    for name, content in (("empty", ""), ("list", "[]"), ("broken", "{"), ("nul", "{}\0")):
        done = sluice.run("plan", path, "--params-file", sluice.write(name, content), check=2)
        assert done.stderr.startswith("sluice: "), name


def test_s14_plan_has_waves_retries_and_approvals(sluice):
    path = sluice.write("p.yaml", """\
pipeline: p
steps:
  late: {noop: true, needs: [left, ask]}
  left: {run: 'true', needs: [], retry: {max_attempts: 4, on: [timeout, dependency], initial: 1s, max: 10s}}
  right: {noop: true, needs: []}
  ask: {gate: manual, noop: true, needs_any: [left, right], approve: {by: [anna, bert], count: 2, timeout: 1h}}
""")
    text = sluice.run("plan", path, check=0).stdout
    assert "Steps: 4 in 3 waves, at most " in text
    assert "Wave 1:\n  1. left\n" in text and "Wave 2:\n  3. ask [manual gate]\n" in text
    assert "attempts   up to 4, after timeout, dependency; exponential from 1s, at most 10s\n" in text
    assert "approval   2 of anna, bert; within 1h\n" in text
    plan = json.loads(sluice.run("plan", path, "--json", check=0).stdout)
    assert plan["waves"] == 3
    assert {s["step_id"]: s["wave"] for s in plan["steps"]} == {"left": 1, "right": 1, "ask": 2, "late": 3}
    assert [s["wave"] for s in plan["steps"]] == sorted(s["wave"] for s in plan["steps"])
    for step in plan["steps"]:  # a wave needs only what comes before it
        assert all(p["wave"] < step["wave"] for p in plan["steps"] if p["step_id"] in step["needs"] + step["needs_any"])
    assert "approval" in plan["steps"][2] and "retry" in plan["steps"][0]


def test_a_call_on_the_command_line_says_who_can_run_it_SLU060(sluice):
    path = sluice.write("p.yaml", "pipeline: p\nsteps: {a: {call: preflight}}\n")
    done = sluice.run("lint", path, check=2)
    assert "error[SLU060]: there is no function 'preflight'" in done.stderr
    assert "hint: only the program that has the function can run the pipeline" in done.stderr
