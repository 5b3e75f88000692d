"""Lives the simulator's lives and fails where they leave a row of the stop's table untried.

usage: coverage.py SIMULATE [--lives N] [--jobs N]

RARE are rows that need two or three coincidences within seconds: some thousand lives may miss them,
and the unit test of the table takes each by itself. Those that were missed are named.
"""

import argparse
import subprocess
import sys

RARE = {
    # A guest that crashed is reset by other hands between the look and the power cut, and stands still.
    "forcing seen-running NULL unblock",
    "forcing seen-paused NULL unblock",
    "forcing seen-suspended NULL unblock",
    # The hypervisor calls a guest off that is not, the stop is given up by then, and when it is seen
    # again it stands still.
    "blocked seen-running is_given_up unblock",
    "blocked seen-paused is_given_up unblock",
    "blocked seen-migrating is_given_up unblock",
    "blocked seen-migrating has_consent unblock",
    "blocked seen-migrating NULL unblock",
    "blocked seen-suspended is_given_up unblock",
    "blocked seen-crashed is_given_up unblock",
    "blocked seen-paused has_consent unblock",
    "blocked seen-suspended has_consent unblock",
    "blocked seen-crashed NULL unblock",
    "blocked seen-suspended NULL unblock",
    "blocked seen-off gave_up_owing settle",
    "blocked seen-off disks_have_changed refuse_to_clear",
    # Somebody starts a guest whose disks are owed a clear, its pid cannot be told, and it stands still,
    # migrates or is saved before anybody looks.
    "clearing seen-saved NULL fail_saved",
    "clearing seen-paused NULL fail_started_again",
    "clearing seen-migrating NULL fail_started_again",
    "clearing seen-suspended NULL fail_started_again",
    "clearing seen-crashed NULL fail_started_again",
    "quarantined seen-running NULL fail_started_again",
    "quarantined seen-paused NULL fail_started_again",
    "quarantined seen-migrating NULL fail_started_again",
    "quarantined seen-suspended NULL fail_started_again",
    "quarantined seen-crashed NULL fail_started_again",
    "quarantined seen-saved NULL fail_saved",
    "quarantined seen-lingering NULL keep_waiting",
    "quarantined retry NULL clear_again",
    # Its turn has not come, and it goes off or lingers by itself.
    "queued seen-lingering NULL look_later",
    "queued seen-off owes_a_clear begin_clear",
    "queued seen-off disks_have_changed refuse_to_clear",
    "shutting-down seen-off disks_have_changed refuse_to_clear",
    "forcing seen-off disks_have_changed refuse_to_clear",
    # A guest that panics just as its stop is given up.
    "relenting seen-crashed nothing_to_restore settle",
    "relenting seen-crashed may_restore_now restore",
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("simulate")
    parser.add_argument("--lives", type=int, default=10000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    run = subprocess.run([options.simulate, "--seed", "1", "--lives", str(options.lives),
                          "--jobs", str(options.jobs), "--census"], stdout=subprocess.PIPE, check=False)
    lines = run.stdout.decode().splitlines()
    rows = {}
    for line in lines:
        number, _, what = line.strip().partition("  ")
        if what.startswith("row "):
            rows[what[len("row "):]] = int(number)
        else:
            print(line)
    if run.returncode != 0:
        return run.returncode
    unknown = RARE - rows.keys()
    missed = [row for row, n in rows.items() if n == 0 and row not in RARE]
    for row, n in rows.items():
        if n == 0 and row in RARE:
            print(f"rare, and not reached: {row}")
    for row in sorted(unknown):
        print(f"not in the stop's table: {row}", file=sys.stderr)
    for row in missed:
        print(f"never reached: {row}", file=sys.stderr)
    print(f"{options.lives} lives, no rule broken; "
          f"{sum(n > 0 for n in rows.values())} of {len(rows)} rows of the stop's table were reached")
    return 1 if unknown or missed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
