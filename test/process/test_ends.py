"""P09 to P16: how a command begins and how it ends. What is compared comes from the kernel."""
import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.sluice import until

IGNORE = {"on_failure": "ignore"}


def parallel(steps):
    return {name: {**step, "needs": []} for name, step in steps.items()}


def end_of(log, step):
    return (log.of("step.failed", step) + log.of("step.succeeded", step))[-1]


# --- P09, P10: the three descriptors

def test_p09_a_step_may_close_its_descriptors(sluice):
    log = sluice.go({"all": "exec <&- >&- 2>&-; sleep 0.05; echo n=1 >\"$SLUICE_OUTPUT\"",
                     "out": "exec >&-; echo to stderr >&2", "inside": "exec >&- 2>&-; (sleep 0.1); true"})
    assert log.of("step.succeeded", "all")[0]["outputs"] == {"n": "1"}
    assert sluice.output("out") == b"to stderr\n" and sluice.output("all") == b""


def test_p09_a_step_that_writes_to_a_pipe_nobody_reads_dies_of_its_own_signal(sluice):
    log = sluice.go({"a": {"argv": ["sh", "-c", "kill -PIPE $$"], **IGNORE},
                     "b": {"argv": ["bash", "-o", "pipefail", "-c", "yes | head -n 1"], **IGNORE}})
    assert end_of(log, "a")["signal"] == signal.SIGPIPE and "exit_code" not in end_of(log, "a")
    assert end_of(log, "b")["exit_code"] == 128 + signal.SIGPIPE, "as its shell says, not as Sluice would guess"


@pytest.mark.parametrize("keys", [{}, {"streams": "split"}, {"env": {"T": "${params.t}"}}], ids=["plain", "split", "masked"])
def test_p10_a_step_that_reads_its_input_ends(sluice, keys):
    sluice.go({"a": {"run": "cat; readlink /proc/self/fd/0 >input", **keys}}, env={"TT": "geheimnis"},
              params={"t": {"type": "secret", "from": {"env": "TT"}}})
    assert (sluice.root / "input").read_text() == "/dev/null\n"


def test_p10_the_input_of_sluice_is_not_the_input_of_its_steps(sluice):
    path = sluice.pipeline({"a": "cat >got"})
    sluice("run", path, "--run-id", sluice.id, code=0, input="for sluice, not for the step\n")
    assert (sluice.root / "got").read_text() == ""


# --- P11: every end

@pytest.mark.slow
def test_p11_every_exit_code_is_exact(sluice):
    steps = {f"e{n}": {"argv": ["sh", "-c", f"exit {n}"], **IGNORE, "exit_codes": {75: "unknown"}} for n in range(256)}
    log = sluice.go(parallel(steps), concurrency=8)
    for n in range(256):
        end = end_of(log, f"e{n}")
        assert end.get("exit_code", 0) == n and "signal" not in end and "core" not in end and "errno" not in end, end
        assert end["event_type"] == ("step.failed" if n else "step.succeeded")


CORE = {signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV,
        signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS}
STAYS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN,
         signal.SIGTTOU}


@pytest.mark.slow
def test_p11_every_signal_is_exact_and_never_an_exit_code(sluice):
    """Python, not a shell: 32 and 33, which belong to the C library, can be sent too."""
    numbers = [n for n in range(1, 65) if n not in STAYS]
    steps = {f"s{n}": {"argv": [sys.executable, "-S", "-c", f"import os; os.kill(os.getpid(), {n}); os._exit(99)"], **IGNORE,
                       "limits": {"core": "0B"}} for n in numbers}
    log = sluice.go(parallel(steps), concurrency=4)
    for n in numbers:
        end = end_of(log, f"s{n}")
        # Python itself ignores SIGPIPE and SIGXFSZ, and handles SIGINT: then it goes on to its exit.
        if n in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            assert end.get("signal", n) == n, end
        else:
            assert end["signal"] == n and "exit_code" not in end, end
            assert not end.get("core"), "its limit is 0"


def dying(number):
    """A command that dies of a signal; Python, and some shells, ignore a few."""
    return ["sh", "-c", f"kill -{number:d} $$; exit 99"]


def dumps(folder, number, limit):
    """Does the kernel say so of the same command when it is a child of ours?"""
    child = subprocess.Popen(dying(number), cwd=folder,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))
    _, status = os.waitpid(child.pid, 0)
    child.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


def test_p11_a_dumped_core_is_told_apart(sluice):
    """Where cores go to a program of the machine, it gets those of one signal."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    most = 64 << 20 if hard == resource.RLIM_INFINITY else min(hard, 64 << 20)
    if not dumps(sluice.root, signal.SIGSEGV, most):
        pytest.skip("no cores here")
    is_piped = Path("/proc/sys/kernel/core_pattern").read_text().startswith("|")
    numbers = [signal.SIGTERM, *([signal.SIGSEGV] if is_piped else sorted(CORE))]
    cases = {f"s{number:d}_{limit}": (number, limit) for number in numbers for limit in (most, 0)}
    log = sluice.go({name: {"argv": dying(number), **IGNORE, "limits": {"core": f"{limit}B"}}
                     for name, (number, limit) in cases.items()})
    for name, (number, limit) in cases.items():
        end = end_of(log, name)
        assert end["signal"] == number and bool(end.get("core")) == dumps(sluice.root, number, limit), end
        assert is_piped or bool(end.get("core")) == (number in CORE and limit > 0), end
    until(lambda: not sluice.keepers(), of="the keeper's own end: a build that counts writes its counters then")


# --- P12: what cannot be executed

def cannot(sluice):
    """{name: (program, errno name)}"""
    root = sluice.root
    (root / "plain").write_text("#!/bin/sh\nexit 0\n")
    (root / "folder").mkdir()
    (root / "interpreter").write_text("#!/no/such/interpreter\n")
    (root / "format").write_bytes(b"\x7fELF" + bytes(60))
    (root / "long").write_text("#!/bin/true\n")
    (root / "loop").symlink_to("loop")
    (root / "through").mkdir()
    (root / "busy").write_bytes(Path("/bin/true").read_bytes())
    for name in ("interpreter", "format", "long", "busy"):
        (root / name).chmod(0o755)
    return {"missing": ("./none", "ENOENT"), "plain": ("./plain", "EACCES"), "folder": ("./folder", "EACCES"),
            "interpreter": ("./interpreter", "ENOENT"), "format": ("./format", "ENOEXEC"), "loop": ("./loop", "ELOOP"),
            "below": ("./plain/x", "ENOTDIR"), "name": ("./" + "n" * 300, "ENAMETOOLONG"), "busy": ("./busy", "ETXTBSY"),
            "big": ("./long", "E2BIG"), "path": ("no-such-program-anywhere", "ENOENT")}


def test_p12_what_cannot_be_executed_has_the_errno_of_the_system(sluice):
    import errno
    words = cannot(sluice)
    steps = {name: {"argv": [program] + (["x" * 200000] if name == "big" else []), **IGNORE} for name, (program, _) in words.items()}
    with open(sluice.root / "busy", "r+b"):
        log = sluice.go(parallel(steps), env={"PATH": "/usr/bin:/bin"})  # folders that everybody may search
    for name, (_, expected) in words.items():
        end = end_of(log, name)
        assert end["event_type"] == "step.failed", (name, end)
        assert end["errno"] == getattr(errno, expected) or end["errno"] == expected, (name, end)
        assert end["error_class"] == "configuration", (name, end)
        assert "exit_code" not in end and "signal" not in end, (name, end)


def test_p12_126_and_127_are_exit_codes_of_the_command(sluice):
    log = sluice.go(parallel({"a": {"run": "exit 126", **IGNORE}, "b": {"run": "no-such-program-anywhere", **IGNORE}}))
    assert end_of(log, "a")["exit_code"] == 126 and end_of(log, "b")["exit_code"] == 127
    assert "errno" not in end_of(log, "b")


def test_p12_a_folder_that_is_not_there_is_not_run_in(sluice):
    log = sluice.go({"a": {"run": "touch ran", "cwd": "none", **IGNORE}})
    assert end_of(log, "a")["error_class"] == "configuration" and not list(sluice.root.rglob("ran"))


# --- P13: descriptors

def test_p13_a_step_has_three_descriptors_whatever_sluice_inherited(sluice):
    """1000 open ones, none of them close-on-exec."""
    path = sluice.pipeline({"a": "ls /proc/self/fd >fds; ls -l /proc/self/fd >where",
                            "b": {"run": "ls /proc/self/fd >fds.b", "streams": "split", "stdin": {"text": "x"}},
                            "c": {"run": "ls /proc/self/fd >fds.c", "env": {"T": "${params.t}"}}},
                           params={"t": {"type": "secret", "from": {"env": "TT"}}})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("needs more descriptors than this machine allows")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    try:
        held += [os.open(path, os.O_RDONLY) for _ in range(1000)]
        for fd in held:
            os.set_inheritable(fd, True)
        done = subprocess.run(sluice.command("run", path, "--run-id", sluice.id), env={**sluice.env, "TT": "geheimnis"}, cwd=sluice.root,
                              close_fds=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert done.returncode == 0, done.stderr
    for name in ("fds", "fds.b", "fds.c"):  # the one of the listing itself is 3
        assert (sluice.root / name).read_text().split() == ["0", "1", "2", "3"], (sluice.root / "where").read_text()


def links_of(pid):
    """What the descriptors of a process are; one that is closed meanwhile is none of them."""
    links = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return links


def need_root_for_the_keeper():
    if os.geteuid() != 0:
        pytest.skip("needs root: nobody else looks into a keeper")


def test_p13_the_keeper_holds_nothing_of_whoever_started_the_run(sluice):
    need_root_for_the_keeper()
    path = sluice.pipeline({"a": "sleep 30"})
    with open(path, "rb") as held:
        os.set_inheritable(held.fileno(), True)
        engine = sluice.start("run", path, "--run-id", sluice.id, close_fds=False)
        sluice.wait_event("step.started", "a")
        keeper = until(sluice.keepers, of="a keeper")[0]
        sluice.cut(engine)
        links = links_of(keeper)
    assert str(path) not in links and not [link for link in links if link.startswith("pipe:")], links
    assert not [link for link in links if link.endswith(("/run.lock", "/events.jsonl"))], links


# --- P14: environment

ALLOWED = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TRACEPARENT"}


def test_p14_a_step_sees_only_what_is_listed(sluice):
    loud = {name: "leak" for name in ("LD_PRELOAD_NOT", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "GITHUB_TOKEN", "BASH_ENV",
                                      "ENV", "IFS", "PYTHONPATH", "SLUICE_COLOR", "SLUICE_HOOK", "XDG_CONFIG_HOME", "lc_all", "LC", "path")}
    loud["SLUICE_COLOR"] = "never"
    path = sluice.pipeline({"a": {"argv": [sys.executable, "-c", "import os; open('env', 'wb').write(b'\\0'.join(k + b'=' + v for k, v in os.environb.items()))"],
                                  "env": {"OWN": "1"}}}, params={"p": {"type": "string", "default": "x"}})
    sluice("run", path, "--run-id", sluice.id, code=0, env={**loud, "LC_TIME": "C", "LD_PRELOAD": ""})
    seen = dict(entry.split("=", 1) for entry in (sluice.root / "env").read_text().split("\0"))
    seen = {name: value for name, value in seen.items() if name not in ALLOWED and not name.startswith(("LC_", "SLUICE_"))}
    assert seen == {"OWN": "1", "PARAM_p": "x"}
    ours = {line.split("=", 1)[0] for line in (sluice.root / "env").read_text().split("\0") if line.startswith("SLUICE_")}
    assert ours == {"SLUICE_RUN_ID", "SLUICE_STEP", "SLUICE_ATTEMPT", "SLUICE_IDEMPOTENCY_KEY", "SLUICE_FENCE", "SLUICE_OUTPUT", "SLUICE_TOKEN"}


def test_p14_the_keeper_does_not_carry_the_environment_of_the_caller(sluice):
    need_root_for_the_keeper()
    path = sluice.pipeline({"a": "sleep 30"})
    engine = sluice.start("run", path, "--run-id", sluice.id, env={"PGPASSWORD": "leak-8341"})
    sluice.wait_event("step.started", "a")
    keeper = until(sluice.keepers, of="a keeper")[0]
    held = Path(f"/proc/{keeper}/environ").read_bytes()
    sluice.cut(engine)
    assert b"leak-8341" not in held, "it outlives the terminal that it was started from"


# --- P15, P16: what a process inherits

SHOW = """import json, os, resource, signal
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
stat = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
print(json.dumps({
    'mask': int(status['SigBlk'], 16), 'ignored': int(status['SigIgn'], 16), 'umask': int(status['Umask'], 8),
    'cwd': os.getcwd(), 'pid': os.getpid(), 'session': os.getsid(0), 'group': os.getpgid(0), 'tty': int(stat[4]), 'nice': int(stat[16]),
    'oom': int(open('/proc/self/oom_score_adj').read()), 'limits': [resource.getrlimit(n) for n in range(16)],
    'threads': int(status['Threads']), 'dumpable': os.access('/proc/self/environ', os.R_OK)}), file=open('shown', 'w'))
"""


def shown(sluice, **kwargs):
    import json
    (sluice.root / "show.py").write_text(SHOW)
    # Python ignores SIGPIPE and SIGXFSZ itself: a shell in between shows what it was given.
    path = sluice.pipeline({"a": {"run": f"grep -E '^Sig(Blk|Ign)' /proc/self/status >given; exec {sys.executable} show.py"}})
    engine = sluice.start("run", path, "--run-id", sluice.id, **kwargs)
    assert engine.wait(30) == 0, engine.communicate()
    given = dict(line.split(":\t") for line in (sluice.root / "given").read_text().splitlines())
    return json.loads((sluice.root / "shown").read_text()), {name: int(text, 16) for name, text in given.items()}


@pytest.fixture(params=["plain", "odd"])
def parent(request):
    """What the caller of sluice is like: nothing special, or everything that a process can hand down."""
    if request.param == "plain":
        return {}

    def odd():
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD})
        os.umask(0o777 if os.geteuid() == 0 else 0o077)  # root alone gets on with the first
        os.nice(5)
    return {"preexec_fn": odd, "restore_signals": False}


def test_p15_p16_a_command_has_a_process_of_known_kind(sluice, parent):
    seen, given = shown(sluice, **parent)
    assert given == {"SigBlk": 0, "SigIgn": 0}, "no signal is blocked or ignored"
    assert seen["umask"] == 0o022 and seen["cwd"] == str(sluice.root)
    assert seen["session"] == seen["pid"] == seen["group"] and seen["tty"] == 0, "a session of its own, no terminal"
    nicer = 5 if parent else 0
    assert seen["nice"] == min(os.getpriority(os.PRIO_PROCESS, 0) + nicer, 19), "it is as nice as who started it"
    assert seen["oom"] >= 500
    assert [tuple(limit) for limit in seen["limits"]] == [resource.getrlimit(n) for n in range(16)]


def test_p16_a_run_whose_caller_ignores_the_ends_of_children_sees_them(sluice):
    """With SIGCHLD ignored the kernel would reap, and nobody would know how a command ended."""
    path = sluice.pipeline({"a": "exit 7"})
    engine = sluice.start("run", path, "--run-id", sluice.id, restore_signals=False,
                          preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert engine.wait(30) == 1
    assert end_of(sluice.log(), "a")["exit_code"] == 7
