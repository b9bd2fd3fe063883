"""X04: the truth table of a hard gate. Of all ways in which its command can end, and of all results that it
can leave, one combination is a pass: exit 0 and a whole result that says so. All others block."""
import itertools
import json
import shutil

import pytest

from support.sluice import until

GATE = {"gate": "hard", "outputs": {"ok": {"type": "bool", "required": True}}, "pass": "output.ok",
        "grace": "100ms"}
RESULT = '"$SLUICE_OUTPUT"'
PASS = f"""printf '{{"outputs":{{"ok":true}}}}' >{RESULT}"""

# Outcome: what the result file says, told well.
OUTCOMES = {
    "says yes": PASS,
    "says no": f"""printf '{{"outputs":{{"ok":false}}}}' >{RESULT}""",
    "says nothing": ":",
}

# How the command ends, after it has said so, and what is recorded of that.
ENDS = {
    "exit 0": ("exit 0", {"exit_code": 0}),
    "crash": ("kill -SEGV $$", {"signal": 11}),
    "abort": ("kill -ABRT $$", {"signal": 6}),
    "signal": ("kill -KILL $$", {"signal": 9}),
    "asked to end": ("kill -TERM $$", {"signal": 15}),
    "time-out": ("sleep 60", {"error_class": "timeout"}),
    "time-out, deaf": ("trap '' TERM; sleep 60 & wait; sleep 60", {"error_class": "timeout"}),
    "exit 1": ("exit 1", {"exit_code": 1}),
    "exit 75": ("exit 75", {"exit_code": 75}),
}

# Results that are none, with exit 0.
BROKEN = {
    "empty": f": >{RESULT}",
    "a blank": f"printf ' ' >{RESULT}",
    "a newline": f"echo >{RESULT}",
    "cut off": f"""printf '{{"outputs":{{"ok":true' >{RESULT}""",
    "cut behind the outputs": f"""printf '{{"outputs":{{"ok":true}}' >{RESULT}""",
    "with more behind it": f"""printf '{{"outputs":{{"ok":true}}}}}}' >{RESULT}""",
    "twice": f"""printf '{{"outputs":{{"ok":true}}}}{{"outputs":{{"ok":true}}}}' >{RESULT}""",
    "duplicate value, yes and yes": f"""printf '{{"outputs":{{"ok":true,"ok":true}}}}' >{RESULT}""",
    "duplicate value, no and yes": f"""printf '{{"outputs":{{"ok":false,"ok":true}}}}' >{RESULT}""",
    "duplicate outputs": f"""printf '{{"outputs":{{"ok":false}},"outputs":{{"ok":true}}}}' >{RESULT}""",
    "a text": f"""printf '{{"outputs":{{"ok":"true"}}}}' >{RESULT}""",
    "a number": f"""printf '{{"outputs":{{"ok":1}}}}' >{RESULT}""",
    "a null": f"""printf '{{"outputs":{{"ok":null}}}}' >{RESULT}""",
    "a list": f"""printf '{{"outputs":{{"ok":[true]}}}}' >{RESULT}""",
    "another case": f"""printf '{{"outputs":{{"OK":true}}}}' >{RESULT}""",
    "another place": f"""printf '{{"ok":true}}' >{RESULT}""",
    "other words": f"""printf '{{"outputs":{{"ok":True}}}}' >{RESULT}""",
    "a list of outputs": f"""printf '{{"outputs":[true]}}' >{RESULT}""",
    "not UTF-8": f"""printf '{{"outputs":{{"ok":true,"t":"\\377\\376"}}}}' >{RESULT}""",
    "UTF-16": f"""printf '\\377\\376{{\\0"\\0' >{RESULT}""",
    "a NUL": f"""printf '{{"outputs":{{"ok":true}}}}\\0' >{RESULT}""",
    "a BOM": f"""printf '\\357\\273\\277{{"outputs":{{"ok":true}}}}' >{RESULT}""",
    "surrogates": f"""printf '{{"outputs":{{"ok":true,"t":"\\\\ud800"}}}}' >{RESULT}""",
    "oversized": f"""{{ printf '{{"outputs":{{"ok":true,"pad":"'; head -c 2000000 /dev/zero | tr '\\0' x;
        printf '"}}}}'; }} >{RESULT}""",
    "oversized, of blanks": f"""{{ printf '{{"outputs":{{"ok":true}}}}'; head -c 2000000 /dev/zero | tr '\\0' ' '; }}
        >{RESULT}""".replace("\n        ", " "),
    "deep": f"""{{ printf '{{"outputs":{{"ok":true,"d":'; head -c 5000 /dev/zero | tr '\\0' '['; }} >{RESULT}""",
    "an error class beside it": f"""printf '{{"error_class":"data_quality","outputs":{{"ok":false}}}}' >{RESULT}""",
    "a folder": f"mkdir {RESULT}",
    "a link to a pass": f"""printf '{{"outputs":{{"ok":true}}}}' >pass; ln -s "$PWD/pass" {RESULT}""",
    "a pipe": f"mkfifo {RESULT}",
    "a name of a pass": f"""printf '{{"outputs":{{"ok":true}}}}' >pass; ln "$PWD/pass" {RESULT}; exit 1""",
    "removed again": f"{PASS}; rm {RESULT}",
    "on standard output": """printf '{"outputs":{"ok":true}}'""",
}

# Steps that leave a result where the gate's is to be, and a gate that leaves none.
LEFT = {
    "by the attempt before": {"g": {
        "run": f"""[ "$SLUICE_ATTEMPT" = 1 ] || {{ {PASS.replace(RESULT, '"${SLUICE_OUTPUT%.0.json}.1.json"')}; exit 75; }}""",
        "retry": {"max_attempts": 2, "initial": "1ms"}}},
    "by a step above": {"above": PASS.replace(RESULT, '"${SLUICE_OUTPUT%/*}/g.0.json"'), "g": {"run": ":"}},
    "as a folder": {"above": 'mkdir "${SLUICE_OUTPUT%/*}/g.0.json"', "g": {"run": ":"}},
    "as a link": {"above": PASS.replace(RESULT, "pass") + '; ln -s "$PWD/pass" "${SLUICE_OUTPUT%/*}/g.0.json"',
                  "g": {"run": ":"}},
}


def blocked(sluice, what, steps=None, **keys):
    """The gate failed, nothing below it ran, and a resume is refused."""
    log = sluice.go({**(steps or {}), "g": {**GATE, "run": what, **keys}, "below": "touch ran",
                     "beside": {"needs": ["below"], "run": "touch ran"}}, code=1)
    assert not (sluice.root / "ran").exists()
    assert not log.of("gate.passed") and not log.of("step.succeeded", "g")
    assert len(log.of("gate.failed", "g")) == 1 and log.steps["g"].state == "failed"
    assert {step: log.steps[step].state for step in ("below", "beside")} == {"below": "skipped", "beside": "skipped"}
    sluice("resume", sluice.id, code=3)
    assert not (sluice.root / "ran").exists()
    return log


def test_x04_exit_0_and_a_result_that_says_so_is_the_one_pass(sluice):
    log = sluice.go({"g": {**GATE, "run": PASS}, "below": "touch ran"})
    assert (sluice.root / "ran").exists() and len(log.of("gate.passed", "g")) == 1
    assert "true" in json.dumps(log.of("gate.passed", "g")[0]["evidence"])


@pytest.mark.sweep(3)
@pytest.mark.parametrize("outcome, end", [
    pair for pair in itertools.product(OUTCOMES, ENDS) if pair != ("says yes", "exit 0")],
    ids=lambda text: text.replace(" ", "-"))
def test_x04_no_other_outcome_and_end_pass(sluice, outcome, end):
    command, recorded = ENDS[end]
    deadline = {"timeout": "1s"} if end.startswith("time-out") else {}
    log = blocked(sluice, OUTCOMES[outcome] + "\n" + command, **deadline)
    ended = log.of("step.failed", "g")[0]
    assert {name: ended.get(name) for name in recorded} == recorded
    if (outcome, end) == ("says no", "exit 0"):
        assert ended["error_class"] == "hard_gate_failed"


@pytest.mark.sweep(5)
@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: text.replace(" ", "-"))
def test_x04_a_result_that_is_none_is_no_pass(sluice, broken):
    blocked(sluice, BROKEN[broken])


@pytest.mark.parametrize("prefix", ["", "setsid "], ids=["its own", "a session of its own"])
def test_x04_a_result_that_comes_late_is_no_pass(sluice, prefix):
    """By a process that may outlive its step, when the gate is judged: it stays so."""
    (sluice.root / "late").write_text(f"while [ ! -e go ]; do sleep 0.02; done\n{PASS}\ntouch said\n")
    sluice.go({"g": {**GATE, "run": f"{prefix}sh late & exit 0", "orphans": "allow"}, "below": "touch ran"}, code=1)
    (sluice.root / "go").touch()
    until(lambda: (sluice.root / "said").exists(), 30, of="a late result")
    sluice("resume", sluice.id, code=3)
    assert not (sluice.root / "ran").exists() and not sluice.log().of("gate.passed")


@pytest.mark.parametrize("left", LEFT)
def test_x04_a_result_that_was_left_for_it_is_no_pass(sluice, left):
    """Only what its own attempt wrote counts (S8.6)."""
    steps = dict(LEFT[left])
    gate = steps.pop("g")
    log = blocked(sluice, gate["run"], steps, **{name: keys for name, keys in gate.items() if name != "run"})
    ended = log.of("step.failed", "g")[-1]
    assert ended["exit_code"] == 0 and "'ok' is missing" in ended["reason"], ended


def test_x04_what_was_left_for_it_and_cannot_be_removed_stops_the_run(sluice):
    """And a person who has removed it goes on."""
    path = sluice.pipeline({"above": 'mkdir -p "${SLUICE_OUTPUT%/*}/g.0.json/more"', "g": {**GATE, "run": f"{PASS}; touch made"}})
    sluice("run", path, "--run-id", sluice.id, code=10)
    assert sluice.log().steps["g"].state == "running" and not (sluice.root / "made").exists()
    assert "attempt of 'g' could not be recorded: Directory not empty" in sluice("resume", sluice.id, code=10).stderr
    shutil.rmtree(sluice.run_dir() / "out/g.0.json")
    sluice("resume", sluice.id, code=0)
    assert [event["attempt"] for event in sluice.log().of("step.started", "g")] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, 256, 51))
def test_x04_no_exit_code_but_0_is_a_pass(sluice, first):
    """Each of 1 .. 255 with a result that says yes."""
    path = sluice.pipeline({"g": {**GATE, "run": f"{PASS}\nexit $PARAM_code"}, "below": "touch ran"},
                           params={"code": {"type": "int", "required": True}})
    for code in range(first, min(first + 51, 256)):
        run_id = f"code-{code}"
        sluice("run", path, "--run-id", run_id, "-p", f"code={code}", code=1)
        log = sluice.log(run_id)
        assert log.of("step.failed", "g")[0]["exit_code"] == code
        assert len(log.of("gate.failed", "g")) == 1 and not log.of("gate.passed")
        assert not (sluice.root / "ran").exists(), code


@pytest.mark.slow
def test_x04_no_signal_is_a_pass(sluice):
    """Each signal that ends a process, sent to itself behind a result that says yes."""
    path = sluice.pipeline({"g": {**GATE, "argv": ["/usr/bin/python3", "-c", f'''
import os, signal, sys
open(os.environ["SLUICE_OUTPUT"], "w").write('{{"outputs":{{"ok":true}}}}')
signal.pthread_sigmask(signal.SIG_SETMASK, [])
number = int(os.environ["PARAM_signal"])
if number not in (9, 19):
    signal.signal(number, signal.SIG_DFL)
os.kill(os.getpid(), number)
''']}, "below": "touch ran"}, params={"signal": {"type": "int", "required": True}})
    ending = [n for n in range(1, 65) if n not in (17, 18, 19, 20, 21, 22, 23, 28, 32, 33)]
    for number in ending:
        run_id = f"signal-{number}"
        sluice("run", path, "--run-id", run_id, "-p", f"signal={number}", code=1)
        log = sluice.log(run_id)
        assert log.of("step.failed", "g")[0]["signal"] == number
        assert len(log.of("gate.failed", "g")) == 1 and not log.of("gate.passed")
        assert not (sluice.root / "ran").exists(), number
