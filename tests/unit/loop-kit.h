/* loop-kit.h - loop devices in a scratch folder, for tests that need block devices */
#ifndef STOPD_TESTS_LOOP_KIT_H
#define STOPD_TESTS_LOOP_KIT_H

#include "scratch.h"

/* Attaches a file of the scratch folder, made with so many MiB (0: it is there), and gives the
 * device's path. False, with the reason printed: not possible here. */
static inline bool loop_setup(struct scratch *s, const char *name, unsigned mib,
                              const char *options, char ret[static 32])
{
    char command[512];
    FILE *f;

    if (mib > 0) {
        scratch_write(scratch_path(s, name), "", 0);
        if (truncate(scratch_path(s, name), (off_t)mib << 20) < 0)
            abort();
    }
    snprintf(command, sizeof(command), "losetup -f --show %s %s/%s 2>/dev/null", options, s->folder,
             name);
    f = geteuid() == 0 ? popen(command, "r") : NULL;
    ret[0] = '\0';
    if (f) {
        if (!fgets(ret, 32, f))
            ret[0] = '\0';
        pclose(f);
    }
    ret[strcspn(ret, "\n")] = '\0';
    if (!ret[0])
        print_message("skipped: loop devices need root and a kernel that has them\n");
    return ret[0];
}

/* Two partitions on a loop device of 8 MiB: 2 MiB from 1 MiB on, and 2 MiB from 4 MiB on. */
static inline bool loop_partition(const char *loop, char first[static 40], char second[static 40])
{
    char command[512];

    snprintf(first, 40, "%.32sp1", loop);
    snprintf(second, 40, "%.32sp2", loop);
    snprintf(command, sizeof(command),
             "addpart %s 1 2048 4096 && addpart %s 2 8192 4096 && "
             "for i in $(seq 100); do [ -b %s ] && [ -b %s ] && exit 0; sleep 0.05; done; exit 1",
             loop, loop, first, second);
    if (system(command) == 0)
        return true;
    print_message("skipped: no partitions on loop devices here\n");
    return false;
}

/* Detaches what is attached to the folder's files. */
static inline int loop_teardown(void **state)
{
    const struct scratch *s = *state;
    char command[512];

    snprintf(command, sizeof(command),
             "for i in %s/*.img; do for l in $(losetup -n -O NAME -j $i 2>/dev/null); do "
             "losetup -d $l; done; done",
             s->folder);
    if (geteuid() == 0 && system(command) != 0)
        print_message("some loop device may be left\n");
    return scratch_teardown(state);
}

#endif
