"""P01 to P08: all that a command started ends with it, or somebody is told."""
import contextlib
import datetime
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.sluice import alive, processes, until

FAST = {"grace": "200ms"}
IN_CAMPAIGN = "SLUICE_CAMPAIGN" in os.environ  # campaign.py: nothing else runs beside it


def end_of(log, step):
    return (log.of("step.failed", step) + log.of("step.succeeded", step))[-1]


def state_of(pid):
    """The letter of the kernel: T is stopped, D waits for a disk, Z is a zombie."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def time_of(event):
    return datetime.datetime.fromisoformat(event["timestamp_utc"].replace("Z", "+00:00"))


def below(sluice):
    return processes(f"SLUICE_RUN_ID={sluice.id}")


@pytest.fixture(params=["cgroup", "no cgroup"])
def world(sluice, request):
    """With a group of the kernel's for each tree, and without: then /proc is all there is."""
    if request.param == "no cgroup":
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
            pytest.skip("needs root: takes the groups away")
        sluice.prefix = ("unshare", "-m", "sh", "-c", "grep -o '/[^ ]* cgroup2' /proc/mounts | sed 's/ .*//' | while read m; do umount -l $m; done; exec \"$@\"", "sh")
    else:
        sluice.prefix = ()
    return sluice


def go(world, steps, code=0, **top):
    path = world.pipeline(steps, **top)
    world("run", path, "--run-id", world.id, code=code, prefix=world.prefix)
    return world.log()


# --- P01: zombies and descriptors

def zombies_of(pid):
    found = 0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            found += state_of(child) == "Z"
    return found


@pytest.mark.slow
def test_p01_2000_short_steps_leave_no_zombie_and_no_descriptor(sluice):
    """In a campaign 10,000."""
    if os.geteuid() != 0:
        pytest.skip("needs root: nobody else looks into a keeper")
    steps = {f"s{n}": {"run": "true & exit 0", "needs": []} for n in range(10000 if IN_CAMPAIGN else 2000)}
    steps["last"] = {"run": "while [ ! -e end ]; do sleep 0.05; done", "needs": list(steps)}
    path = sluice.pipeline(steps, concurrency=8)
    engine = sluice.start("run", "-q", path, "--run-id", sluice.id, "--sync", "never")
    keeper = until(sluice.keepers, 60, of="a keeper")[0]
    sluice.wait_event("step.succeeded", "s99", timeout=60)
    early = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (engine.pid, keeper)]
    sluice.wait_event("step.started", "last", timeout=300)
    late = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (engine.pid, keeper)]
    until(lambda: zombies_of(keeper) == 0, 30, of="no zombies of the keeper")
    assert zombies_of(engine.pid) == 0
    assert late[0] <= early[0] and late[1] <= early[1] + 8, "of the keeper: one for the group of each slot"
    (sluice.root / "end").touch()
    assert engine.wait(30) == 0


# --- P02, P03: what is left behind

DAEMON = "python3 -c 'import os,time,sys\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nopen(\"pid\", \"w\").write(str(os.getpid()))\nos.closerange(0, 64)\ntime.sleep(300)'"


@pytest.mark.slow
def test_p02_a_daemon_that_forked_twice_ends_with_its_step(world):
    go(world, {"a": {"run": DAEMON + "; while [ ! -s pid ]; do sleep 0.01; done", **FAST}})
    assert not alive(int((world.root / "pid").read_text()))


def test_p02_a_daemon_that_hides_its_environment_ends_with_its_step(world):
    go(world, {"a": {"run": "(exec env -i setsid /bin/sleep 300) & echo $! >pid", "grace": "0s"}})
    assert not alive(int((world.root / "pid").read_text()))


def test_p03_a_grandchild_that_holds_the_output_does_not_hold_the_step(world):
    """The step ends when its tree does; the tree gets its grace when the command is gone."""
    log = go(world, {"a": {"run": "trap '' TERM; sleep 300 & exit 0", **FAST}, "b": "true"})
    assert end_of(log, "a")["exit_code"] == 0 or "exit_code" not in end_of(log, "a")
    assert not below(world)


def test_p03_a_masked_grandchild_that_holds_the_pipe_does_not_hold_the_step(world):
    path = world.pipeline({"a": {"run": "echo $T; sleep 300 & exit 0", **FAST, "env": {"T": "${params.t}"}}},
                          params={"t": {"type": "secret", "from": {"env": "TT"}}})
    world("run", path, "--run-id", world.id, code=0, prefix=world.prefix, env={"TT": "geheimnis"})
    assert not below(world) and world.output("a") == b"***\n"


# --- P04, P05: what does not want to end

def end_when(world, is_ready, step, grace):
    """The end of a command that is cancelled when it is ready: a deadline does the same, ready or not."""
    path = world.pipeline({"a": {**step, "grace": grace, "on_stop": "cancel"}})
    engine = world.start("run", path, "--run-id", world.id, prefix=world.prefix)
    until(is_ready, 60, of="a command that is ready")
    world("stop", world.id, code=0)
    assert engine.wait(60) == 6, engine.communicate()
    end = end_of(world.log(ended="stopped"), "a")
    assert end["error_class"] == "cancelled", end
    return end


def test_p04_what_ignores_term_is_killed(world):
    ignores = "trap '' TERM INT HUP; touch ready; while :; do sleep 0.1; done"
    end = end_when(world, (world.root / "ready").exists, {"run": ignores}, "200ms")
    assert end["signal"] == signal.SIGKILL and not below(world)


def test_p04_what_runs_after_a_tree_that_was_killed_lives(world):
    """There are kernels that kill what is born in a cgroup that was killed once."""
    child = "(trap '' TERM; touch ready.$SLUICE_ATTEMPT; exec sleep 600)"
    leaves = f"{child} & while [ ! -e ready.$SLUICE_ATTEMPT ]; do sleep 0.01; done; exit 75"
    retry = {"max_attempts": 3, "initial": "1ms", "jitter": "0%"}
    log = go(world, {"a": {"run": f"[ $SLUICE_ATTEMPT = 2 ] || {{ {leaves}; }}", "grace": "50ms", "retry": retry},
                     "b": "true", "c": "sleep 0.1"})
    assert [end["exit_code"] for end in log.of("step.failed")] == [75] * 2
    assert log.steps["b"].started == log.steps["c"].started == [0] and not below(world)


def is_stopped(world):
    """The process whose number is in the file `pid`."""
    try:
        pid = (world.root / "pid").read_text().strip()
        return bool(pid) and state_of(pid) == "T"
    except FileNotFoundError:
        return False


# The kernel stops nobody by the signals of a terminal in a session without a parent's process group: a job has one.
TELLS = "trap 'echo term >>told; exit 3' TERM; echo $$ >pid; kill -{} $$; while :; do sleep 0.05; done"
JOB = "set -m; sh -c \"{}\" & set +m; trap : TERM; while kill -0 $! 2>/dev/null; do sleep 0.05; done; wait $!"


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", ["STOP", "TSTP", "TTIN"])
def test_p05_what_is_stopped_is_woken_and_ended(world, name):
    tells = TELLS.format(name)
    argv = ["sh", "-c", tells] if name == "STOP" else ["bash", "-c", JOB.format(tells.replace("$", "\\$"))]
    end = end_when(world, lambda: is_stopped(world), {"argv": argv}, "60s")
    assert (world.root / "told").read_text() == "term\n", "it could end in its own way"
    assert end["exit_code"] == 3


def test_p05_what_stops_again_is_killed(world):
    stops = "trap 'kill -STOP $$' TERM CONT; touch ready; while :; do sleep 0.05; done"
    end = end_when(world, (world.root / "ready").exists, {"run": stops}, "200ms")
    assert end["signal"] == signal.SIGKILL and not below(world)


# --- P06: what cannot be killed

@pytest.fixture
def frozen(tmp_path, need_root):
    """A file system on which writing waits, uninterruptibly, until it is thawed."""
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    done = subprocess.run(f"mkfs.ext4 -q -O ^has_journal {image} && mount -o loop {image} {place}", shell=True, check=False, capture_output=True)
    if done.returncode:
        pytest.skip("cannot mount a file system in a file")
    state = {"frozen": False}

    def freeze(on):
        subprocess.run(["fsfreeze", "-f" if on else "-u", place], check=not on or True)
        state["frozen"] = on
    try:
        yield place, freeze
    finally:
        if state["frozen"]:
            subprocess.run(["fsfreeze", "-u", place], check=False)
        for _ in range(100):
            if subprocess.run(["umount", place], check=False, capture_output=True).returncode == 0:
                break
            time.sleep(0.05)
        else:
            subprocess.run(["umount", "-l", place], check=False)


@contextlib.contextmanager
def a_waits_for_the_disk(sluice, frozen, others, concurrency):
    """A run whose command `a` cannot be killed; answers the engine and the command's pid."""
    place, freeze = frozen
    waits = {"run": f"echo $$ >pid; echo x >{place}/file", "needs": [], "timeout": "10s", "grace": "100ms",
             "on_lost": "rerun", "retry": {"max_attempts": 3, "initial": "1ms"}}
    path = sluice.pipeline({"a": waits, **others}, concurrency=concurrency)
    freeze(True)
    engine = sluice.start("run", path, "--run-id", sluice.id)
    pid = int(until(lambda: (sluice.root / "pid").exists() and (sluice.root / "pid").read_text(), 60, of="a"))
    until(lambda: state_of(pid) == "D", 60, of="a process that waits for the disk")
    yield engine, pid
    freeze(False)
    until(lambda: not alive(pid), 60, of="its end")


@pytest.fixture
def waits_for_the_disk(sluice, frozen):
    """Its slot is the only one."""
    with a_waits_for_the_disk(sluice, frozen, {"b": {"run": "touch b.ran", "needs": []}}, concurrency=1) as found:
        yield found


def blocked_by(sluice, pid):
    told = sluice("status", sluice.id, code=0).stdout + sluice("explain", sluice.id, "a", code=0).stdout
    log = sluice.log()
    assert alive(pid) and not log.of("step.failed") and not (sluice.root / "b.ran").exists(), "its slot is taken"
    assert log.steps["a"].started == [0] and log.state == "blocked", "never beside the first"
    assert "killed" in told or str(pid) in told, told


@pytest.mark.slow
def test_p06_what_cannot_be_killed_is_never_run_a_second_time_beside_the_first(sluice, waits_for_the_disk):
    """S8.3: the keeper is gone, its command is not: blocked, also where a lost one would be run again."""
    engine, pid = waits_for_the_disk
    for keeper in sluice.keepers():
        os.kill(keeper, signal.SIGKILL)
    assert engine.wait(60) == 4, engine.communicate()
    blocked_by(sluice, pid)
    assert sluice("resume", sluice.id).code == 4
    blocked_by(sluice, pid)


def one_keeper(sluice, former=None):
    """Its pid: whoever is about to become a command looks like the keeper."""
    def others():
        return [pid for pid in sluice.keepers() if pid != former]
    pid, = until(lambda: len(pids := others()) == 1 and pids, 60, of="one keeper")
    return pid


@pytest.mark.slow
@pytest.mark.skipif(not IN_CAMPAIGN, reason="thousands of processes are no company for others: campaign.py runs it")
def test_p06_what_an_engine_does_about_a_lost_command_is_no_silence_of_the_keeper(sluice, frozen):
    """S8.3: for ten seconds a resume tries to end what is left of the command of a killed keeper, while the next keeper has
    more to tell than goes through its socket at once. Afterwards it waits for the rest, as long as for any keeper."""
    many = [f"{'n' * 59}{n}" for n in range(3000)]
    others = {"door": {"run": "until [ -e more ]; do sleep 0.02; done", "needs": [], "on_lost": "rerun"},
              **{name: {"argv": ["sleep", "600"], "needs": ["door"]} for name in many},
              "last": {"run": "until [ -e end ]; do sleep 0.1; done", "needs": ["door"]}}
    with a_waits_for_the_disk(sluice, frozen, others, concurrency=len(others) + 1) as (engine, _):
        first = one_keeper(sluice)
        os.kill(first, signal.SIGKILL)
        second = one_keeper(sluice, first)
        (sluice.root / "more").touch()
        sluice.wait_event("step.started", "last", timeout=300)
        sluice.cut(engine)
        (sluice.root / "end").touch()
        resume = sluice.start("resume", sluice.id)
        sluice.wait_event("run.resumed", timeout=60)
        time.sleep(0.5)
        os.kill(second, signal.SIGSTOP)
        time.sleep(11)
        os.kill(second, signal.SIGCONT)
        until(lambda: resume.poll() is not None or sluice.has_event("step.succeeded", "last"), 60, of="what the keeper tells")
        assert resume.poll() is None, resume.communicate(timeout=60)


@pytest.mark.slow
def test_p06_a_minute_after_kill_somebody_is_told(sluice, waits_for_the_disk):
    """S7.4: reported, and its slot stays taken. A minute of waiting."""
    engine, pid = waits_for_the_disk
    assert engine.wait(180) == 4, engine.communicate()
    blocked_by(sluice, pid)
    log = sluice.log()
    assert time_of(log.events[-1]) - time_of(log.of("step.started")[0]) > datetime.timedelta(seconds=60)


# --- P07: trees that grow while they are killed

BOMB = """import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.monotonic() + 600
most = len(os.listdir('/proc')) + 300
def grow(depth):
    while time.monotonic() < end:
        there = len(os.listdir('/proc'))
        if there > most - 200 and not os.path.exists('ready'):
            open('ready', 'w').close()
        if there > most:
            time.sleep(0.5)
            continue
        try:
            pid = os.fork()
        except OSError:
            open('ready', 'w').close()
            time.sleep(0.01)
            continue
        if pid == 0:
            os.setsid()
            if depth < 60:
                grow(depth + 1)
            time.sleep(600)
            os._exit(0)
        time.sleep(0.002)
grow(0)
"""


@pytest.mark.slow
def test_p07_a_storm_of_sessions_is_gone_when_the_step_has_ended(world):
    bomb = world.root / "bomb.py"
    bomb.write_text(BOMB)
    end = end_when(world, (world.root / "ready").exists, {"argv": ["python3", str(bomb)]}, "0s")
    assert end["signal"] == signal.SIGKILL and not below(world) and not processes(str(bomb))


def test_p07_a_fork_bomb_below_a_bound_of_processes(sluice, need_root):
    """pids cgroup, v1: the bomb runs into its bound, sluice does not. Its children are in its own tree."""
    group = Path("/sys/fs/cgroup/pids") / f"sluice-test-{sluice.id}"
    if not Path("/sys/fs/cgroup/pids/cgroup.procs").exists():
        pytest.skip("needs the pids controller of cgroup v1")
    group.mkdir()
    try:
        (group / "pids.max").write_text("60")
        bomb = f"echo $$ >{group}/cgroup.procs && b() {{ while :; do (b) 2>/dev/null & sleep 0.01; done; }} && b"
        log = sluice.go({"a": {"run": bomb, "timeout": "800ms", "grace": "100ms"}, "b": {"run": "true", "needs": []}}, code=5,
                        defaults={"on_failure": "skip_downstream"})
        assert end_of(log, "a")["error_class"] == "timeout"
        until(lambda: not (group / "cgroup.procs").read_text().split(), 30, of="an empty group")
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        until(lambda: not (group / "cgroup.procs").read_text().split(), 30)
        group.rmdir()


# --- P08: floods

def rss(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("flood", ["yes", "cat /dev/zero", "head -c 3G /dev/zero | tr '\\0' x", "cat /dev/urandom"], ids=["lines", "zeros", "one line", "bytes"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_p08_a_flood_ends_at_its_bound_and_costs_no_memory(sluice, flood, masked):
    path = sluice.pipeline({"a": {"run": flood, "output_limit": "20MiB", "grace": "100ms", "env": {"T": "${params.t}"} if masked else {}}},
                           params={"t": {"type": "secret", "from": {"env": "TT"}}})
    engine = sluice.start("run", "-q", path, "--run-id", sluice.id, env={"TT": "geheimnis"})
    keeper = until(sluice.keepers, of="a keeper")[0]
    most = [0, 0]
    while engine.poll() is None:
        for i, pid in enumerate((engine.pid, keeper)):
            try:
                most[i] = max(most[i], rss(pid))
            except OSError:
                pass
        time.sleep(0.02)
    assert engine.returncode == 1, engine.communicate()
    assert end_of(sluice.log(), "a")["error_class"] == "infrastructure"
    kept = (sluice.run_dir() / "logs/a.0.log").stat().st_size
    assert kept >= 20 << 20
    if masked:
        assert kept <= (20 << 20) + (1 << 20), "what the keeper writes itself stays below its bound"
    assert max(most) < 65536, f"{most} KiB"
    shown = sluice("logs", sluice.id, "a", "--tail", "2") if "--tail" in sluice("help", "logs").stdout else sluice("status", sluice.id)
    assert shown.code == 0 and len(shown.stdout) < 50 << 20


def test_p08_output_without_a_newline_and_of_any_byte_is_kept_as_it_is(sluice):
    sluice.go({"a": {"argv": ["python3", "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)) * 64)"]}})
    assert sluice.output("a") == bytes(range(256)) * 64
