/* test_storage_nvme.c - NVMe devices that nobody has on a desk, played through the seam
 *
 * A scripted controller answers Identify, takes Format and Sanitize, and its log of sanitizes goes
 * through whatever a test writes down: one entry a second. Time passes only when the driver
 * sleeps. */
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
} mock;

static const struct log_entry *log_now(void)
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

static int answer_log(struct nvme_sanitize_log_page *ret)
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

static int answer_identify(const struct nvme_passthru_cmd *c, void *data)
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

static int answer_sanitize(const struct nvme_passthru_cmd *c)
{
    if ((c->cdw10 & 7) == NVME_SANITIZE_SANACT_EXIT_FAILURE) {
        mock.exit_failure = *c;
        mock.n_exit++;
        return 0;
    }
    mock.sanitize = *c;
    mock.n_sanitize++;
    if (mock.sanitize_status <= 0) {
        mock.is_sanitizing = true;
        mock.sanitize_at = mock.clock;
    }
    return mock.sanitize_status;
}

static int mock_admin(int fd, struct nvme_passthru_cmd *c, uint32_t *result)
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

static int mock_nsid(int fd, uint32_t *ret)
{
    *ret = mock.nsid;
    return mock.nsid ? 0 : -ENOTTY;
}

static int mock_block(int fd, unsigned long request, void *argument)
{
    if (request == BLKGETSIZE64)
        *(uint64_t *)argument = mock.size;
    else if (request == BLKSSZGET)
        *(int *)argument = 512;
    return 0;
}

static void mock_sleep(usec_t duration)
{
    mock.clock += duration;
}

static usec_t mock_now(void)
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
static int setup(void **state)
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

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    storage_close(f->device);
    free(f);
    return scratch_teardown(&scratch);
}

static struct storage_device *device(struct fixture *f)
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

static int count_steps(void *context, uint64_t done, uint64_t total, uint64_t next,
                       struct error **err)
{
    struct fixture *f = context;

    f->steps++;
    return 0;
}

static int clear(struct fixture *f, enum clear_method method, bool may_exit, struct error **err)
{
    struct storage_device *d = device(f);
    struct storage_pace pace = {count_steps, f};
    struct storage_span all = {0, SIZE};

    return d->ops->clear(d, method, all, may_exit, &pace, &f->record, err);
}

static void assert_fails_with(struct fixture *f, enum clear_method method, bool may_exit,
                              const char *why)
{
    _cleanup_(error_free) struct error *error = NULL;

    assert_true(clear(f, method, may_exit, &error) < 0);
    if (!strstr(error_message(error), why))
        fail_msg("'%s' does not say '%s'", error_message(error), why);
}

static struct storage_offer offer(struct fixture *f, enum clear_method method)
{
    struct storage_offer o;
    struct error *error = NULL;

    assert_int_equal(device(f)->ops->offer(f->device, method, &o, &error), 0);
    assert_true(is_set(o.why));
    return o;
}

/* --- Identity -------------------------------------------------------------------------------- */

static void identity_is_what_the_controller_says(void **state)
{
    struct fixture *f = *state;
    static const uint8_t eui64[8] = {0x00, 0x25, 0x38, 0x5b, 0x71, 0xb0, 0x12, 0x34};
    struct storage_identity i;

    memcpy(mock.ns.eui64, eui64, sizeof(eui64));
    mock.descriptors[0] = NVME_NIDT_UUID;
    mock.descriptors[1] = 16;
    memset(mock.descriptors + 4, 0xab, 16);
    assert_int_equal(device(f)->ops->identify(f->device, &i, NULL), 0);
    assert_string_equal(i.value[IDENTITY_SERIAL], "S4EWNX0R");
    assert_string_equal(i.value[IDENTITY_MODEL], "EXAMPLE SSD");
    assert_string_equal(i.value[IDENTITY_FIRMWARE], "1.0");
    assert_string_equal(i.value[IDENTITY_NSID], "7");
    assert_string_equal(i.value[IDENTITY_EUI64], "0025385b71b01234");
    assert_string_equal(i.value[IDENTITY_NGUID], "");
    assert_string_equal(i.value[IDENTITY_UUID], "abababababababababababababababab");
    assert_string_equal(i.value[IDENTITY_SEQUENCE], "12");
}

static void broken_descriptors_are_no_identity(void **state)
{
    struct fixture *f = *state;
    struct storage_identity i;

    memset(mock.descriptors, 0xff, sizeof(mock.descriptors));
    assert_int_equal(device(f)->ops->identify(f->device, &i, NULL), 0);
    memset(mock.descriptors, 0, sizeof(mock.descriptors));
    for (size_t at = 0; at < sizeof(mock.descriptors); at += 4) /* types without an end */
        mock.descriptors[at + 1] = 0x04;
    assert_int_equal(device(f)->ops->identify(f->device, &i, NULL), 0);
    assert_string_equal(i.value[IDENTITY_UUID], "");
}

static void another_namespace_behind_the_descriptor_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct storage_identity before, after;

    assert_int_equal(device(f)->ops->identify(f->device, &before, NULL), 0);
    mock.nsid = 8;
    assert_int_equal(f->device->ops->identify(f->device, &after, NULL), 0);
    assert_int_equal(identity_difference(&before, &after), IDENTITY_NSID);
}

static void kernel_and_controller_must_agree_on_the_size(void **state)
{
    struct fixture *f = *state;
    struct storage_identity i;

    device(f);
    mock.ns.nsze = htole64(SIZE / 512 - 1);
    assert_true(f->device->ops->identify(f->device, &i, NULL) < 0);
}

static void a_question_is_asked_again_after_a_reset(void **state)
{
    struct fixture *f = *state;
    struct storage_identity i;

    device(f);
    mock.identify_failures = 3;
    assert_int_equal(f->device->ops->identify(f->device, &i, NULL), 0);
    mock.identify_failures = 1000;
    assert_true(f->device->ops->identify(f->device, &i, NULL) < 0);
}

/* --- Format ---------------------------------------------------------------------------------- */

/* FNA: bit 0 a format, bit 1 a secure erase reaches all namespaces, bit 2 there is a cryptographic
 * erase. */
static void the_fna_bits_decide(void **state)
{
    struct fixture *f = *state;

    for (uint8_t fna = 0; fna < 16; fna++) {
        struct storage_offer crypto, user_data;

        mock.controller.fna = fna;
        crypto = offer(f, CLEAR_NVME_FORMAT_CRYPTO);
        user_data = offer(f, CLEAR_NVME_FORMAT_USER_DATA);
        assert_int_equal(crypto.is_available, (fna & 4) != 0);
        assert_true(user_data.is_available);
        assert_int_equal(crypto.reach, fna & 3 ? REACH_SUBSYSTEM : REACH_DEVICE);
        assert_int_equal(user_data.reach, fna & 3 ? REACH_SUBSYSTEM : REACH_DEVICE);
        assert_int_equal(crypto.level, LEVEL_CLEAR);
        assert_int_equal(user_data.level, LEVEL_CLEAR);
    }
}

static void no_format_without_oacs(void **state)
{
    struct fixture *f = *state;

    mock.controller.oacs = 0;
    mock.controller.fna = 4;
    assert_false(offer(f, CLEAR_NVME_FORMAT_CRYPTO).is_available);
    assert_false(offer(f, CLEAR_NVME_FORMAT_USER_DATA).is_available);
}

static void a_zoned_namespace_is_known_and_cannot_be_cleared(void **state)
{
    struct fixture *f = *state;
    struct storage_identity identity;

    plant(f->scratch, "sys/devices/nvme0/nvme0n1/queue/zoned", "host-managed\n");
    for (int method = 0; method < CLEAR_METHOD_MAX; method++) {
        struct storage_offer o = offer(f, (enum clear_method)method);

        assert_false(o.is_available);
        assert_non_null(strstr(o.why, "zoned"));
    }
    assert_int_equal(f->device->ops->identify(f->device, &identity, NULL), 0);
}

static void a_format_keeps_the_layout(void **state)
{
    struct fixture *f = *state;

    mock.ns.flbas = 0x03 | 1 << 4 | 2 << 5; /* format 3 + 16 * 2, extended metadata */
    mock.ns.lbaf[3 + 32].ds = 9;
    mock.ns.dps = 2 | 1 << 3; /* protection type 2, in the first bytes */
    assert_int_equal(clear(f, CLEAR_NVME_FORMAT_CRYPTO, true, NULL), 0);
    assert_int_equal(mock.n_format, 1);
    assert_int_equal(mock.format.nsid, OURS);
    assert_int_equal(mock.format.cdw10, 3 | 1 << 4 | 2 << 5 | 1 << 8 | 2 << 9 | 2 << 12);
    assert_int_equal(f->record.n, 1);
    assert_int_equal(f->record.commands[0].cdw10, mock.format.cdw10);
    assert_true(f->record.commands[0].is_admin);
}

static void user_data_is_another_secure_erase(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(clear(f, CLEAR_NVME_FORMAT_USER_DATA, true, NULL), 0);
    assert_int_equal(mock.format.cdw10, 1 << 9);
}

static void a_format_that_is_turned_down_has_failed(void **state)
{
    struct fixture *f = *state;

    mock.format_status = 0x10a; /* invalid format */
    assert_fails_with(f, CLEAR_NVME_FORMAT_USER_DATA, true, "status 0x10a");
    assert_int_equal(f->record.commands[0].status, 0x10a);
}

static void a_format_without_an_answer_has_failed_and_is_not_sent_again(void **state)
{
    struct fixture *f = *state;

    mock.format_status = -EINTR;
    assert_fails_with(f, CLEAR_NVME_FORMAT_USER_DATA, true, "Interrupted");
    assert_int_equal(mock.n_format, 1);
}

/* --- Sanitize -------------------------------------------------------------------------------- */

#define AUSE 8u
#define CRYPTO 4u
#define BLOCK 2u
enum { NEVER = 0, SUCCESS = 1, RUNNING = 2, FAILED = 3, SUCCESS_KEPT = 4 };

static void script(struct log_entry a, struct log_entry b, struct log_entry c)
{
    mock.script[0] = a;
    mock.script[1] = b;
    mock.script[2] = c;
}

#define ENTRY(seconds, state, progress, what)                       \
    ((struct log_entry){.duration = (usec_t)(seconds)*USEC_PER_SEC, \
                        .sstat = (state),                           \
                        .sprog = (progress),                        \
                        .dword = (what)})

static void sanicap_decides(void **state)
{
    struct fixture *f = *state;

    for (uint32_t cap = 0; cap < 8; cap++) {
        struct storage_offer crypto, block;

        mock.controller.sanicap = htole32(cap);
        crypto = offer(f, CLEAR_NVME_SANITIZE_CRYPTO);
        block = offer(f, CLEAR_NVME_SANITIZE_BLOCK);
        assert_int_equal(crypto.is_available, (cap & 1) != 0);
        assert_int_equal(block.is_available, (cap & 2) != 0);
        assert_int_equal(crypto.reach, REACH_SUBSYSTEM);
        assert_int_equal(crypto.level, LEVEL_PURGE);
    }
}

static void done(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(20, RUNNING, 100, BLOCK | AUSE), ENTRY(20, RUNNING, 40000, BLOCK | AUSE),
           ENTRY(0, SUCCESS, 65535, BLOCK | AUSE));
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, true, NULL), 0);
    assert_int_equal(mock.n_sanitize, 1);
    assert_int_equal(mock.sanitize.cdw10, BLOCK | AUSE);
    assert_true(f->steps > 30);
}

static void done_without_deallocation(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(0, SUCCESS_KEPT | 1 << 8, 65535, CRYPTO), (struct log_entry){0},
           (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_CRYPTO, false, NULL), 0);
    assert_int_equal(mock.sanitize.cdw10,
                     CRYPTO); /* where only a purge will do, no way out of a failure */
}

static void failed_and_opened_again(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(20, RUNNING, 100, CRYPTO | AUSE), ENTRY(0, FAILED, 65535, CRYPTO | AUSE),
           (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_CRYPTO, true, "failed, says its log");
    assert_int_equal(mock.n_exit, 1);
    assert_int_equal(mock.exit_failure.cdw10, 1);
}

static void failed_and_left_shut(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(20, RUNNING, 100, CRYPTO), ENTRY(0, FAILED, 65535, CRYPTO), (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_CRYPTO, false, "failed, says its log");
    assert_int_equal(mock.n_exit, 0);
}

static void stalled(void **state)
{
    struct fixture *f = *state;
    usec_t begun = mock.clock;

    script(ENTRY(60, RUNNING, 100, BLOCK), ENTRY(0, RUNNING, 655, BLOCK), (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "stood at 655");
    assert_in_range((mock.clock - begun) / (60 * USEC_PER_SEC), 30, 33);
}

static void an_estimate_gives_a_slow_one_its_time(void **state)
{
    struct fixture *f = *state;

    mock.estimate = 2 * 3600;
    script(ENTRY(3 * 3600, RUNNING, 655, BLOCK), ENTRY(0, SUCCESS, 65535, BLOCK),
           (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
}

static void reset_half_way(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(60, RUNNING, 10000, BLOCK),
           (struct log_entry){.duration = 120 * USEC_PER_SEC, .failure = -EINTR},
           ENTRY(60, RUNNING, 20000, BLOCK));
    mock.script[3] = ENTRY(0, SUCCESS, 65535, BLOCK);
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
    assert_int_equal(mock.n_sanitize, 1);
}

static void reset_and_never_back(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(60, RUNNING, 10000, BLOCK), (struct log_entry){.failure = -ENODEV},
           (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "cannot be read any more");
}

static void reset_and_forgotten(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(60, RUNNING, 10000, BLOCK),
           (struct log_entry){.duration = 5 * USEC_PER_SEC, .failure = -EINTR},
           ENTRY(0, NEVER, 65535, 0));
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "does not know ours");
}

static void an_old_success_is_not_ours(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, SUCCESS, 65535, CRYPTO);
    script(ENTRY(0, SUCCESS, 65535, CRYPTO), (struct log_entry){0}, (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "does not know ours");
}

static void the_log_may_lag(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(5, SUCCESS, 65535, CRYPTO), ENTRY(60, RUNNING, 1, BLOCK),
           ENTRY(0, SUCCESS, 65535, BLOCK));
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
}

static void turned_down(void **state)
{
    struct fixture *f = *state;

    mock.sanitize_status = 0x1; /* invalid opcode */
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "status 0x1");
}

static void the_answer_is_lost_but_not_the_command(void **state)
{
    struct fixture *f = *state;

    mock.sanitize_status = -EINTR;
    script(ENTRY(20, RUNNING, 1, BLOCK), ENTRY(0, SUCCESS, 65535, BLOCK), (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
}

static void our_own_of_an_earlier_run_is_waited_for(void **state)
{
    struct fixture *f = *state;

    mock.is_sanitizing = true;
    mock.sanitize_at = mock.clock;
    script(ENTRY(100, RUNNING, 1000, BLOCK), ENTRY(0, SUCCESS, 65535, BLOCK),
           (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
    assert_int_equal(mock.n_sanitize, 0);
}

static void somebody_elses_is_left_alone(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, RUNNING, 1000, 3 /* overwrite */);
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "another sanitize");
    assert_int_equal(mock.n_sanitize, 0);
}

static void a_state_that_nobody_defined_is_no_success(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(0, 5, 65535, BLOCK), (struct log_entry){0}, (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "nobody has defined");
}

/* --- Neighbours ------------------------------------------------------------------------------ */

static struct storage_neighbours neighbours(struct fixture *f)
{
    struct storage_neighbours n;

    assert_int_equal(device(f)->ops->neighbours(f->device, &n, NULL), 0);
    return n;
}

static void alone(void **state)
{
    struct storage_neighbours n = neighbours(*state);

    assert_int_equal(n.n, 0);
    assert_string_equal(n.unknown, "");
    assert_string_equal(n.foreign_controller, "");
    assert_string_equal(n.subsystem, "nqn.2019-08.org.example:one");
}

static void the_others_are_named(void **state)
{
    struct storage_neighbours n;

    mock.namespaces[1] = 9;
    mock.namespaces[2] = 11;
    n = neighbours(*state);
    assert_int_equal(n.n, 2);
    assert_int_equal(n.nsids[0], 9);
}

static void other_controllers_may_have_what_this_one_does_not_show(void **state)
{
    mock.controller.cmic = NVME_CTRL_CMIC_MULTI_CTRL;
    assert_string_not_equal(neighbours(*state).unknown, "");
    /* A controller that manages namespaces lists all that are allocated. */
    mock.controller.oacs = htole16(NVME_CTRL_OACS_FORMAT | NVME_CTRL_OACS_NS_MGMT);
    assert_string_equal(neighbours(*state).unknown, "");
}

static void a_controller_elsewhere_is_a_stranger(void **state)
{
    mock.controller.cmic = NVME_CTRL_CMIC_MULTI_CTRL;
    mock.ns.nmic = NVME_NS_NMIC_SHARED;
    mock.controllers[0] = htole16(1);
    mock.controllers[1] = htole16(1); /* ours */
    assert_string_equal(neighbours(*state).foreign_controller, "");
    mock.controllers[0] = htole16(2);
    mock.controllers[2] = htole16(65); /* a virtual function that a guest has */
    assert_non_null(strstr(neighbours(*state).foreign_controller, "controller 65"));
    mock.attached_status = 0x2;
    assert_non_null(strstr(neighbours(*state).foreign_controller, "does not say"));
}

#define NVME_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        NVME_TEST(identity_is_what_the_controller_says),
        NVME_TEST(broken_descriptors_are_no_identity),
        NVME_TEST(another_namespace_behind_the_descriptor_is_noticed),
        NVME_TEST(kernel_and_controller_must_agree_on_the_size),
        NVME_TEST(a_question_is_asked_again_after_a_reset),
        NVME_TEST(the_fna_bits_decide),
        NVME_TEST(no_format_without_oacs),
        NVME_TEST(a_zoned_namespace_is_known_and_cannot_be_cleared),
        NVME_TEST(a_format_keeps_the_layout),
        NVME_TEST(user_data_is_another_secure_erase),
        NVME_TEST(a_format_that_is_turned_down_has_failed),
        NVME_TEST(a_format_without_an_answer_has_failed_and_is_not_sent_again),
        NVME_TEST(sanicap_decides),
        NVME_TEST(done),
        NVME_TEST(done_without_deallocation),
        NVME_TEST(failed_and_opened_again),
        NVME_TEST(failed_and_left_shut),
        NVME_TEST(stalled),
        NVME_TEST(an_estimate_gives_a_slow_one_its_time),
        NVME_TEST(reset_half_way),
        NVME_TEST(reset_and_never_back),
        NVME_TEST(reset_and_forgotten),
        NVME_TEST(an_old_success_is_not_ours),
        NVME_TEST(the_log_may_lag),
        NVME_TEST(turned_down),
        NVME_TEST(the_answer_is_lost_but_not_the_command),
        NVME_TEST(our_own_of_an_earlier_run_is_waited_for),
        NVME_TEST(somebody_elses_is_left_alone),
        NVME_TEST(a_state_that_nobody_defined_is_no_success),
        NVME_TEST(alone),
        NVME_TEST(the_others_are_named),
        NVME_TEST(other_controllers_may_have_what_this_one_does_not_show),
        NVME_TEST(a_controller_elsewhere_is_a_stranger),
    };

    return cmocka_run_group_tests_name("nvme", tests, NULL, NULL);
}
