#!/usr/bin/python3
"""count.py FILE... - add up JUnit results; prints `passed failed skipped`, failed ones on stderr."""
import sys
from xml.etree import ElementTree

passed = failed = skipped = 0
for path in sys.argv[1:]:
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            print(f"failed: {case.get('classname', '')} {case.get('name')}", file=sys.stderr)
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
print(passed, failed, skipped)
