"""S7.6, C19: a log whose clock is in the first year or the last, and whose spans are beyond all measure, is shown as any
other: no number turns over."""
import json
import re

import pytest

from support.checker import forge

MIXED = """\
pipeline: mixed
steps:
  left: {needs: [], run: 'true'}
  right:
    needs: []
    run: 'test -e again || { touch again; exit 75; }'
    retry: {max_attempts: 2, initial: 20ms}
  bad: {run: 'exit 3'}
"""
FIRST, LAST = "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"
MOST = 2**63 - 1
SPANS = ("duration_ms", "delay_ms", "boot_ms")


def stretched(sluice, run, stamp, span):
    """The run's log with other times: the first line's in one year, those of all others in another."""
    log = sluice.log(run)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    for event in events[1:]:
        event["timestamp_utc"] = stamp
        event.update({name: span for name in SPANS if name in event})
    log.write_bytes(forge(run, events))
    for witness in ("checkpoint.json", "attempts.log"):
        (log.parent / witness).unlink(missing_ok=True)


@pytest.fixture(params=[(LAST, MOST), (FIRST, 0), (LAST, -MOST - 1)], ids=["last", "first", "negative"])
def odd(sluice, request):
    """A run of today, and one whose times are odd; no history database that knows them."""
    for run in ("a", "b"):
        sluice.run("run", "-q", sluice.write("m.yaml", MIXED), "--run-id", run, check=1)
    stretched(sluice, "b", *request.param)
    sluice.stamp, sluice.span = request.param
    for path in sluice.home.glob("sluice.db*"):
        path.unlink()
    return sluice


def test_every_verb_shows_it(odd):
    for words in (["status", "b"], ["status", "b", "-o", "json"], ["summary", "b"], ["summary", "b", "-o", "json"],
                  ["explain", "b"], ["explain", "b", "-o", "json"], ["explain", "b", "right"], ["events", "b"],
                  ["graph", "b"], ["graph", "b", "-o", "json"], ["list"], ["list", "-o", "json"], ["list", "-o", "csv"],
                  ["stats"], ["stats", "-o", "json"], ["stats", "-o", "csv"], ["stats", "--format", "prometheus"],
                  ["compare", "a", "b"], ["compare", "b", "a"], ["compare", "b", "a", "-o", "json"], ["verify", "b"]):
        done = odd.run(*words)
        assert done.returncode in (0, 1) and "runtime error" not in done.stderr, (words, done.stderr)
        assert done.stdout and not re.search(r"--\d|\d\.-\d|: -\d+s", done.stdout), (words, done.stdout)


def test_spans_of_otlp_end_with_its_last_time_and_not_before_they_began(odd):
    told = json.loads(odd.run("export", "b", "--format", "otlp", check=0).stdout)
    spans = [span for resource in told["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
    assert len(spans) > 1
    for span in spans:
        begun, ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert 0 <= begun <= ended < 2**64
    if odd.stamp == LAST:
        assert ended_last(spans) == (2**64 - 1) // 10**6 * 10**6


def ended_last(spans):
    return max(int(span["endTimeUnixNano"]) for span in spans)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("form", ["json", "csv", "chrome-trace"])
def test_exports_have_it(odd, form):
    assert odd.run("export", "b", "--format", form, check=0).stdout


def test_a_resume_goes_on_from_there(odd):
    done = odd.run("resume", "b", "-q")
    assert done.returncode in (0, 1) and "runtime error" not in done.stderr, done.stderr
    odd.run("verify", "b", check=0)
