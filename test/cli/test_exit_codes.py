"""The exit codes of S13, each at least once."""
import json
import os
import resource
import signal
import subprocess

import pytest

from pipelines import APPROVAL, FAILING, GATE, GOOD, SLOW
from support.sluice import until


def test_exit_0_succeeded_S13(sluice):
    done = sluice.run("run", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    assert "SUCCEEDED" in done.stdout and "Receipt: " in done.stdout
    sluice.run("resume", "r", check=0)
    for verb in ("status", "summary", "events", "logs", "verify"):
        sluice.run(verb, "r", check=0)


def test_exit_1_failed_S13(sluice):
    done = sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    assert "last lines of 'second'" in done.stderr and "| broken" in done.stderr
    assert "next: sluice resume r" in done.stderr
    # Questions about a failed run are answered.
    for verb in ("status", "summary", "events"):
        sluice.run(verb, "r", check=0)


def test_exit_3_id_exists_S13(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.run("run", path, "--run-id", "r", check=0)
    log = sluice.log("r").read_bytes()
    assert "r" in sluice.run("run", path, "--run-id", "r", check=3).stderr
    assert sluice.log("r").read_bytes() == log


def test_exit_3_a_failed_hard_gate_bars_a_resume_S9_1(sluice):
    sluice.run("run", sluice.write("p.yaml", GATE), "--run-id", "r", check=1)
    log = sluice.log("r").read_bytes()
    for words in ([], ["--check"], ["--override", "check"], ["--override", "after", "--reason", "x"]):
        sluice.run("resume", "r", *words, check=3)
        assert sluice.log("r").read_bytes() == log
    done = sluice.run("resume", "r", "--override", "check", "--reason", "seen", "--as", "anna", check=5)
    assert "partial" in done.stdout
    events = [json.loads(line) for line in sluice.log("r").read_text().splitlines()]
    override = next(e for e in events if e["event_type"] == "run.override_applied")
    assert override["actor"] == "manual:anna" and override["override_reason"] == "seen"


def test_exit_4_blocked_and_nothing_decided_S9_1(sluice):
    sluice.run("run", sluice.write("p.yaml", APPROVAL), "--run-id", "r", check=4)
    log = sluice.log("r").read_bytes()
    sluice.run("resume", "r", check=4)
    assert sluice.log("r").read_bytes() == log
    assert "reason" in sluice.run("approve", "r", "ask", check=2).stderr
    sluice.run("approve", "r", "nobody", "--reason", "x", check=9)
    sluice.run("approve", "r", "ask", "--reason", "fine", "--as", "anna", check=0)
    sluice.run("resume", "r", check=0)
    sluice.run("approve", "r", "ask", "--reason", "again", "--as", "bob", check=3)


def test_exit_1_rejected_S5_6(sluice):
    sluice.run("run", sluice.write("p.yaml", APPROVAL), "--run-id", "r", check=4)
    sluice.run("reject", "r", "ask", "--reason", "no", "--as", "anna", check=0)
    sluice.run("resume", "r", check=1)


def test_exit_5_partial_S5_7(sluice):
    text = FAILING.replace("exit 3'", "exit 3', on_failure: continue")
    sluice.run("run", sluice.write("p.yaml", text), "--run-id", "r", check=5)
    assert "Outcome: partial" in sluice.run("summary", "r", check=0).stdout


def test_exit_6_stopped_from_outside_S5_6(sluice):
    process = sluice.start("run", sluice.write("p.yaml", SLOW), "--run-id", "r")
    sluice.wait_for("r", "executing")
    sluice.run("stop", "r", "--reason", "enough", check=0)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 6 and b"STOPPED" in out
    sluice.run("resume", "r", "--check", check=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_exit_6_a_signal_stops_the_run_S3_3(sluice, number):
    process = sluice.start("run", sluice.write("p.yaml", SLOW), "--run-id", "r")
    sluice.wait_for("r", "executing")
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 6


def test_a_second_signal_kills_what_the_first_waits_for_S7_5(sluice):
    path = sluice.write("p.yaml", SLOW.replace("cancel", "wait").replace("sleep 30", "sleep 600"))
    process = sluice.start("run", path, "--run-id", "r")
    sluice.wait_for("r", "executing")
    process.send_signal(signal.SIGINT)
    until(lambda: b'"run.stop_requested"' in sluice.log("r").read_bytes(), 60, of="the first signal")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 6


def damage(path):
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"executing", b"succeeded")
    path.write_bytes(b"\n".join(lines))


def test_exit_7_corrupt_S11_4(sluice):
    sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    damage(sluice.log("r"))
    log = sluice.log("r").read_bytes()
    for words in (["verify", "r"], ["resume", "r"], ["status", "r"], ["events", "r"], ["summary", "r"]):
        sluice.run(*words, check=7)
    assert "damaged after event 2" in sluice.run("status", "r", check=7).stdout
    assert sluice.run("events", "r", "--json", check=7).stdout.count("\n") == 2
    assert sluice.log("r").read_bytes() == log


def test_a_torn_tail_is_noted_and_no_error_S11_4(sluice):
    sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    with sluice.log("r").open("ab") as log:
        log.write(b'{"event_id":"evt_')
    before = sluice.log("r").read_bytes()
    for verb in ("status", "summary", "events", "verify"):
        assert "torn tail" in sluice.run(verb, "r", check=0).stdout, verb
    assert json.loads(sluice.run("summary", "r", "--json", check=0).stdout)["note"].startswith("torn")
    assert sluice.log("r").read_bytes() == before


def test_exit_8_locked_S13(sluice):
    process = sluice.start("run", sluice.write("p.yaml", SLOW), "--run-id", "r")
    try:
        sluice.wait_for("r", "executing")
        assert str(process.pid) in sluice.run("resume", "r", check=8).stderr
        assert f"Owner: process {process.pid}" in sluice.run("status", "r", check=0).stdout
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.mark.parametrize("verb", ["status", "summary", "events", "logs", "verify", "resume", "stop"])
def test_exit_9_no_such_run_S13(sluice, verb):
    sluice.run(verb, "nothing", check=9)
    sluice.run(verb, "./nothing", check=9)
    assert not sluice.home.exists()


def test_exit_9_no_such_step_S13(sluice):
    sluice.run("run", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    sluice.run("logs", "r", "nothing", check=9)


def test_exit_10_storage_S13(sluice):
    """No file may grow: what a full disk answers, and nothing of the run is left."""
    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    done = sluice.run("run", sluice.write("p.yaml", GOOD), check=10, preexec_fn=no_room)
    assert done.stdout == "" and not list(sluice.home.glob("runs/*"))


def test_exit_10_stdout_that_cannot_be_written(sluice):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(sluice.command("help"), env=sluice.env, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 10 and b"No space left" in done.stderr


def test_exit_11_a_log_of_a_newer_version_S11_5(sluice):
    sluice.run("run", sluice.write("p.yaml", APPROVAL), "--run-id", "r", check=4)
    import hashlib
    log = sluice.log("r")
    chain = hashlib.sha256(b"r").digest()
    lines = log.read_bytes().splitlines()
    for line in lines:
        chain = hashlib.sha256(chain + line[:-24]).digest()
    event = json.loads(lines[-1])
    event.pop("h")
    event = {"event_id": f"evt_{len(lines) + 1}", "event_type": "run.teleported", "run_id": "r",
             "timestamp_utc": event["timestamp_utc"], "actor": "runner", "attempt": 0}
    body = json.dumps(event, separators=(",", ":")).encode()[:-1]
    chain = hashlib.sha256(chain + body).digest()
    with log.open("ab") as out:
        out.write(body + b',"h":"' + chain.hex()[:16].encode() + b'"}\n')
    sluice.run("resume", "r", check=11)
    sluice.run("verify", "r", check=11)
    assert "newer version" in sluice.run("status", "r", check=0).stdout


def test_a_reader_that_goes_away_ends_the_command_quietly(sluice):
    sluice.run("run", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(sluice.command("events", "r"), env=sluice.env, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.stderr == b"" and done.returncode == 0


def test_detach_prints_the_id_when_the_run_exists(sluice):
    done = sluice.run("run", "--detach", sluice.write("p.yaml", GOOD), check=0)
    run = done.stdout.strip()
    assert sluice.log(run).read_text().startswith('{"event_id":"evt_1","event_type":"run.created"')
    sluice.wait_for(run, "succeeded")


def test_detach_tells_of_a_birth_that_failed_S13(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.run("run", path, "--run-id", "r", check=0)
    done = sluice.run("run", "--detach", path, "--run-id", "r", check=3)
    assert done.stdout == "" and "r" in done.stderr
    sluice.run("run", "--detach", sluice.write("bad.yaml", "pipeline: x\n"), check=2)


def test_quiet_prints_the_id_only(sluice):
    done = sluice.run("run", "-q", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    assert done.stdout == "r\n" and done.stderr == ""
