/* nvme-kit.h - an NVMe controller that nobody has on a desk, played through the seam
 *
 * A scripted controller answers Identify, takes Format and Sanitize, and its log of sanitizes goes
 * through whatever a test writes down: one entry a second. Time passes only when the driver
 * sleeps. */
#ifndef STOPD_TESTS_NVME_KIT_H
#define STOPD_TESTS_NVME_KIT_H

#include "test_wipe_kit.h"

#include "drivers/storage/nvme.h"

#include <endian.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define MIB ((uint64_t)1 << 20)
#define SIZE (64 * MIB)
#define OURS 7

/* One answer to "what came of the sanitize?", for some time. */
struct log_entry {
    usec_t duration; /* 0: for ever */
    int failure;     /* instead of an answer: a negative errno */
    uint16_t sstat, sprog;
    uint32_t dword;
};

static struct {
    struct nvme_id_ctrl controller;
    struct nvme_id_ns ns;
    uint8_t descriptors[4096];
    uint32_t nsid;
    uint32_t namespaces[8];
    uint16_t controllers[4]; /* attached; the first is how many */
    int attached_status;
    uint64_t size;
    struct log_entry before, script[8];
    uint32_t estimate;
    bool is_sanitizing;
    _Atomic(usec_t) clock;
    usec_t sanitize_at;
    int format_status, sanitize_status;
    struct nvme_passthru_cmd format, sanitize, exit_failure;
    int n_format, n_sanitize, n_exit, n_identify;
    int identify_failures;
    int sanitizes_lost; /* so many get an errno, and nothing comes of them */
} mock;

static inline const struct log_entry *log_now(void)
{
    usec_t passed = mock.clock - mock.sanitize_at;
    size_t i = 0;

    if (!mock.is_sanitizing)
        return &mock.before;
    while (mock.script[i].duration && passed >= mock.script[i].duration) {
        passed -= mock.script[i].duration;
        i++;
    }
    return &mock.script[i];
}

static inline int answer_log(struct nvme_sanitize_log_page *ret)
{
    const struct log_entry *e = log_now();

    if (e->failure)
        return e->failure;
    *ret = (struct nvme_sanitize_log_page){.sprog = htole16(e->sprog),
                                           .sstat = htole16(e->sstat),
                                           .scdw10 = htole32(e->dword),
                                           .etbe = htole32(mock.estimate),
                                           .etce = htole32(mock.estimate)};
    return 0;
}

static inline int answer_identify(const struct nvme_passthru_cmd *c, void *data)
{
    memset(data, 0, 4096);
    mock.n_identify++;
    if (mock.identify_failures > 0) {
        mock.identify_failures--;
        return -EINTR;
    }
    switch (c->cdw10 & 0xff) {
    case NVME_IDENTIFY_CNS_CTRL:
        memcpy(data, &mock.controller, 4096);
        return 0;
    case NVME_IDENTIFY_CNS_NS:
        assert_int_equal(c->nsid, mock.nsid);
        memcpy(data, &mock.ns, 4096);
        return 0;
    case NVME_IDENTIFY_CNS_NS_DESC_LIST:
        memcpy(data, mock.descriptors, 4096);
        return 0;
    case NVME_IDENTIFY_CNS_NS_ACTIVE_LIST:
    case NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST:
        memcpy(data, mock.namespaces, sizeof(mock.namespaces));
        return 0;
    case NVME_IDENTIFY_CNS_NS_CTRL_LIST:
        memcpy(data, mock.controllers, sizeof(mock.controllers));
        return mock.attached_status;
    default:
        return 0x2; /* invalid field */
    }
}

static inline int answer_sanitize(const struct nvme_passthru_cmd *c)
{
    if ((c->cdw10 & 7) == NVME_SANITIZE_SANACT_EXIT_FAILURE) {
        mock.exit_failure = *c;
        mock.n_exit++;
        return 0;
    }
    mock.sanitize = *c;
    mock.n_sanitize++;
    if (mock.sanitizes_lost > 0) {
        mock.sanitizes_lost--;
        return -EINTR;
    }
    if (mock.sanitize_status <= 0) {
        mock.is_sanitizing = true;
        mock.sanitize_at = mock.clock;
    }
    return mock.sanitize_status;
}

static inline int mock_admin(int fd, struct nvme_passthru_cmd *c, uint32_t *result)
{
    assert_true(c->timeout_ms > 0); /* the kernel's own resets the controller */
    switch (c->opcode) {
    case nvme_admin_identify:
        return answer_identify(c, (void *)(uintptr_t)c->addr);
    case nvme_admin_get_log_page:
        assert_int_equal(c->cdw10 & 0xff, NVME_LOG_LID_SANITIZE);
        assert_int_equal(c->data_len, 512);
        return answer_log((void *)(uintptr_t)c->addr);
    case nvme_admin_format_nvm:
        mock.format = *c;
        mock.n_format++;
        return mock.format_status;
    case nvme_admin_sanitize_nvm:
        return answer_sanitize(c);
    default:
        return 0x1;
    }
}

static inline int mock_nsid(int fd, uint32_t *ret)
{
    *ret = mock.nsid;
    return mock.nsid ? 0 : -ENOTTY;
}

static inline int mock_block(int fd, unsigned long request, void *argument)
{
    if (request == BLKGETSIZE64)
        *(uint64_t *)argument = mock.size;
    else if (request == BLKSSZGET)
        *(int *)argument = 512;
    return 0;
}

static inline void mock_sleep(usec_t duration)
{
    mock.clock += duration;
}

static inline usec_t mock_now(void)
{
    return mock.clock;
}

static struct storage_seam seam = {
    .nvme_nsid = mock_nsid,
    .nvme_admin = mock_admin,
    .block = mock_block,
    .sleep = mock_sleep,
    .now = mock_now,
};

/* --- The device under test ------------------------------------------------------------------- */

struct fixture {
    struct scratch *scratch;
    char sys[128];
    struct storage_device *device;
    unsigned steps; /* how often pacing was asked */
    struct storage_record record;
};

/* A memory file has device number 0:0, which is the namespace's in our /sys. */
static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    plant_block(f->scratch, "devices/nvme0/nvme0n1", "0:0");
    plant(f->scratch, "sys/devices/nvme0/nvme0n1/queue/write_zeroes_max_bytes", "131072\n");
    plant(f->scratch, "sys/devices/nvme0/nvme0n1/diskseq", "12\n");
    plant(f->scratch, "sys/devices/nvme0/cntlid", "1\n");
    plant(f->scratch, "sys/devices/nvme0/subsysnqn", "nqn.2019-08.org.example:one\n");
    plant_link(f->scratch, "sys/devices/nvme0/nvme0n1/device", "sys/devices/nvme0");
    plant_link(f->scratch, "sys/class/nvme/nvme0", "sys/devices/nvme0");
    snprintf(f->sys, sizeof(f->sys), "%s/sys", f->scratch->folder);
    seam.sys = f->sys;

    memset(&mock, 0, sizeof(mock));
    mock.nsid = OURS;
    mock.size = SIZE;
    mock.clock = 1000 * USEC_PER_SEC;
    mock.estimate = UINT32_MAX;
    mock.namespaces[0] = OURS;
    memcpy(mock.controller.sn, "S4EWNX0R            ", 20);
    memcpy(mock.controller.mn, "EXAMPLE SSD                             ", 40);
    memcpy(mock.controller.fr, "1.0     ", 8);
    snprintf(mock.controller.subnqn, sizeof(mock.controller.subnqn), "nqn.2019-08.org.example:one");
    mock.controller.oacs = htole16(NVME_CTRL_OACS_FORMAT);
    mock.ns.nsze = htole64(SIZE / 512);
    mock.ns.lbaf[0].ds = 9;
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    storage_close(f->device);
    free(f);
    return scratch_teardown(&scratch);
}

static inline struct storage_device *device(struct fixture *f)
{
    struct storage_identity ignored;
    struct error *error = NULL;

    if (!f->device) {
        int fd = memfd_create("namespace", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(nvme_open_device("/dev/nvme0n1", fd, &seam, &f->device, &error), 0);
    }
    if (f->device->ops->identify(f->device, &ignored, &error) < 0)
        fail_msg("%s", error_message(error));
    return f->device;
}

static inline int count_steps(void *context, uint64_t done, uint64_t total, uint64_t next,
                              struct error **err)
{
    struct fixture *f = context;

    f->steps++;
    return 0;
}

static inline int clear(struct fixture *f, enum clear_method method, bool may_exit,
                        struct error **err)
{
    struct storage_device *d = device(f);
    struct storage_pace pace = {count_steps, f};
    struct storage_span all = {0, SIZE};

    return d->ops->clear(d, method, all, may_exit, &pace, &f->record, err);
}

static inline void assert_fails_with(struct fixture *f, enum clear_method method, bool may_exit,
                                     const char *why)
{
    _cleanup_(error_free) struct error *error = NULL;

    assert_true(clear(f, method, may_exit, &error) < 0);
    if (!strstr(error_message(error), why))
        fail_msg("'%s' does not say '%s'", error_message(error), why);
}

static inline struct storage_offer offer(struct fixture *f, enum clear_method method)
{
    struct storage_offer o;
    struct error *error = NULL;

    assert_int_equal(device(f)->ops->offer(f->device, method, &o, &error), 0);
    assert_true(is_set(o.why));
    return o;
}

#define NVME_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
