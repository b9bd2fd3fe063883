"""S8.6 and the keys of a command's process: stdin, context, streams, user, limits, orphans."""
import json
import os
import pwd
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from support.sluice import alive, until


def log_of(sluice, step, ending="log"):
    return (sluice.run_dir() / f"logs/{step}.0.{ending}").read_text()


def failure(sluice, step):
    return sluice.log().of("step.failed", step)[-1]


# --- stdin

def test_without_stdin_a_command_reads_nothing(sluice):
    sluice.go({"a": "cat; echo end"})
    assert log_of(sluice, "a") == "end\n"


def test_stdin_is_a_file_from_the_cwd_of_the_step(sluice):
    (sluice.root / "sub").mkdir()
    (sluice.root / "sub/in").write_text("from sub\n")
    sluice.go({"a": {"argv": ["cat"], "stdin": "in", "cwd": "sub"},
               "b": {"argv": ["cat"], "stdin": "sub/${params.name}"}}, params={"name": {"type": "string", "default": "in"}})
    assert log_of(sluice, "a") == log_of(sluice, "b") == "from sub\n"


def test_stdin_may_be_a_text_with_values(sluice):
    sluice.go({"one": 'echo n=7 >"$SLUICE_OUTPUT"',
               "a": {"argv": ["cat"], "stdin": {"text": "n is ${outputs.one.n}\nlast"}},
               "b": {"argv": ["wc", "-c"], "stdin": {"text": ""}},
               "c": {"argv": ["wc", "-c"], "stdin": {"text": "x" * 300000}}})
    assert log_of(sluice, "a") == "n is 7\nlast"
    assert log_of(sluice, "b").strip() == "0" and log_of(sluice, "c").strip() == "300000"


@pytest.mark.parametrize("what", ["missing", "a directory", "a pipe"])
def test_stdin_that_is_no_file_is_a_failure_of_configuration(sluice, what):
    if what == "a directory":
        (sluice.root / "in").mkdir()
    elif what == "a pipe":
        os.mkfifo(sluice.root / "in")
    sluice.go({"a": {"run": "touch ran; cat", "stdin": "in", "retry": {"max_attempts": 3}}}, code=1)
    assert failure(sluice, "a")["error_class"] == "configuration" and "stdin" in failure(sluice, "a")["reason"]
    assert not (sluice.root / "ran").exists()


# --- context

def test_the_context_is_a_file_with_secrets_as_stars(sluice):
    sluice.go({"one": """echo '{"outputs":{"rows":[1,2]},"context_updates":{"mode":"full","new":{"x":1}}}' >"$SLUICE_OUTPUT" """,
               "bad": {"run": "exit 1", "on_failure": "ignore"},
               "a": {"run": 'cat "$SLUICE_CONTEXT"', "context": True, "env": {"T": "${params.token}"}},
               "b": '[ -z "${SLUICE_CONTEXT:-}" ]'},
              params={"mode": {"type": "string", "default": "fast"}, "n": {"type": "int", "default": 3}, "unset": {"type": "int"},
                      "token": {"type": "secret", "from": {"env": "TT"}}}, env={"TT": "geheimnis"})
    context = json.loads(log_of(sluice, "a"))
    assert context == {"run_id": sluice.id, "pipeline": context["pipeline"], "step": "a", "attempt": 0,
                       "params": {"mode": "full", "n": 3, "token": "***"}, "outputs": {"one": {"rows": [1, 2]}},
                       "context_updates": {"mode": "full", "new": {"x": 1}}, "quality": {}}
    everything = b"".join(p.read_bytes() for p in sluice.run_dir().rglob("*") if p.is_file())
    assert b"geheimnis" not in everything
    file = sluice.run_dir() / "out/a.0.context.json"
    assert file.stat().st_mode & 0o777 == 0o600


def test_s12_a_context_that_cannot_be_written_stops_the_run(sluice):
    path = sluice.pipeline({"one": 'd=$(dirname "$SLUICE_OUTPUT"); mkdir "$d/a.0.context.json"', "a": {"run": "touch ran", "context": True}})
    sluice("run", path, "--run-id", sluice.id, code=10)
    assert not (sluice.root / "ran").exists() and not sluice.log().of("step.failed")
    (sluice.run_dir() / "out/a.0.context.json").rmdir()
    sluice("resume", sluice.id, code=0)
    assert (sluice.root / "ran").exists()


# --- streams

def test_split_streams_go_to_files_of_their_own_and_logs_shows_both(sluice):
    sluice.go({"a": {"run": "echo out; echo err >&2", "streams": "split"}, "b": "echo out; echo err >&2"})
    assert log_of(sluice, "a", "out") == "out\n" and log_of(sluice, "a", "err") == "err\n"
    assert not (sluice.run_dir() / "logs/a.0.log").exists()
    assert log_of(sluice, "b") == "out\nerr\n"
    assert sluice("logs", sluice.id, "a", code=0).stdout == "out\nerr\n"


def test_split_streams_are_masked_and_counted_together(sluice):
    sluice.go({"a": {"run": "echo out $T; echo err $T >&2", "streams": "split", "env": {"T": "${params.t}"}}},
              params={"t": {"type": "secret", "from": {"env": "TT"}}}, env={"TT": "geheimnis"})
    assert log_of(sluice, "a", "out") == "out ***\n" and log_of(sluice, "a", "err") == "err ***\n"
    sluice.id += "-2"
    sluice.go({"a": {"run": "head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2; sleep 30", "streams": "split", "output_limit": "100KiB"}}, code=1)
    assert failure(sluice, "a")["error_class"] == "infrastructure"


# --- user

def test_another_user_gets_its_own_ids_groups_home_and_files(sluice, need_root):
    nobody = pwd.getpwnam("nobody")
    (sluice.root / "made").touch()
    sluice.go({"a": {"run": 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME"; cat "$SLUICE_CONTEXT" >&2; echo n=1 >"$SLUICE_OUTPUT"; '
                            'echo x >"$SLUICE_ARTIFACTS/x"', "user": "nobody", "cwd": "/", "context": True, "streams": "split",
                     "artifacts": [{"name": "m", "path": str(sluice.root / "made")}], "outputs": {"n": {"type": "int", "required": True}}},
               "b": {"run": "id -u", "user": "root"}})
    assert log_of(sluice, "a", "out").split() == [str(nobody.pw_uid), str(nobody.pw_gid), str(nobody.pw_gid), nobody.pw_dir, "nobody", "nobody"]
    assert json.loads(log_of(sluice, "a", "err"))["step"] == "a"
    assert log_of(sluice, "b") == "0\n"
    assert (sluice.run_dir() / "artifacts/a.0/x").read_text() == "x\n"
    assert sluice.log().of("step.succeeded", "a")[0]["outputs"] == {"n": 1}


def test_another_user_cannot_read_the_run(sluice, need_root):
    sluice.go({"a": {"run": f"! cat {sluice.run_dir()}/events.jsonl; ! ls {sluice.run_dir()}", "user": "nobody", "cwd": "/"}})


def test_s8_6_a_command_of_another_user_dies_with_its_keeper(sluice, need_root):
    """PDEATHSIG is set after the change of user, which clears it."""
    path = sluice.pipeline({"a": {"argv": ["sleep", "300"], "user": "nobody", "cwd": "/"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    keeper = until(sluice.keepers, of="a keeper")[0]
    child = until(lambda: subprocess.run(["pgrep", "-P", str(keeper)], capture_output=True, text=True, check=False).stdout.split(), of="the command")
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not alive(int(child[0])), of="the command to end")
    assert engine.wait(20) == 1
    assert failure_or_lost(sluice)


def failure_or_lost(sluice):
    return sluice.log().of("step.lost", "a")


def test_a_user_that_is_gone_at_the_start_is_a_failure_of_configuration(sluice):
    result = sluice("run", sluice.pipeline({"a": {"run": "touch ran", "user": "no-such-user"}}), code=2)
    assert "SLU055" in result.stderr and not sluice.home.exists() or not list((sluice.home / "runs").glob("*"))


# --- limits

def test_limits_are_those_of_the_command(sluice):
    sluice.go({"a": {"run": "ulimit -n; ulimit -Hn; ulimit -c; ulimit -t; ulimit -v; ulimit -f; ulimit -s",
                     "limits": {"nofile": 77, "core": "0B", "cpu": "9s", "as": "3GiB", "fsize": "1MiB", "stack": "4MiB"}},
               "b": "ulimit -n"})
    assert log_of(sluice, "a").split() == ["77", "77", "0", "9", str(3 << 20), "1024", "4096"]
    assert log_of(sluice, "b").split() == [str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]


def test_processor_time_over_its_limit_ends_the_command(sluice):
    sluice.go({"a": {"run": "while :; do :; done", "limits": {"cpu": "1s", "core": "0B"}}}, code=1)
    assert failure(sluice, "a")["signal"] == signal.SIGXCPU


def test_a_file_size_over_its_limit_is_the_commands_failure_only(sluice):
    sluice.go({"a": {"run": "head -c 2000000 /dev/zero >big", "limits": {"fsize": "1MiB"}}}, code=1)
    assert (sluice.root / "big").stat().st_size == 1 << 20
    assert failure(sluice, "a")


def test_a_limit_above_what_is_allowed_is_a_failure_of_configuration(sluice):
    if os.geteuid() == 0:
        pytest.skip("root may raise it")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    sluice.go({"a": {"run": "touch ran", "limits": {"nofile": hard + 1}}}, code=1)
    assert failure(sluice, "a")["error_class"] == "configuration"


# --- orphans

def orphan(text, **keys):
    return {"run": f"setsid {text} >/dev/null 2>&1 & echo $! >pid", **keys}


def test_p02_orphans_are_killed_unless_they_are_allowed(sluice):
    sluice.go({"a": orphan("sleep 300", grace="0s")})
    assert not alive(int((sluice.root / "pid").read_text()))


def test_p02_orphans_that_are_allowed_outlive_step_run_and_keeper(sluice):
    sluice.go({"a": orphan("sleep 300", orphans="allow"), "b": "true", "c": {"run": "sleep 300 & true", "grace": "0s"}})
    pid = int((sluice.root / "pid").read_text())
    try:
        until(lambda: not sluice.keepers(), of="the keeper's end")
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_timeout_ends_the_whole_tree_also_where_orphans_are_allowed(sluice):
    sluice.go({"a": {"run": "setsid sleep 300 & echo $! >pid; sleep 300", "orphans": "allow",
                     "timeout": "3s", "grace": "0s"}}, code=1)
    assert not alive(int((sluice.root / "pid").read_text()))


# --- what sluice tells

def test_s8_6_the_variables_of_an_attempt(sluice):
    sluice.go({"a": {"run": 'env | grep -E "^(SLUICE_|TRACEPARENT)" >"env.$SLUICE_ATTEMPT"; [ "$SLUICE_ATTEMPT" = 1 ]', "exit_codes": {1: "transient_io"},
                     "artifacts": [{"name": "e", "path": "env.1"}], "retry": {"max_attempts": 2, "initial": "1ms", "jitter": "0%"}}})
    first, second = ({line.split("=", 1)[0]: line.split("=", 1)[1] for line in (sluice.root / f"env.{i}").read_text().splitlines()} for i in (0, 1))
    run = sluice.run_dir()
    assert second["SLUICE_RUN_ID"] == sluice.id and second["SLUICE_STEP"] == "a" and second["SLUICE_ATTEMPT"] == "1"
    assert first["SLUICE_IDEMPOTENCY_KEY"] == second["SLUICE_IDEMPOTENCY_KEY"] == f"{sluice.id}/a"
    assert int(first["SLUICE_FENCE"]) < int(second["SLUICE_FENCE"])
    assert second["SLUICE_OUTPUT"] == f"{run}/out/a.1.json" and second["SLUICE_ARTIFACTS"] == f"{run}/artifacts/a.1"
    assert Path(second["SLUICE_ARTIFACTS"]).is_dir() and "SLUICE_CONTEXT" not in second
    assert first["TRACEPARENT"].split("-")[1] == second["TRACEPARENT"].split("-")[1] and len(first["TRACEPARENT"]) == 55


TRACE = "0af7651916cd43dd8448eb211c80319c"
WITHIN = f"00-{TRACE}-b7ad6b7169203331"
TELL = {"a": {"run": 'echo "$TRACEPARENT" >told.a; [ -e go ]'}, "b": {"run": 'echo "$TRACEPARENT" >told.b'}}


@pytest.mark.parametrize("flags, passed", [("00", "00"), ("01", "01"), ("03", "01")])
def test_s8_6_a_run_within_a_trace_is_part_of_it_also_after_a_resume(sluice, flags, passed):
    (sluice.root / "go").unlink(missing_ok=True)
    sluice.env["TRACEPARENT"] = f"{WITHIN}-{flags}"
    sluice.go(TELL, code=1)
    created = sluice.log().of("run.created")[0]
    assert created["trace_id"] == TRACE and created["traceparent"] == f"{WITHIN}-{passed}"
    (sluice.root / "go").touch()
    sluice.env["TRACEPARENT"] = f"00-{TRACE[::-1]}-b7ad6b7169203331-01"
    sluice("resume", sluice.id, code=0)
    told = [(sluice.root / f"told.{step}").read_text().strip().split("-") for step in "ab"]
    assert {(version, trace, last) for version, trace, _, last in told} == {("00", TRACE, passed)}
    assert told[0][2] != told[1][2] and "b7ad6b7169203331" not in (told[0][2], told[1][2])


@pytest.mark.parametrize("text", [
    "", "x", WITHIN, f"{WITHIN}-0", f"{WITHIN}-01-x", f"{WITHIN}-01\n", f"ff{WITHIN[2:]}-01", f"00-{'0' * 32}-b7ad6b7169203331-01",
    f"00-{TRACE}-{'0' * 16}-01", f"{WITHIN.upper()}-01", f"{WITHIN}-0g", f"{WITHIN}_01", "\x1b[31m" * 12, "é" * 40])
def test_s8_6_what_is_no_trace_begins_a_new_one(sluice, text):
    sluice.env["TRACEPARENT"] = text
    sluice.go({"a": {"run": 'echo "$TRACEPARENT" >told'}})
    created = sluice.log().of("run.created")[0]
    assert "traceparent" not in created and created["trace_id"] not in text
    assert (sluice.root / "told").read_text().startswith(f"00-{created['trace_id']}-")


def test_s8_6_a_later_version_of_a_trace_is_read_as_far_as_it_is_known(sluice):
    sluice.env["TRACEPARENT"] = f"01{WITHIN[2:]}-01-what-comes"
    sluice.go({"a": {"noop": True}})
    assert sluice.log().of("run.created")[0]["traceparent"] == f"{WITHIN}-01"
