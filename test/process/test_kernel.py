"""P15, P19, S13 of the defaults: what the kernel does with engine, keeper and commands when memory is short or a
program dies, and the groups that it keeps for them."""
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from test_owners import EAT, end_of, small_memory  # noqa: F401: a fixture

from support.sluice import alive, has_sanitizers, until

MEMORY = {"argv": EAT["argv"], "retry": {"max_attempts": 1}}


def inside(group):
    return ("sh", "-c", f"echo $$ >{group}/cgroup.procs; exec \"$@\"", "sh")


# --- P19: the kernel ends what takes too much

@pytest.mark.slow
@pytest.mark.parametrize("step", [MEMORY, {"run": "python3 -c 'x = []\nwhile True: x.append(bytes(4 << 20))'; exit $?"}], ids=["a command", "a shell's command"])
def test_p19_what_the_kernel_killed_for_want_of_memory_is_no_fault_of_the_step(sluice, small_memory, step):  # noqa: F811
    result = sluice("run", sluice.pipeline({"a": step}), "--run-id", sluice.id, prefix=inside(small_memory))
    assert result.code == 1, result
    end = end_of(sluice.log(), "a")
    assert end["error_class"] == "infrastructure" and "want of memory" in end["reason"], end
    assert end.get("signal") == signal.SIGKILL or end.get("exit_code") == 137


@pytest.mark.slow
def test_p19_a_kill_by_somebody_else_is_not_taken_for_want_of_memory(sluice, small_memory):  # noqa: F811
    """Nor is one that comes after the kernel has killed in that group."""
    steps = {"a": {**MEMORY, "on_failure": "ignore"}, "b": {"run": "kill -9 $$", "on_failure": "ignore"}, "c": {"run": "exit 137", "on_failure": "ignore"}}
    sluice("run", sluice.pipeline(steps), "--run-id", sluice.id, prefix=inside(small_memory), code=(0, 5))
    log = sluice.log()
    assert [end_of(log, step)["error_class"] for step in "abc"] == ["infrastructure", "unknown", "unknown"]


# --- core files

def core_limit(text):
    line, = (line for line in text.splitlines() if line.startswith("Max core file size"))
    return line.split()[4:6]


def test_engine_and_keeper_leave_no_core_file_and_commands_have_the_limit_of_the_user(sluice):
    """Their memory may hold secrets. A limit that nobody set is handed on as it was."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard != resource.RLIM_INFINITY:
        pytest.skip("needs an unbounded hard limit of core files")
    if has_sanitizers(sluice.program):
        pytest.skip("a program with sanitizers has a limit of core files of its own")
    path = sluice.pipeline({"a": "cat /proc/self/limits; touch begun; sleep 60"})
    engine = sluice.start("run", path, "--run-id", sluice.id, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, hard)))
    until((sluice.root / "begun").exists, of="a")
    keeper, = sluice.keepers()
    for pid in (engine.pid, keeper):
        assert core_limit(Path(f"/proc/{pid}/limits").read_text()) == ["0", "unlimited"]
    assert core_limit(sluice.output("a").decode()) == [str(1 << 20), "unlimited"]


def test_nobody_else_looks_into_a_keeper(sluice, need_root):
    """Secrets that are masked pass through it. What is not dumpable belongs to root in /proc (prctl(2))."""
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    for folder in [sluice.root, *sluice.root.parents, *sluice.program.parents]:
        if folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    for folder in (sluice.root, sluice.sockets):
        os.chown(folder, 65534, 65534)
    path = sluice.pipeline({"a": "touch begun; sleep 60"})
    sluice.start("run", path, "--run-id", sluice.id, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    until((sluice.root / "begun").exists, of="a")
    keeper, = sluice.keepers()
    step, = (pid for pid in Path("/proc").glob("[0-9]*") if pid.name.isdigit() and alive(int(pid.name)) and
             f"SLUICE_RUN_ID={sluice.id}".encode() in environment(pid) and b"sleep" in (pid / "cmdline").read_bytes()[:5])
    assert Path(f"/proc/{keeper}/environ").stat().st_uid == 0
    assert (step / "environ").stat().st_uid == 65534, "commands are as they would be without us"


def environment(folder):
    try:
        return (folder / "environ").read_bytes()
    except OSError:
        return b""


# --- groups

def groups():
    base = next((line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line), None)
    own = Path("/proc/self/cgroup").read_text().split("0::", 1)[-1].split("\n", 1)[0]
    if not base or not os.access(f"{base}{own}", os.W_OK):
        pytest.skip("needs cgroup v2")
    return Path(f"{base}{own}")


def group_of(base, run_dir):
    """The one group of the keeper of a run; its name ends with the mark of the run directory."""
    found = run_dir.stat()
    path, = base.glob(f"sluice-*-{found.st_dev:x}-{found.st_ino:x}")
    return path


def test_p20_groups_of_keepers_in_two_pid_namespaces_have_two_names(sluice, need_root):
    """The process ids of both begin at 1: the one must not take the group of the other for its own, or for one that is left."""
    base = groups()
    runs = [f"{sluice.id}-{n}" for n in (1, 2)]
    path = sluice.pipeline({"a": "touch begun-$SLUICE_RUN_ID; while [ ! -e go ]; do sleep 0.02; done", "b": "true"})
    namespace = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
    if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs pid namespaces")
    first = sluice.start("run", path, "--run-id", runs[0], prefix=namespace)
    until((sluice.root / f"begun-{runs[0]}").exists, of="the first")
    second = sluice.start("run", path, "--run-id", runs[1], prefix=namespace)
    until((sluice.root / f"begun-{runs[1]}").exists, of="the second")
    made = [group_of(base, sluice.run_dir(run)) for run in runs]
    for path in made:
        assert "populated 1" in (path / "cgroup.events").read_text()
    # A third run ends beside them, and clears what is left by nobody that lives.
    other = sluice.pipeline({"a": "true"}, file="other.yaml")
    sluice("run", other, "--run-id", f"{sluice.id}-3", code=0)
    assert all(path.exists() for path in made), made
    (sluice.root / "go").touch()
    assert first.wait(20) == second.wait(20) == 0
    for run in runs:
        sluice.log(run, ended="succeeded")
    # Their keepers were killed with the first processes of the namespaces.
    sluice("run", other, "--run-id", f"{sluice.id}-4", code=0)
    until(lambda: not any(path.exists() for path in made), of="the end of their groups")


@pytest.fixture
def own_group(sluice):
    """A group (cgroup v2) in which nobody else makes any."""
    group = groups() / f"sluice-test-{sluice.id}"
    group.mkdir()
    yield group
    for below in [*group.glob("*/"), group]:
        below.rmdir()


def test_doctor_leaves_no_group_behind(sluice, need_strace, own_group):
    """A group is busy for a moment after its last process."""
    trace = sluice.root / "trace"
    traced = ("strace", "-qq", "-f", "-o", trace, "-e", "trace=mkdirat,unlinkat",
              "-e", "inject=unlinkat:error=EBUSY:when=1..3")
    for prefix in ((), traced):
        sluice("doctor", prefix=(*inside(own_group), *prefix))
        assert not [path.name for path in own_group.iterdir() if path.is_dir()]
    assert "sluice-doctor-" in trace.read_text(), "it makes one"
