"""S8: commands and their keeper: environment, results, output, secrets, crashes."""
import json
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.checker import Ledger
from support.kills import kill_at
from support.sluice import Sluice, alive, processes, until


def test_s8_6_environment(sluice):
    log = sluice.go({"a": "env -0 >a.env; ls -l /proc/self/fd/ >fds", "b": {"run": 'env -0 >b.env.$SLUICE_ATTEMPT; [ $SLUICE_ATTEMPT = 1 ] || exit 75',
                                                  "retry": {"max_attempts": 2, "initial": "1ms"}}},
                    env={"SECRET_OF_THE_CALLER": "x", "LC_ALL": "C", "EVIL": "y"})

    def env(name):
        return dict(v.split("=", 1) for v in (sluice.root / name).read_text().split("\0") if v)
    a, b0, b1 = env("a.env"), env("b.env.0"), env("b.env.1")
    assert (a["SLUICE_RUN_ID"], a["SLUICE_STEP"], a["SLUICE_ATTEMPT"]) == (log.run_id, "a", "0")
    assert b0["SLUICE_IDEMPOTENCY_KEY"] == b1["SLUICE_IDEMPOTENCY_KEY"] != a["SLUICE_IDEMPOTENCY_KEY"]
    assert int(b1["SLUICE_FENCE"]) > int(b0["SLUICE_FENCE"]) >= int(a["SLUICE_FENCE"]) or \
        int(b1["SLUICE_FENCE"]) > int(b0["SLUICE_FENCE"])
    assert "SECRET_OF_THE_CALLER" not in a and "EVIL" not in a and "SLUICE_HOME" not in a
    assert a["LC_ALL"] == "C" and a["HOME"] == str(sluice.root)
    assert "SLUICE_CONTEXT" not in a and "SLUICE_ARTIFACTS" not in a


def test_d25_a_step_inherits_nothing_but_its_three_descriptors(sluice):
    sluice.go({"a": "ls /proc/$$/fd >fds"})
    # bash itself opens 255 for a script file, not for -c.
    assert (sluice.root / "fds").read_text().split() in (["0", "1", "2"], ["0", "1", "2", "255"])


def test_s8_6_commands_die_before_the_keeper(sluice):
    sluice.go({"a": "cat /proc/self/oom_score_adj >adj"})
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int((sluice.root / "adj").read_text()) == min(1000, max(own, 500)) or \
        int((sluice.root / "adj").read_text()) >= 500


@pytest.mark.parametrize("text, outputs", [
    ("x=1\ny = 2\n", None), ("x=1\n", {"x": "1"}), ("x=a=b\n", {"x": "a=b"}), ('{"outputs":{"x":[1,{"k":null}]}}', {"x": [1, {"k": None}]}),
    ("\n\n  x=5\n", None), ("", {}), ('{"outputs":{"x":"\\u00e9\\n"}}', {"x": "\u00e9\n"})])
def test_result_files(sluice, text, outputs):
    (sluice.root / "text").write_text(text)
    path = sluice.pipeline({"a": 'cat text >"$SLUICE_OUTPUT"'})
    result = sluice("run", path, "--run-id", sluice.id, code=(0, 1))
    log = sluice.log()
    if result.code == 1:
        assert log.of("step.failed")[0]["error_class"] == "validation_failed"
    if outputs is not None:
        assert result.code == 0, result
        assert log.of("step.succeeded")[0].get("outputs", {}) == outputs


@pytest.mark.sweep(3)
@pytest.mark.parametrize("declared, text", [
    ("int", "x=seven"), ("int", "x=1.5"), ("number", "x="), ("bool", "x=maybe"), ("list", "x=1"), ("duration", "x=10"),
    ("int", '{"outputs":{"x":"7"}}'), ("string", '{"outputs":{"x":7}}'), ("int", "y=1"), ("int", "x=99999999999999999999"),
    ("string", "x=\\xff\\xfe")])
def test_what_does_not_convert_is_validation_failed(sluice, declared, text):
    log = sluice.go({"a": {"run": f"printf '{text}' >\"$SLUICE_OUTPUT\"".replace('"outputs"', '"outputs"'),
                           "outputs": {"x": {"type": declared, "required": True}}}}, code=1)
    assert log.of("step.failed")[0]["error_class"] == "validation_failed"


def test_a_result_over_1_mib_is_refused_never_truncated(sluice):
    for size, ok in ((1 << 20, True), ((1 << 20) + 1, False)):
        run_id = f"{sluice.id}-{size}"
        log = sluice.go({"a": f'printf "x=" >"$SLUICE_OUTPUT"; head -c {size - 2} /dev/zero | tr "\\0" a >>"$SLUICE_OUTPUT"'},
                        run_id=run_id, code=0 if ok else 1)
        if not ok:
            assert log.of("step.failed")[0]["error_class"] == "validation_failed"


def test_p08_s8_7_output_limit(sluice):
    log = sluice.go({"a": {"run": "yes", "output_limit": "1MiB", "grace": "100ms"}}, code=1)
    assert log.of("step.failed")[0]["error_class"] == "infrastructure"


def test_output_is_kept_in_order(sluice):
    sluice.go({"a": 'for i in 1 2 3; do echo o$i; echo e$i >&2; done'})
    assert sluice.output("a") == b"o1\ne1\no2\ne2\no3\ne3\n"


# ------------------------------------------------------------------------------------ secrets

@pytest.fixture
def canary():
    """Another one each time: command lines of the whole machine are searched for it."""
    return "kanarienvogel-" + secrets.token_hex(8)


@pytest.mark.parametrize("source", ["env", "file"])
def test_s14_a_secret_is_nowhere(sluice, canary, source, tmp_path_factory):
    outside = tmp_path_factory.mktemp("secret") / "token"
    outside.write_text(canary)
    come = {"env": "API_TOKEN"} if source == "env" else {"file": str(outside)}
    steps = {
        "a": {"run": 'echo "tok=$TOK"; printf "%s" "$TOK" | fold -w3; echo "x-$TOK-$TOK"; echo "out=$TOK" >"$SLUICE_OUTPUT"; sleep 0.6',
              "env": {"TOK": "${params.token}"}},
        "b": {"run": 'echo \'{"error_class":"dependency","reason":"bad \'"$TOK"\'"}\' >"$SLUICE_OUTPUT"; echo $TOK >&2; exit 1',
              "env": {"TOK": "${params.token}"}, "on_failure": "continue"},
        "c": {"gate": "soft", "run": 'echo "v=$TOK" >"$SLUICE_OUTPUT"', "env": {"TOK": "${params.token}"},
              "pass": "output.v == 'x'", "reason": "got ${output.v}"},
    }
    path = sluice.pipeline(steps, params={"token": {"type": "secret", "from": come}})
    env = {"API_TOKEN": canary} if source == "env" else {}
    engine = sluice.start("run", path, "--run-id", sluice.id, "-v", env=env)
    seen = []
    while engine.poll() is None:
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if canary.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                        seen.append(entry)
                except OSError:
                    pass
        time.sleep(0.01)
    out, err = engine.communicate()
    assert engine.returncode == 5, err
    assert not seen, "a command line"
    assert canary not in out + err
    hits = [p for p in sluice.home.rglob("*") if p.is_file() and canary.encode() in p.read_bytes()]
    assert not hits, hits
    assert b"tok=***" in sluice.output("a") and b"x-***-***" in sluice.output("a")
    for verb in (("status",), ("summary",), ("events",), ("events", "--json"), ("logs",), ("summary", "--json")):
        result = sluice(verb[0], sluice.id, *verb[1:], code=0)
        assert canary not in result.stdout + result.stderr


@pytest.mark.sweep(3)
@pytest.mark.parametrize("write", [
    'echo n=$TOK >"$SLUICE_OUTPUT"',                    # a number that is a secret
    'echo "n=5$TOK" >"$SLUICE_OUTPUT"; sleep 30',       # timed out
    'echo \'{"outputs":{"n":\'$TOK\'}}\' >"$SLUICE_OUTPUT"',
    'yes $TOK | head -c 3000000 >"$SLUICE_OUTPUT"',     # too large to be a result
    'echo "{$TOK" >"$SLUICE_OUTPUT"', 'echo "$TOK=1" >"$SLUICE_OUTPUT"',
])
def test_a_secret_in_an_odd_result_fails_the_step_at_most(sluice, write):
    path = sluice.pipeline({"a": {"run": write, "env": {"TOK": "${params.t}"}, "outputs": {"n": {"type": "int"}},
                                  "timeout": "1s", "grace": "100ms"}},
                           params={"t": {"type": "secret", "from": {"env": "TT"}}})
    sluice("run", path, "--run-id", sluice.id, code=1, env={"TT": "8675309"})
    sluice.log(ended="failed")
    hits = [p for p in sluice.home.rglob("*") if p.is_file() and b"8675309" in p.read_bytes()]
    assert not hits, hits


def test_s9_a_secret_is_read_again_at_resume_and_missing_is_exit_3(sluice):
    path = sluice.pipeline({"a": {"run": '[ "$SLUICE_ATTEMPT" = 1 ] && [ "$T" = two-two ]', "env": {"T": "${params.t}"}}},
                           params={"t": {"type": "secret", "from": {"env": "TT"}}})
    sluice("run", path, "--run-id", sluice.id, code=(2, 3))
    assert not sluice.run_dir().exists()
    sluice("run", path, "--run-id", sluice.id, code=1, env={"TT": "one-one"})
    sluice("resume", sluice.id, code=3)
    sluice("resume", sluice.id, code=0, env={"TT": "two-two"})


def test_a_secret_on_the_command_line_is_refused(sluice, canary):
    path = sluice.pipeline({"a": "true"}, params={"t": {"type": "secret", "from": {"env": "TT"}}})
    result = sluice("run", path, "-p", f"t={canary}", code=2, env={"TT": "x"})
    assert canary not in result.stderr


# ------------------------------------------------------------------------------------ crashes

def test_s8_3_a_running_step_is_attached_to_after_the_engine_was_killed(sluice):
    path = sluice.pipeline({"a": "echo begin; until [ -e go ]; do sleep 0.02; done; echo end", "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    log = sluice.run_dir() / "logs/a.0.log"
    until(lambda: log.exists() and b"begin" in log.read_bytes(), of="a")
    sluice.cut(engine)
    second = sluice.start("resume", sluice.id)
    sluice.wait_event("run.resumed")
    (sluice.root / "go").touch()
    assert second.wait(60) == 0, second.communicate()
    log = sluice.log(ended="succeeded")
    assert log.sequence("a") == [("step.started", 0), ("step.succeeded", 0)] and len(log.of("run.resumed")) == 1
    assert sluice.output("a") == b"begin\nend\n"


def test_s8_3_a_step_that_ended_while_no_engine_lived_has_its_result(sluice):
    run = 'touch begun; until [ -e go ]; do sleep 0.02; done; echo n=3 >"$SLUICE_OUTPUT"; exit 7'
    path = sluice.pipeline({"a": run, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="a")
    sluice.cut(engine)
    (sluice.root / "go").touch()
    until(lambda: not sluice.keepers(), of="the keeper's end")
    sluice("resume", sluice.id, code=1)
    log = sluice.log(ended="failed")
    assert log.of("step.failed", "a")[0]["exit_code"] == 7 and log.steps["a"].started == [0]


def test_s8_1_deadlines_hold_while_no_engine_lives(sluice):
    path = sluice.pipeline({"a": {"run": "touch begun; sleep 60", "timeout": "2s", "grace": "200ms"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="a")
    sluice.cut(engine)
    until(lambda: not processes(f"SLUICE_RUN_ID={sluice.id}"), of="the deadline")
    sluice("resume", sluice.id, code=1)
    assert sluice.log(ended="failed").of("step.failed", "a")[0]["error_class"] == "timeout"


@pytest.mark.parametrize("on_lost, code", [(None, 1), ("fail", 1), ("rerun", 0), ("ask", 4)])
@pytest.mark.parametrize("live", [True, False])
def test_s8_4_a_killed_keeper(sluice, on_lost, code, live):
    path = sluice.pipeline({"a": {"run": 'echo $$ >>pids; [ "$SLUICE_ATTEMPT" != 0 ] || sleep 60', **({"on_lost": on_lost} if on_lost else {})}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "pids").exists() and (sluice.root / "pids").read_text(), of="a")
    if not live:
        sluice.cut(engine)
    keeper, = sluice.keepers()
    os.kill(keeper, signal.SIGKILL)
    first = int((sluice.root / "pids").read_text().split()[0])
    until(lambda: not alive(first), of="what it ran dies with it")
    if live:
        assert engine.wait(60) == code
    else:
        sluice("resume", sluice.id, code=code)
    log = sluice.log()
    assert len(log.of("step.lost", "a")) == 1
    if on_lost == "ask":
        assert log.state == "blocked"
        sluice("approve", sluice.id, "a", "--as", "anna", "--reason", "it did nothing", code=0)
        sluice("resume", sluice.id, code=0)
        log = sluice.log(ended="succeeded")
    assert log.steps["a"].started == ([0, 1] if on_lost in ("rerun", "ask") else [0])


def test_s8_4_at_most_five_losses_in_a_row(sluice):
    path = sluice.pipeline({"a": {"run": "echo $$ >>pids; sleep 60", "on_lost": "rerun"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    for n in range(1, 6):
        until(lambda n=n: (sluice.root / "pids").exists() and len((sluice.root / "pids").read_text().split()) == n or
              engine.poll() is not None, of=f"attempt {n}")
        for keeper in sluice.keepers():
            os.kill(keeper, signal.SIGKILL)
    assert engine.wait(60) == 1
    assert len(sluice.log(ended="failed").of("step.lost", "a")) == 5


def test_s8_3_another_boot_loses_what_has_no_end(sluice):
    sluice.go({"a": "true", "b": "true"})
    lines = sluice.raw().splitlines(True)
    cut = next(i for i, line in enumerate(lines) if b'"step.started"' in line and b'"b"' in line) + 1
    from support.checker import forge
    events = [json.loads(line) for line in lines[:cut]]
    events[0]["boot_id"] = "00000000-0000-4000-8000-000000000000"
    sluice.rewrite(forge(sluice.id, events))
    sluice("resume", sluice.id, code=1)
    assert len(sluice.log(ended="failed").of("step.lost", "b")) == 1, "though attempts.log has its end"


def test_s8_3_armed_and_ended_after_a_machine_that_did_not_reboot(sluice):
    """The log is cut behind the intent; attempts.log knows the end: it is taken, nothing runs twice."""
    sluice.go({"a": "echo x >>count", "b": "true"})
    lines = sluice.raw().splitlines(True)
    cut = next(i for i, line in enumerate(lines) if b'"step.started"' in line) + 1
    sluice.rewrite(b"".join(lines[:cut]))
    sluice("resume", sluice.id, code=0)
    assert (sluice.root / "count").read_text() == "x\n"


@pytest.mark.parametrize("how", ["the keeper tells", "attempts.log tells"])
def test_s8_3_s1_4_an_intent_that_never_became_an_attempt_is_cancelled_when_its_run_has_failed(sluice, how):
    """The engine is killed between the durable intent of an attempt and the order to the keeper; then a hard gate fails that
    only the resume hears of. From there on nothing new starts (S1.4), and so nor does this."""
    wait = "until [ -e {} ]; do sleep 0.02; done"
    roots = {"gate": {"gate": "hard", "run": f"touch begun; {wait.format('fail')}; exit 1", "needs": []},
             "first": {"run": wait.format("end"), "needs": []}}
    if how == "the keeper tells":  # it lives as long as a command does
        roots["beside"] = {"run": wait.format("over"), "needs": []}
    path = sluice.pipeline({**roots, "late": {"run": "touch late.ran", "needs": ["first"]}}, concurrency=3)
    engine = sluice.start("run", path, "--run-id", sluice.id, prefix=kill_at(("sendto", 1 + len(roots) + 1)))
    until((sluice.root / "begun").exists, of="the gate")
    (sluice.root / "end").touch()
    assert engine.wait(60) == -signal.SIGKILL, engine.communicate()
    assert sluice.log().steps["late"].started == [0], "its message follows a greeting and the orders of the roots"
    record = sluice.run_dir() / "attempts.log"
    size = record.stat().st_size
    (sluice.root / "fail").touch()
    if how == "the keeper tells":
        until(lambda: record.stat().st_size > size, of="the end of the gate")
        assert sluice.keepers()
    else:
        until(lambda: not sluice.keepers(), of="the keeper's own end")
    engine = sluice.start("resume", sluice.id)
    sluice.wait_event("gate.failed", "gate")
    (sluice.root / "over").touch()
    assert engine.wait(60) == 1, engine.communicate()
    log = sluice.log(ended="failed")
    assert not (sluice.root / "late.ran").exists()
    assert [end["error_class"] for end in log.of("step.failed", "late")] == ["cancelled"]
    assert log.of("gate.failed", "gate") and not log.of("step.lost")
    sluice("resume", sluice.id, "--override", "gate", "--reason", "a person looked", code=5)
    assert sluice.log().steps["late"].started == [0, 1] and (sluice.root / "late.ran").exists()


def test_s8_1_the_keeper_ends_when_there_is_nothing_left(sluice):
    sluice.go({"a": "true"})
    until(lambda: not sluice.keepers(), of="the keeper's end")


def test_s8_1_the_keeper_ends_when_its_run_directory_is_gone(sluice):
    path = sluice.pipeline({"a": "touch begun; sleep 60"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="a")
    sluice.cut(engine)
    subprocess.run(["rm", "-rf", sluice.run_dir()], check=True)
    until(lambda: not sluice.keepers(), of="the keeper's end")


def test_s8_2_the_same_run_id_in_two_state_directories(tmp_path, sluice_program):
    """A token names an attempt within a run directory: what carries the same words elsewhere is not ours."""
    worlds = [Sluice(tmp_path / name, sluice_program) for name in ("one", "two")]
    for world in worlds:
        world.root.mkdir()
        world.id = worlds[0].id
    one, two = worlds
    try:
        path = one.pipeline({"a": "until [ -e go ]; do sleep 0.02; done"})
        first = one.start("run", path, "--run-id", one.id)
        until(lambda: one.has_event("step.started", "a") and processes(f"SLUICE_RUN_ID={one.id}"), of="a")
        two.go({"a": "true"})
        (one.root / "go").touch()
        assert first.wait(60) == 0, first.communicate()[1]
        (one.root / "go").unlink()
        # A dead keeper's leftovers are swept: only those of its own directory.
        first = one.start("run", path, "--run-id", one.id + "x")
        until(lambda: processes(f"SLUICE_RUN_ID={one.id}x"), of="a")
        run = "[ $SLUICE_ATTEMPT != 0 ] || { touch begun; sleep 60; }"
        path = two.pipeline({"a": {"run": run, "on_lost": "rerun"}})
        second = two.start("run", path, "--run-id", one.id + "x")
        until((two.root / "begun").exists, of="a")
        second.kill()
        second.wait()
        for keeper in two.keepers(one.id + "x"):
            if str(two.sockets).encode() in Path(f"/proc/{keeper}/cmdline").read_bytes():
                os.kill(keeper, signal.SIGKILL)
        two("resume", one.id + "x", code=0)
        (one.root / "go").touch()
        assert first.wait(60) == 0, first.communicate()[1]
    finally:
        for world in worlds:
            world.close()


def test_ledger_of_a_plain_run(sluice):
    ledger = Ledger(sluice.root)
    path = sluice.pipeline({s: Ledger.SCRIPT for s in "abc"},
                           env={name: {"from": "env"} for name in ledger.env})
    sluice("run", path, "--run-id", sluice.id, env=ledger.env, code=0)
    assert len(ledger.check(sluice.log(ended="succeeded"))) == 3


def test_s8_1_a_step_ends_though_its_cgroup_was_removed(sluice, need_root):
    """As a keeper of another process namespace does that takes the empty group for one that was left behind."""
    gone = sluice.root / "gone"
    script = ("point=$(awk '{for (i = 7; i < NF; i++) if ($i == \"-\" && $(i + 1) == \"cgroup2\") print $5}' "
              "/proc/self/mountinfo | head -n 1); group=$(sed -n 's/^0:://p' /proc/self/cgroup); "
              "case $group in */sluice-*) ;; *) exit 0 ;; esac; "
              f'echo $$ >"$point${{group%/*}}/cgroup.procs" && rmdir "$point$group" && touch {gone}')
    # While another command lives the keeper has to ask the group whether something is left of the first one.
    ended = f"""grep -q '"step.succeeded".*"step_id":"a"' {sluice.run_dir()}/events.jsonl"""
    path = sluice.pipeline({"a": {"run": script, "needs": []},
                            "b": {"run": f"until {ended}; do sleep 0.02; done", "needs": []}}, concurrency=2)
    sluice("run", path, "--run-id", sluice.id, code=0)
    if not gone.exists():
        pytest.skip("commands get no cgroup of their own here")
    sluice.log(ended="succeeded")
