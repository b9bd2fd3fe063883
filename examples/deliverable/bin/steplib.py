"""What the steps of this example share: how a step reports, and how it reads its sources."""
import hashlib
import json
import os
import sys

EX_DATAERR = 65  # validation_failed, by exit_codes of the pipeline
EX_NOINPUT = 66  # contract_input_missing
EX_TEMPFAIL = 75  # transient_io, out of the box


def report(**outputs):
    """Write the result file of the step; outside of a run print it."""
    text = json.dumps({"outputs": outputs}, sort_keys=True)
    path = os.environ.get("SLUICE_OUTPUT")
    if not path:
        print(text)
        return
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "\n")


def fail(code, text):
    print(text, file=sys.stderr)
    sys.exit(code)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def fields(path):
    """The fields of each line of a Unicode data file, comments and blank lines left out."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.split("#", 1)[0].strip()
            if line:
                yield [field.strip() for field in line.split(";")]


def characters(unicode_dir):
    """(code point, name, general category) of each assigned character with a name of its own, in order.
    Ranges (`<CJK Ideograph, First>`) and control codes have none."""
    with open(os.path.join(unicode_dir, "UnicodeData.txt"), encoding="ascii") as f:
        for line in f:
            code, name, category = line.split(";", 3)[:3]
            if not name.startswith("<"):
                yield int(code, 16), name, category


def iso(iso_dir, number):
    with open(os.path.join(iso_dir, f"iso_{number}.json"), encoding="utf-8") as f:
        return json.load(f)[number]


def write_whole(path, text):
    """Write a file under a temporary name and rename it: it is there whole or not at all."""
    temp = path + ".new"
    with open(temp, "w", encoding="utf-8", newline="") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temp, path)
