"""P17 to P25, D23 to D26: whose a process is, and what becomes of it when its owners change."""
import collections
import contextlib
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.checker import Ledger
from support.sluice import alive, processes, until


def end_of(log, step):
    return (log.of("step.failed", step) + log.of("step.succeeded", step))[-1]


def steps_of(sluice):
    return processes(f"SLUICE_RUN_ID={sluice.id}")


def named(pids, name):
    """Those of the processes that have the name; one that has ended has none."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() == f"{name}\n":
                found.append(pid)
    return found


UNTIL_GO = "while [ ! -e go ]; do sleep 0.02; done"


# --- P17: signals for the engine

SLOW = {"a": {"run": "echo begin; trap 'echo term >told; exit 9' TERM; while [ ! -e end ]; do sleep 0.05; done", "grace": "5s"}, "b": "true"}


def has_begun(sluice):
    log = sluice.run_dir() / "logs/a.0.log"
    return log.exists() and b"begin" in log.read_bytes()


def keeper_of(sluice):
    """Its pid, which it tells; only root may look into a keeper."""
    return int((sluice.run_dir() / "keeper.lock").read_text().split()[0])


def started(sluice, steps, **kwargs):
    path = sluice.pipeline(steps)
    engine = sluice.start("run", path, "--run-id", sluice.id, **kwargs)
    until(lambda: has_begun(sluice), 60, of="a")
    return engine


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_p17_one_signal_stops_the_run_and_lets_steps_end(sluice, name):
    engine = started(sluice, SLOW)
    engine.send_signal(getattr(signal, name))
    sluice.wait_event("run.stop_requested")
    assert engine.poll() is None and steps_of(sluice) and not (sluice.root / "told").exists()
    (sluice.root / "end").touch()
    assert engine.wait(20) == 6
    assert sluice.log().state == "stopped" and end_of(sluice.log(), "a")["event_type"] == "step.succeeded"
    sluice("resume", sluice.id, code=0)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_p17_a_second_signal_kills(sluice, name):
    engine = started(sluice, SLOW)
    engine.send_signal(getattr(signal, name))
    sluice.wait_event("run.stop_requested")
    engine.send_signal(getattr(signal, name))
    assert engine.wait(20) == 6
    assert not steps_of(sluice) and sluice.log().state == "stopped"
    (sluice.root / "end").touch()
    sluice("resume", sluice.id, code=0)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT"])
def test_p17_a_terminal_that_goes_away_leaves_steps_to_the_keeper(sluice, name):
    """Whatever the signal does to the engine: nothing is lost, nothing runs twice, resume goes on."""
    engine = started(sluice, {"a": f"echo x >>count; echo begin; {UNTIL_GO}", "b": "echo x >>count"},
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    engine.send_signal(getattr(signal, name))
    until(lambda: engine.poll() is not None or sluice.has_event("run.stop_requested"), 60, of="what the signal does")
    (sluice.root / "go").touch()
    engine.wait(60)
    result = sluice("resume", sluice.id)
    assert result.code == 0, result
    sluice.log(ended="succeeded")
    assert (sluice.root / "count").read_text() == "x\nx\n"


def test_p17_control_c_on_a_terminal_does_not_reach_the_steps(sluice):
    """The terminal sends it to its whole foreground group: steps have sessions of their own."""
    path = sluice.pipeline(SLOW)
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(sluice.root)
        os.execve(sluice.program, ["sluice", "run", str(path), "--run-id", sluice.id], {**sluice.env, "TERM": "xterm"})
    try:
        until(lambda: has_begun(sluice), of="a")
        os.write(master, b"\x03")
        sluice.wait_event("run.stop_requested")
        assert steps_of(sluice) and not (sluice.root / "told").exists()
        (sluice.root / "end").touch()

        def ended():
            with contextlib.suppress(OSError):
                while os.read(master, 65536):
                    pass
            done, status = os.waitpid(pid, os.WNOHANG)
            return done and [status]
        status, = until(ended, 20, of="its end")
        pid = 0
        assert os.waitstatus_to_exitcode(status) == 6
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(master)
    assert end_of(sluice.log(), "a")["event_type"] == "step.succeeded"


# --- P18: the keeper

def test_p18_a_keeper_that_is_stopped_and_goes_on_loses_nothing(sluice):
    engine = started(sluice, {"a": f"echo $$ >pid; echo x >>count; echo begin; {UNTIL_GO}", "b": "echo x >>count"})
    os.kill(keeper_of(sluice), signal.SIGSTOP)
    (sluice.root / "go").touch()
    until(lambda: not alive(int((sluice.root / "pid").read_text())), 60, of="the end of a, which nobody sees")
    time.sleep(0.5)
    assert engine.poll() is None and not sluice.log().of("step.succeeded")
    os.kill(keeper_of(sluice), signal.SIGCONT)
    assert engine.wait(20) == 0
    assert (sluice.root / "count").read_text() == "x\nx\n"


@pytest.mark.parametrize("on_lost, code, times", [("fail", 1, 1), ("rerun", 0, 2)])
def test_p18_a_keeper_killed_by_want_of_memory_is_a_loss_like_any(sluice, on_lost, code, times):
    engine = started(sluice, {"a": {"run": "echo x >>count; echo begin; [ $SLUICE_ATTEMPT != 0 ] || sleep 60", "on_lost": on_lost}})
    os.kill(keeper_of(sluice), signal.SIGKILL)
    assert engine.wait(20) == code
    assert (sluice.root / "count").read_text() == "x\n" * times and len(sluice.log().of("step.lost")) == 1


# --- P19: memory

@pytest.fixture
def small_memory(sluice, need_root):
    """A memory group (cgroup v1) of 64 MiB; a function that moves the calling process there."""
    base = Path("/sys/fs/cgroup/memory")
    if not (base / "cgroup.procs").exists():
        pytest.skip("needs the memory controller of cgroup v1")
    own = Path("/proc/self/cgroup").read_text().split(":memory:")[1].split("\n")[0].lstrip("/")
    group = base / own / f"sluice-test-{sluice.id}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(64 << 20))
    with contextlib.suppress(OSError):
        (group / "memory.memsw.limit_in_bytes").write_text(str(64 << 20))
    yield group
    for _ in range(100):
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            group.rmdir()
            break
        time.sleep(0.05)


EAT = {"argv": ["python3", "-c", "x = []\nwhile True: x.append(b'x' * (4 << 20))"], "on_failure": "continue"}


@pytest.mark.slow
def test_p19_a_command_that_eats_all_memory_dies_alone(sluice, small_memory):
    """Sluice, keeper and command share the bound: the command is the one that goes (S8.6)."""
    path = sluice.pipeline({"a": {**EAT, "needs": []}, "b": {"run": "echo begin; sleep 2", "needs": [], }, "c": "true"}, concurrency=2)
    engine = sluice.start("run", path, "--run-id", sluice.id,
                          prefix=("sh", "-c", f"echo $$ >{small_memory}/cgroup.procs; exec \"$@\"", "sh"))
    assert engine.wait(60) == 5, engine.communicate()
    log = sluice.log()
    assert end_of(log, "a")["signal"] == signal.SIGKILL and "exit_code" not in end_of(log, "a")
    assert log.steps["b"].state == log.steps["c"].state == "succeeded" and not log.of("step.lost")


# --- P20, D26: process ids that come again

NAMESPACE = ("unshare", "--fork", "--pid", "--mount-proc")
NEXT_PID = "/proc/sys/kernel/ns_last_pid"


@pytest.fixture
def need_namespace(need_root):
    if subprocess.run([*NAMESPACE, "sh", "-c", f"echo 100 >{NEXT_PID}"], check=False, capture_output=True).returncode:
        pytest.skip("needs pid namespaces")


def inside(sluice, text, timeout=240):
    """A shell in a pid namespace of its own: `stranger_at N` starts a process with that number, whose turn others may
    take before it."""
    script = f"set -e\nrun={sluice.run_dir()}\n" \
        f"stranger_at() {{ for i in $(seq 50); do echo $(($1 - 1)) >{NEXT_PID}; setsid sleep 50 & stranger=$!; " \
        "[ $stranger != $1 ] || return 0; kill $stranger; done; echo \"pid $stranger, not $1\" >&2; exit 98; }\n" \
        f"wait_for() {{ for i in $(seq 2400); do ! eval \"$1\" || return 0; sleep 0.025; done; echo \"never: $1\" >&2; exit 99; }}\n" + text
    return subprocess.run([*NAMESPACE, "bash", "-c", script], env=sluice.env, cwd=sluice.root, capture_output=True, text=True,
                          timeout=timeout, check=False)


@pytest.mark.parametrize("what", ["the command", "the keeper"])
def test_p20_a_stranger_with_the_process_id_of_a_lost_attempt_is_left_alone(sluice, need_namespace, what):
    """S8.3: keeper and command are killed, and their numbers are given to others before the resume."""
    path = sluice.pipeline({"a": {"run": "echo $$ >pid; [ $SLUICE_ATTEMPT != 0 ] || exec sleep 60", "on_lost": "rerun"}})
    done = inside(sluice, f"""
{sluice.program} run {path} --run-id {sluice.id} >out 2>&1 & engine=$!
wait_for '[ -s pid ]'
keeper=$(pgrep -x sluice-keeper)
command=$(cat pid)
kill -9 $engine; kill -9 $keeper; wait $engine || true
wait_for '! kill -0 $command 2>/dev/null && ! kill -0 $keeper 2>/dev/null'
again={'$command' if what == 'the command' else '$keeper'}
stranger_at $again
{sluice.program} resume {sluice.id} >>out 2>&1
kill -0 $stranger || {{ echo 'the stranger was killed' >&2; exit 97; }}
kill $stranger
""")
    assert done.returncode == 0, (done, (sluice.root / "out").read_text())
    assert sluice.log(ended="succeeded").steps["a"].started == [0, 1]


@pytest.mark.slow
def test_p20_a_stranger_with_the_process_id_of_a_command_that_ended_is_not_signalled(sluice, need_namespace):
    """Its number is given away while its tree, which has left its session, is still being ended."""
    path = sluice.pipeline({"a": {"run": "echo $$ >pid; (trap '' TERM; exec setsid sleep 60) & exit 0", "grace": "2s"}, "b": "true"})
    done = inside(sluice, f"""
{sluice.program} run {path} --run-id {sluice.id} >out 2>&1 & engine=$!
wait_for '[ -s pid ] && ! kill -0 $(cat pid) 2>/dev/null'
stranger_at $(cat pid)
wait $engine
kill -0 $stranger || {{ echo 'the stranger was killed' >&2; exit 97; }}
kill $stranger
""")
    assert done.returncode == 0, (done, (sluice.root / "out").read_text())
    sluice.log(ended="succeeded")


def test_d26_an_engine_whose_process_id_is_somebody_elses_is_dead(sluice, need_namespace):
    """The lock says who owns a run, not a number."""
    path = sluice.pipeline({"a": "echo x >>count; sleep 1", "b": "true"})
    done = inside(sluice, f"""
{sluice.program} run {path} --run-id {sluice.id} >out 2>&1 & engine=$!
wait_for '[ -s count ]'
kill -9 $engine; wait $engine || true
stranger_at $engine
{sluice.program} status {sluice.id} >status
{sluice.program} resume {sluice.id} >>out 2>&1
kill -0 $stranger && kill $stranger
""")
    assert done.returncode == 0, (done, (sluice.root / "out").read_text())
    sluice.log(ended="succeeded")
    assert (sluice.root / "count").read_text() == "x\n"


def with_boot_id(sluice, *args, boot="11111111-2222-4333-8444-555555555555", **kwargs):
    (sluice.root / "boot_id").write_text(boot + "\n")
    return sluice(*args, **kwargs, prefix=("unshare", "-m", "sh", "-c", f"mount --bind {sluice.root}/boot_id /proc/sys/kernel/random/boot_id && exec \"$@\"", "sh"))


def test_d26_after_another_boot_what_has_no_end_is_lost_and_nothing_is_signalled(sluice, need_root):
    """S8.3: power went away. A process with the recorded number is somebody else's now."""
    path = sluice.pipeline({"a": {"run": "echo $$ >pid; [ $SLUICE_ATTEMPT != 0 ] || exec sleep 60", "on_lost": "rerun"}, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "pid").exists() and (sluice.root / "pid").read_text(), of="a")
    sluice.kill_machine(engine)
    result = with_boot_id(sluice, "resume", sluice.id)
    assert result.code == 0, result
    log = sluice.log(ended="succeeded")
    assert len(log.of("step.lost", "a")) == 1 and log.steps["a"].started == [0, 1]
    assert log.of("run.resumed")[0]["boot_id"].startswith("11111111")


def test_d26_after_another_boot_an_end_that_was_not_durable_is_no_end(sluice, need_root):
    engine = started(sluice, {"a": {"run": f"echo x >>count; echo begin; {UNTIL_GO}", "on_lost": "fail"}})
    sluice.cut(engine)
    (sluice.root / "go").touch()
    until(lambda: not sluice.keepers(), 60, of="the keeper's own end: it has recorded the end")
    assert with_boot_id(sluice, "resume", sluice.id).code == 1
    assert len(sluice.log().of("step.lost", "a")) == 1 and (sluice.root / "count").read_text() == "x\n"


# --- P21, P25: a step against its own attempt

DEEDS = {
    "no out": "rm -rf \"$(dirname \"$SLUICE_OUTPUT\")\"",
    "no log": "rm -f {run}/logs/*",
    "no way into its own": "chmod 0 {run}/out {run}/logs",
    "no cwd": "rmdir ../sub",
    "a directory": "mkdir \"$SLUICE_OUTPUT\"",
    "a link": "ln -s /etc/passwd \"$SLUICE_OUTPUT\"",
    "a pipe": "mkfifo \"$SLUICE_OUTPUT\"",
}


def harmful(sluice, deed):
    """It counts its executions where it does no harm."""
    (sluice.root / "sub").mkdir()
    run = f"echo x >>{sluice.root}/count; {deed.replace('{run}', str(sluice.run_dir()))}; exit 3"
    return {"run": run, "cwd": "sub", "on_failure": "continue"}


def ended_once(sluice):
    log = sluice.log(ended="failed")
    assert [end.get("exit_code") for end in log.of("step.failed")] == [3] and not log.of("step.lost")
    assert (sluice.root / "count").read_text() == "x\n" and log.steps["b"].state == "succeeded"


@pytest.mark.parametrize("name", DEEDS)
def test_p21_what_a_step_does_to_its_own_files_is_its_own_harm(sluice, name):
    path = sluice.pipeline({"a": harmful(sluice, DEEDS[name]), "b": "true"})
    is_barred = name == "no way into its own" and os.geteuid() != 0  # nothing bars root: the next step has its files
    sluice("run", path, "--run-id", sluice.id, code=10 if is_barred else 5)
    if is_barred:
        for folder in ("out", "logs"):
            (sluice.run_dir() / folder).chmod(0o700)
        sluice("resume", sluice.id, code=5)
    ended_once(sluice)
    assert b"root:" not in b"".join(p.read_bytes() for p in sluice.home.rglob("*") if p.is_file() and not p.is_symlink())


@pytest.fixture
def small_home(sluice, need_root):
    """A state directory with a disk of its own."""
    sluice.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", sluice.home]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a file system in memory")
    yield sluice.home
    subprocess.run(["umount", "-l", sluice.home], check=False)


def test_p21_the_end_of_a_step_that_fills_its_disk_is_recorded_when_there_is_room_again(sluice, small_home):
    """What follows it takes more room than is left anywhere."""
    many = {f"{'n' * 60}{n}": {"run": "true", "needs": ["a"]} for n in range(40)}
    fills = harmful(sluice, "head -c 2000000 /dev/zero >{run}/out/fill || true")
    path = sluice.pipeline({"a": fills, "b": "true", **many}, concurrency=50)
    assert "No space" in sluice("run", path, "--run-id", sluice.id, code=10).stderr
    assert not sluice.log().of("step.failed")
    (sluice.run_dir() / "out/fill").unlink()
    sluice("resume", sluice.id, code=5)
    ended_once(sluice)


def test_p21_a_step_of_another_user_ends_like_any(sluice, need_root):
    log = sluice.go({"a": {"run": "exit 7", "user": "nobody", "cwd": "/", "on_failure": "continue"}}, code=5)
    assert end_of(log, "a")["exit_code"] == 7


def test_p25_a_step_of_another_user_cannot_reach_what_decides(sluice, need_root):
    """Its directory is closed to it: log, records, locks, socket."""
    run, sockets = sluice.run_dir(), sluice.sockets
    for folder in [sluice.root, *sluice.root.parents]:
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    deeds = [f"echo x >>{run}/events.jsonl", f"echo x >>{run}/attempts.log", f"cat {run}/run.lock", f"ls {run}", f"rm -rf {run}", f"ls {sockets}/sluice",
             f"touch {sluice.home}/runs.jsonl", "kill -9 $PPID", "cat /proc/$PPID/environ", "ls /proc/$PPID/fd", "ls /proc/$PPID/cwd/"]
    script = "; ".join(f"if {deed}; then echo '{number}' done; fi" for number, deed in enumerate(deeds)) + "; exit 0"
    log = sluice.go({"a": {"run": script, "user": "nobody", "cwd": "/"}})
    assert not [line for line in sluice.output("a").decode().splitlines() if line.endswith(" done")], sluice.output("a").decode()
    assert len(log.events) == 7


@pytest.mark.slow
def test_p25_a_step_that_speaks_to_the_control_socket_of_its_own_run(sluice):
    """S5.6: it cannot approve its own gate; what is no message is not obeyed."""
    path = sluice.pipeline({"a": f"export SLUICE_HOME={sluice.home} XDG_RUNTIME_DIR={sluice.sockets}; {sluice.program} approve {sluice.id} m --as me --reason mine && echo allowed || echo code $?; for s in {sluice.sockets}/sluice/*; do "
                                 "python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b\"\\xff\" * 70000)' $s 2>/dev/null || true; done",
                            "m": {"gate": "manual", "run": "touch ran"}})
    sluice("run", path, "--run-id", sluice.id, code=4)
    assert not (sluice.root / "ran").exists() and not sluice.log().of("gate.approved")
    assert b"code 3" in sluice.output("a"), sluice.output("a")


# --- P22: the programs are replaced

def installed(sluice):
    from support.sluice import install
    return install(sluice.root / "own")


class Exchange:
    """Of the programs of a world: what is in their place, and back."""

    def __init__(self, sluice, how):
        self.folder, self.how, self.planted = sluice.program.parent, how, sluice.root / "planted"
        self.away = self.folder / "old"

    def do(self):
        self.away.mkdir()
        for name in ("sluice", "sluice-keeper"):
            place = self.folder / name
            if self.how == "renamed":
                place.rename(self.away / name)
            else:
                shutil.copy2(place, self.away)
                place.unlink()
            if self.how == "replaced":
                place.write_text(f"#!/bin/sh\necho x >>{self.planted}\nexit 42\n")
                place.chmod(0o755)

    def undo(self):
        for name in ("sluice", "sluice-keeper"):
            (self.away / name).rename(self.folder / name)


@pytest.mark.parametrize("how", ["deleted", "replaced", "renamed"])
def test_p22_the_programs_go_away_under_a_run(sluice, how):
    sluice.program = installed(sluice)
    engine = started(sluice, {"a": f"echo begin; {UNTIL_GO}", "b": "echo x >>count"})
    Exchange(sluice, how).do()
    (sluice.root / "go").touch()
    assert engine.wait(60) == 0, engine.communicate()
    sluice.log(ended="succeeded")
    assert (sluice.root / "count").read_text() == "x\n"


@pytest.mark.parametrize("how", ["deleted", "replaced", "renamed"])
def test_p22_without_a_program_to_start_another_keeper_from_the_run_stops_and_can_be_resumed(sluice, how):
    """The keeper is gone too, and its command is to be run again."""
    sluice.program = installed(sluice)
    exchange = Exchange(sluice, how)
    run = f"echo $SLUICE_ATTEMPT >>count; echo begin; [ $SLUICE_ATTEMPT = 1 ] || {{ {UNTIL_GO}; }}"
    engine = started(sluice, {"a": {"run": run, "on_lost": "rerun"}, "b": "true"})
    exchange.do()
    os.kill(keeper_of(sluice), signal.SIGKILL)
    _, told = engine.communicate(timeout=60)
    assert engine.returncode == 10 and "keeper" in told.splitlines()[-2] and "hint: " in told.splitlines()[-1], told
    assert (sluice.root / "count").read_text() == "0\n" and exchange.planted.exists() == (how == "replaced")
    exchange.undo()
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert log.steps["a"].started == [0, 1] and len(log.of("step.lost")) == 1
    assert (sluice.root / "count").read_text() == "0\n1\n"


def test_p22_without_a_keeper_nothing_starts_and_the_error_says_what_is_missing(sluice):
    sluice.program = installed(sluice)
    (sluice.program.parent / "sluice-keeper").unlink()
    path = sluice.pipeline({"a": "touch ran"})
    result = sluice("run", path, "--run-id", sluice.id, code=9)
    assert "no sluice-keeper was found" in result.stderr and "hint: " in result.stderr, result
    assert not (sluice.root / "ran").exists() and not sluice.run_dir().exists()


# --- P23: races of time and end

@pytest.mark.slow
def test_p23_a_deadline_and_an_end_in_the_same_moment_are_one_end(sluice):
    """Most end in the half second around their deadline; on a busy machine those that end long before it are nearer."""
    seconds = [2.7 + n / 400 for n in range(200)] + [n / 20 for n in range(80)]
    steps = {f"s{n}": {"argv": ["sleep", str(wait)], "timeout": "3s", "grace": f"{n % 3}ms"}
             for n, wait in enumerate(seconds)}
    steps["zero"] = {"run": "sleep 60", "timeout": "1ms", "grace": "0s"}
    log = sluice.go({name: {**step, "needs": [], "on_failure": "ignore"} for name, step in steps.items()},
                    concurrency=100, timeout=300)
    assert {len(log.of("step.failed", name)) + len(log.of("step.succeeded", name)) for name in steps} == {1}
    ends = collections.Counter(end_of(log, name).get("error_class", "in time") for name in steps)
    assert set(ends) == {"in time", "timeout"}, ends
    assert end_of(log, "zero")["error_class"] == "timeout"


# --- P24: many running steps

@pytest.mark.slow
def test_p24_many_running_steps_are_attached_to_again(sluice):
    ledger = Ledger(sluice.root)
    many = 200
    env = {name: {"from": "env"} for name in ledger.env}
    steps = {f"s{n}": {"run": f"echo $SLUICE_STEP >>seen; while [ ! -e go ]; do sleep 0.3; done; exit {n % 2}", "needs": [], "on_failure": "ignore"} for n in range(many)}
    path = sluice.pipeline(steps, concurrency=many, env=env)
    engine = sluice.start("run", "-q", path, "--run-id", sluice.id, env=ledger.env)
    until(lambda: (sluice.root / "seen").exists() and len((sluice.root / "seen").read_text().split()) == many, 60, of="all")
    sluice.cut(engine)
    second = sluice.start("resume", "-q", sluice.id, env=ledger.env)
    sluice.wait_event("run.resumed", timeout=60)
    (sluice.root / "go").touch()
    assert second.wait(60) == 0, second.communicate()
    log = sluice.log(ended="succeeded")
    assert sorted((sluice.root / "seen").read_text().split()) == sorted(steps), "nothing ran twice"
    assert not log.of("step.lost") and all(end_of(log, f"s{n}").get("exit_code", 0) == n % 2 for n in range(many))


# --- D25

def test_d25_a_lock_that_a_step_could_hold_is_not_there_for_it(sluice):
    """Not by a descriptor, and not for one that outlives engine and keeper."""
    engine = started(sluice, {"a": {"run": "echo begin; ls -l /proc/self/fd; sleep 60", "on_lost": "rerun", "orphans": "allow"}})
    child = until(lambda: named(steps_of(sluice), "sleep"), of="the command")[0]
    links = {os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
    assert links <= {"/dev/null", str(sluice.run_dir() / "logs/a.0.log")}, links
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    until(lambda: not sluice.is_owned(), 60, of="the lock")
    assert alive(child)
    assert json.loads(sluice("status", sluice.id, "--json", code=0).stdout)["run_id"] == sluice.id
