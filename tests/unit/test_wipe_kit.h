/* test_wipe_kit.h - a /proc and a /sys of a test's own */
#ifndef STOPD_TESTS_WIPE_KIT_H
#define STOPD_TESTS_WIPE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "stopd/storage.h"

#include <libgen.h>
#include <sys/sysmacros.h>

/* Writes a file below the scratch folder, with the folders above it. */
_printf_(3, 4) static inline void plant(struct scratch *s, const char *name, const char *format,
                                        ...)
{
    char path[512], above[512];
    va_list ap;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    for (char *slash = strchr(path + strlen(s->folder) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
        assert_true(mkdir(above, 0700) == 0 || errno == EEXIST);
    }
    f = fopen(path, "we");
    assert_non_null(f);
    va_start(ap, format);
    vfprintf(f, format, ap);
    va_end(ap);
    fclose(f);
}

/* A folder: what has to be there and may be empty. */
static inline void plant_folder(struct scratch *s, const char *name)
{
    char inside[600];

    snprintf(inside, sizeof(inside), "%s/.keep", name);
    plant(s, inside, "%s", "");
}

/* target is taken below the scratch folder, unless it is no path (a namespace's "pid:[1]"). */
static inline void plant_link(struct scratch *s, const char *name, const char *target)
{
    char path[512], full[512], above[512];

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    snprintf(above, sizeof(above), "%s", name);
    plant_folder(s, dirname(above));
    if (strchr(target, '/'))
        snprintf(full, sizeof(full), "%s/%s", s->folder, target);
    else
        snprintf(full, sizeof(full), "%s", target);
    assert_int_equal(symlink(full, path), 0);
}

static inline const char *below(struct scratch *s, const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % ELEMENTSOF(paths)];

    snprintf(path, 512, "%s/%s", s->folder, name);
    return path;
}

/* A block device in sys: folder is where it hangs ("devices/pci/nvme0/nvme0n1"). */
static inline void plant_block(struct scratch *s, const char *folder, const char *number)
{
    char name[400], target[300];

    snprintf(target, sizeof(target), "sys/%s", folder);
    snprintf(name, sizeof(name), "%s/dev", target);
    plant(s, name, "%s\n", number);
    snprintf(name, sizeof(name), "%s/holders", target);
    plant_folder(s, name);
    snprintf(name, sizeof(name), "sys/dev/block/%s", number);
    plant_link(s, name, target);
    snprintf(name, sizeof(name), "sys/block/%s", strrchr(folder, '/') + 1);
    plant_link(s, name, target);
}

/* The device that the scratch folder, and so every root below it, is on; false: on none. */
static inline bool device_of_scratch(struct scratch *s, char ret[static 32])
{
    struct stat st;

    assert_int_equal(stat(s->folder, &st), 0);
    snprintf(ret, 32, "%u:%u", major(st.st_dev), minor(st.st_dev));
    return major(st.st_dev) != 0;
}

/* A /proc in which there is no process but ourselves and the first, which has nothing open. */
static inline void plant_proc(struct scratch *s)
{
    plant_folder(s, "proc/self/root");
    plant_folder(s, "proc/1/root");
    plant(s, "proc/1/mountinfo", "%s", "");
    plant_link(s, "proc/self/ns/pid", "pid:[4026531836]");
    plant_link(s, "proc/self/ns/user", "user:[4026531837]");
    plant(s, "proc/self/mountinfo", "%s",
          "21 1 254:9 / / rw,relatime shared:1 - ext4 /dev/vdz rw\n");
    plant(s, "proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

#endif
