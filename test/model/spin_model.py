"""Spin over sluice.pml: make the program that searches, run it, read what it says."""
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = HERE / "sluice.pml"
PLANT = re.compile(r"\bPLANT_\w+")


def missing():
    """Why there can be no search, or nothing."""
    lost = [tool for tool in ("spin", "gcc") if not shutil.which(tool)]
    return f"no {' and no '.join(lost)}: script/setup test" if lost else ""


def planted():
    """The errors that the model can be given."""
    return sorted(set(PLANT.findall(MODEL.read_text())))


def search(folder, defines, compile_flags=("-O2", "-DSAFETY", "-DCOLLAPSE"), run_flags=(), seconds=600):
    """A search in a folder of its own: {"errors", "states", "what", "unreached", "is_whole", "text"}."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(MODEL, folder)
    words = [f"-D{name}={value}" for name, value in defines.items()]
    subprocess.run(["spin", *words, "-a", MODEL.name], cwd=folder, check=True, capture_output=True, timeout=120)
    subprocess.run(["gcc", "-w", *compile_flags, "-o", "pan", "pan.c"], cwd=folder, check=True, timeout=300)
    try:
        done = subprocess.run(["./pan", "-m200000", *run_flags], cwd=folder, capture_output=True, text=True,
                              timeout=seconds)
        text = done.stdout + done.stderr
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode()
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"^\s*([\d.e+]+) states, stored", text, re.M)
    if not states:  # it was cut short: as far as it told
        states = (re.findall(r"States=\s*([\d.e+]+)", text) or [None])[-1:]
    what = re.search(r"^pan:1: (.*)$", text, re.M)
    return {
        "errors": int(errors.group(1)) if errors else None,
        "states": int(float(states.group(1) if hasattr(states, "group") else states[0] or 0)),
        "what": what.group(1) if what else "",
        "unreached": re.findall(r"^\tsluice\.pml:\d+.*$", text, re.M),
        "is_whole": bool(errors) and "Search not completed" not in text and "max search depth" not in text,
        "text": text,
    }


def trail(folder):
    """How the error that was found comes about."""
    done = subprocess.run(["spin", "-t", "-p", MODEL.name], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout
