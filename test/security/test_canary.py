"""S14: a secret that is random each time is looked for everywhere, after everything went wrong. C21: its common forms
are masked, and nothing else is."""
import contextlib
import json
import os
import secrets
import threading
import time
from pathlib import Path

import pytest

from support.sluice import until


@pytest.fixture
def canary():
    return "canary/" + secrets.token_urlsafe(18) + "+x=" + secrets.token_hex(4)


class Watch(threading.Thread):
    """Looks at every command line of the machine until it is told to end."""

    def __init__(self, text):
        super().__init__(daemon=True)
        self.text, self.found, self.is_over = text.encode(), [], False

    def run(self):
        while not self.is_over:
            for entry in os.listdir("/proc"):
                if entry.isdigit() and int(entry) != os.getpid():
                    with contextlib.suppress(OSError):
                        if self.text in Path(f"/proc/{entry}/cmdline").read_bytes():
                            self.found.append(Path(f"/proc/{entry}/comm").read_text())
            time.sleep(0.01)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.join()


def hits(folder, canary):
    """Files below that hold it, as it is or as JSON has it."""
    forms = {canary.encode(), json.dumps(canary)[1:-1].encode(), canary.replace("/", "\\/").encode()}
    return [path for path in folder.rglob("*") if path.is_file() and any(form in path.read_bytes() for form in forms)]


SAY = 'echo "$TOK"; echo "$TOK" >&2; printf "%s" "$TOK" | head -c 9; sleep 0.05; printf "%s\\n" "$TOK" | tail -c +10; '
FAILING = {
    "says": {"run": SAY + 'echo "o=$TOK" >"$SLUICE_OUTPUT"'},
    "fails": {"run": SAY + 'printf \'{"reason":"it is %s","error_class":"dependency"}\' "$TOK" >"$SLUICE_OUTPUT"; exit 3', "on_failure": "continue"},
    "bad": {"run": SAY + 'printf "{%s" "$TOK" >"$SLUICE_OUTPUT"', "on_failure": "continue"},
    "split": {"run": SAY, "streams": "split"},
    "late": {"run": SAY + "sleep 30", "timeout": "300ms", "grace": "50ms", "on_failure": "continue"},
    "big": {"run": "while :; do echo \"$TOK\"; done", "output_limit": "100KiB", "grace": "0s", "on_failure": "continue"},
    "none": {"argv": ["./no-such-program"], "on_failure": "continue"},
    "killed": {"run": SAY + "kill -9 $$", "on_failure": "continue"},
    "soft": {"gate": "soft", "run": 'echo "v=$TOK" >"$SLUICE_OUTPUT"', "outputs": {"v": {"type": "string"}}, "pass": "output.v == 'x'", "reason": "got ${output.v}"},
    "made": {"run": 'echo ok >file', "artifacts": [{"name": "file", "path": "file"}], "context": True},
    "last": {"gate": "hard", "run": SAY + 'echo "v=$TOK" >"$SLUICE_OUTPUT"', "outputs": {"v": {"type": "string"}}, "pass": "output.v == 'x'",
             "reason": "got ${output.v}"},
}


def world_of(sluice, canary, source):
    steps = {name: {**step, "env": {"TOK": "${params.token}"}} for name, step in FAILING.items()}
    if source == "env":
        return sluice.pipeline(steps, params={"token": {"type": "secret", "from": {"env": "API_TOKEN"}}}), {"API_TOKEN": canary}
    outside = sluice.sockets / "token"  # not below the folder that is looked through
    outside.write_text(canary)
    outside.chmod(0o600)
    return sluice.pipeline(steps, params={"token": {"type": "secret", "from": {"file": str(outside)}}}), {}


VERBS = [["status"], ["status", "--json"], ["summary"], ["summary", "--json"], ["events"], ["events", "--json"], ["logs"], ["logs", "--failed"], ["explain"],
         ["explain", "--json"], ["explain", "last"], ["graph"], ["verify"], ["export", "--format", "json"], ["export", "--format", "csv"],
         ["export", "--format", "chrome-trace"], ["export", "--format", "otlp"]]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["env", "file"])
def test_s14_a_secret_is_nowhere_after_every_kind_of_failure(sluice, canary, source):
    path, env = world_of(sluice, canary, source)
    shown = ""
    with Watch(canary) as watch:
        done = sluice("run", "-v", path, "--run-id", sluice.id, env=env, code=1)
        shown += done.stdout + done.stderr
        done = sluice("resume", "-v", sluice.id, "--override", "last", "--reason", "a test", "--as", "anna", env=env)
        shown += done.stdout + done.stderr
        done = sluice("run", "--dry-run", path, env=env)
        shown += done.stdout + done.stderr + sluice("plan", path, env=env).stdout
        for verb in VERBS:
            result = sluice(verb[0], sluice.id, *verb[1:], env=env)
            assert result.code in (0, 1), (verb, result)
            shown += result.stdout + result.stderr
        for verb in (["list"], ["list", "--json"], ["stats"], ["reindex"], ["doctor", "-v"]):
            result = sluice(*verb, env=env)
            shown += result.stdout + result.stderr
    assert canary not in shown and json.dumps(canary)[1:-1] not in shown
    assert not watch.found, "a command line"
    assert not hits(sluice.home, canary), hits(sluice.home, canary)
    assert b"***" in sluice.output("says") and b"***" in sluice.output("killed")
    log = sluice.log()
    assert {"says", "split", "made"} <= {event["step_id"] for event in log.of("step.succeeded")}


def test_s14_a_secret_is_nowhere_after_engine_and_keeper_were_killed(sluice, canary):
    path = sluice.pipeline({"a": {"run": SAY + "touch begun; sleep 2", "env": {"TOK": "${params.token}"}, "on_lost": "fail"}},
                           params={"token": {"type": "secret", "from": {"env": "API_TOKEN"}}})
    engine = sluice.start("run", path, "--run-id", sluice.id, env={"API_TOKEN": canary})
    until(lambda: (sluice.root / "begun").exists(), of="a")
    sluice.kill_machine(engine)
    assert not hits(sluice.home, canary) and not hits(sluice.root, canary)
    sluice("resume", sluice.id, env={"API_TOKEN": canary}, code=1)
    assert not hits(sluice.home, canary)


FORMS = {
    "inside": 'for b in "" u uu uuu; do for a in "" z zz zzz; do\n'
              '  printf "%s%s%s" "$b" "$TOK" "$a" | base64 -w0; echo\ndone; done',
    "lines": 'printf "<%s>\\n" "$KEY"; printf "<%s" "$KEY" | head -c 50; sleep 0.05\n'
             'printf "<%s>\\n" "$KEY" | tail -c +51',
    "short": 'echo "x${PIN}y 7 a a7 7 a ${PIN}"',
}


def test_c21_a_secret_is_masked_within_base64_over_lines_and_in_pieces_and_nothing_else_is(sluice, canary):
    env = {"TOK": "${params.token}", "KEY": "${params.key}", "PIN": "${params.pin}"}
    params = {name: {"type": "secret", "from": {"env": name.upper()}} for name in ("token", "key", "pin")}
    path = sluice.pipeline({name: {"run": run, "env": env} for name, run in FORMS.items()}, params=params)
    key = f"-----BEGIN-----\n{secrets.token_urlsafe(48)}\n{secrets.token_urlsafe(48)}\n-----END-----"
    sluice("run", path, "--run-id", sluice.id, env={"TOKEN": canary, "KEY": key, "PIN": "7a"}, code=0)
    encoded = sluice.output("inside").decode().splitlines()
    assert len(encoded) == 16
    for line in encoded:  # what is left are the neighbours, and what they share with it
        assert "***" in line and len(line.replace("***", "")) <= 14, line
    assert sluice.output("lines") == b"<***>\n<***>\n"
    assert sluice.output("short") == b"x***y 7 a a7 7 a ***\n"
