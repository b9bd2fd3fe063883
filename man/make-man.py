#!/usr/bin/python3
"""make-man PROGRAM SOURCE OUTPUT - make one manual page.

SOURCE is a page in man(7) with lines `.\\" @NAME arguments@`, each replaced by what a table of the source
tree or the program itself knows:

  @HELP verb@        SYNOPSIS, EXAMPLES, DESCRIPTION and OPTIONS of a verb, from `PROGRAM help verb`
  @VERBS@            the verbs with their summaries
  @GLOBAL@           the options of every verb
  @EXIT@             the exit statuses
  @KEYS scope@       the keys of a mapping of the pipeline file, from its JSON Schema
  @TABLE name@       a table of .def files: see TABLES
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "script"))
sys.dont_write_bytecode = True
from deftable import rows  # noqa: E402


def roff(text):
    """A line of text that roff takes as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    text = text.replace("\u2026", "...").replace("\u2192", "->")
    return "\\&" + text if text[:1] in (".", "\\") and text[:2] != "\\&" and text[:1] == "." else text


def literal(lines):
    return [".RS 4", ".nf", ".EX", *(roff(line) for line in lines), ".EE", ".fi", ".RE"]


def options(lines):
    """`  -p, --param NAME=VALUE    what it does` lines as tagged paragraphs."""
    page = []
    for line in lines:
        match = re.match(r"^\s+(?:(-\w), )?(--[\w-]+)(?: (\S+))?\s{2,}(\S.*)$", line)
        if not match:
            raise SystemExit(f"make-man: not the line of an option: {line!r}")
        letter, name, value, text = match.groups()
        tag = ", ".join(rf"\fB{roff(part)}\fR" for part in (letter, name) if part)
        page += [".TP", tag + (rf" \fI{roff(value)}\fR" if value else ""), roff(text) + "."]
    return page


def help_parts(program, verb):
    text = subprocess.run([program, "help", verb], capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}).stdout
    lines = text.split("\n")
    summary = lines[0].split(" - ", 1)[1]
    at = {line: n for n, line in enumerate(lines)}
    usage = next(n for n, line in enumerate(lines) if line.startswith("Usage: "))
    body = lines[1:usage]
    examples, about = [], []
    for line in body:
        (examples if line.startswith("  ") and not any(about) else about).append(line)
    own = []
    if "Options:" in at:
        own = [line for line in lines[at["Options:"] + 1:at.get("Options of every verb:", len(lines))] if line]
    every = [line for line in lines[at["Options of every verb:"] + 1:] if line] \
        if "Options of every verb:" in at else []
    return summary, [line for line in examples if line], about, lines[usage][len("Usage: "):], own, every


def paragraphs(lines):
    """Text as the help has it: paragraphs are filled, indented lines stay as they are."""
    page, block = [], []

    def flush():
        if block:
            page.extend(literal([line[2:] for line in block]))
            block.clear()

    for line in lines:
        if line.startswith("  "):
            block.append(line)
            continue
        flush()
        if line or (page and page[-1] != ".PP"):
            page.append(roff(line) if line else ".PP")
    flush()
    while page and page[-1] == ".PP":
        page.pop()
    while page and page[0] == ".PP":
        page.pop(0)
    return page


def usage_line(usage):
    words = usage.split(" ")
    return rf"\fB{roff(' '.join(words[:2]))}\fR {roff(' '.join(words[2:]))}"


def verb_page(program, verb):
    summary, examples, about, usage, own, _ = help_parts(program, verb)
    page = [".SH NAME", f"sluice\\-{roff(verb)} \\- {roff(summary)}", ".SH SYNOPSIS", usage_line(usage)]
    text = paragraphs(about)
    if text:
        page += [".SH DESCRIPTION", *text]
    if own:
        page += [".SH OPTIONS", *options(own), ".PP", "Options of every verb are described in", ".BR sluice (1)."]
    if examples:
        page += [".SH EXAMPLES", *literal([line.strip() for line in examples])]
    return page


def verbs(program):
    text = subprocess.run([program, "help"], capture_output=True, text=True, check=True).stdout
    page = []
    for line in text.split("Verbs:\n")[1].split("\n\n")[0].split("\n"):
        name, summary = line.split(None, 1)
        page += [".TP", rf"\fBsluice\-{roff(name)}\fR(1)", roff(summary[0].upper() + summary[1:]) + "."]
    return page


def exit_statuses(program):
    text = subprocess.run([program, "help", "exit-codes"], capture_output=True, text=True, check=True).stdout
    page = []
    for line in text.split("\n"):
        match = re.match(r"^\s+(\d+)\s+(\S.*)$", line)
        if match:
            page += [".TP", rf"\fB{match[1]}\fR", roff(match[2][0].upper() + match[2][1:]) + "."]
    return page


def tagged(pairs):
    page = []
    for tag, text in pairs:
        page += [".TP", rf"\fB{roff(tag)}\fR", roff(text[:1].upper() + text[1:].rstrip(".")) + "."]
    return page


def setting_rows():
    for key, _, detail, environment, flag, default, text in rows("src/api/setting.def", "SETTING"):
        yield key, (f"{text}. Default: {default}." + (f" Environment: {environment}." if environment else "")
                    + (f" Flag: {flag}." if flag else "") + (f" Allowed: {detail}." if detail else ""))


def schema():
    with open(os.path.join(ROOT, "docs/format/pipeline.schema.json"), encoding="utf-8") as f:
        return json.load(f)


NAMED = {"text": "text", "word": "text", "name": "a name", "names": "list of names", "words": "list of words",
         "texts": "list of texts", "expression": "expression", "duration": "duration", "span": "duration",
         "size": "size", "amount": "size", "percent": "percentage", "id": "an identifier", "host_name": "a name",
         "environment": "mapping of variables"}


def value_of(value):
    """The kind of a value in a word or two."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return NAMED.get(name, "mapping")
    if "enum" in value:
        return ", ".join(str(word) for word in value["enum"])
    if "const" in value:
        return json.dumps(value["const"])
    if "anyOf" in value or "oneOf" in value:
        return " or ".join(dict.fromkeys(value_of(one) for one in value.get("anyOf") or value["oneOf"]))
    kind = value.get("type", "value")
    kinds = kind if isinstance(kind, list) else [kind]
    words = {"integer": "whole number", "object": "mapping", "array": "list", "string": "text", "null": "nothing"}
    if set(kinds) >= {"string", "number", "boolean"}:
        return "text"
    return " or ".join(words.get(kind, kind) for kind in kinds)


def keys(scope):
    """The keys of a mapping of the pipeline file."""
    whole = schema()
    mapping = whole if scope == "top" else whole["$defs"][scope]
    for key, value in mapping["properties"].items():
        default = f" Default: {json.dumps(value['default'])}." if "default" in value else ""
        yield f"{key}", f"({value_of(value)}) {value.get('description', '')}".strip().rstrip(".") + "." + default


def tagged_keys(scope):
    page = []
    for key, text in keys(scope):
        page += [".TP", rf"\fB{roff(key)}\fR", roff(text)]
    return page


FIELD_WORDS = {"TEXT": "text", "INT": "whole number", "FLAG": "true or false", "RAW": "a value as JSON"}


def field_rows():
    for row in rows("src/core/field.def", "FIELD"):
        yield row[1], FIELD_WORDS[row[2]]


TABLES = {
    "settings": lambda: tagged(setting_rows()),
    "limits": lambda: tagged((name, f"{text} ({unit}). Default: {value}.")
                             for name, value, unit, text in rows("src/base/limit.def", "LIMIT")),
    "classes": lambda: tagged((text, cause) for _, text, _, cause in rows("src/core/error_class.def", "CLASS")),
    "events": lambda: tagged((row[1], row[-1]) for row in rows("src/core/event.def", "EVENT")),
    "fields": lambda: tagged(field_rows()),
    "run-states": lambda: tagged((row[3], row[4]) for row in rows("src/core/run.def", "STATE")),
    "step-states": lambda: tagged((row[3], row[4]) for row in rows("src/core/step.def", "STATE")),
}


def fill(program, line):
    match = re.match(r'^\.\\" @(\w+)(?: ([\w-]+))?@$', line)
    if not match:
        return [line]
    kind, argument = match.groups()
    if kind == "HELP":
        return verb_page(program, argument)
    if kind == "VERBS":
        return verbs(program)
    if kind == "GLOBAL":
        return options(help_parts(program, "run")[5])
    if kind == "EXIT":
        return exit_statuses(program)
    if kind == "KEYS":
        return tagged_keys(argument)
    if kind == "TABLE" and argument in TABLES:
        return TABLES[argument]()
    raise SystemExit(f"make-man: unknown mark: {line}")


def main():
    program, source, output = sys.argv[1:]
    if source.startswith("verb:"):  # a page that the help is all of
        verb = source[5:]
        lines = [f'.TH SLUICE\\-{roff(verb.upper())} 1 "2026-11-21" "Sluice" "User Commands"', f'.\\" @HELP {verb}@',
                 ".SH EXIT STATUS", ".\\\" @EXIT@", ".SH SEE ALSO", ".BR sluice (1),", ".BR sluice\\-pipeline (5),",
                 ".BR sluice\\-events (5),", ".BR sluice.conf (5)"]
    else:
        with open(source, encoding="utf-8") as f:
            lines = f.read().split("\n")
    page = []
    for line in lines:
        page += fill(program, line)
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(line for line in page if line) + "\n")


main()
