"""S12: the run directory, the state directory, names as data."""
import json
import os
import stat

import pytest

from support.sluice import until

HOSTILE = ["..", ".", "/", "a/b", "../../etc", "", " ", "a b", "-x", ".hidden", "a..b", "a\nb", "\x7f", "a\tb", "é", "a\\b",
           "x" * 129, "x" * 256, "$(touch pwned)", "`touch pwned`", "a;b", "a'b", 'a"b', "%s%n", "~", "*", "@latest"]
TEXTS = ["", " ", "a b", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "a\nb\n", "\\", "\\n", "%s%n",
         "${params.p}", "é\U0001f600", "\x01\x1b[31m\x7f", "-rf", "--", "x" * 60000, "../../../etc/passwd", "*", "~", "a\tb", "\r",
         "]]>", "</script>", '{"a":1}', "null", "1e999", "\u2028"]


def tree(path):
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*"))


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o027])
def test_s13_modes_whatever_the_umask(sluice, umask):
    path = sluice.pipeline({"a": 'echo hi; echo n=1 >"$SLUICE_OUTPUT"; umask >mask'})
    engine = sluice.start("run", path, "--run-id", sluice.id, umask=umask)
    assert engine.wait(60) == 0, engine.communicate()
    until(lambda: not sluice.keepers(), of="the keeper's end")
    for entry in [sluice.home, *sluice.home.rglob("*")]:
        mode = stat.S_IMODE(entry.lstat().st_mode)
        if entry.parent.name == "out":
            continue  # made by the command, in its own way, below a 0700 directory
        assert mode == (0o700 if entry.is_dir() else 0o600), (entry, oct(mode))
    for entry in sluice.sockets.rglob("*"):
        assert stat.S_IMODE(entry.lstat().st_mode) & 0o077 == 0 or stat.S_ISSOCK(entry.lstat().st_mode), entry
    assert int((sluice.root / "mask").read_text(), 8) == 0o022, "commands have one umask, whoever started the run"


def test_s12_files_of_a_plain_run(sluice):
    sluice.go({"a": "echo hi"})
    names = tree(sluice.run_dir())
    assert {"events.jsonl", "pipeline.yaml", "pipeline.json", "run.lock", "keeper.lock", "attempts.log", "logs",
            "logs/a.0.log"} <= set(names)
    assert not {"artifacts", "quarantine", "blobs"} & set(names), "only when used"
    assert (sluice.run_dir() / "attempts.log").stat().st_size % 256 == 0
    assert (sluice.run_dir() / "pipeline.yaml").read_text() == (sluice.root / "pipeline.yaml").read_text()
    assert not [p for p in sluice.run_dir().rglob("*") if not (p.is_file() or p.is_dir())], "plain files"


def test_s12_runs_jsonl(sluice):
    sluice.go({"a": "[ -e ok ]"}, code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    lines = [json.loads(line) for line in (sluice.home / "runs.jsonl").read_text().splitlines()]
    assert len(lines) == 2, "a line at every end"
    assert "failed" in json.dumps(lines[0]) and "success" in json.dumps(lines[1])


def test_s12_a_projection_that_cannot_be_written_does_not_stop_the_run(sluice):
    sluice.go({"a": "true"}, run_id=sluice.id + "x")
    (sluice.home / "runs.jsonl").unlink()
    (sluice.home / "runs.jsonl").mkdir()
    path = sluice.pipeline({"a": "true"})
    sluice("run", path, "--run-id", sluice.id, code=0)
    sluice.log()


def test_s12_a_run_at_any_path(sluice):
    sluice.go({"a": "[ -e ok ]"}, code=1)
    place = sluice.root / "some where" / "else"
    place.parent.mkdir()
    sluice.run_dir().rename(place)
    (sluice.root / "ok").touch()
    for verb in ("status", "summary", "events", "verify"):
        sluice(verb, place, code=0)
        sluice(verb, "./some where/else", code=0)
    sluice("resume", place, code=0)
    assert sluice("verify", place, code=0)


def test_s12_dir_option(sluice):
    path = sluice.pipeline({"a": "true"})
    sluice("run", path, "--run-id", sluice.id, "--dir", sluice.root / "elsewhere", code=0)
    assert (sluice.root / "elsewhere/runs" / sluice.id / "events.jsonl").exists()
    assert not sluice.run_dir().exists()
    sluice("status", sluice.id, "--dir", sluice.root / "elsewhere", code=0)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("run_id", HOSTILE)
def test_s12_c04_hostile_run_ids_are_refused_and_nothing_is_written(sluice, run_id):
    path = sluice.pipeline({"a": "true"})
    sluice("run", path, f"--run-id={run_id}", code=2)
    assert not (sluice.home / "runs").exists() or not os.listdir(sluice.home / "runs")
    assert not (sluice.root / "pwned").exists()
    for verb in ("status", "resume", "verify", "events", "stop"):
        result = sluice(verb, "--", run_id)
        assert result.code in (2, 7, 9), (verb, result)
    assert not (sluice.root / "pwned").exists()


@pytest.mark.parametrize("run_id", ["a", "0", "a.b", "A-b_c.d", "x" * 128, "r" + "-" * 20])
def test_good_run_ids(sluice, run_id):
    sluice.go({"a": '[ "$SLUICE_RUN_ID" = "%s" ]' % run_id}, run_id=run_id)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_s11_params_are_data(sluice, text):
    (sluice.root / "show.py").write_text("import sys, os\nopen('got', 'wb').write(os.fsencode(sys.argv[1]))\n")
    steps = {"a": 'printf %s "$PARAM_p" >env', "b": {"argv": ["/usr/bin/python3", "show.py", "${params.p}"]},
             "c": {"argv": ["/usr/bin/python3", "show.py", "x${params.p}x"]},
             "d": {"when": "params.p == params.p", "run": "true", "env": {"E": "${params.p}"}}}
    path = sluice.pipeline(steps, params={"p": {"type": "string", "default": ""}})
    sluice("run", path, "--run-id", sluice.id, "-p", "p=" + text, code=0)
    assert (sluice.root / "env").read_bytes().decode() == text
    assert (sluice.root / "got").read_bytes().decode() == "x" + text + "x"
    assert not (sluice.root / "pwned").exists()
    assert sluice.log(ended="succeeded").events[0]["params"]["p"] == text
    shown = sluice("events", sluice.id, code=0).stdout + sluice("status", sluice.id).stdout
    assert "\x1b" not in shown and "\x01" not in shown


@pytest.mark.parametrize("bad", [b"p=\xff\xfe", b"p=a\xc3", b"p=\xed\xa0\x80"])
def test_params_that_are_no_utf8_are_refused(sluice, bad):
    path = sluice.pipeline({"a": "true"}, params={"p": {"type": "string", "default": ""}})
    sluice("run", path, "--run-id", sluice.id, "-p", os.fsdecode(bad), code=2)
    assert not sluice.run_dir().exists()


def test_a_param_with_nul_in_a_params_file_is_refused_or_kept_from_commands(sluice):
    (sluice.root / "params.json").write_text('{"p":"a\\u0000b"}')
    path = sluice.pipeline({"a": 'printf %s "$PARAM_p" >got'}, params={"p": {"type": "string", "default": ""}})
    result = sluice("run", path, "--run-id", sluice.id, "--params-file", "params.json")
    assert result.code in (1, 2), result
    assert not (sluice.root / "got").exists()


def test_hostile_reasons_are_data(sluice):
    path = sluice.pipeline({"a": "true"})
    text = 'x\n{"event_id":"evt_2"}\x1b[2J"\\'
    sluice("run", path, "--run-id", sluice.id, "--reason", text, code=0)
    assert sluice.log(ended="succeeded").events[0]["reason"] == text
    assert "\x1b" not in sluice("events", sluice.id).stdout




def test_c04_steps_cannot_leave_the_run_directory_by_their_names(sluice):
    for name in ("..", "a/b", "a b", "a.b", "", "a" * 65, "$(x)", "and", "é", "0a"):
        path = sluice.pipeline({name: "true"})
        sluice("run", path, "--run-id", sluice.id, code=2)
        assert not sluice.run_dir().exists()


def test_a_run_directory_that_is_a_symlink_is_not_followed_out(sluice):
    (sluice.home / "runs").mkdir(parents=True)
    (sluice.root / "target").mkdir()
    sluice.run_dir().symlink_to(sluice.root / "target")
    sluice("run", sluice.pipeline({"a": "true"}), "--run-id", sluice.id, code=3)
    assert not tree(sluice.root / "target")


def test_s11_8_a_run_is_born_whole_and_leaves_no_temporary_name(sluice):
    for i in range(5):
        sluice.go({"a": "true"}, run_id=f"{sluice.id}-{i}")
    assert sorted(os.listdir(sluice.home / "runs")) == [f"{sluice.id}-{i}" for i in range(5)]


def test_fresh_ids_are_unique_and_sort_by_time(sluice):
    path = sluice.pipeline({"a": {"noop": True}})
    for _ in range(8):
        sluice("run", path, code=0)
    names = os.listdir(sluice.home / "runs")
    assert len(set(names)) == 8
    made = sorted(names, key=lambda n: json.loads((sluice.home / "runs" / n / "events.jsonl").read_text().split("\n")[0])["timestamp_utc"])
    assert [n[:15] for n in made] == sorted(n[:15] for n in names)


def test_long_socket_paths_do_not_matter(sluice):
    far = sluice.root / ("d" * 100) / ("e" * 100)
    far.mkdir(parents=True, mode=0o700)
    path = sluice.pipeline({"m": {"gate": "manual", "needs": [], "run": "true"},
                            "busy": {"needs": [], "run": "while [ ! -e end ]; do sleep 0.05; done"}}, concurrency=2)
    env = {"XDG_RUNTIME_DIR": str(far)}
    engine = sluice.start("run", path, "--run-id", sluice.id, env=env)
    sluice.wait_event("step.started", "busy")
    until(lambda: sluice.has_event("step.waiting", "m"))
    sluice("approve", sluice.id, "m", "--as", "a", "--reason", "b", env=env, code=0)
    (sluice.root / "end").touch()
    assert engine.wait(60) == 0, engine.communicate()
