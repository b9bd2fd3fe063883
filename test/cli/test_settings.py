"""Settings: sluice.conf, the environment and the command line; the nearest one wins, a wrong one ends the command."""
import json
import os
import re
import subprocess

import pytest

from pipelines import GOOD
from support.sluice import is_locked, until

GATE = "pipeline: ask\nsteps: {a: {noop: true, gate: manual}}\n"


@pytest.fixture
def conf(sluice):
    """The user's file, and a way to write it."""
    path = sluice.folder / ".config" / "sluice" / "sluice.conf"
    path.parent.mkdir(parents=True)
    sluice.conf = path
    sluice.good = sluice.write("good.yaml", GOOD)
    return sluice


def frozen(sluice, run):
    return json.loads((sluice.home / "runs" / run / "pipeline.json").read_text())


def test_a_setting_stands_in_for_an_option(conf):
    conf.conf.write_text("output: json\nlist: {limit: 1}\n")
    for name in ("a", "b"):
        conf.run("run", "-q", conf.good, "--run-id", name, check=0)
    assert [run["run_id"] for run in json.loads(conf.run("list", check=0).stdout)["runs"]] == ["b"]
    assert "STARTED" in conf.run("list", "-o", "table", check=0).stdout
    assert len(json.loads(conf.run("list", "--limit", "5", check=0).stdout)["runs"]) == 2
    assert conf.run("summary", "a", "--json", check=0).stdout[0] == "{"


def test_the_id_that_detach_prints_is_the_same_under_every_setting(conf):
    conf.conf.write_text("output: json\n")
    assert conf.run("run", "--detach", conf.good, "--run-id", "a", check=0).stdout == "a\n"
    assert conf.run("rerun", "a", "--detach", "--wait", "--run-id", "b", check=0).stdout == "b\n"
    until(lambda: not is_locked(conf.home / "runs/a/run.lock"), of="a run that nobody carries on")
    assert conf.run("resume", "a", "--detach", "--wait", check=0).stdout == "a\n"
    assert json.loads(conf.run("run", "--detach", conf.good, "--run-id", "c", "-o", "json", check=0).stdout) == {"run_id": "c"}


def test_flag_over_environment_over_user_file_over_default(conf):
    del conf.env["SLUICE_HOME"]
    places = {name: conf.folder / name for name in ("flag", "env", "user", "default")}
    conf.env["XDG_STATE_HOME"] = str(places["default"])

    def where(*words):
        conf.run("run", "-q", conf.good, *words, check=0)
        return [name for name, path in places.items() if (path / "runs").exists() or (path / "sluice" / "runs").exists()]

    assert where() == ["default"]
    conf.conf.write_text(f"state_dir: {places['user']}\n")
    assert where() == ["user", "default"]
    conf.env["SLUICE_HOME"] = str(places["env"])
    assert where() == ["env", "user", "default"]
    assert where("--dir", str(places["flag"])) == ["flag", "env", "user", "default"]


def can_hide_etc():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/etc"],
                                                capture_output=True).returncode == 0


@pytest.mark.skipif(not can_hide_etc(), reason="mounts cannot be made here")
def test_the_user_file_wins_over_the_system_file(conf):
    def limits(*words):
        script = "mount -t tmpfs none /etc && mkdir /etc/sluice && echo 'list: {limit: 1}' >/etc/sluice/sluice.conf && exec \"$@\""
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *conf.command("list", "--json", *words)],
                              env=conf.env, capture_output=True, text=True, check=True)
        return len(json.loads(done.stdout)["runs"])

    for _ in range(3):
        conf.run("run", "-q", conf.good, check=0)
    assert limits() == 1
    conf.conf.write_text("list: {limit: 2}\n")
    assert limits() == 2 and limits("--limit", "3") == 3


def test_home_and_absolute_paths_only(conf):
    del conf.env["SLUICE_HOME"]
    conf.conf.write_text("state_dir: ~/mine\n")
    conf.run("run", "-q", conf.good, check=0)
    assert (conf.folder / "mine" / "runs").is_dir()
    conf.conf.write_text("state_dir: mine\n")
    assert "absolute" in conf.run("list", check=2).stderr


def test_xdg_config_home_is_heeded_when_it_is_absolute(conf):
    (conf.folder / "xdg" / "sluice").mkdir(parents=True)
    (conf.folder / "xdg" / "sluice" / "sluice.conf").write_text("colour: never\n")
    conf.env["XDG_CONFIG_HOME"] = str(conf.folder / "xdg")
    assert "did you mean 'color'?" in conf.run("list", check=2).stderr
    conf.env["XDG_CONFIG_HOME"] = "xdg"
    conf.run("list", check=0)


def test_one_named_file_instead_of_both(conf):
    conf.conf.write_text("nonsense: 1\n")
    other = conf.write("other.conf", "list: {limit: 1}\n")
    conf.run("list", check=2)
    conf.run("list", "--config", other, check=0)
    conf.run("--config=" + other, "list", check=0)
    conf.run("list", "--config", "", check=0)
    conf.env["SLUICE_CONFIG"] = other
    conf.run("list", check=0)
    conf.run("list", "--config", str(conf.conf), check=2)


@pytest.mark.parametrize("text, place, words", [
    ("colour: never\n", "1:1", "there is no setting 'colour'"),
    ("color: red\n", "1:8", "must be one of: auto always never"),
    ("gc:\n  older_then: 30d\n", "2:3", "there is no setting 'gc.older_then'"),
    ("gc: {older_than: 30}\n", "1:18", "must be a time span"),
    ("gc: 30d\n", "1:5", "must be a mapping"),
    ("gc.keep: 3\n", "1:1", "there is no setting"),
    ("max_parallel: 0\n", "1:15", "must be a whole number of 1 to 65536"),
    ("require_reason: yes\n", "1:17", "must be true or false"),
    ("sync: sometimes\n", "1:7", "must be always, interval:<ms> or never"),
    ("limits: {step: 3}\n", "1:16", "there is no limit 'step'"),
    ("limits: {steps: many}\n", "1:17", "not a number"),
    ("limits: [steps]\n", "1:9", "must be a mapping"),
    ("color: [never]\n", "1:8", "must be a value, not a list"),
    ("color:\n", "1:7", "must be a value"),
    ("as: ''\n", "1:5", "must not be empty"),
    ("- color\n", "1:1", "a mapping of names"),
    ("color: &a never\n", "1:8", "SLU006"),
    ("color: never\ncolor: auto\n", "2:1", "SLU009"),
    ("color: {\n", "2:1", "SLU003"),
    ("color: \xff\n".encode("latin-1"), "1:8", "SLU002"),
    ("a: b: c\n", "1:5", "SLU003"),
])
def test_a_wrong_file_ends_the_command_with_its_place_S13(conf, text, place, words):
    conf.conf.write_bytes(text if isinstance(text, bytes) else text.encode())
    for verb in (["list"], ["run", conf.good], ["lint", conf.good], ["gc", "--older-than", "1d"]):
        done = conf.run(*verb, check=2)
        assert re.search(rf"^{re.escape(str(conf.conf))}:{place}: error\[SLU\d+\]: ", done.stderr, re.M), done.stderr
        assert words in done.stderr and done.stdout == ""
    assert not conf.home.exists()


def test_all_errors_of_a_file_in_one_pass(conf):
    conf.conf.write_text("colour: never\nsync: x\nlimits: {zteps: 1}\n")
    done = conf.run("list", check=2)
    assert done.stderr.count("error[SLU") == 3 and "the settings have 3 errors" in done.stderr
    assert "did you mean 'color'?" in done.stderr and "did you mean 'steps'?" in done.stderr


@pytest.mark.parametrize("odd", ["folder", "pipe", "large", "dangling", "named"])
def test_a_file_that_cannot_be_read_ends_the_command_S13(conf, odd):
    if odd == "folder":
        conf.conf.mkdir()
    elif odd == "pipe":
        os.mkfifo(conf.conf)  # nobody writes: it reads as empty, at once
        conf.run("list", check=0)
        return
    elif odd == "large":
        conf.conf.write_text("#" * 70000)
    elif odd == "dangling":
        os.symlink("nowhere", conf.conf)
    else:
        conf.env["SLUICE_CONFIG"] = str(conf.folder / "nowhere.conf")
    done = conf.run("list", check=2)
    assert "settings" in done.stderr and done.stdout == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_ends_the_command_S13(conf):
    conf.conf.write_text("color: never\n")
    conf.conf.chmod(0)
    conf.run("list", check=2)


@pytest.mark.parametrize("name, value", [("SLUICE_SYNC", "sometimes"), ("SLUICE_COLOR", "red"), ("SLUICE_MAX_PARALLEL", "-1"),
                                         ("SLUICE_STEP_TIMEOUT", "30"), ("SLUICE_REQUIRE_REASON", "1")])
def test_a_wrong_variable_ends_the_command_S13(conf, name, value):
    conf.env[name] = value
    done = conf.run("list", check=2)
    assert f"environment variable {name}" in done.stderr and not conf.home.exists()
    conf.env[name] = ""  # as if it were not there
    conf.run("list", check=0)


def test_empty_files_and_comments_are_fine(conf):
    for text in ("", "# nothing\n", "---\n# x\n", "\ufeffcolor: never\n"):
        conf.conf.write_text(text)
        conf.run("list", check=0)


def test_verbs_that_need_no_settings_work_with_a_wrong_file(conf):
    conf.conf.write_text("nonsense")
    conf.run("help", check=0)
    conf.run("--version", check=0)
    conf.run("completion", "bash", check=0)
    done = conf.run("completion", "candidates", "--", "status", "", check=0)
    assert done.stderr == ""


def test_completion_looks_where_the_settings_say(conf):
    del conf.env["SLUICE_HOME"]
    conf.conf.write_text("state_dir: ~/mine\n")
    conf.run("run", "-q", conf.good, "--run-id", "here", check=0)
    assert "here\t" in conf.run("completion", "candidates", "--", "status", "", check=0).stdout


def test_timeouts_fill_what_a_pipeline_leaves_open(conf):
    path = conf.write("t.yaml", "pipeline: t\nsteps:\n  a: {run: 'true'}\n  b: {run: 'true', timeout: 5s}\n  c: {noop: true}\n")
    conf.conf.write_text("step_timeout: 90s\nrun_timeout: 1h\n")
    conf.run("run", "-q", path, "--run-id", "r", check=0)
    model = frozen(conf, "r")
    assert model["timeout"] == "1h" and model["steps"]["a"]["timeout"] == "90s" or model["steps"]["a"]["timeout"] == "1m30s"
    assert model["steps"]["b"]["timeout"] == "5s" and "timeout" not in model["steps"]["c"]
    slow = conf.write("slow.yaml", "pipeline: slow\nsteps: {a: {run: sleep 20}}\n")
    conf.conf.write_text("step_timeout: 100ms\n")
    conf.run("run", "-q", slow, "--run-id", "s", check=1)
    assert '"error_class":"timeout"' in conf.log("s").read_text()


def test_sync_and_parallelism_of_every_run(conf):
    conf.conf.write_text("sync: never\nmax_parallel: 3\n")
    conf.run("run", "-q", conf.good, "--run-id", "r", check=0)
    assert '"sync":"never"' in conf.log("r").read_text().splitlines()[0]
    conf.run("run", "-q", conf.good, "--run-id", "q", "--sync", "always", check=0)
    assert '"sync":"always"' in conf.log("q").read_text().splitlines()[0]


def test_limits_add_up_and_the_command_line_wins(conf):
    conf.conf.write_text("limits: {steps: 1, definition_bytes: 1MiB}\n")
    assert "SLU027" in conf.run("lint", conf.good, check=2).stderr
    conf.run("lint", conf.good, "--limit", "steps=5", check=0)
    assert "SLU001" in conf.run("lint", conf.good, "--limit", "definition_bytes=10", check=2).stderr


def test_a_required_reason(conf):
    conf.conf.write_text("require_reason: true\n")
    done = conf.run("run", conf.good, "--run-id", "r", check=2)
    assert "--reason" in done.stderr and not conf.home.exists()
    conf.run("run", "-q", conf.good, "--run-id", "r", "--reason", "because", check=0)
    conf.run("status", "r", check=0)
    conf.run("stop", "r", check=2)
    assert "reason" not in conf.run("resume", "r", "--check", check=3).stderr  # it has succeeded
    conf.run("gc", "--older-than", "1d", "--dry-run", check=0)


def test_who_decides_by_default(conf):
    conf.conf.write_text("as: release team\n")
    conf.run("run", "-q", conf.write("g.yaml", GATE), "--run-id", "g", check=4)
    conf.run("approve", "g", "a", "--reason", "fine", check=0)
    assert '"actor":"manual:release team"' in conf.log("g").read_text()
    conf.env["SLUICE_AS"] = "somebody"
    conf.run("run", "-q", conf.write("g.yaml", GATE), "--run-id", "h", check=4)
    conf.run("approve", "h", "a", "--reason", "fine", check=0)
    assert '"actor":"manual:somebody"' in conf.log("h").read_text()
    conf.run("resume", "-q", "h", check=0)  # without an override the name is not used


def test_gc_by_the_settings_alone(conf):
    conf.conf.write_text("gc: {older_than: 1ms, keep: 1}\n")
    for name in ("a", "b", "c"):
        conf.run("run", "-q", conf.good, "--run-id", name, check=0)
    conf.run("gc", check=0)
    assert os.listdir(conf.home / "runs") == ["c"]


def test_the_keeper_can_be_named(conf):
    conf.conf.write_text("keeper: /no/such/keeper\n")
    done = conf.run("run", conf.good)
    assert done.returncode == 9 and "/no/such/keeper" in done.stderr
    keeper = os.path.join(os.path.dirname(conf.binary), "sluice-keeper")
    conf.env["SLUICE_KEEPER"] = keeper
    conf.run("run", "-q", conf.good, check=0)


def test_runner_reads_no_settings(conf):
    conf.run("run", "-q", conf.good, "--run-id", "r", check=0)
    conf.conf.write_text("nonsense")
    runner = conf.folder / "runner"
    os.symlink(conf.binary, runner)
    done = subprocess.run([runner, "status", str(conf.home / "runs" / "r")], env=conf.env, capture_output=True)
    assert done.returncode == 0
