"""doctor: what it finds, what it advises, and that it leaves nothing behind."""
import json
import os
import shutil
import subprocess
import tempfile

import pytest

CHECKS = ["settings", "state", "keeper", "disk", "space", "flush", "locks", "rename", "sockets", "kernel", "clock", "limits",
          "cgroup", "shell", "sqlite"]


def findings(sluice, *words, check=0, command=()):
    done = subprocess.run([*command, *sluice.command("doctor", "--json", *words)], env=sluice.env, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == check and done.stderr == "", (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert told["problems"] == sum(found["level"] == "problem" for found in told["checks"])
    for found in told["checks"]:
        assert found["level"] in ("ok", "note", "problem") and found["text"]
        assert (found["next"] is None) == (found["level"] == "ok"), found
    return {found["check"]: found for found in told["checks"]}


def test_a_good_machine(sluice):
    sluice.home.mkdir(mode=0o700)
    assert list(findings(sluice)) == CHECKS
    text = sluice.run("doctor", check=0).stdout
    assert [line.split()[1] for line in text.splitlines() if not line.startswith(" ")] == CHECKS
    assert os.listdir(sluice.home) == []


def test_nothing_is_made_where_nothing_is(sluice):
    before = sorted(os.listdir(sluice.folder))
    assert "not there yet" in findings(sluice)["state"]["text"]
    sluice.env["SLUICE_HOME"] = str(sluice.folder / "a" / "b" / "c")
    findings(sluice)
    assert sorted(set(os.listdir(sluice.folder)) - {"sluice"}) == before


def test_settings_with_their_origin(sluice):
    conf = sluice.write("x.conf", "color: never\ngc: {keep: 3}\nlimits: {steps: 7}\n")
    sluice.env["SLUICE_SYNC"] = "never"
    text = sluice.run("doctor", "-v", "--config", conf, check=0).stdout
    assert f"color            never  ({conf}:1)\n" in text and f"gc.keep          3  ({conf}:2)\n" in text
    assert "sync             never  (environment: SLUICE_SYNC)\n" in text and "(default)\n" in text
    assert "limits           steps=7\n" in text
    told = json.loads(sluice.run("doctor", "-v", "--json", "--config", conf, check=0).stdout)
    assert told["limits"] == ["steps=7"]
    assert {row["setting"]: row["value"] for row in told["settings"]}["sync"] == "never"


def test_wrong_settings_are_a_problem_and_the_rest_is_looked_at(sluice):
    conf = sluice.write("x.conf", "colour: never\n")
    found = findings(sluice, "--config", conf, check=1)
    assert found["settings"]["level"] == "problem" and list(found) == CHECKS


@pytest.mark.parametrize("mode, level", [(0o777, "problem"), (0o770, "problem"), (0o755, "note"), (0o700, "ok")])
def test_permissions_of_the_state_directory(sluice, mode, level):
    sluice.home.mkdir()
    sluice.home.chmod(mode)
    assert findings(sluice, check=1 if level == "problem" else 0)["state"]["level"] == level


def test_a_file_in_the_way_of_the_state_directory(sluice):
    sluice.home.write_text("x")
    found = findings(sluice, check=1)
    assert found["state"]["level"] == "problem" and "flush" not in found


def test_no_home_at_all(sluice):
    del sluice.env["SLUICE_HOME"], sluice.env["HOME"]
    assert findings(sluice, check=1)["state"]["level"] == "problem"


@pytest.mark.parametrize("answer, words", [
    ("#!/bin/sh\necho sluice-keeper 0.0.1\n", "is 'sluice-keeper 0.0.1'"),
    ("#!/bin/sh\n", "does not tell its version"),
    ("#!/bin/sh\nexec sleep 0.1\n", "does not tell its version"),
    ("not a program\n", "run '"),
])
def test_a_keeper_that_does_not_fit(sluice, answer, words):
    keeper = sluice.write("keeper", answer)
    os.chmod(keeper, 0o755)
    sluice.env["SLUICE_KEEPER"] = keeper
    found = findings(sluice, check=1)["keeper"]
    assert found["level"] == "problem" and words in found["text"]


def test_a_keeper_that_is_not_static_is_noted(sluice):
    version = sluice.run("--version").stdout.split()[1]
    keeper = sluice.write("keeper", f"#!/bin/sh\necho sluice-keeper {version}\n")
    os.chmod(keeper, 0o755)
    sluice.env["SLUICE_KEEPER"] = keeper
    assert findings(sluice)["keeper"]["level"] == "note"


def test_no_keeper(sluice):
    sluice.env["SLUICE_KEEPER"] = "/no/such/keeper"
    assert findings(sluice, check=1)["state"]["level"] == "problem"
    del sluice.env["SLUICE_KEEPER"]
    alone = sluice.folder / "alone"
    alone.mkdir()
    shutil.copy2(sluice.binary, alone / "sluice")
    sluice.binary = str(alone / "sluice")
    found = findings(sluice, check=1)["keeper"]
    assert found["level"] == "problem" and "libexec" in found["next"]


def test_a_socket_folder_of_others_is_a_problem(sluice):
    with tempfile.TemporaryDirectory(dir="/tmp") as runtime:  # a longer path is passed over
        os.mkdir(os.path.join(runtime, "sluice"), 0o755)
        sluice.env["XDG_RUNTIME_DIR"] = runtime
        assert findings(sluice, check=1)["sockets"]["level"] == "problem"


def test_no_shell_is_noted(sluice):
    sluice.env["PATH"] = str(sluice.folder)
    assert findings(sluice)["shell"]["level"] == "note"


def test_few_open_files_are_noted(sluice):
    assert findings(sluice, command=("sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"))["limits"]["level"] == "note"


def under_strace(call, error):
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("call, error, check, words", [
    ("openat2", "ENOSYS", "kernel", "openat2"),
    ("pidfd_open", "EPERM", "kernel", "pidfd_open"),
    ("fdatasync", "EIO", "flush", "Input/output error"),
    ("fdatasync", "ENOSPC", "flush", "No space left"),
    ("fcntl", "ENOLCK", "locks", "No locks available"),
    ("renameat2", "EINVAL", "rename", "Invalid argument"),
    ("mkdirat", "EROFS", "rename", "Read-only"),
])
def test_what_the_system_refuses_is_a_problem(sluice, call, error, check, words):
    sluice.home.mkdir(mode=0o700)
    sluice.env["ASAN_OPTIONS"] = "detect_leaks=0"  # the leak sanitizer does not work below strace
    found = findings(sluice, check=1, command=under_strace(call, error))[check]
    assert found["level"] == "problem" and words in found["text"]
    assert os.listdir(sluice.home) == []


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
                                                capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="mounts cannot be made here")
@pytest.mark.parametrize("options, check, level", [("size=500m,mode=700", "disk", "note"), ("size=1m,mode=700", "space", "problem"),
                                                   ("size=500m,nr_inodes=50,mode=700", "space", "problem"),
                                                   ("size=500m,ro,mode=700", "flush", "problem")])
def test_memory_little_room_and_read_only(sluice, options, check, level):
    sluice.home.mkdir()
    command = ("unshare", "-m", "sh", "-c", f"mount -t tmpfs -o {options} none {sluice.home} && exec \"$@\"", "sh")
    assert findings(sluice, check=1 if level == "problem" else 0, command=command)[check]["level"] == level


def test_wrong_use_S13(sluice):
    for words in (["x"], ["-o", "csv"], ["--fix"]):
        assert sluice.run("doctor", *words, check=2).stdout == ""
