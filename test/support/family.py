"""What the campaigns of all families of tests have in common: their first options, and the line that they close with.
script/campaign starts them and reads that line (docs/GUARANTEES.md has the figures)."""
import argparse
import json
import time


def options(text, minutes=1, seed=1):
    """A parser with --minutes and --seed; a family adds its own. `text` is its manual."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--seed", type=int, default=seed)
    return parser


class Closing:
    """The time that a campaign takes, and its last line. To be made when it begins."""

    def __init__(self, family, seed):
        self.family, self.seed, self.begun = family, seed, time.monotonic()

    def until(self, minutes):
        """When so much of the time is over, by time.monotonic()."""
        return self.begun + 60 * minutes

    def tell(self, cases, failures, **figures):
        """Print the line; answers the exit status."""
        print(json.dumps({"family": self.family, "cases": cases, "failures": failures, "seed": self.seed,
                          "seconds": round(time.monotonic() - self.begun, 1), **figures}))
        return 1 if failures else 0
