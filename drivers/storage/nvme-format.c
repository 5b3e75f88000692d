/* nvme-format.c - Format NVM with a secure erase
 *
 * Theory of operation. Whether a controller can erase cryptographically it says in FNA bit 2; a
 * controller that cannot may take the command all the same and do something else, so the bit
 * decides and not the status. FNA bits 0 and 1 say that a format, or a secure erase, reaches every
 * namespace of the subsystem whatever number it was sent with. The layout (block size, metadata,
 * protection) stays as it is: the next guest's disk is to look like this one's.
 *
 * The command takes seconds to hours and tells nothing meanwhile, and asking the controller how far
 * it is may run into a time-out that resets it. So the command waits in a thread of its own and
 * this one says every half second that we are still here, and nothing more.
 */
#include "nvme.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define FORMAT_TIMEOUT_MS (4u * 3600 * 1000)
#define HEARTBEAT_US 100000

enum { SES_USER_DATA = 1, SES_CRYPTO = 2 };

static uint32_t secure_erase_of(enum clear_method method)
{
    return method == CLEAR_NVME_FORMAT_CRYPTO ? SES_CRYPTO : SES_USER_DATA;
}

void nvme_format_offer(const struct nvme_device *n, enum clear_method method,
                       struct storage_offer *ret)
{
    uint16_t oacs = le16toh(n->controller.oacs);
    uint8_t fna = n->controller.fna;
    bool is_crypto = method == CLEAR_NVME_FORMAT_CRYPTO;

    /* Purge needs the maker's word for it; a drive has no field for that. */
    *ret = (struct storage_offer){.level = LEVEL_CLEAR, .reach = REACH_DEVICE};
    if (fna & (NVME_CTRL_FNA_FMT_ALL_NAMESPACES | NVME_CTRL_FNA_SEC_ALL_NAMESPACES))
        ret->reach = REACH_SUBSYSTEM;
    snprintf(ret->technique, sizeof(ret->technique), "Format NVM, Secure Erase Settings %u (%s)",
             secure_erase_of(method), is_crypto ? "cryptographic erase" : "user data erase");
    if (!(oacs & NVME_CTRL_OACS_FORMAT)) {
        snprintf(ret->why, sizeof(ret->why), "the controller has no Format NVM (OACS 0x%04x)",
                 oacs);
    } else if (is_crypto && !(fna & NVME_CTRL_FNA_CRYPTO_ERASE)) {
        snprintf(ret->why, sizeof(ret->why),
                 "the controller has no cryptographic erase (FNA 0x%02x, bit 2 is clear)", fna);
    } else {
        ret->is_available = true;
        snprintf(ret->why, sizeof(ret->why), "OACS 0x%04x has Format NVM, FNA is 0x%02x", oacs,
                 fna);
    }
}

uint32_t nvme_format_dword(const struct nvme_id_ns *ns, uint32_t secure_erase)
{
    uint32_t flbas = ns->flbas, dps = ns->dps;
    uint32_t lower = flbas & NVME_NS_FLBAS_LOWER_MASK;
    uint32_t higher = (flbas & NVME_NS_FLBAS_HIGHER_MASK) >> 5;
    uint32_t is_extended = (flbas & NVME_NS_FLBAS_META_EXT) >> 4;
    uint32_t protection = dps & NVME_NS_DPS_PI_MASK, is_first = (dps & NVME_NS_DPS_PI_FIRST) >> 3;

    return lower | is_extended << 4 | protection << 5 | is_first << 8 | secure_erase << 9 |
           higher << 12;
}

/* --- The command, in its thread -------------------------------------------------------------- */

struct formatting {
    struct nvme_device *n;
    struct nvme_passthru_cmd command;
    struct storage_record *record;
    struct error *error;
    int result;
    atomic_bool is_over;
};

static void *run(void *argument)
{
    struct formatting *f = argument;

    f->result = nvme_command(f->n, "Format NVM", &f->command, f->record, NULL, &f->error);
    atomic_store(&f->is_over, true);
    return NULL;
}

/* What pacing has to say (that nobody listens any more) waits until the command is over: it cannot
 * be taken back. */
static int wait_for(struct formatting *f, const struct storage_pace *pace, struct error **err)
{
    int r = 0;

    while (!atomic_load(&f->is_over)) {
        if (r >= 0)
            r = pace->step(pace->context, 0, 1, 0, err);
        f->n->block.seam->sleep(HEARTBEAT_US);
    }
    return r;
}

int nvme_format(struct nvme_device *n, enum clear_method method, const struct storage_pace *pace,
                struct storage_record *record, struct error **err)
{
    struct formatting f = {
        .n = n,
        .record = record,
        .command = {.opcode = nvme_admin_format_nvm,
                    .nsid = n->nsid,
                    .cdw10 = nvme_format_dword(&n->ns, secure_erase_of(method)),
                    .timeout_ms = FORMAT_TIMEOUT_MS},
    };
    _cleanup_(close) int lock = -1;
    pthread_t thread;
    int r = nvme_lock_controller(n, pace, &lock, err), waited;

    if (r < 0)
        return r;
    r = pthread_create(&thread, NULL, run, &f);
    if (r != 0)
        return error_set_errno(err, ERROR_IO, r, "starting a thread");
    waited = wait_for(&f, pace, err);
    pthread_join(thread, NULL);
    if (waited < 0) {
        error_free(f.error);
        return waited;
    }
    return f.error ? error_move(err, &f.error) : f.result;
}
