"""The same seed is the same life, byte for byte: simulate is run twice and its stories are compared."""

import subprocess
import sys


def story(simulate, seed, lives):
    run = subprocess.run([simulate, "--seed", str(seed), "--lives", str(lives), "--trace"],
                         stdout=subprocess.PIPE, check=False)
    return run.stdout


def main():
    simulate = sys.argv[1]
    whole = story(simulate, 1, 300)
    if not whole or whole != story(simulate, 1, 300):
        sys.exit("two runs of the same seeds told different stories")
    # Nor does a life depend on those before it.
    begin = whole.index(b"--- seed 200\n")
    end = whole.index(b"--- seed 201\n")
    alone = story(simulate, 200, 1)
    if not alone.startswith(whole[begin:end]):
        sys.exit("seed 200 lives another life alone than behind others")


if __name__ == "__main__":
    main()
