"""S4, S5.1-S5.3, S5.7: order, conditions, what a failure does to others."""
import pytest

POLICIES = ["stop", "skip_downstream", "continue", "ignore"]


def index(log, event_type, step):
    return next(i for i, e in enumerate(log.events)
                if e["event_type"] == event_type and e.get("step_id") == step)


def until_failed(sluice, step, run_id=None):
    """What a command runs that shall end after the failure of the step is in the log."""
    return f"""until grep -q '"step.failed".*"{step}"' {sluice.run_dir(run_id)}/events.jsonl; do sleep 0.02; done"""


def test_s5_1_a_step_without_needs_follows_the_one_before(sluice):
    log = sluice.go({"a": "sleep 0.1", "b": "true", "c": "true"}, concurrency=4)
    assert index(log, "step.succeeded", "a") < index(log, "step.started", "b")
    assert index(log, "step.succeeded", "b") < index(log, "step.started", "c")


def test_s5_1_empty_needs_makes_a_root(sluice):
    log = sluice.go({"a": "until [ -e seen ]; do sleep 0.02; done",
                     "b": {"needs": [], "run": "touch seen"}}, concurrency=2)
    assert log.state == "succeeded"


def test_concurrency_is_kept(sluice):
    step = 'echo + >>peak; until [ "$(grep -c + peak)" -ge 3 ]; do sleep 0.02; done; sleep 0.05; echo - >>peak'
    sluice.go({f"s{i}": {"needs": [], "run": step} for i in range(12)}, concurrency=3)
    now = most = 0
    for mark in (sluice.root / "peak").read_text().split():
        now += 1 if mark == "+" else -1
        most = max(most, now)
    assert most == 3


def test_s5_2_needs_any_takes_one_success(sluice):
    log = sluice.go({"a": {"needs": [], "run": "exit 1", "on_failure": "ignore"}, "b": {"needs": [], "run": "true"},
                     "c": {"needs_any": ["a", "b"], "run": "true"}})
    assert log.steps["c"].state == "succeeded"


def test_s5_2_an_explicit_need_that_was_skipped_skips_with_the_same_reason(sluice):
    log = sluice.go({"a": {"when": "false", "run": "true"}, "b": {"needs": ["a"], "run": "true"}})
    assert [e["reason"] for e in log.of("step.skipped")] == ["condition", "condition"]


def test_s5_2_the_implicit_need_passes_through_a_condition(sluice):
    log = sluice.go({"a": {"when": "false", "run": "true"}, "b": "true"})
    assert log.steps["a"].state == "skipped" and log.steps["b"].state == "succeeded"


@pytest.mark.parametrize("when", ["params.n + 1", "nil", "'yes'", "error('x')", "params.n.x.y", "1/0"])
def test_s5_3_a_condition_that_errs_or_is_no_boolean_is_a_failed_step(sluice, when):
    path = sluice.pipeline({"a": {"when": when, "run": "touch ran"}}, params={"n": {"type": "int", "default": 1}})
    result = sluice("run", path, "--run-id", sluice.id, code=(1, 2))
    assert not (sluice.root / "ran").exists()
    if result.code == 1:
        log = sluice.log(ended="failed")
        assert log.of("step.failed", "a")[0]["error_class"] == "configuration"
        assert [t for t, _ in log.sequence("a")] == ["step.started", "step.failed"]


def test_s5_3_conditions_see_params_and_outputs(sluice):
    log = sluice.go({"a": {"run": 'echo n=5 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}}},
                     "b": {"when": "outputs.a.n > params.least", "run": "true"},
                     "c": {"when": "outputs.a.n > 100", "run": "true"}},
                    params={"least": {"type": "int", "default": 3}})
    assert log.steps["b"].state == "succeeded" and log.steps["c"].state == "skipped"


# a fails; b needs it, c does not, d runs beside it
@pytest.mark.parametrize("policy", POLICIES)
def test_s5_7_on_failure(sluice, policy):
    log = sluice.go({
        "a": {"needs": [], "run": "exit 1", "on_failure": policy},
        "d": {"needs": [], "run": until_failed(sluice, "a")},
        "b": {"needs": ["a"], "run": 'test -z "${OUTPUT_a_x:-}"'},
        "c": {"needs": ["d"], "run": "true"},
    }, code={"stop": 1, "skip_downstream": 5, "continue": 5, "ignore": 0}[policy], concurrency=4)
    states = {name: step.state for name, step in log.steps.items()}
    reasons = {e["step_id"]: e["reason"] for e in log.of("step.skipped")}
    assert states["a"] == "failed" and states["d"] == "succeeded"
    assert (states["b"], states["c"]) == {
        "stop": ("skipped", "skipped"), "skip_downstream": ("skipped", "succeeded"),
        "continue": ("succeeded", "succeeded"), "ignore": ("succeeded", "succeeded")}[policy]
    assert reasons == {"stop": {"b": "run_stopped", "c": "run_stopped"},
                       "skip_downstream": {"b": "upstream_failed"}}.get(policy, {})
    assert log.outcome == {"stop": "failed", "skip_downstream": "partial", "continue": "partial",
                           "ignore": "success"}[policy]


def test_s5_7_stop_cancels_running_steps_that_ask_for_it(sluice):
    log = sluice.go({"a": {"needs": [], "run": "sleep 0.2; exit 1"},
                     "b": {"needs": [], "run": "sleep 30", "on_stop": "cancel", "grace": "200ms"}},
                    code=1, concurrency=2)
    assert log.of("step.failed", "b")[0]["error_class"] == "cancelled"


def test_s5_7_continue_through_defaults_runs_all_as_the_predecessors_manual_says(sluice):
    log = sluice.go({"a": "exit 1", "b": "true", "c": "exit 1", "d": "true"}, code=5,
                    defaults={"on_failure": "continue"})
    assert [log.steps[s].state for s in "abcd"] == ["failed", "succeeded", "failed", "succeeded"]


def test_outputs_reach_later_steps(sluice):
    log = sluice.go({"a": {"run": 'echo x=7 >"$SLUICE_OUTPUT"', "outputs": {"x": {"type": "int"}}},
                     "b": {"argv": ["test", "${outputs.a.x + 1}", "=", "8"]},
                     "c": '[ "$OUTPUT_a_x" = 7 ]'})
    assert log.of("step.succeeded", "a")[0]["outputs"] == {"x": 7}


def test_large_outputs_go_to_a_blob(sluice):
    log = sluice.go({"a": {"run": 'printf "x=%020000d" 1 >"$SLUICE_OUTPUT"', "outputs": {"x": {"type": "string"}}},
                     "b": '[ "${#OUTPUT_a_x}" = 20000 ]'})
    event = log.of("step.succeeded", "a")[0]
    assert "outputs" not in event
    assert (sluice.run_dir() / "blobs" / event["outputs_ref"]).stat().st_size > 20000


@pytest.mark.slow
def test_five_hundred_steps_at_once(sluice):
    log = sluice.go({f"s{i}": {"needs": [], "argv": ["sleep", "1"]} for i in range(500)}, concurrency=500,
                    timeout=300)
    assert log.state == "succeeded" and len(log.of("step.succeeded")) == 500


@pytest.mark.parametrize("policy, runs", [("continue", True), ("ignore", True), ("skip_downstream", False)])
def test_s5_2_a_need_that_failed_is_met_when_its_author_said_so(sluice, policy, runs):
    log = sluice.go({"a": {"run": "exit 1", "on_failure": policy}, "b": {"needs": ["a"], "run": "touch ran"}}, code=(0, 5))
    assert (sluice.root / "ran").exists() == runs
    assert log.steps["b"].state == ("succeeded" if runs else "skipped")


def test_s5_2_needs_any_waits_until_all_are_resolved(sluice):
    log = sluice.go({"quick": {"needs": [], "run": "true"},
                     "slow": {"needs": [], "run": "sleep 0.3; exit 1", "on_failure": "continue"},
                     "any": {"needs_any": ["quick", "slow"], "run": "true"}}, code=5, concurrency=3)
    kinds = [(e["event_type"], e.get("step_id")) for e in log.events]
    assert kinds.index(("step.failed", "slow")) < kinds.index(("step.started", "any"))


def test_s5_2_needs_any_without_a_success_does_not_run(sluice):
    """A failure that is tolerated is none."""
    log = sluice.go({"a": {"needs": [], "run": "exit 1", "on_failure": "continue"}, "b": {"needs": [], "when": "false", "run": "true"},
                     "any": {"needs_any": ["a", "b"], "run": "touch ran"}}, code=5)
    assert log.steps["any"].state == "skipped" and not (sluice.root / "ran").exists()
    assert log.of("step.skipped", "any")[0]["reason"] in ("upstream_failed", "condition")


def test_s5_7_ignore_is_a_success_with_a_warning_and_stop_skips_what_is_beside(sluice):
    log = sluice.go({"a": {"run": "exit 1", "on_failure": "ignore"}, "b": "true"})
    assert (log.state, log.outcome) == ("succeeded", "success") and log.of("run.completed")[0]["warnings"] == 1
    run_id = sluice.id + "s"
    beside = {"needs": [], "run": until_failed(sluice, "a", run_id)}
    log = sluice.go({"a": "exit 1", "b": {"needs": ["c"], "run": "true"}, "c": beside}, code=1, run_id=run_id,
                    concurrency=2)
    assert {e["step_id"]: e["reason"] for e in log.of("step.skipped")} == {"b": "run_stopped"}
