"""Pipelines that the tests run."""
GOOD = """\
pipeline: demo
steps:
  hello: {run: 'echo hello'}
  world: {run: 'echo world'}
"""

FAILING = """\
pipeline: failing
steps:
  first: {run: 'echo first'}
  second: {run: 'echo broken; exit 3'}
  third: {run: 'echo never'}
"""

GATE = """\
pipeline: gated
steps:
  check: {gate: hard, run: 'exit 1'}
  after: {run: 'echo never'}
"""

APPROVAL = """\
pipeline: approval
steps:
  ask: {gate: manual, run: 'echo published'}
"""

SLOW = """\
pipeline: slow
steps:
  long: {run: 'echo begun; sleep 30', on_stop: cancel}
"""
