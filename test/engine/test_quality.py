"""S6 data_quality: figures of a result, thresholds, events, reports."""
import json

import pytest

STRICT = {"min_valid_rate": 0.99, "max_null_rate": 0.01, "min_record_count": 1}


def writes(quality, **more):
    return "echo '" + json.dumps({"quality": quality, **more}) + """' >"$SLUICE_OUTPUT" """


def figures(records, valid, null=0):
    return {"record_count": records, "valid_count": valid, "null_count": null}


def test_quality_is_recorded_before_the_end_of_the_attempt(sluice):
    sluice.go({"a": writes({**figures(1000, 995), "custom_metrics": {"late": 3}}, outputs={"n": 1})})
    log = sluice.log(ended="succeeded")
    assert [e["event_type"] for e in log.events if e.get("step_id") == "a"] == ["step.started", "quality.recorded", "step.succeeded"]
    assert log.of("quality.recorded")[0]["data"] == {
        "record_count": 1000, "valid_count": 995, "invalid_count": 5, "null_count": 0, "valid_rate": 0.995, "null_rate": 0,
        "custom_metrics": {"late": 3}}


def test_s6_a_hard_threshold_fails_the_step_and_is_never_retried(sluice):
    sluice.go({"a": {"run": writes(figures(100, 98)), "quality": STRICT, "retry": {"max_attempts": 3, "on": ["timeout"]}}, "b": "touch ran"}, code=1)
    log = sluice.log(ended="failed")
    failed = log.of("step.failed", "a")
    assert len(failed) == 1 and failed[0]["error_class"] == "data_quality" and "98 of 100" in failed[0]["reason"]
    assert log.of("quality.recorded")[0]["reason"] == failed[0]["reason"] and "soft" not in log.of("quality.recorded")[0]
    assert not (sluice.root / "ran").exists()


def test_s3_5_a_soft_threshold_is_a_warning(sluice):
    sluice.go({"a": {"run": writes(figures(100, 98)), "quality": {**STRICT, "severity": "soft"}}, "b": "touch ran"})
    log = sluice.log(ended="succeeded")
    assert log.of("quality.recorded")[0]["soft"] is True
    done = log.of("run.completed")[0]
    assert done["warnings"] == 1 and done["outcome"] == "success"
    assert (sluice.root / "ran").exists()


@pytest.mark.parametrize("text", ["true", writes({}), writes({"record_count": 5}), 'echo n=1 >"$SLUICE_OUTPUT"'])
@pytest.mark.parametrize("severity", ["hard", "soft"])
def test_missing_figures_fail_where_thresholds_are_declared(sluice, text, severity):
    sluice.go({"a": {"run": text, "quality": {**STRICT, "severity": severity}}}, code=1)
    assert sluice.log().of("step.failed")[0]["error_class"] == "validation_failed"


@pytest.mark.parametrize("quality", [
    [], "x", {"record_count": -1}, {"record_count": 1.5}, {"record_count": "5"}, {"record_count": 5, "valid_count": 6},
    {"record_count": 5, "valid_count": 3, "invalid_count": 3}, {"recordcount": 5}, {"record_count": 1e300}, {"custom_metrics": []},
    {"record_count": 5, "custom_metrics": {"x": "y" * 20000}}])
def test_figures_that_cannot_be_are_a_failed_validation(sluice, quality):
    sluice.go({"a": writes(quality)}, code=1)
    assert sluice.log().of("step.failed")[0]["error_class"] == "validation_failed"
    assert not sluice.log().of("quality.recorded")


def test_expressions_read_quality(sluice):
    sluice.go({"a": {"run": writes(figures(10, 9)), "gate": "hard", "pass": "quality.a.valid_rate >= 0.9"},
               "b": {"run": "touch b", "when": "quality.a.record_count == 10"},
               "c": {"argv": ["touch", "c${quality.a.invalid_count}"], "needs": ["a"]},
               "d": {"run": "touch d", "when": "quality.b ~= nil", "needs": ["b"]}})
    assert sorted(p.name for p in sluice.root.iterdir() if len(p.name) < 3) == ["b", "c1"]


def test_a_step_that_is_not_upstream_has_no_quality_to_read(sluice):
    result = sluice("lint", sluice.pipeline({"a": {"run": "true", "needs": []}, "b": {"run": "true", "needs": [], "when": "quality.a.record_count > 1"}}), code=2)
    assert "SLU047" in result.stderr + result.stdout


def test_the_context_file_status_and_summary_show_quality(sluice):
    sluice.go({"a": writes(figures(1000, 980, 5)), "b": {"run": 'cat "$SLUICE_CONTEXT"', "context": True}})
    assert json.loads((sluice.run_dir() / "logs/b.0.log").read_text())["quality"]["a"]["valid_rate"] == 0.98
    for verb in ("status", "summary"):
        assert "1000 records, 98% valid, 0.5% null" in sluice(verb, sluice.id, code=0).stdout
        steps = json.loads(sluice(verb, sluice.id, "--json", code=0).stdout)["steps"]
        assert steps[0]["quality"]["record_count"] == 1000 and "quality" not in steps[1]


def test_a_secret_in_quality_is_masked_or_refused(sluice):
    params = {"t": {"type": "secret", "from": {"env": "TT"}}}
    sluice.go({"a": {"run": """echo '{"quality":{"record_count":1,"custom_metrics":{"x":"'$T'"}}}' >"$SLUICE_OUTPUT" """, "env": {"T": "${params.t}"}}},
              params=params, env={"TT": "geheimnis"})
    assert sluice.log().of("quality.recorded")[0]["data"]["custom_metrics"] == {"x": "***"}


def test_s11_2_every_prefix_of_the_log_leads_to_the_same_end(sluice):
    path = sluice.pipeline({"a": {"run": "echo >>ran; " + writes(figures(100, 98)), "quality": {**STRICT, "severity": "soft"}}, "b": "true"})
    sluice("run", path, "--run-id", sluice.id, code=0)
    whole = sluice.raw().splitlines(keepends=True)
    for cut in range(3, len(whole)):
        sluice.rewrite(b"".join(whole[:cut]))
        sluice("resume", sluice.id, code=0)
        done = sluice.log(ended="succeeded").of("run.completed")[-1]
        assert done["warnings"] == 1, cut
    assert (sluice.root / "ran").read_text().count("\n") <= 2
