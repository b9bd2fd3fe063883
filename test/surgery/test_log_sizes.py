"""D29: logs and lines at their limits: read, or refused with a place, in memory that does not grow with what is wrong."""
import hashlib
import json
import resource
import shutil

import pytest

from support.checker import chain, forge
from support.sluice import TIMEOUT, has_sanitizers
from support.sluice import bounded as limits

EVENTS = 100_000
MEMORY = 512 << 20
LARGE = 256 << 20


@pytest.fixture
def bounded(sluice):
    """Verbs in bounded memory: what would need more fails, and does not take the machine along."""
    def call(*args, **kwargs):
        return sluice(*args, timeout=TIMEOUT, preexec_fn=limits(sluice.program, MEMORY), **kwargs)
    return call


def spread(sluice, fill):
    """The events of a small run, with some between its last step and its end."""
    sluice.go({"a": "true"})
    (sluice.run_dir() / "attempts.log").unlink()
    events = sluice.log().events
    at = next(n for n, event in enumerate(events) if event["event_type"] == "step.succeeded")
    begun = next(event for event in events if event["event_type"] == "step.started")
    return events[:at] + fill({key: begun[key] for key in ("run_id", "timestamp_utc", "actor", "attempt", "step_id")}) + events[at:]


def cost(verb, sluice):
    """Least seconds of a processor, of three times."""
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def once():
        before = used()
        sluice(verb, sluice.id, code=0)
        return used() - before
    return min(once() for _ in range(3))


@pytest.mark.slow
def test_d29_a_log_of_a_hundred_thousand_events_is_read_verified_and_gone_on_with(sluice, bounded):
    """And in time that grows as it does: 8 times the events take 8 times as long, not 64 times."""
    def notes(like):
        return [{"event_type": "x-note", **like, "data": {"n": n}} for n in range(EVENTS)]
    events = spread(sluice, notes)
    raw = forge(sluice.id, events[:-2])  # the end is missing
    sluice.rewrite(b"".join(raw.splitlines(True)[:EVENTS // 8]))
    part = {verb: cost(verb, sluice) for verb in ("verify", "status")}
    sluice.rewrite(raw)
    for verb, seconds in part.items():
        assert cost(verb, sluice) < 24 * seconds, verb
    for verb in ("status", "summary", "verify", "explain", "graph"):
        bounded(verb, sluice.id, code=0)
    assert len(bounded("events", sluice.id, "--json", code=0).stdout.splitlines()) == len(events) - 2
    bounded("resume", sluice.id, code=0)
    assert sluice.raw().startswith(raw)
    bounded("verify", sluice.id, "--receipt", list(chain(sluice.id, sluice.raw().splitlines()))[-1], code=0)


@pytest.fixture
def large(sluice):
    """A run whose log is of 256 MiB, but for its end; nothing of it is kept. Answers its length."""
    if has_sanitizers(sluice.program):
        pytest.skip("a program with sanitizers reserves terabytes")
    text = "y" * 65_000
    events = spread(sluice, lambda like: [{"event_type": "x-note", **like, "data": {"text": text}}] * (LARGE // len(text)))
    (sluice.run_dir() / "checkpoint.json").unlink()
    h = hashlib.sha256(sluice.id.encode()).digest()
    with (sluice.run_dir() / "events.jsonl").open("wb") as log:
        for seq, event in enumerate(events[:-2], 1):  # a line at a time: it is not in our memory either
            event = {"event_id": f"evt_{seq}", **{key: value for key, value in event.items() if key not in ("event_id", "h")}}
            body = json.dumps(event, separators=(",", ":")).encode()[:-1]
            h = hashlib.sha256(h + body).digest()
            log.write(body + b',"h":"' + h.hex()[:16].encode() + b'"}\n')
    yield (sluice.run_dir() / "events.jsonl").stat().st_size
    shutil.rmtree(sluice.run_dir())


@pytest.mark.slow
def test_d29_a_log_is_read_and_gone_on_with_in_a_quarter_of_its_size(sluice, large):
    limit = limits(sluice.program, LARGE // 4)
    assert large >= LARGE
    for verb in ("verify", "status", "summary", "resume", "verify"):
        sluice(verb, sluice.id, code=0, preexec_fn=limit)
    assert (sluice.run_dir() / "events.jsonl").stat().st_size > large


def longest(sluice, bytes_more):
    """A log whose fifth line or so is as long as a line may be, or longer."""
    def note(like):
        event = {"event_type": "x-note", **like, "data": {"text": ""}}
        empty = len(forge(sluice.id, [event])) + len("evt_") + 3  # its number is unknown here
        return [{**event, "data": {"text": "y" * ((1 << 20) - empty - 64 + bytes_more)}}]
    return forge(sluice.id, spread(sluice, note)[:-2])


def test_d29_the_longest_line_is_read_and_a_longer_one_is_refused_with_its_number(sluice, bounded):
    sluice.rewrite(longest(sluice, 0))
    assert max(map(len, sluice.raw().splitlines(True))) <= 1 << 20
    bounded("verify", sluice.id, code=0)
    bounded("resume", sluice.id, code=0)


@pytest.mark.parametrize("more", [200, 1 << 20, pytest.param(64 << 20, marks=pytest.mark.slow)], ids=["a little", "twice", "64 MiB"])
def test_d29_a_line_over_the_limit_is_refused_before_it_is_in_memory(sluice, bounded, more):
    raw = longest(sluice, more)
    long_line = next(n for n, line in enumerate(raw.splitlines(True), 1) if len(line) > 1 << 20)
    sluice.rewrite(raw)
    for verb in ("verify", "status", "resume"):
        done = bounded(verb, sluice.id, code=7)
        assert f"line {long_line}" in done.stdout + done.stderr, (verb, done)
    assert sluice.raw() == raw


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "[" * 500_000],
                         ids=["arrays", "objects", "open"])
def test_d29_deep_json_is_refused_with_its_line(sluice, bounded, text):
    events = spread(sluice, lambda like: [{"event_type": "x-note", **like, "data": "HERE"}])
    lines = forge(sluice.id, events).splitlines()
    at = next(n for n, line in enumerate(lines) if b"HERE" in line)
    lines[at] = lines[at].replace(b'"HERE"', text.encode())
    bodies = lines[:at + 1]
    h = list(chain(sluice.id, bodies))[-1]
    lines[at] = lines[at][:-24] + b',"h":"' + h.encode() + b'"}'
    raw = b"\n".join(lines[:at + 1]) + b"\n"
    sluice.rewrite(raw)
    for verb in ("verify", "status", "resume"):
        done = bounded(verb, sluice.id, code=7)
        assert f"line {at + 1}" in done.stdout + done.stderr, (verb, done)
    assert sluice.raw() == raw


def test_d29_an_object_of_many_keys_is_read(sluice, bounded):
    data = {f"k{n}": n for n in range(40_000)}
    events = spread(sluice, lambda like: [{"event_type": "x-note", **like, "data": data}])
    sluice.rewrite(forge(sluice.id, events[:-2]))
    bounded("verify", sluice.id, code=0)
    bounded("resume", sluice.id, code=0)
    assert json.loads(sluice.raw().splitlines()[-1])["event_type"] == "run.completed"
