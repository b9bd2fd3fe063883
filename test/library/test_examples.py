"""examples/c: each compiles as its header says, does what it says, and survives a kill -9."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.checker import check_log

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/c"
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
HARD_GATES = ("preflight_contract_check", "phase_benchmark", "validate_bundle_quality", "verify_artifacts")


@pytest.fixture(scope="session")
def example(prefix, tmp_path_factory):
    """The program of an example, compiled once."""
    folder = tmp_path_factory.mktemp("examples")

    def program(name):
        path = folder / name
        return path if path.exists() else prefix.compile(EXAMPLES / f"{name}.c", path, *STRICT)

    return program


class World:
    def __init__(self, prefix, folder):
        self.folder = folder
        self.env = prefix.env(folder)

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def start(self, *command):
        return subprocess.Popen([str(word) for word in command], cwd=self.folder, env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *command, check=0):
        process = self.start(*command)
        out, err = process.communicate(timeout=60)
        assert process.returncode == check, (process.returncode, out, err)
        return out

    def log(self, run_id, **expected):
        return check_log(self.folder / "state/runs" / run_id, run_id, **expected)

    def wait_for(self, run_id, word, timeout=20):
        """Until the log of the run holds the text."""
        path = self.folder / "state/runs" / run_id / "events.jsonl"
        end = time.monotonic() + timeout
        while not (path.exists() and word in path.read_text()):
            assert time.monotonic() < end, f"{word} never came"
            time.sleep(0.01)


@pytest.fixture
def world(prefix, tmp_path):
    return World(prefix, tmp_path)


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("source", sorted(EXAMPLES.glob("*.c")), ids=lambda path: path.name)
def test_the_header_says_how_to_build_it(source):
    head = source.read_text().split("*/")[0]
    name = source.stem
    assert re.search(rf"^ \*   cc -std=c99 {name}\.c -o {name} \$\(pkg-config --cflags --libs sluice\)$", head, re.M)


# ------------------------------------------------------------------------------------- readme


def readme(example, world):
    world.write("data.csv", "cat,cat\ndog,dog\nowl,owl\n")
    (world.folder / "work").mkdir()
    return example("readme")


def test_readme_stops_at_the_manual_gate_and_goes_on_when_it_is_approved(example, world):
    program = readme(example, world)
    out = world.run(program, "run_abc", "data.csv", "work", check=4)
    assert "Status: • BLOCKED" in out and "Steps: 8 total (7 completed, 0 failed, 0 skipped)" in out
    assert not (world.folder / "work/published.txt").exists()
    out = world.run(program, "run_abc", "data.csv", "work", "approve", "ann")
    assert "Status: ✓ SUCCEEDED" in out and "Steps: 8 total (8 completed" in out
    assert (world.folder / "work/bundle.txt").read_text() == "rows=3\naccuracy=100\n"
    log = world.log("run_abc", ended="succeeded", hard_gates=HARD_GATES)
    assert log.events[0]["reason"] == "manual trigger"
    assert log.of("gate.approved")[0]["actor"] == "manual:ann"
    before = (world.folder / "state/runs/run_abc/events.jsonl").read_bytes()
    world.run(program, "run_abc", "data.csv", "work")  # there is nothing to do
    assert (world.folder / "state/runs/run_abc/events.jsonl").read_bytes() == before


def test_readme_a_hard_gate_lets_nobody_pass(example, world):
    program = readme(example, world)
    world.write("bad.csv", "cat,dog\n")
    out = world.run(program, "bad", "bad.csv", "work", check=1)
    assert "Error: Accuracy 0% below threshold 97%" in out
    assert "Steps: 8 total (1 completed, 1 failed, 6 skipped)" in out
    world.log("bad", ended="failed", hard_gates=HARD_GATES)
    world.run(program, "bad", "bad.csv", "work", check=3)
    assert not any((world.folder / "work").iterdir())


def under_way(log):
    """Steps that had begun and not ended when the run was resumed first. A kill that came late hit another one."""
    before = log.events[:log.types().index("run.resumed")]
    ended = {e["step_id"] for e in before if e["event_type"] == "step.succeeded"}
    return [e["step_id"] for e in before if e["event_type"] == "step.started" and e["step_id"] not in ended]


@pytest.mark.parametrize("step", ["preflight_contract_check", "stage_data_layout", "verify_artifacts"])
def test_s8_5_readme_killed_within_a_step_goes_on_and_ends_the_same(example, world, step):
    program = readme(example, world)
    process = world.start(program, "cut", "data.csv", "work", "150")
    world.wait_for("cut", f'"step.started","run_id":"cut"')
    world.wait_for("cut", f'"step_id":"{step}"')
    kill(process)
    world.run(program, "cut", "data.csv", "work", check=4)
    world.run(program, "cut", "data.csv", "work", "approve", "ann")
    log = world.log("cut", ended="succeeded", hard_gates=HARD_GATES)
    assert [e["step_id"] for e in log.of("step.lost")] == under_way(log)
    assert log.resumes >= 1
    assert sorted(p.name for p in (world.folder / "work").iterdir()) == ["bundle.txt", "deliverable.txt",
                                                                          "published.txt"]


# ---------------------------------------------------------------------------------- scheduler

QUICK = "pipeline: quick\nsteps: {a: {run: echo a}, b: {noop: true}}\n"
SLOW = "pipeline: slow\nsteps:\n  a: {run: 'echo a >>a.out; sleep 1'}\n  b: {run: echo b >>b.out}\n"


def test_scheduler_carries_several_runs_in_one_thread(example, world):
    world.write("quick.yaml", QUICK)
    world.write("slow.yaml", SLOW)
    world.write("bad.yaml", "pipeline: bad\nsteps: {a: {run: exit 3}}\n")
    process = world.start(example("scheduler"), "0:slow.yaml", "0.1:quick.yaml", "0.3:bad.yaml", "0:quick.yaml")
    world.wait_for("slow-1", '"step_id":"a"')
    assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert sorted(out.splitlines()) == ["bad-3 failed", "quick-2 success", "quick-4 success", "slow-1 success"]
    for run_id, end in (("slow-1", "succeeded"), ("quick-2", "succeeded"), ("bad-3", "failed")):
        world.log(run_id, ended=end)


def test_s3_3_scheduler_stops_cleanly_on_sigterm(example, world):
    world.write("quick.yaml", QUICK)
    world.write("slow.yaml", SLOW)
    process = world.start(example("scheduler"), "0:slow.yaml", "60:quick.yaml")
    world.wait_for("slow-1", '"step_id":"a"')
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (6, "")
    assert out.splitlines() == ["quick-2 not started", "slow-1 stopped"]
    log = world.log("slow-1", ended="stopped")
    assert log.of("step.succeeded", "a") and not log.of("step.started", "b")  # S7.5: what runs may end
    assert not (world.folder / "state/runs/quick-2").exists()


def test_s8_3_scheduler_killed_goes_on_with_what_was_cut_off(example, world):
    world.write("quick.yaml", QUICK)
    world.write("slow.yaml", SLOW)
    command = (example("scheduler"), "0:quick.yaml", "0:slow.yaml")
    process = world.start(*command)
    world.wait_for("slow-2", '"step_id":"a"')
    world.wait_for("quick-1", "run.completed")
    kill(process)
    assert sorted(world.run(*command).splitlines()) == ["quick-1 is done already", "slow-2 success"]
    log = world.log("slow-2", ended="succeeded")
    assert (world.folder / "a.out").read_text() == "a\n"  # its keeper went on: executed once
    assert log.sequence("a") == [("step.started", 0), ("step.succeeded", 0)]


def test_scheduler_says_what_is_wrong(example, world):
    program = example("scheduler")
    world.write("wrong.yaml", "pipeline: p\nsteps: {a: {rnu: x}}\n")
    for words in ([], ["x.yaml"], ["-1:x.yaml"], ["1:"], ["1e9:x.yaml"]):
        process = world.start(program, *words)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2 and err.startswith("usage: ")
    process = world.start(program, "0:wrong.yaml", "0:none.yaml")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "SLU013" in err
    assert out.splitlines() == ["wrong-1 invalid", "none-2 invalid"]


# ----------------------------------------------------------------------------------- executor


def step_one_pid(world, until=None):
    """The shell that carries out the first attempt of step_1, when its command has made a file."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for path in (world.folder / "spool").rglob("begun"):
            if not until or (world.folder / until).exists():
                return int((path.parent / "pid").read_text())
        time.sleep(0.01)
    pytest.fail("step_1 was never begun")


def living(group):
    """Processes of the group, but for those that only wait to be reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = path.read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


def test_executor_carries_commands_out_and_returns_results(example, world):
    out = world.run(example("executor"), "one", "spool", "echo seen; echo a >>a.out", "exit 3", check=1)
    assert out == "one failed\n"
    log = world.log("one", ended="failed")
    assert log.of("step.succeeded", "step_1") and log.of("step.failed", "step_2")[0]["exit_code"] == 3
    assert (world.folder / "state/runs/one/logs/step_1.0.log").read_text() == "seen\n"


def test_s8_3_executor_finds_what_went_on_after_a_kill(example, world):
    command = (example("executor"), "cut", "spool", "echo a >>a.out; sleep 1; echo b >>a.out", "echo c >>a.out")
    process = world.start(*command)
    step_one_pid(world)
    kill(process)
    assert world.run(*command) == "cut success\n"
    log = world.log("cut", ended="succeeded")
    assert log.sequence("step_1") == [("step.started", 0), ("step.succeeded", 0)]
    assert (world.folder / "a.out").read_text() == "a\nb\nc\n"


def test_s8_3_executor_knows_an_end_that_nobody_heard(example, world):
    command = (example("executor"), "end", "spool", "sleep 0.3; echo a >>a.out", "true")
    process = world.start(*command)
    step_one_pid(world)
    kill(process)
    end = time.monotonic() + 20
    while not list((world.folder / "spool").rglob("end")):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert world.run(*command) == "end success\n"
    assert (world.folder / "a.out").read_text() == "a\n"


def test_s8_4_executor_says_lost_when_nobody_can_know(example, world):
    command = (example("executor"), "lost", "spool", "echo a >>a.out; sleep 60")
    process = world.start(*command)
    pid = step_one_pid(world, "a.out")
    kill(process)
    os.killpg(pid, signal.SIGKILL)
    assert world.run(*command, check=1) == "lost failed\n"
    log = world.log("lost", ended="failed")
    assert log.of("step.lost", "step_1")
    assert (world.folder / "a.out").read_text() == "a\n"


def test_s8_2_executor_starts_what_was_never_begun(example, world):
    """Killed between the making of the folder and the shell: the token is absent, and started now."""
    command = (example("executor"), "absent", "spool", "echo a >>a.out; [ -e go ] || sleep 60", "true")
    process = world.start(*command)
    pid = step_one_pid(world, "a.out")
    kill(process)
    os.killpg(pid, signal.SIGKILL)
    while living(pid):  # it holds its lock to the end
        time.sleep(0.01)
    world.write("go", "")
    (world.folder / "a.out").unlink(missing_ok=True)
    for path in (world.folder / "spool").rglob("begun"):
        path.unlink()
    assert world.run(*command) == "absent success\n"
    assert world.log("absent", ended="succeeded").sequence("step_1") == [("step.started", 0), ("step.succeeded", 0)]
    assert (world.folder / "a.out").read_text() == "a\n"


def test_s7_5_executor_is_told_of_a_stop(example, world):
    process = world.start(example("executor"), "stopped", "spool", "sleep 60")
    pid = step_one_pid(world)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (6, "stopped stopped\n")
    world.log("stopped", ended="stopped")
    assert not living(pid)
