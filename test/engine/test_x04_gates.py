"""X04: the truth table of a hard gate. Of all ways in which its command can end, and of all results that it
can leave, one combination is a pass: exit 0 and a whole result that says so. All others block."""
import itertools
import json

import pytest

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

# How the command ends, after it has said so.
ENDS = {
    "exit 0": "exit 0",
    "crash": "kill -SEGV $$",
    "abort": "kill -ABRT $$",
    "signal": "kill -KILL $$",
    "asked to end": "kill -TERM $$",
    "time-out": "sleep 30",
    "time-out, deaf": "trap '' TERM; sleep 30 & wait; sleep 30",
    "exit 1": "exit 1",
    "exit 75": "exit 75",
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
    "late": f"( sleep 0.3; {PASS} ) & exit 0",
    "late, in a session of its own": f"setsid sh -c 'sleep 0.3; {PASS.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}' & exit 0",
}


def blocked(sluice, what, **keys):
    """The gate failed, nothing below it ran, and a resume is refused."""
    log = sluice.go({"g": {**GATE, "run": what, **keys}, "below": "touch ran",
                     "beside": {"needs": ["below"], "run": "touch ran"}}, code=1)
    assert not (sluice.root / "ran").exists()
    assert not log.of("gate.passed") and not log.of("step.succeeded")
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
    log = blocked(sluice, OUTCOMES[outcome] + "\n" + ENDS[end], timeout="300ms")
    ended = log.of("step.failed", "g")[0]
    if (outcome, end) == ("says no", "exit 0"):
        assert ended["error_class"] == "hard_gate_failed"
    if end.startswith("time-out"):
        assert ended["error_class"] == "timeout"


@pytest.mark.sweep(5)
@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: text.replace(" ", "-"))
def test_x04_a_result_that_is_none_is_no_pass(sluice, broken):
    blocked(sluice, BROKEN[broken], timeout="5s")


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
