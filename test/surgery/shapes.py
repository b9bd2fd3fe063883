"""Real runs whose logs are cut and forged here: one long log with most types of events, and one run
for each shape of an end, with what brings it there again after a cut."""
import json
from dataclasses import dataclass
from typing import Callable

from support.sluice import until

# Every text that a step needs is here: a run can go on in a copy of its world.
BIG = 'printf \'{"outputs":{"text":"%s"}}\' $(head -c 20000 /dev/zero | tr "\\0" x) >"$SLUICE_OUTPUT"'
NOTE = 'printf \'{"outputs":{},"events":[{"type":"x-note","data":{"k":[1,"\\\\u00e4"]}}]}\' >"$SLUICE_OUTPUT"'
FIGURES = ('printf \'{"quality":{"record_count":10,"valid_count":10,"null_count":0}}\' >"$SLUICE_OUTPUT"; '
           'echo x >file')
ONCE_MORE = '[ "$SLUICE_ATTEMPT" -gt 0 ] || exit 75; echo n=1 >"$SLUICE_OUTPUT"'
FAST = {"max_attempts": 3, "initial": "1ms"}
NUMBER = {"outputs": {"n": {"type": "int"}}}
ANNA = ("--as", "anna", "--reason", "seen, \u00fcber")


def rerunnable(steps):
    """Steps that may run again when nobody knows how they ended: a cut log has no other memory."""
    return {name: {**({"run": step} if isinstance(step, str) else step), **(
        {} if isinstance(step, dict) and ("noop" in step or "gate" in step and "run" not in step)
        else {"on_lost": "rerun"})} for name, step in steps.items()}


def event_types(lines):
    return [json.loads(line)["event_type"] for line in lines]


def is_over(sluice):
    """Is the last thing that happened the end of the run?"""
    kinds = [kind for kind in event_types(sluice.raw().splitlines()) if not kind.startswith(("log.", "projection."))]
    return kinds[-1] == "run.completed"


def settle(sluice, gates=(), answer="approve", overrides=(), times=30):
    """Bring a run to its end: resume, answer manual gates, waive hard ones."""
    for _ in range(times):
        state = json.loads(sluice("status", sluice.id, "--json").stdout)["state"]
        waits = overrides and "run.override_applied" not in event_types(sluice.raw().splitlines())
        if is_over(sluice) and not waits:
            return
        for gate in gates:
            sluice(answer, sluice.id, gate, *ANNA)
        waived = [word for gate in overrides if waits and state == "failed" for word in ("--override", gate, *ANNA)]
        done = sluice("resume", sluice.id, *waived)
        if done.code == 3 and overrides:
            done = sluice("resume", sluice.id)
        assert done.code in (0, 1, 3, 4, 5, 6, 8), done
    raise AssertionError("it comes to no end")


@dataclass(frozen=True)
class Shape:
    name: str
    make: Callable    # brings the run of a world to its end
    finish: Callable  # the same from any prefix
    state: str
    first: Callable = lambda lines: 1  # how many lines there must be left
    is_told: bool = False  # what it comes to was said from outside, between attempts


def simple(name, steps, state="succeeded", code=0, **kwargs):
    def make(sluice):
        sluice.go(rerunnable(steps), code=code, **{k: v for k, v in kwargs.items() if k == "limits"})
        settle(sluice, **{k: v for k, v in kwargs.items() if k != "limits"})
    return Shape(name, make, lambda sluice: settle(sluice, **kwargs), state)


def stopped():
    def make(sluice):
        engine = sluice.start("run", sluice.pipeline(rerunnable({"a": "sleep 60", "b": "true"})), "--run-id", sluice.id)
        sluice.wait_event("step.started")
        sluice("stop", sluice.id, "--now", *ANNA, code=(0, 5))
        engine.wait(20)
    def asked(lines):
        return event_types(lines).index("run.stop_requested") + 1
    def finish(sluice):
        # What was asked for is done; a resume of a stopped run would begin it anew.
        if "run.completed" not in event_types(sluice.raw().splitlines()):
            sluice("resume", sluice.id)
    return Shape("stopped", make, finish, "stopped", asked)


def undone(by_hand):
    steps = {"a": {"run": "true", "compensate": {"run": ONCE_MORE.split(";")[0], "retry": FAST}},
             "b": {"run": "true", "compensate": {"run": "true"}, "needs": ["a"]},
             "c": {"run": "exit 1", "needs": ["b"], **({} if by_hand else {"on_failure": "compensate"})}}

    def finish(sluice):
        for _ in range(20):
            state = json.loads(sluice("status", sluice.id, "--json").stdout)["state"]
            if state == "rolled_back" and is_over(sluice):
                return
            begun = "run.rollback_started" in event_types(sluice.raw().splitlines())
            verb = "rollback" if state == "failed" and (by_hand or begun) else "resume"
            done = sluice(verb, sluice.id)
            assert done.code in (0, 1, 6), done
        raise AssertionError("it comes to no end")

    def make(sluice):
        sluice.go(rerunnable(steps), code=1)
        finish(sluice)
    return Shape("rolled back by hand" if by_hand else "compensated", make, finish, "rolled_back", is_told=by_hand)


def changed():
    """Resumed with another definition."""
    old = rerunnable({"a": "echo n=1 >\"$SLUICE_OUTPUT\"", "b": "exit 1", "c": "true"})
    new = rerunnable({"a": "echo n=1 >\"$SLUICE_OUTPUT\"", "b": "true", "d": "true"})

    def finish(sluice):
        for _ in range(10):
            has_new = '"changes"' in sluice.raw().decode()
            if has_new and is_over(sluice):
                return
            if has_new or sluice("resume", sluice.id, "--file", sluice.pipeline(new), "--accept-changes",
                                 code=(0, 1, 3)).code == 3:  # a step runs: its end is asked for first
                sluice("resume", sluice.id, code=(0, 1))
        raise AssertionError("it comes to no end")

    def make(sluice):
        sluice.go(old, code=1)
        finish(sluice)
    return Shape("another definition", make, finish, "succeeded", is_told=True)


SHAPES = [
    simple("outputs", {"a": {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", **NUMBER}, "b": BIG, "c": NOTE, "d": "true"}),
    simple("retries", {"a": {"run": ONCE_MORE, "retry": FAST, **NUMBER}, "b": "true"}),
    simple("gates", {"a": {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", **NUMBER, "gate": "hard", "pass": "output.n == 1"},
                     "s": {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", **NUMBER, "gate": "soft", "pass": "output.n == 2"},
                     "z": "true"}),
    simple("a waived gate", {"g": {"run": "exit 1", "gate": "hard"}, "z": "true"}, "failed", 1, overrides=("g",)),
    simple("a barred gate", {"a": "true", "g": {"run": "exit 1", "gate": "hard"}, "z": "true"}, "failed", 1),
    simple("approved", {"a": "true", "m": {"gate": "manual", "noop": True}, "z": "true"}, code=4, gates=("m",)),
    simple("rejected", {"a": "true", "m": {"gate": "manual", "noop": True}, "z": "true"}, "failed", 4, gates=("m",),
           answer="reject"),
    simple("artifacts", {"q": {"run": FIGURES, "artifacts": [{"name": "file", "path": "file"}]}, "z": "true"}),
    simple("quarantined", {"q": {"run": "true", "artifacts": [{"name": "none", "path": "none"}]}, "z": "true"},
           "failed", 1),
    simple("skipped", {"a": {"run": "true", "when": "1 == 2"}, "b": {"run": "true", "needs": []}}),
    simple("failed", {"a": "true", "b": "exit 3", "c": "true"}, "failed", 1),
    undone(False), undone(True), stopped(), changed(),
]


def long_log(sluice):
    """A run of more than fifty lines: outputs inline and in a blob, a cached step, retries, quality, an
    artifact, gates of all three kinds, an approval, an override, a lost attempt, a torn tail, resumes,
    a compensation. It ends as failed."""
    (sluice.root / "in").write_text("1\n")
    cached = {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", "cache": True, "inputs": ["in"], **NUMBER}
    sluice.go({"kept": cached}, run_id=sluice.id + "-old")
    steps = {
        "kept": cached,
        "tried": {"run": ONCE_MORE, "retry": FAST, **NUMBER},
        "big": BIG, "note": NOTE,
        "file": {"run": FIGURES, "artifacts": [{"name": "file", "path": "file"}], "compensate": {"run": "true"}},
        "soft": {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", **NUMBER, "gate": "soft", "pass": "output.n == 2"},
        "hard": {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", **NUMBER, "gate": "hard", "pass": "output.n == 1"},
        "left": {"run": "true", "when": "1 == 2", "needs": ["hard"]},
        "bar": {"run": "exit 1", "gate": "hard", "needs": ["hard"]},
        "wait": {"gate": "manual", "noop": True, "needs": ["bar"]},
        "lose": {"run": "[ -e ok ] || { touch begun; sleep 60; }", "on_lost": "rerun", "needs": ["wait"]},
        "last": {"run": "exit 3", "needs": ["lose"]},
    }
    sluice.go(steps, code=1)
    done = sluice("resume", sluice.id, "--override", "bar", *ANNA)
    assert done.code == 4, done
    sluice("approve", sluice.id, "wait", *ANNA, code=0)
    engine = sluice.start("resume", sluice.id)
    until((sluice.root / "begun").exists)
    sluice.kill_machine(engine)
    with (sluice.run_dir() / "events.jsonl").open("ab") as log:
        log.write(b'{"event_id')
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=1)
    sluice("rollback", sluice.id, "--reason", "no", code=(0, 1))
    return sluice
