/* certificate.c - what an auditor is told of a clear
 *
 * Theory of operation. The fields are those of NIST SP 800-88's sample certificate: what the medium
 * is (maker, model, serial, media), what was done to it (method, technique, tool and version), how
 * that was verified, by whom, when. To these come what makes it checkable: the commands as they
 * were sent, the identify data as the device gave them, and in so many words what was not covered.
 * It says only what was done; where something was not verified, it says that. stopd signs it.
 */
#include "wipe/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "wipe/canary.h"
#include "wipe/random.h"
#include "wipe/spans.h"
#include "wipe/verify.h"

#define IDENTIFY_SIZE 4096

static int add_raw(json_object *o, const char *key, const void *data)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * IDENTIFY_SIZE + 1];
    const unsigned char *bytes = data;

    if (!data)
        return 0;
    for (size_t i = 0; i < IDENTIFY_SIZE; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * IDENTIFY_SIZE] = '\0';
    return json_add_string(o, key, text);
}

static json_object *media(const struct wipe *w)
{
    const struct storage_identity *i = &w->identity;
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_string(o, "maker", w->facts.maker) < 0 ||
        json_add_string(o, "model", i->value[IDENTITY_MODEL]) < 0 ||
        json_add_string(o, "serial", i->value[IDENTITY_SERIAL]) < 0 ||
        json_add_string(o, "firmware", i->value[IDENTITY_FIRMWARE]) < 0 ||
        json_add_string(o, "media", w->facts.media) < 0 ||
        json_add_string(o, "layout", w->facts.layout) < 0 ||
        json_add_number(o, "size", w->device->size) < 0 ||
        json_add_string(o, "kind", storage_kind_to_string(w->device->kind)) < 0 ||
        json_add_string(o, "path", w->device->path) < 0 ||
        json_add(o, "identity", wipe_identity_to_json(i)) < 0 ||
        add_raw(o, "identifyController", w->facts.identify_controller) < 0 ||
        add_raw(o, "identifyNamespace", w->facts.identify_namespace) < 0)
        return NULL;
    return take(o);
}

static const char *confidence(const struct verification *v)
{
    if (v->mode == WIPE_VERIFY_NONE)
        return "Nothing was read back: that the device did what it was told is not verified.";
    if (v->samples == 0)
        return "Every block was read and held only zeros.";
    return "All blocks that were read held only zeros. If 1 in 10,000 of all 4-KiB blocks had not "
           "been cleared, wherever "
           "they lie, this would have missed all of them with a probability of at most 1 in "
           "1,000,000.";
}

static json_object *verification(const struct wipe *w)
{
    const struct verification *v = &w->verification;
    bool is_read = v->mode != WIPE_VERIFY_NONE;
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_string(o, "mode", wipe_verify_to_string(v->mode)) < 0 ||
        json_add_number(o, "blockSize", VERIFY_BLOCK) < 0 ||
        json_add_number(o, "blocksRead", v->blocks_read) < 0 ||
        json_add_number(o, "bytesRead", v->bytes_read) < 0 ||
        json_add_bool(o, "everything", is_read && v->samples == 0) < 0 ||
        json_add_number(o, "randomBlocks", v->samples) < 0 ||
        json_add_number(o, "canaries", v->canaries) < 0 ||
        json_add_bool(o, "bothEnds", is_read) < 0 ||
        json_add_number(o, "spanBorders", v->edges) < 0 ||
        json_add_number(o, "partitionBorders", v->places) < 0 ||
        json_add_bool(o, "noSignature", v->no_signature) < 0 ||
        json_add_string(o, "seed", w->state.seed) < 0 ||
        json_add_string(o, "confidence", confidence(v)) < 0)
        return NULL;
    return take(o);
}

/* What nobody may read out of the certificate. */
static json_object *not_covered(const struct wipe *w)
{
    _cleanup_(json) json_object *array = json_object_new_array();
    const char *texts[4];
    size_t n = 0;

    if (w->device->kind == STORAGE_FILE)
        texts[n++] = "Blocks that the file system has moved, shares with other files, keeps in "
                     "snapshots or a journal, or "
                     "gave back before; the medium below the file system.";
    else
        texts[n++] = "Over-provisioned, reserved, retired and reallocated areas of the medium, "
                     "which cannot be read "
                     "through the interface; what was read says nothing of them.";
    if (w->state.method == CLEAR_DISCARD || w->state.method == CLEAR_PUNCH_HOLE)
        texts[n++] = "Deallocated blocks, which read as zeros while their old contents may be on "
                     "the medium until it "
                     "is used again.";
    if (w->verification.samples > 0)
        texts[n++] = "Blocks that were not among those read, beyond the confidence stated.";
    if (w->verification.mode == WIPE_VERIFY_NONE)
        texts[n++] = "The outcome: nothing was read back.";
    for (size_t i = 0; array && i < n; i++)
        if (json_append(array, json_object_new_string(texts[i])) < 0)
            return NULL;
    return take(array);
}

static json_object *tool(void)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_string(o, "name", "stopd-wipe") < 0 ||
        json_add_string(o, "version", STOPD_VERSION) < 0)
        return NULL;
    return take(o);
}

static json_object *certificate(struct wipe *w)
{
    const struct wipe_request *q = w->request;
    struct rung *rung = ladder_find(&w->ladder, w->state.method);
    /* A discard that every block bears out reaches what an overwrite does: the addressable
     * blocks. */
    enum clear_level level = rung->offer.level == LEVEL_NONE ? LEVEL_CLEAR : rung->offer.level;
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_number(o, "certificateVersion", 1) < 0 ||
        json_add_string(o, "requestId", q->request_id) < 0 ||
        json_add_string(o, "instanceId", q->instance_id) < 0 ||
        json_add_string(o, "target", q->target) < 0 || json_add_string(o, "host", q->host) < 0 ||
        json_add_string(o, "operator", q->operator) < 0 || json_add(o, "device", media(w)) < 0 ||
        json_add_string(o, "standard", "NIST SP 800-88") < 0 ||
        json_add_string(o, "level", clear_level_to_string(level)) < 0 ||
        json_add_string(o, "method", clear_method_to_string(rung->method)) < 0 ||
        json_add_string(o, "technique", rung->offer.technique) < 0 ||
        json_add(o, "passedOver", ladder_passed_over(&w->ladder, rung)) < 0 ||
        json_add(o, "steps", json_object_get(w->state.steps)) < 0 ||
        json_add(o, "tool", tool()) < 0 || json_add(o, "verification", verification(w)) < 0 ||
        json_add(o, "notCovered", not_covered(w)) < 0 ||
        json_add_number(o, "runs", w->state.runs) < 0 ||
        json_add_time(o, "startedAt", w->state.started_at) < 0 ||
        json_add_time(o, "finishedAt", moment_now().realtime) < 0)
        return NULL;
    return take(o);
}

int certificate_say(struct wipe *w, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_CERTIFICATE);

    if (!line || json_add(line, "certificate", certificate(w)) < 0) {
        json_object_put(line);
        return error_no_memory(err);
    }
    return report_say(w->report, line, err);
}
