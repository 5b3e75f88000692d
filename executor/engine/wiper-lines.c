/* wiper-lines.c - what the lines of a helper that clears mean
 *
 * Theory of operation. The helper's word is taken only in the order in which a clear goes: claimed,
 * cleared, verified where that was asked for, then the certificate. A certificate out of this order
 * is one of a clear that did not happen.
 *
 * An error is final where trying again cannot help before somebody has looked: the request makes no
 * sense to this helper; the device is another one than was recorded (guard "identity"), or may not
 * be cleared at all ("allowed"); no method that is open reaches the level ("ladder"). All others
 * pass with time (who holds the device lets go of it), or are worth their tries. After "failed" the
 * resume is spent: the helper would pass over every method that has failed.
 */
#include "engine/wiper-internal.h"

#include "base/json.h"

#include <stdio.h>

static const char *word(const char *s, const char *otherwise)
{
    return is_set(s) ? s : otherwise;
}

/* --- Progress -------------------------------------------------------------------------------- */

/* What is verified may be a sample: told as a share of the disk. */
static uint64_t share_of(uint64_t bytes, uint64_t done, uint64_t total)
{
    if (total == 0)
        return 0;
    return done >= total ? bytes : (uint64_t)((double)bytes * ((double)done / (double)total));
}

static void measure(const struct clearing *c, const struct wipe_line *l, struct wipe_report *r)
{
    uint64_t bytes = c->job->order->disk.bytes;

    r->state = text_equal(l->phase, "verifying") ? DISK_VERIFYING : DISK_CLEARING;
    r->done = r->state == DISK_VERIFYING ? bytes : l->done;
    r->verified = r->state == DISK_VERIFYING ? share_of(bytes, l->done, l->total) : 0;
    r->mib_per_s = l->mib_per_s;
    r->seconds_left = l->seconds_left;
}

/* One that is lost to lack of memory is made up for by the next, save what it was to keep. */
static int report_progress(struct clearing *c, const struct wipe_line *l, struct error **err)
{
    struct wipe_report *r = wipe_report_new(WIPE_REPORT_PROGRESS, c->job->order);
    json_object *resume = NULL;

    if (!r || text_replace(&r->method, l->method) < 0) {
        wipe_report_free(r);
        return error_no_memory(err);
    }
    measure(c, l, r);
    if (json_get_object(l->json, "resume", &resume) == 0)
        r->resume = json_object_get(resume);
    job_report(c->job, r);
    return 0;
}

/* "method" has no phase, and says how far it goes on from. */
static int report_method(struct clearing *c, struct wipe_line *l, struct error **err)
{
    json_get_number(l->json, "resumedAt", &l->done);
    return report_progress(c, l, err);
}

static int report_setback(struct clearing *c, const struct wipe_line *l, struct error **err)
{
    struct wipe_report *r = wipe_report_new(WIPE_REPORT_SETBACK, c->job->order);

    if (r && asprintf(&r->message, "%s %s: %s", word(l->method, "a method"),
                      word(l->reason, "failed"), word(l->message, "no reason is told")) < 0)
        r->message = NULL;
    if (!r || !r->message) {
        wipe_report_free(r);
        return error_no_memory(err);
    }
    job_report(c->job, r);
    return 0;
}

/* --- The ends -------------------------------------------------------------------------------- */

static int out_of_order(struct error **err, const char *what)
{
    return error_set(err, ERROR_IO, "the helper %s", what);
}

static int take_certificate(struct clearing *c, const struct wipe_line *l, struct error **err)
{
    json_object *certificate = NULL;

    if (!c->is_claimed || !c->is_cleared)
        return out_of_order(err, "certifies a clear that it has not told of");
    if (!c->is_verified && c->job->config->verify != WIPE_VERIFY_NONE)
        return out_of_order(err, "certifies a clear that it has not verified");
    if (json_get_object(l->json, "certificate", &certificate) < 0)
        return out_of_order(err, "gives no certificate");
    c->certificate = json_object_get(certificate);
    c->is_done = true;
    return 0;
}

static bool is_final(const struct wipe_line *l)
{
    static const char *const guards[] = {"identity", "allowed", "ladder"};

    return l->outcome == WIPE_USAGE || text_index(guards, ELEMENTSOF(guards), l->guard) >= 0;
}

static int take_error(struct clearing *c, const struct wipe_line *l, struct error **err)
{
    const char *message = word(l->message, "the helper does not say why");

    if (l->outcome == WIPE_OUTCOME_MAX)
        return out_of_order(err, "ends with an error of no known outcome");
    c->is_done = true;
    c->is_final = is_final(l);
    c->is_spent = l->outcome == WIPE_FAILED;
    if (l->outcome == WIPE_USAGE)
        return error_set(err, ERROR_IO, "the helper does not understand the request: %s", message);
    if (is_set(l->guard))
        return error_set(err, ERROR_CONFLICT, "%s (guard %s): %s",
                         l->outcome == WIPE_REFUSED ? "refused, nothing was touched"
                                                    : "stopped half-way",
                         l->guard, message);
    return error_set(err, ERROR_IO, "%s", message);
}

/* The device that the helper has, by the path without links: domains are compared with it. */
static int take_claim(struct clearing *c, const struct wipe_line *l, struct error **err)
{
    const char *device = NULL;
    int r;

    if (json_get_string(l->json, "device", &device) < 0 || !is_set(device))
        return out_of_order(err, "does not tell which device it has claimed");
    if (text_replace(&c->device, device) < 0)
        return error_no_memory(err);
    r = wanted_disk_find(c->device, &c->wanted);
    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "looking at %s, which the helper has", device);
    c->is_claimed = true;
    return 0;
}

/* --- All of them ----------------------------------------------------------------------------- */

static int act_on(struct clearing *c, struct wipe_line *l, struct error **err)
{
    switch (l->event) {
    case WIPE_EVENT_CLAIMED:
        return take_claim(c, l, err);
    case WIPE_EVENT_METHOD:
        return report_method(c, l, err);
    case WIPE_EVENT_PROGRESS:
        return report_progress(c, l, err);
    case WIPE_EVENT_SETBACK:
        return report_setback(c, l, err);
    case WIPE_EVENT_CLEARED:
        c->is_cleared = true;
        return 0;
    case WIPE_EVENT_VERIFIED:
        c->is_verified = true;
        return 0;
    case WIPE_EVENT_CERTIFICATE:
        return take_certificate(c, l, err);
    case WIPE_EVENT_ERROR:
        return take_error(c, l, err);
    case WIPE_EVENT_IDENTITY:
    case WIPE_EVENT_PLAN:
    case WIPE_EVENT_MAX:
        break;
    }
    return out_of_order(err, "answers what it was not asked");
}

int clearing_take_line(struct clearing *c, const char *line, size_t n, struct error **err)
{
    struct wipe_line l = {0};
    int r = wipe_line_parse(line, n, &l, err);

    c->has_spoken = true;
    if (r == 0)
        r = act_on(c, &l, err);
    wipe_line_clear(&l);
    return r;
}
