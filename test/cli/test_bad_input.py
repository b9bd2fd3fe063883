"""Bad input: refused with its place and a hint, exit 2, and nothing is written."""
import pathlib
import re

import pytest

FORMAT = (pathlib.Path(__file__).resolve().parents[2] / "docs/pipeline-format.md").read_text()
LATER = FORMAT.split("<!-- later: ")[1].split("<!-- end -->")[0]
BAD = {
    "unknown_key": (b"pipeline: x\nsteps:\n  a: {run: 'true', retires: 3}\n", 3),
    "wrong_type": (b"pipeline: x\nconcurrency: many\nsteps:\n  a: {run: 'true'}\n", 2),
    "yaml_1_1_boolean": (b"pipeline: x\nsteps:\n  a:\n    noop: yes\n", 4),
    "bare_number_for_a_time": (b"pipeline: x\nsteps:\n  a: {run: 'true', timeout: 30}\n", 3),
    "cycle": (b"pipeline: x\nsteps:\n  a: {run: 'true', needs: [b]}\n  b: {run: 'true', needs: [a]}\n", None),
    "unknown_step": (b"pipeline: x\nsteps:\n  a: {run: 'true', needs: [zz]}\n", 3),
    "duplicate_key": (b"pipeline: x\nsteps:\n  a: {run: 'true'}\n  a: {run: 'false'}\n", 4),
    "alias": (b"pipeline: x\nsteps:\n  a: &a {run: 'true'}\n  b: *a\n", None),
    "tag": (b"pipeline: x\nsteps:\n  a: !!map {run: 'true'}\n", 3),
    "two_documents": (b"pipeline: x\nsteps: {a: {run: 'true'}}\n---\npipeline: y\n", None),
    "two_kinds": (b"pipeline: x\nsteps:\n  a: {run: 'true', argv: ['true']}\n", 3),
    "no_kind": (b"pipeline: x\nsteps:\n  a: {gate: hard}\n", 3),
    "no_steps": (b"pipeline: x\nsteps: {}\n", 2),
    "shell_injection": (b"pipeline: x\nparams: {p: {type: string, default: v}}\nsteps:\n"
                        b"  a: {run: 'echo ${params.p}'}\n", 4),
    "not_yaml": (b"pipeline: x\nsteps: [\n", None),
    "not_utf8": (b"pipeline: x\nsteps:\n  a: {run: 'echo \xff\xfe'}\n", None),
    "nul": (b"pipeline: x\nsteps:\n  a: {run: 'echo \x00'}\n", None),
    "empty": (b"", None),
    "blank": (b"\n\n  \n", None),
    "only_a_word": (b"pipeline\n", None),
    "deep_lists": (b"[" * 100000, None),
    "deep_maps": (b"{a: " * 100000, None),
    "deep_block": (b"".join(b" " * i + b"a:\n" for i in range(800)), None),
    "too_large": (b"pipeline: x\ndescription: '" + b"x" * (1 << 20) + b"'\nsteps: {a: {run: 'true'}}\n", None),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("verb", ["lint", "run", "plan"])
def test_bad_input_is_refused_and_nothing_is_written_S13(sluice, verb, name):
    content, line = BAD[name]
    path = sluice.write("bad.yaml", content)
    done = sluice.run(verb, path, check=2, timeout=20, text=False)
    text = done.stderr.decode("utf-8", "surrogateescape")
    assert f"{path}:" in text and "error[SLU" in text, text[:500]
    if line:
        assert f"{path}:{line}:" in text, text
    assert done.stdout == b""
    assert not sluice.home.exists()


@pytest.mark.parametrize("name", ["unknown_key", "duplicate_key", "unknown_step", "alias", "cycle"])
def test_bad_input_has_a_caret_and_a_hint(sluice, name):
    path = sluice.write("bad.yaml", BAD[name][0])
    text = sluice.run("lint", path, check=2).stderr
    assert "^" in text and "hint: " in text, text


@pytest.mark.parametrize("verb", ["lint", "run", "plan"])
def test_a_missing_file_is_exit_9_S13(sluice, verb):
    done = sluice.run(verb, "nowhere.yaml", check=9)
    assert "nowhere.yaml" in done.stderr and not sluice.home.exists()


@pytest.mark.parametrize("verb", ["lint", "run"])
def test_what_is_no_file_is_refused_and_does_not_hang(sluice, verb):
    import os
    sluice.run(verb, "/", check=2)
    sluice.run(verb, "/dev/zero", check=2)
    os.mkfifo(sluice.work / "pipe")
    sluice.run(verb, "pipe", check=2, timeout=10)


def test_a_limit_can_be_raised(sluice):
    path = sluice.write("big.yaml", BAD["too_large"][0])
    sluice.run("lint", path, "--limit", "definition_bytes=4MiB", check=0)
    done = sluice.run("lint", path, "--limit", "definition_byte=4MiB", check=2)
    assert "did you mean" in done.stderr


@pytest.mark.parametrize("words, part", [
    (["-p", "nope=1"], "nope"),
    (["-p", "size=big"], "size"),
    (["-p", "size"], "size"),
    (["-p", "size=99"], "size"),
    ([], "size"),
    (["-p", "size=1", "-p", "token=abc"], "token"),
    (["-p", "size=1", "--run-id", "../x"], "../x"),
    (["-p", "size=1", "--run-id", "a..b"], "a..b"),
    (["-p", "size=1", "--sync", "maybe"], "maybe"),
    (["-p", "size=1", "--max-parallel", "0"], "max-parallel"),
])
def test_a_bad_parameter_or_option_is_refused_and_nothing_is_written_S13(sluice, words, part):
    path = sluice.write("p.yaml", "pipeline: p\nparams:\n  size: {type: int, required: true, max: 9}\n"
                                  "  token: {type: secret, from: {env: T}}\nsteps: {a: {run: 'true'}}\n")
    sluice.env["T"] = "hidden"
    done = sluice.run("run", path, *words, check=2)
    assert part in done.stderr
    assert not list(sluice.home.glob("runs/*"))


@pytest.mark.parametrize("place, key", [
    (place, key) for place, line in re.findall(r"^- of (the file|a step): (.*)$", LATER, re.M)
    for key in re.findall(r"`(\w+)`", line)])
@pytest.mark.parametrize("verb", ["lint", "run"])
def test_a_key_of_a_later_version_is_refused_never_ignored_S1_3(sluice, verb, place, key):
    own = f"{key}: {{}}\n" if place == "the file" else ""
    of_step = f", {key}: {{}}" if place == "a step" else ""
    path = sluice.write("later.yaml", f"pipeline: x\n{own}steps:\n  a: {{run: 'true'{of_step}}}\n")
    said = sluice.run(verb, path, check=2).stderr
    assert "SLU014" in said and key in said and not sluice.home.exists()
