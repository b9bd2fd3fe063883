"""Completion: what the Tab key offers in bash, zsh and fish, and that it never disturbs."""
import os
import shutil
import subprocess

import pytest

from pipelines import GOOD

SHELLS = ["bash", "zsh", "fish"]


def offered(sluice, *words):
    done = sluice.run("completion", "candidates", "--", *words, check=0)
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


@pytest.fixture
def with_run(sluice):
    sluice.file = sluice.write("good.yaml", GOOD)
    sluice.run("run", "-q", sluice.file, "--run-id", "older", check=0)
    sluice.run("run", "-q", sluice.file, "--run-id", "newer", check=0)
    return sluice


def test_every_verb_is_offered(sluice):
    shown = [line.split()[0] for line in sluice.run("help").stdout.split("Verbs:\n")[1].split("\n\n")[0].splitlines()]
    assert offered(sluice, "") == shown
    assert offered(sluice, "sta")[0] == "status"
    assert offered(sluice, "-v", "--color", "never", "lin") == ["lint"]


@pytest.mark.parametrize("words, wanted", [
    (["status", "--js"], ["--json"]),
    (["--co"], ["--config", "--color"]),
    (["list", "--result", "s"], ["success", "stopped"]),
    (["list", "--color", ""], ["auto", "always", "never"]),
    (["list", "--color=n"], ["--color=never"]),
    (["list", "-o", "j"], ["json", "jsonl"]),
    (["run", "f.yaml", "--sync", ""], ["always", "interval:", "never"]),
    (["run", "--limit", "definition_b"], ["definition_bytes="]),
    (["completion", ""], ["bash", "zsh", "fish"]),
    (["help", "exp"], ["export", "explain"]),
    (["run", ""], [":files"]),
    (["run", "--params-file", "x"], [":files"]),
    (["--dir", ""], [":folders"]),
    (["list", "--limit", ""], []),
    (["list", "x"], []),
    (["run", "--reason", ""], []),
    (["nonsense", ""], []),
    (["run", "--", "-"], [":files"]),
    ([], None),
])
def test_values_and_words_by_the_tables(sluice, words, wanted):
    assert offered(sluice, *words) == (offered(sluice, "") if wanted is None else wanted)


def test_runs_newest_first_and_steps_after_a_run(with_run):
    assert offered(with_run, "status", "") == ["@latest", "@failed", "newer", "older"]
    assert offered(with_run, "status", "o") == ["older"]
    for run in ("@latest", "old", "older"):
        assert offered(with_run, "logs", run, "") == ["hello", "world"]
    assert offered(with_run, "events", "older", "--step", "w") == ["world"]
    assert offered(with_run, "approve", "older", "") == ["hello", "world"]
    assert offered(with_run, "status", "older", "") == []
    assert offered(with_run, "list", "--pipeline", "") == ["demo"]


def test_parameters_of_the_file(sluice):
    path = sluice.write("p.yaml", "pipeline: p\nparams: {day: {type: string, required: true}, n: {type: int, default: 1}}\n"
                                  "steps: {a: {noop: true}}\n")
    assert offered(sluice, "run", path, "-p", "") == ["day=", "n="]
    assert offered(sluice, "run", path, "--param=d") == ["--param=day="]


def test_the_state_directory_of_the_line_is_looked_at(with_run, tmp_path):
    assert offered(with_run, "--dir", str(tmp_path / "none"), "status", "") == ["@latest", "@failed"]
    assert offered(with_run, f"--dir={tmp_path}/none", "status", "") == ["@latest", "@failed"]
    with_run.env["SLUICE_HOME"] = str(tmp_path / "none")
    assert offered(with_run, "--dir", str(with_run.home), "status", "n") == ["newer"]


def test_it_is_quiet_about_what_it_cannot_read(with_run):
    with_run.log("older").write_text("garbage\n")
    assert "newer" in offered(with_run, "status", "")
    assert offered(with_run, "logs", "older", "") == []
    assert offered(with_run, "logs", "nowhere", "") == []
    assert offered(with_run, "logs", "a/b/c", "") == []
    assert offered(with_run, "run", "/no/such/file.yaml", "-p", "") == []
    assert offered(with_run, "run", with_run.write("bad.yaml", "steps: ["), "-p", "") == []
    shutil.rmtree(with_run.home)
    with_run.home.write_text("a file")
    assert offered(with_run, "status", "") == ["@latest", "@failed"]


def test_hostile_names_are_not_offered(with_run):
    for name in ("x$(touch pwned)", "a b", "\x1b[31mred", "x;reboot", "q'x", "`id`"):
        os.mkdir(with_run.home / "runs" / name)
        os.symlink("newer", with_run.home / "runs" / ("l" + name))
    (with_run.home / "runs.jsonl").open("a").write(
        '{"run_id": "e\\u001b[31m", "started_at": "2026-01-01T00:00:00.000Z", "ended_at": "2026-01-01T00:00:00.000Z", '
        '"result": "success", "failure_reason": null, "stages_executed": [], "stages_failed": [], "retry_count": 0, '
        '"metadata": {"pipeline": "$(id)", "outcome": "success", "trigger": "x"}}\n')
    assert offered(with_run, "status", "") == ["@latest", "@failed", "newer", "older"]
    assert offered(with_run, "list", "--pipeline", "") == ["demo"]


def test_wrong_use_S13(sluice):
    for words in ([], ["tcsh"], ["bash", "zsh"], ["--nonsense"]):
        done = sluice.run("completion", *words, check=2)
        assert done.stdout == "" and done.stderr.startswith("sluice: ")
    assert not sluice.home.exists()


def shell_words(sluice, shell, line):
    """What a shell offers at the end of the line."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = sluice.write("script", sluice.run("completion", shell, check=0).stdout)
    env = {**sluice.env, "PATH": f"{os.path.dirname(sluice.binary)}:{os.environ['PATH']}"}
    words = line.split(" ")
    if shell == "bash":
        pieces = [piece for word in words for piece in word.replace("=", " = ").replace(":", " : ").split(" ") if piece]
        pieces += [""] if line.endswith(" ") else []
        code = (f"source {script}; COMP_WORDS=({' '.join(repr(piece) for piece in pieces)}); "
                f"COMP_CWORD={len(pieces) - 1}; _sluice; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        command = ["bash", "--norc", "-c", code]
    elif shell == "zsh":
        code = (f"compdef() {{ :; }}; source {script}; _files() {{ print :files; }}; "
                "_describe() { shift 2; print -rl -- ${(P)1}; }; "
                f"words=({' '.join(repr(word) for word in words)}); CURRENT={len(words)}; _sluice")
        command = ["zsh", "-f", "-c", code]
    else:
        command = ["fish", "--no-config", "-c", f"source {script}; complete -C {line!r}"]
    done = subprocess.run(command, env=env, cwd=sluice.work, capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and done.returncode == 0, done
    return [text.split("\t")[0] if shell == "fish" else text.split(":")[0] if shell == "zsh" else text
            for text in done.stdout.splitlines() if text]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line, wanted", [
    ("sluice sum", ["summary"]),
    ("sluice status ", ["@latest", "@failed", "newer", "older"]),
    ("sluice logs newer ", ["hello", "world"]),
    ("sluice list --result s", ["success", "stopped"]),
    ("sluice list --col", ["--color"]),
    ("sluice nonsense ", []),
])
def test_a_shell_offers_it(with_run, shell, line, wanted):
    assert shell_words(with_run, shell, line) == wanted


def test_bash_puts_words_with_borders_together(with_run):
    assert shell_words(with_run, "bash", "sluice list --color=n") == ["never"]
    assert shell_words(with_run, "bash", "sluice list --color=") == ["auto", "always", "never"]
    assert shell_words(with_run, "bash", "sluice run goo") == ["good.yaml"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_accepted_by_its_shell(sluice, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = sluice.write("script", sluice.run("completion", shell, check=0).stdout)
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
