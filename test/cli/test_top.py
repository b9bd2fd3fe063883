"""`sluice top` in a real terminal (tmux): runs, steps, output, decisions, resizing; and without one."""
import os
import shutil
import subprocess
import time

import pytest

PIPELINE = """\
pipeline: watched
concurrency: 2
steps:
  begin: {noop: true}
  slow: {run: 'echo "hello from slow"; printf "\\033[31mred\\033]0;title\\007\\n"; until test -e go; do sleep 0.1; done', needs: [begin]}
  broken: {run: 'exit 3', needs: [begin], on_failure: continue}
  publish: {gate: manual, noop: true, needs: [slow]}
"""


class Terminal:
    """A tmux server of our own with one window."""

    def __init__(self, sluice, columns, rows):
        self.tmux = ["tmux", "-u", "-f", "/dev/null", "-S", str(sluice.folder / "tmux")]
        self.call("new-session", "-d", "-x", str(columns), "-y", str(rows), *sluice.command("top", "--interval", "100ms"),
                  env={**sluice.env, "LANG": "C.UTF-8", "SHELL": "/bin/sh"}, cwd=sluice.work)

    def call(self, *words, **options):
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, timeout=20, **options)

    def keys(self, *keys):
        self.call("send-keys", *keys)

    def screen(self):
        return self.call("capture-pane", "-p").stdout

    def shows(self, *parts, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.screen()
            if all(part in text for part in parts):
                return text
            time.sleep(0.05)
        pytest.fail(f"{parts} not in\n{text}")

    def is_over(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if self.call("has-session").returncode != 0:
                return True
            time.sleep(0.05)
        return False


@pytest.fixture
def watched(sluice):
    sluice.write("p.yaml", PIPELINE)
    sluice.run("run", "--detach", "--run-id", "r", "p.yaml", check=0)
    yield sluice
    (sluice.work / "go").touch()
    sluice.wait_for("r", "blocked")


@pytest.fixture
def terminal(watched):
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    windows = []

    def open_window(columns=110, rows=20):
        windows.append(Terminal(watched, columns, rows))
        return windows[-1]

    yield open_window
    for window in windows:
        window.call("kill-server")


def test_top_shows_runs_steps_output_and_takes_a_decision(watched, terminal):
    window = terminal()
    text = window.shows("1 active", "watched", "executing", "slow", "1 failed")
    assert " 2/4 " in text
    window.keys("Enter")
    window.shows("├─ ▸ slow", "└─ ✗ broken", "[unknown] exit code 3", "· publish")
    window.keys("Down", "Enter")
    text = window.shows("output of slow", "hello from slow")
    assert r"\x1b[31mred\x1b]0;title\x07" in text
    window.keys("Escape")
    (watched.work / "go").touch()
    window.shows("? publish")
    window.keys("Down")
    window.keys("a")
    window.shows("reason:")
    window.keys("-l", "looks good")
    window.keys("Enter")
    window.shows("approved")
    events = watched.run("events", "r", "--json").stdout
    assert '"event_type":"gate.approved"' in events and '"reason":"looks good"' in events
    window.keys("q")
    assert window.is_over()


def test_top_refuses_a_decision_that_is_not_asked_for(watched, terminal):
    window = terminal()
    window.shows("executing")
    window.keys("Enter")
    window.shows("begin")
    window.keys("a")
    window.shows("this step does not wait for a decision")


def test_top_stops_a_run_only_when_it_is_confirmed(watched, terminal):
    window = terminal()
    window.shows("executing")
    window.keys("s")
    window.shows("stop this run?")
    window.keys("n", "Enter")
    window.shows("Enter steps")
    assert "run.stop_requested" not in watched.run("events", "r", "--json").stdout


@pytest.mark.parametrize("columns, rows", [(20, 5), (40, 3), (10, 2), (1, 1)])
def test_top_lives_in_any_window(watched, terminal, columns, rows):
    window = terminal()
    window.shows("executing")
    window.call("resize-window", "-x", str(columns), "-y", str(rows))
    time.sleep(0.3)
    window.call("resize-window", "-x", "110", "-y", "20")
    window.shows("executing", "slow")


def test_top_without_a_terminal_prints_the_runs_once(watched):
    done = watched.run("top", check=0)
    heading, line = done.stdout.splitlines()
    assert heading.split() == ["RUN", "PIPELINE", "STATE", "TIME", "STEPS", "NOW"]
    assert line.startswith("r ") and " watched " in line and " executing " in line
    assert done.stdout.isascii() and "\x1b" not in done.stdout and done.stderr == ""


def test_top_plain_on_a_terminal_prints_the_runs_once(watched):
    status, seen = watched.on_terminal("top", "--plain")
    assert status == 0 and b"\x1b" not in seen and b"executing" in seen


@pytest.mark.parametrize("words", [["--interval", "1ms"], ["--interval", "x"], ["--interval", "2d"], ["extra"]])
def test_top_refuses_a_wrong_command_line_S13(sluice, words):
    done = sluice.run("top", *words, check=2)
    assert done.stdout == "" and "hint" in done.stderr


def test_top_of_no_runs(sluice):
    done = sluice.run("top", check=0)
    assert done.stdout.count("\n") == 1
