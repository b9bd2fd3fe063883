"""Console blocks of documents: commands with what they print, run in order.

    ```console
    $ sluice run hello.yaml
    ...
    hello
    ```

A line after `$ ` is a command, `> ` continues it. What follows is its output, both streams: `...` alone on a
line stands for any lines, within a line for any text. A block that begins with ```console file=NAME writes
nothing: blocks with file=NAME (```yaml file=NAME, ```sh file=NAME) are put into the folder first, in
their order with the commands. `$ command  # exit 3` says which status it must have; without it 0.
As in a terminal, `cd` and `export` hold for what follows."""
import pathlib
import re
import shlex
import subprocess
import tempfile

FENCE = re.compile(r"^```(\w+)?(?: +file=(\S+))? *\n(.*?)^```", re.M | re.S)
STATUS = re.compile(r"\s+# exit (\d+)$")


class Step:
    """A file to be written, or a command with its status and output."""

    def __init__(self, line, file=None, text="", command="", status=0):
        self.line, self.file, self.text, self.command, self.status = line, file, text, command, status


def steps_of(document):
    text = pathlib.Path(document).read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        language, file, body = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if file:
            yield Step(line, file=file, text=body)
        elif language == "console":
            yield from commands_of(body, line)


def commands_of(body, line):
    step = None
    for number, text in enumerate(body.splitlines(), line + 1):
        if text.startswith("$ "):
            if step:
                yield step
            status = STATUS.search(text)
            step = Step(number, command=STATUS.sub("", text[2:]), status=int(status[1]) if status else 0)
        elif text.startswith("> ") and step and not step.text:
            step.command += "\n" + text[2:]
        else:
            assert step, f"line {number}: output before a command"
            step.text += text + "\n"
    if step:
        yield step


def pattern_of(shown):
    """What is shown as a regular expression."""
    parts = []
    for line in shown.rstrip("\n").split("\n"):
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n")
    return "".join(parts)


def is_shown(shown, printed):
    """Is this what the document shows? A command under which nothing is shown prints nothing."""
    if printed and not printed.endswith("\n"):
        printed += "\n"
    return bool(re.fullmatch(pattern_of(shown), printed)) if shown else not printed


def perform(command, folder, env, timeout):
    """One command in a shell: what it did, and folder and environment after it."""
    with tempfile.NamedTemporaryFile() as after:
        keep = f"{command}\nstatus=$?; {{ printf '%s\\0' \"$PWD\"; env -0; }} > {shlex.quote(after.name)}; exit $status"
        done = subprocess.run(["bash", "-c", keep], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        kept = pathlib.Path(after.name).read_text(encoding="utf-8").split("\0")[:-1]
    if kept:
        folder, env = kept[0], dict(entry.split("=", 1) for entry in kept[1:])
    return done, folder, env


def run(document, folder, env, timeout=60):
    """Run all steps of a document in the folder. Answers how many commands there were."""
    count = 0
    for step in steps_of(document):
        if step.file:
            path = pathlib.Path(folder, step.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
            if step.text.startswith("#!"):
                path.chmod(0o755)
            continue
        count += 1
        done, folder, env = perform(step.command, folder, env, timeout)
        where = f"{document}:{step.line}: $ {step.command}"
        assert done.returncode == step.status, f"{where}\nexit {done.returncode}\n{done.stdout}"
        assert is_shown(step.text, done.stdout), f"{where}\nprinted\n{done.stdout}\ninstead of\n{step.text}"
    return count
