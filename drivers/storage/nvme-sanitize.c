/* nvme-sanitize.c - Sanitize, and the one log page that says what came of it
 *
 * Theory of operation. The command only starts a sanitize; it goes on by itself, over resets and
 * power cuts, and takes in the whole subsystem. What came of it stands in the status of log page
 * 81h and nowhere else: the command's own status says no more than that it was taken. So the log is
 * read until it says success, and the log has to be about our command (SCDW10), not about one of
 * last year. That may have been the very same command: so what the log said before ours went out is
 * kept, and is believed only after something else was read. (A new success differs even where
 * nobody saw it in progress: whoever writes takes "global data erased" off the old one.) Where the
 * command's answer was lost and the log shows nothing of it, the command was lost too, and goes out
 * again. While the controller is reset the log cannot be read, which means nothing for some
 * minutes. Progress that stands still for half an hour, or twice what the controller estimated, is
 * a stall; we go on to nothing after it, because the device will not answer to anything else.
 *
 * A failed sanitize leaves the device shut until another one succeeds, unless it was started with
 * AUSE, "allow unrestricted sanitize exit". Where only a purge will do that is what one wants;
 * where a clear is enough AUSE is set, and after a failure the device is opened again for the next
 * method.
 *
 * Killed half-way and started again, we find a sanitize in progress that has our dword, and wait
 * for it.
 */
#include "nvme.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMMAND_TIMEOUT_MS (120u * 1000)
#define POLL USEC_PER_SEC
#define STALL_MIN (30 * 60 * USEC_PER_SEC)
/* How long the log may be unreadable, and how long it may still speak of what was before. */
#define RESET_MAX (5 * 60 * USEC_PER_SEC)
#define LAG_MAX (30 * USEC_PER_SEC)
/* How often a command goes out whose answer is lost. */
#define SENDS_MAX 3
#define PROGRESS_TOTAL 65536
#define NO_ESTIMATE UINT32_MAX
/* Command dword 10. */
#define ACTION_MASK 7u
#define AUSE (1u << 3)

static uint32_t action_of(enum clear_method method)
{
    return method == CLEAR_NVME_SANITIZE_CRYPTO ? NVME_SANITIZE_SANACT_START_CRYPTO_ERASE
                                                : NVME_SANITIZE_SANACT_START_BLOCK_ERASE;
}

void nvme_sanitize_offer(const struct nvme_device *n, enum clear_method method,
                         struct storage_offer *ret)
{
    bool is_crypto = method == CLEAR_NVME_SANITIZE_CRYPTO;
    uint32_t sanicap = le32toh(n->controller.sanicap);

    *ret = (struct storage_offer){.level = LEVEL_PURGE, .reach = REACH_SUBSYSTEM};
    ret->is_available = sanicap & (is_crypto ? NVME_CTRL_SANICAP_CES : NVME_CTRL_SANICAP_BES);
    snprintf(ret->technique, sizeof(ret->technique), "Sanitize, %s",
             is_crypto ? "cryptographic erase" : "block erase");
    snprintf(ret->why, sizeof(ret->why), "SANICAP 0x%08x has %s%s", sanicap,
             ret->is_available ? "" : "no ", is_crypto ? "cryptographic erase" : "block erase");
}

/* --- The log --------------------------------------------------------------------------------- */

struct status {
    unsigned state;     /* NVME_SANITIZE_SSTAT_STATUS_… */
    unsigned all_of_it; /* SSTAT with all its bits */
    unsigned progress;
    uint32_t dword;
    uint32_t estimate; /* seconds, of the action asked about; or NO_ESTIMATE */
};

static int read_log(struct nvme_device *n, uint32_t action, struct status *ret, struct error **err)
{
    struct nvme_sanitize_log_page log = {0};
    struct nvme_passthru_cmd command = {
        .opcode = nvme_admin_get_log_page,
        .nsid = NVME_NSID_ALL,
        .addr = (uintptr_t)&log,
        .data_len = sizeof(log),
        .cdw10 = NVME_LOG_LID_SANITIZE | (uint32_t)(sizeof(log) / 4 - 1) << 16,
        .timeout_ms = COMMAND_TIMEOUT_MS,
    };
    int r = nvme_command(n, "Get Log Page", &command, NULL, NULL, err);

    if (r < 0)
        return r;
    ret->state = le16toh(log.sstat) & NVME_SANITIZE_SSTAT_STATUS_MASK;
    ret->all_of_it = le16toh(log.sstat);
    ret->progress = le16toh(log.sprog);
    ret->dword = le32toh(log.scdw10);
    ret->estimate =
        le32toh(action == NVME_SANITIZE_SANACT_START_CRYPTO_ERASE ? log.etce : log.etbe);
    return 0;
}

/* --- Waiting --------------------------------------------------------------------------------- */

struct waiting {
    struct nvme_device *n;
    uint32_t dword;
    bool may_exit;
    struct status before; /* what the log said before the command */
    bool has_begun;       /* it has been seen in progress */
    bool is_doubtful;     /* its answer was lost */
    unsigned sends;
    usec_t answered_at; /* the log was read last */
    usec_t moved_at;    /* the progress rose last */
    usec_t begun_at;    /* it went out, or the log could be read again since */
    unsigned progress;
};

static usec_t since(const struct waiting *w, usec_t when)
{
    return w->n->block.seam->now() - when;
}

/* --- Starting -------------------------------------------------------------------------------- */

static int start(struct waiting *w, struct storage_record *record, struct error **err)
{
    struct nvme_passthru_cmd command = {
        .opcode = nvme_admin_sanitize_nvm, .cdw10 = w->dword, .timeout_ms = COMMAND_TIMEOUT_MS};
    _cleanup_(error_free) struct error *error = NULL;
    int status = 0, r = nvme_command(w->n, "Sanitize", &command, record, &status, &error);

    /* An errno says that the answer was lost, in a reset perhaps, not that the command was. The log
     * knows. */
    if (r < 0 && status > 0)
        return error_move(err, &error);
    w->is_doubtful = r < 0;
    w->sends++;
    w->begun_at = w->answered_at = w->moved_at = w->n->block.seam->now();
    return 0;
}

static int begin(struct waiting *w, struct storage_record *record, struct error **err)
{
    int r = read_log(w->n, w->dword & ACTION_MASK, &w->before, err);

    if (r < 0)
        return error_context(err, "before a sanitize");
    if (w->before.state != NVME_SANITIZE_SSTAT_STATUS_IN_PROGESS)
        return start(w, record, err);
    if (w->before.dword != w->dword)
        return error_set(err, ERROR_CONFLICT, "another sanitize (dword 10 0x%08x) is in progress",
                         w->before.dword);
    w->has_begun = true;
    w->begun_at = w->answered_at = w->moved_at = w->n->block.seam->now();
    return 0;
}

/* --- What the log says ----------------------------------------------------------------------- */

/* Opens a device that a failed sanitize has shut. */
static void leave_failure(struct waiting *w, struct storage_record *record)
{
    struct nvme_passthru_cmd command = {.opcode = nvme_admin_sanitize_nvm,
                                        .cdw10 = NVME_SANITIZE_SANACT_EXIT_FAILURE,
                                        .timeout_ms = COMMAND_TIMEOUT_MS};

    if (w->may_exit)
        nvme_command(w->n, "Sanitize (exit failure)", &command, record, NULL, NULL);
}

static int check_stall(struct waiting *w, const struct status *s, struct error **err)
{
    usec_t limit = STALL_MIN;

    if (s->estimate != NO_ESTIMATE && (usec_t)2 * s->estimate * USEC_PER_SEC > limit)
        limit = (usec_t)2 * s->estimate * USEC_PER_SEC;
    if (s->progress > w->progress) {
        w->progress = s->progress;
        w->moved_at = w->n->block.seam->now();
    }
    if (since(w, w->moved_at) < limit)
        return 0;
    return error_set(err, ERROR_IO,
                     "the sanitize has stood at %u of 65536 for %" PRIu64
                     " minutes; it is still in progress",
                     w->progress, since(w, w->moved_at) / (60 * USEC_PER_SEC));
}

/* Of what was before us, or of nothing? */
static bool is_of_ours(const struct waiting *w, const struct status *s)
{
    bool is_as_before = s->all_of_it == w->before.all_of_it && s->progress == w->before.progress &&
                        s->dword == w->before.dword;

    return s->dword == w->dword && s->state != NVME_SANITIZE_SSTAT_STATUS_NEVER_SANITIZED &&
           (w->has_begun || !is_as_before);
}

/* The log may lag behind the command by a moment. */
static int nothing_of_ours(struct waiting *w, const struct status *s, struct storage_record *record,
                           struct error **err)
{
    if (since(w, w->begun_at) < LAG_MAX)
        return 0;
    if (w->is_doubtful && w->sends < SENDS_MAX && s->state != NVME_SANITIZE_SSTAT_STATUS_IN_PROGESS)
        return start(w, record, err);
    if (s->state == NVME_SANITIZE_SSTAT_STATUS_COMPLETED_FAILED)
        leave_failure(w, record);
    return error_set(err, ERROR_IO,
                     "the log of sanitizes does not know ours (SSTAT %u, dword 10 0x%08x%s)",
                     s->state, s->dword, s->dword == w->dword ? ", as before it" : "");
}

/* 1: it is done. 0: not yet. */
static int judge(struct waiting *w, const struct status *s, struct storage_record *record,
                 struct error **err)
{
    if (!is_of_ours(w, s))
        return nothing_of_ours(w, s, record, err);
    switch (s->state) {
    case NVME_SANITIZE_SSTAT_STATUS_COMPLETE_SUCCESS:
    case NVME_SANITIZE_SSTAT_STATUS_ND_COMPLETE_SUCCESS:
        return 1;
    case NVME_SANITIZE_SSTAT_STATUS_IN_PROGESS:
        w->has_begun = true;
        return check_stall(w, s, err);
    case NVME_SANITIZE_SSTAT_STATUS_COMPLETED_FAILED:
        leave_failure(w, record);
        return error_set(err, ERROR_IO, "the sanitize failed, says its log");
    default:
        return error_set(err, ERROR_IO, "the log of sanitizes says %u, which nobody has defined",
                         s->state);
    }
}

static int wait_for(struct waiting *w, const struct storage_pace *pace,
                    struct storage_record *record, struct error **err)
{
    for (;;) {
        _cleanup_(error_free) struct error *error = NULL;
        struct status s;
        int r = pace->step(pace->context, w->progress, PROGRESS_TOTAL, 0, err);

        if (r < 0)
            return r;
        w->n->block.seam->sleep(POLL);
        if (read_log(w->n, w->dword & ACTION_MASK, &s, &error) < 0) {
            if (since(w, w->answered_at) >= RESET_MAX) {
                error_move(err, &error);
                return error_context(err, "the log of sanitizes cannot be read any more");
            }
            if (!w->has_begun)
                w->begun_at = w->n->block.seam->now();
            continue;
        }
        w->answered_at = w->n->block.seam->now();
        r = judge(w, &s, record, err);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

int nvme_sanitize(struct nvme_device *n, enum clear_method method, bool may_exit,
                  const struct storage_pace *pace, struct storage_record *record,
                  struct error **err)
{
    uint32_t dword = action_of(method) | (may_exit ? AUSE : 0);
    struct waiting w = {.n = n, .dword = dword, .may_exit = may_exit};
    _cleanup_(close) int lock = -1;
    int r = nvme_lock_controller(n, pace, &lock, err);

    if (r >= 0)
        r = begin(&w, record, err);
    return r < 0 ? r : wait_for(&w, pace, record, err);
}
