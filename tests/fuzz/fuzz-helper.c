/* fuzz-helper.c - what a helper that clears a disk says, down to what the journal keeps of it
 *
 * Lines as they come in from the helper. What each reports goes to the core, as the engine hands
 * it on, and the operation has to be one that can be read back at the next start: a helper's word
 * must not be what keeps stopd from starting. */
#include "fuzz.h"

#include "base/json.h"
#include "base/utf8.h"
#include "core/stop.h"
#include "engine/wiper-internal.h"

#include <pthread.h>

#define DISK_BYTES 1048576

static struct operation *op;

static char *stored(const struct operation *o)
{
    struct json_writer w = {0};

    must(operation_write(o, true, &w));
    return json_writer_take(&w);
}

static void check_can_be_read_back(void)
{
    _cleanup_(freep) char *first = stored(op), *second = NULL;
    _cleanup_(operation_free) struct operation *again = NULL;
    _cleanup_(json) json_object *document = NULL;

    if (json_parse_object(first, strlen(first), &document) < 0 ||
        operation_from_journal(document, &again, NULL) < 0) {
        fprintf(stderr, "%s\n", first);
        must(false);
    }
    second = stored(again);
    if (!text_equal(first, second)) {
        fprintf(stderr, "%s\n%s\n", first, second);
        must(false);
    }
}

static enum input_kind input_of(enum wipe_report_kind kind)
{
    must(kind == WIPE_REPORT_PROGRESS || kind == WIPE_REPORT_SETBACK);
    return kind == WIPE_REPORT_SETBACK ? IN_DISK_SETBACK : IN_DISK_PROGRESS;
}

static void take_news(enum input_kind kind, const struct disk_news *news)
{
    const struct moment now = {200 * USEC_PER_SEC, 1700000200 * USEC_PER_SEC};
    struct input in = {.kind = kind, .news = news};
    struct reaction reaction;

    step(op, &in, now, &reaction);
    /* Of this moment, and not read back. */
    op->disks.items[0].mib_per_s = op->disks.items[0].seconds_left = 0;
}

static void take_report(void *userdata, struct wipe_report *r)
{
    const struct disk_news news = {.state = r->state,
                                   .method = r->method,
                                   .done = r->done,
                                   .verified = r->verified,
                                   .mib_per_s = r->mib_per_s,
                                   .seconds_left = r->seconds_left,
                                   .resume = r->resume,
                                   .message = r->message};

    must(r->state != DISK_VERIFYING || r->verified <= DISK_BYTES);
    must(r->kind != WIPE_REPORT_SETBACK || is_set(r->message));
    take_news(input_of(r->kind), &news);
    wipe_report_free(r);
}

/* How it ends: nothing is cleared that was not claimed, cleared and verified. */
static void take_end(const struct clearing *c)
{
    struct disk_news news = {.message = c->error ? error_message(c->error) : NULL,
                             .certificate = c->certificate,
                             .is_final = c->is_final,
                             .is_spent = c->is_spent};

    if (c->certificate) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(json) json_object *o = NULL;

        must(!c->error && c->is_claimed && c->is_cleared && c->is_verified);
        /* It is signed, and goes out as the body of an event. */
        must(json_to_text(c->certificate, &text) == 0);
        must(json_parse_object(text, strlen(text), &o) == 0);
    }
    take_news(c->certificate ? IN_DISK_CLEARED : IN_DISK_FAILED, &news);
    check_can_be_read_back();
    must((op->stage == STAGE_DONE) == (c->certificate != NULL));
}

static void begin(const struct wipe_job *order)
{
    op = operation_new();
    must(op && text_replace(&op->instance_id, order->instance_id) == 0);
    must(text_replace(&op->domain_name, "guest") == 0 && text_replace(&op->principal, "fuzz") == 0);
    memcpy(op->request_id, order->request_id, sizeof(op->request_id));
    uuid_copy(op->domain, order->domain);
    op->grace = op->grace_left = 120 * USEC_PER_SEC;
    op->accepted_at = 1700000000 * USEC_PER_SEC;
    op->off_at = 1700000100 * USEC_PER_SEC;
    op->stage = STAGE_CLEARING;
    must(disk_plan_copy(&op->disks, &(struct disk_plan){(struct planned_disk *)&order->disk, 1}) ==
         0);
    check_can_be_read_back();
}

static struct wipe_job *make_order(void)
{
    struct wipe_job *order = wipe_job_new(WIPE_JOB_CLEAR);

    must(order && text_replace(&order->instance_id, "i-1") == 0);
    uuid_parse("00000000-0000-4000-8000-000000000001", order->domain);
    memcpy(order->request_id, "473469C7-AA6F-4DC5-B3DB-000000000001", UUID_TEXT_SIZE);
    must(text_replace(&order->disk.target, "vdb") == 0);
    must(text_replace(&order->disk.device, "/dev/nvme0n1") == 0);
    order->disk.kind = DISK_BLOCK;
    order->disk.bytes = DISK_BYTES;
    order->disk.identity = json_tokener_parse("{\"size\":\"1048576\",\"serial\":\"S1\"}");
    must(order->disk.identity);
    return order;
}

/* As wiper-helper.c cuts them. */
static void hear(struct clearing *c, char *text, size_t size)
{
    char *end;

    for (char *line = text; !c->is_done && !c->error; line = end + 1) {
        end = memchr(line, '\n', size - (size_t)(line - text));
        if (!end)
            break;
        *end = '\0';
        utf8_repair(line, (size_t)(end - line));
        must((clearing_take_line(c, line, (size_t)(end - line), &c->error) < 0) ==
             (c->error != NULL));
    }
    must(!c->error || is_set(error_message(c->error)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wiper wiper = {.calling = PTHREAD_MUTEX_INITIALIZER, .report = take_report};
    static struct wiper_config config = {.verify = WIPE_VERIFY_SAMPLE};
    static struct job job = {.wiper = &wiper, .config = &config};
    struct clearing c = {.job = &job};
    _cleanup_(freep) char *text = fuzz_text(data, size);

    if (!job.order)
        job.order = make_order();
    begin(job.order);
    hear(&c, text, size);
    check_can_be_read_back();
    take_end(&c);
    operation_free(take(op));
    json_object_put(c.certificate);
    error_free(c.error);
    free(c.device);
    return 0;
}
