"""Shared by all black-box tests: see support/."""
from support.fixtures import *  # noqa: F401,F403
