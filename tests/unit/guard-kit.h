/* guard-kit.h - a device and its guards over a /proc and a /sys of the test's own */
#ifndef STOPD_TESTS_GUARD_KIT_H
#define STOPD_TESTS_GUARD_KIT_H

#include "test_wipe_kit.h"

#include "wipe/guard.h"

struct fixture {
    struct scratch *scratch;
    char proc[128], sys[128];
    struct storage_device device;
    char path[64];
    struct wipe_request request;
    struct scene scene;
    struct refusal refusal;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    plant_proc(f->scratch);
    snprintf(f->proc, sizeof(f->proc), "%s/proc", f->scratch->folder);
    snprintf(f->sys, sizeof(f->sys), "%s/sys", f->scratch->folder);
    snprintf(f->path, sizeof(f->path), "/dev/nvme0n1");
    wipe_request_init(&f->request);
    f->device =
        (struct storage_device){.kind = STORAGE_BLOCK, .path = f->path, .look_fd = -1, .fd = -1};
    f->scene = (struct scene){
        .request = &f->request, .device = &f->device, .proc = f->proc, .sys = f->sys};
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    footprint_clear(&f->scene.footprint);
    wipe_request_clear(&f->request);
    free(f);
    return scratch_teardown(&scratch);
}

/* The footprint of 259:0, which is what every test plants. */
static inline void take_footprint(struct fixture *f)
{
    struct error *error = NULL;

    if (footprint_take_block(makedev(259, 0), f->sys, &f->scene.footprint, &error) < 0)
        fail_msg("%s", error_message(error));
}

static inline void plant_nvme(struct fixture *f)
{
    struct scratch *s = f->scratch;

    plant_block(s, "devices/pci/nvme0/nvme0n1", "259:0");
    plant_block(s, "devices/pci/nvme0/nvme0n1/nvme0n1p1", "259:1");
    plant(s, "sys/devices/pci/nvme0/nvme0n1/nvme0n1p1/partition", "1\n");
    plant(s, "sys/devices/pci/nvme0/nvme0n1/nsid", "1\n");
    plant(s, "sys/devices/pci/nvme0/dev", "240:0\n");
    plant(s, "sys/devices/pci/nvme0/subsysnqn", "nqn.one\n");
    plant(s, "sys/devices/pci/nvme0/cntlid", "1\n");
    plant_link(s, "sys/devices/pci/nvme0/nvme0n1/device", "sys/devices/pci/nvme0");
    plant_link(s, "sys/class/nvme/nvme0", "sys/devices/pci/nvme0");
    plant(s, "sys/devices/pci/nvme0/ng0n1/dev", "241:0\n");
    plant_link(s, "sys/class/nvme-generic/ng0n1", "sys/devices/pci/nvme0/ng0n1");
}

static inline void assert_refuses(struct fixture *f,
                                  int (*guard)(const struct scene *, struct refusal *,
                                               struct error **),
                                  const char *culprit, const char *message)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r;

    f->refusal = (struct refusal){0};
    r = guard(&f->scene, &f->refusal, &error);
    if (r != 1)
        fail_msg("it says %d: %s", r, error_message(error));
    if (!strstr(f->refusal.culprit, culprit) || !strstr(f->refusal.message, message))
        fail_msg("'%s', '%s'", f->refusal.culprit, f->refusal.message);
}

static inline void assert_passes(struct fixture *f, int (*guard)(const struct scene *,
                                                                 struct refusal *, struct error **))
{
    _cleanup_(error_free) struct error *error = NULL;
    int r;

    f->refusal = (struct refusal){0};
    r = guard(&f->scene, &f->refusal, &error);
    if (r != 0)
        fail_msg("it says %d: %s%s", r, f->refusal.message, r < 0 ? error_message(error) : "");
}

static inline void assert_doubts(struct fixture *f,
                                 int (*guard)(const struct scene *, struct refusal *,
                                              struct error **),
                                 const char *why)
{
    const struct guard g = {"doubtful", GUARD_BEFORE, guard};

    f->refusal = (struct refusal){0};
    assert_true(guard_ask(&g, &f->scene, &f->refusal));
    assert_string_equal(f->refusal.guard, "doubtful");
    if (!strstr(f->refusal.message, "cannot be told") || !strstr(f->refusal.message, why))
        fail_msg("%s", f->refusal.message);
}

#endif
