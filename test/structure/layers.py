"""The include rule: a file of src/<folder> includes its own folder and folders on lower floors.

cli/ is stricter: whatever it knows of pipelines and runs comes through the public header; below that
it may only borrow the dialect (base) and the system calls (sys). Run as a program it prints every
violation and exits 1 if there is one.
"""

import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
PUBLIC = "sluice"
CLIENTS = {"cli": {"cli", "base", "sys", PUBLIC}}


def floors(root):
    rows = (line.split("#")[0].split() for line in (root / "src/LAYERS").read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if row}


def violations(root):
    floor = floors(root)
    found = []
    for path in sorted((root / "src").rglob("*.[ch]")):
        folder = path.relative_to(root / "src").parts[0]
        if folder not in floor:
            found.append(f"{path.relative_to(root)}: folder '{folder}' is not in src/LAYERS")
            continue
        for include in INCLUDE.findall(path.read_text()):
            target = include.split("/")[0]
            if folder in CLIENTS:
                allowed = target in CLIENTS[folder]
            elif target == PUBLIC:
                allowed = folder == "api"
            else:
                allowed = target == folder or (target in floor and floor[target] < floor[folder])
            if not allowed:
                found.append(f"{path.relative_to(root)}: {folder} may not include '{include}'")
    return found


if __name__ == "__main__":
    problems = violations(Path(__file__).resolve().parents[2])
    print("\n".join(problems) or "every include goes down")
    sys.exit(1 if problems else 0)
