"""S21: whatever a string holds, it is one string of one line of the log, and comes back as it was. C02, C10, C18: nor
is it a command, a key of the definition, or the name of a file."""
import json

import pytest

FAKE = '{"event_id":"evt_2","event_type":"gate.passed","run_id":"x","timestamp_utc":"2026-01-01T00:00:00.000Z","actor":"runner","attempt":0,"h":"0000000000000000"}'
STRINGS = ["\n", "\r\n", "a\n" + FAKE + "\n", '","h":"0000000000000000"}\n' + FAKE, "\u2028\u2029", '"\\', "\\u000a", "\\n", "\x01\x1f\x7f", "\u0085",
           "\ufeff", "\uffff\U0010ffff", "é\U0001f600", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "</script>", "x" * 900 + "\n"]
IDS = range(len(STRINGS))


def lines(sluice):
    """Each line of the log by itself: one object, no byte below a blank, the type that it says."""
    raw = sluice.raw()
    assert raw.endswith(b"\n") and not any(byte < 32 for byte in raw.replace(b"\n", b""))
    return [json.loads(line) for line in raw.splitlines()]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("text", STRINGS, ids=IDS)
def test_s21_texts_of_people_are_one_string(sluice, text):
    """Parameter, reason, name of who approves: everything that a command line brings in."""
    path = sluice.pipeline({"a": "true", "m": {"gate": "manual", "run": "true"}}, params={"p": {"type": "string", "default": ""}})
    sluice("run", path, "--run-id", sluice.id, "-p", "p=" + text, "--reason", text, code=4)
    taken = sluice("approve", sluice.id, "m", "--as", "anna", "--reason", text)
    sluice("resume", sluice.id, "--reason", text, code=0 if taken.code == 0 else 4)
    log = sluice.log()
    events = lines(sluice)
    assert len(events) == len(log.events) and events[0]["params"]["p"] == text and events[0]["reason"] == text
    if taken.code == 0:
        assert [event["reason"] for event in events if event["event_type"] == "gate.approved"] == [text]
    assert not [event for event in events if event["event_type"] == "gate.passed"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("text", STRINGS, ids=IDS)
def test_s21_what_a_command_answers_is_one_string(sluice, text):
    """Outputs, context updates, the reason of a failure: by result file."""
    (sluice.root / "good.json").write_text(json.dumps({"outputs": {"o": text, "nested": {"k": [text]}}, "context_updates": {"u": text}}))
    (sluice.root / "bad.json").write_text(json.dumps({"reason": text, "error_class": "dependency"}))
    log = sluice.go({"a": 'cat good.json >"$SLUICE_OUTPUT"', "b": {"run": 'cat bad.json >"$SLUICE_OUTPUT"; exit 1', "on_failure": "ignore"},
                     "c": {"gate": "soft", "run": "true", "pass": "false", "reason": "${outputs.a.o}", "needs": ["a"]}})
    events = lines(sluice)
    assert len(events) == len(log.events)
    succeeded = log.of("step.succeeded", "a")[0]
    assert succeeded["outputs"] == {"o": text, "nested": {"k": [text]}} and succeeded["context_updates"] == {"u": text}
    assert log.of("step.failed", "b")[0]["reason"].startswith(text[:200])
    assert {event["event_id"] for event in events} == {f"evt_{n}" for n in range(1, len(events) + 1)}


WORDS = ["$(touch pwned)", "`touch pwned`", "; touch pwned;", "\n touch pwned\n", "&& touch pwned", "' ; touch pwned ; '", '" ; touch pwned ; "',
         "${HOME}", "*", "~", "-n", "--", "a b", "", "$'\\x41'", "%s%n", "\\"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("text", WORDS, ids=range(len(WORDS)))
def test_c02_a_value_is_one_word_whatever_is_in_it(sluice, text):
    """In `argv` no shell sees it; a text for a shell gets it by the environment."""
    show = {"argv": ["sh", "-c", 'printf "%s." "$@"', "sh", "<", "${params.p}", "x${params.p}y", ">"], "needs": []}
    log = sluice.go({"argv": show, "run": {"run": 'printf "%s." "<" "$PARAM_p" ">"', "needs": []}},
                    "-p", "p=" + text, params={"p": {"type": "string", "default": ""}})
    logs = sluice.run_dir() / "logs"
    shown = {step: (logs / log.of("step.started", step)[0].get("log", f"{step}.0.log")).read_text() for step in ("argv", "run")}
    assert shown == {"argv": f"<.{text}.x{text}y.>.", "run": f"<.{text}.>."}
    assert not (sluice.root / "pwned").exists()


FILES = ["@/etc/passwd", "@secret", "@./secret", "@@secret", "@", "@-", "<secret", "file:secret",
         "file://{root}/secret", "@{root}/secret"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_c18_a_text_that_names_a_file_stays_text(sluice, text):
    """To some programs `@file` is what stands in the file. Here it is what it is, wherever a value may stand."""
    (sluice.root / "secret").write_text("precious\n")
    text = text.replace("{root}", str(sluice.root))
    show = {"argv": ["sh", "-c", 'printf "%s." "$@"', "sh", "${params.p}", "${params.f}"], "needs": []}
    steps = {"argv": show, "run": {"run": 'printf "%s." "$PARAM_p" "$PARAM_f"', "needs": []},
             "m": {"gate": "manual", "run": "true"}}
    path = sluice.pipeline(steps, params={name: {"type": "string", "default": ""} for name in "pf"})
    (sluice.root / "params.json").write_text(json.dumps({"f": text}))
    shown = [sluice("run", path, "--run-id", sluice.id, "-p", "p=" + text, "--params-file", sluice.root / "params.json",
                    "--reason", text, "--partition", text, code=4)]
    shown.append(sluice("approve", sluice.id, "m", "--as", text, "--reason", text, code=0))
    shown.append(sluice("resume", sluice.id, "-p", "p=x" + text, "--reason", text, code=0))
    log = sluice.log()
    first, resumed, approved = log.events[0], log.of("run.resumed")[0], log.of("gate.approved")[0]
    assert first["params"] == {"p": text, "f": text} and first["partition"] == text
    assert resumed["params"]["p"] == "x" + text
    assert {event["reason"] for event in (first, resumed, approved)} == {text} and approved["actor"] == "manual:" + text
    assert {sluice.output(step) for step in ("argv", "run")} == {f"{text}.{text}.".encode()}
    shown += [sluice(verb, sluice.id, code=0) for verb in ("status", "summary", "events", "logs")]
    assert not [one for one in shown if "precious" in one.stdout + one.stderr or "root:x:" in one.stdout + one.stderr]


def test_c18_a_word_that_names_a_file_is_no_words(sluice):
    path = sluice.pipeline({"a": "true"}, params={"p": {"type": "string", "default": ""}})
    (sluice.root / "words").write_text(f"run {path} --run-id {sluice.id}\nprecious\n")
    for words, code in ((["@words"], 2), (["run", "@words"], 9), (["run", path, "@words"], 2), (["status", "@words"], 9),
                        (["run", path, "-p", "@words"], 2), (["run", path, "--params-file", "@words"], 9)):
        done = sluice(*words, code=code)
        assert "precious" not in done.stdout + done.stderr
    assert not (sluice.home / "runs").exists()


OTHERS = ["q", "P", "p.q", "params.p", "params", "steps.a.run", "steps", "defaults.retry", "concurrency", "pipeline",
          "PATH", "PARAM_p", "limits", ""]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", OTHERS)
def test_c10_a_start_sets_declared_parameters_and_nothing_else(sluice, name):
    """Neither by a word, nor by a file, nor when it goes on: refused, and nothing is written."""
    path = sluice.pipeline({"a": "false"}, params={"p": {"type": "string", "default": "x"}})
    (sluice.root / "given.json").write_text(json.dumps({"p": "y", name: {"a": {"run": "touch pwned"}}}))
    sluice("run", path, "--run-id", sluice.id, "-p", f"{name}=touch pwned", code=2)
    sluice("run", path, "--run-id", sluice.id, "--params-file", sluice.root / "given.json", code=2)
    assert not (sluice.home / "runs").exists()
    sluice("run", path, "--run-id", sluice.id, code=1)
    before = sluice.raw()
    sluice("resume", sluice.id, "-p", f"{name}=touch pwned", code=2)
    assert sluice.raw() == before and not (sluice.root / "pwned").exists()


BYTES = [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"ok\xe2\x82", b"\x80", b"a\x00b"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("raw", BYTES, ids=repr)
@pytest.mark.parametrize("form", ["lines", "json"])
def test_s21_bytes_that_are_no_text_are_a_failure_never_a_guess(sluice, raw, form):
    text = b"o=" + raw + b"\n" if form == "lines" else b'{"outputs":{"o":"' + raw + b'"}}'
    (sluice.root / "result").write_bytes(text)
    log = sluice.go({"a": {"run": 'cat result >"$SLUICE_OUTPUT"', "outputs": {"o": {"type": "string"}}}}, code=1)
    assert log.of("step.failed", "a")[0]["error_class"] == "validation_failed"
    lines(sluice)


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"\ud800x", r"\udc00\ud800", r"\u0000"])
def test_s21_lone_surrogates_and_nul_do_not_break_a_line(sluice, escape):
    (sluice.root / "result").write_text('{"outputs":{"o":"' + escape + '"}}')
    path = sluice.pipeline({"a": {"run": 'cat result >"$SLUICE_OUTPUT"', "outputs": {"o": {"type": "string"}}}, "b": 'printf %s "$OUTPUT_a_o"'})
    result = sluice("run", path, "--run-id", sluice.id)
    assert result.code in (0, 1), result
    sluice.log()
    lines(sluice)
