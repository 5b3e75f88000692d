/* loop-kit.h - loop devices in a scratch folder, for tests that need block devices */
#ifndef STOPD_TESTS_LOOP_KIT_H
#define STOPD_TESTS_LOOP_KIT_H

#include "scratch.h"

/* What is attached, by the names that were given. */
static char loop_attached[8][32];
static size_t loop_n_attached;

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
    snprintf(command, sizeof(command), TESTS_LOSETUP " -f --show %s %s/%s 2>/dev/null", options,
             s->folder, name);
    if (loop_n_attached == ELEMENTSOF(loop_attached))
        abort();
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
    else
        strcpy(loop_attached[loop_n_attached++], ret);
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

static inline void loop_detach_all(void)
{
    char command[128];

    while (loop_n_attached > 0) {
        const char *loop = loop_attached[--loop_n_attached];

        snprintf(command, sizeof(command), TESTS_LOSETUP " -d %s", loop);
        if (system(command) != 0)
            print_message("%s is left attached\n", loop);
    }
}

static inline int loop_teardown(void **state)
{
    loop_detach_all();
    return scratch_teardown(state);
}

#endif
