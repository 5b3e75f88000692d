"""Lives the simulator's lives and fails where they leave a row of the stop's table untried.

usage: coverage.py SIMULATE [--lives N] [--jobs N]

Some rows need two or three coincidences within seconds: where the first lives have missed one, as
many more are lived, up to MOST times.
"""

import argparse
import collections
import subprocess
import sys

MOST = 6


def live(options, first):
    """The rows with how often each was taken; None: a rule is broken."""
    run = subprocess.run([options.simulate, "--seed", str(first), "--lives", str(options.lives),
                          "--jobs", str(options.jobs), "--census"], stdout=subprocess.PIPE, check=False)
    rows = {}
    for line in run.stdout.decode().splitlines():
        number, _, what = line.strip().partition("  ")
        if what.startswith("row "):
            rows[what[len("row "):]] = int(number)
        else:
            print(line)
    return rows if run.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("simulate")
    parser.add_argument("--lives", type=int, default=10000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    taken = collections.Counter()
    missed = None
    for number in range(MOST):
        rows = live(options, 1 + number * options.lives)
        if not rows:
            return 1
        taken.update(rows)
        missed = [row for row in rows if taken[row] == 0]
        if not missed:
            break
        print(f"not reached yet: {', '.join(missed)}")
    for row in missed:
        print(f"never reached: {row}", file=sys.stderr)
    print(f"{(number + 1) * options.lives} lives, no rule broken; "
          f"{len(taken) - len(missed)} of {len(taken)} rows of the stop's table were reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
