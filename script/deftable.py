"""What stands in a .def file: rows of `MACRO(argument, ...)`."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def rows(path, macro):
    """The arguments of each MACRO(...) of a .def file: texts joined and unquoted, the rest as written."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        source = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    for match in re.finditer(rf"^{macro}\(", source, re.M):
        arguments, depth, at = [""], 1, match.end()
        while depth:
            if source[at] == '"':
                end = re.compile(r'(?:[^"\\]|\\.)*"').match(source, at + 1).end()
                arguments[-1] += source[at + 1:end - 1].replace('\\"', '"').replace("\\\\", "\\")
                at = end
                continue
            depth += {"(": 1, ")": -1}.get(source[at], 0)
            if source[at] == "," and depth == 1:
                arguments.append("")
            elif depth and not source[at].isspace():
                arguments[-1] += source[at]
            at += 1
        yield arguments
