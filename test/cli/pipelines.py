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

UNDO = """\
pipeline: undo
steps:
  a: {run: 'echo made a', compensate: {run: 'echo undoing a'}}
  plain: {noop: true}
  b:
    run: 'echo made b'
    compensate: {run: 'echo "try $SLUICE_ATTEMPT"; [ -e ok ] || exit 75', retry: {max_attempts: 2, initial: 1ms}}
  c: {run: 'exit 1', on_failure: compensate}
"""
