/* engine-kit.h - the real engine on a real journal file, in a world of one simulated guest
 *
 * Theory of operation. Time is the test's and goes on only when nothing else is to be done, to the
 * next moment that the engine or the world waits for. Calls are made between turns, or kept, and
 * answered by the test as it likes: then there need be no world. What the engine
 * does with memory and with the journal's file is the test's to disturb; the world and the test
 * itself are not disturbed: they stand between engine_calm() and engine_rough(). */
#ifndef STOPD_TESTS_ENGINE_KIT_H
#define STOPD_TESTS_ENGINE_KIT_H

#include "drivers/hypervisor/simulated.h"
#include "engine/engine.h"
#include "journal-kit.h"

/* No more faults, faults again: a test's that says it has some. */
#ifdef TEST_HAS_FAULTS
static void engine_calm(void);
static void engine_rough(void);
#else
static inline void engine_calm(void)
{
}

static inline void engine_rough(void)
{
}
#endif

struct life;

/* Where disks are cleared: what has the engine's jobs. */
struct life_helpers {
    void (*start)(struct life *l, struct wipe_job *j); /* takes j */
    void (*work)(struct life *l);                      /* after each turn */
    void (*end)(struct life *l, const uuid_t domain);
    void (*leave)(struct life *l); /* stopd is gone */
};

struct life {
    const char *path; /* of the journal */
    struct journal *journal;
    struct engine *engine;
    struct simulated *world;
    struct simulated_domain *guest;
    struct call *calls; /* to be made */
    usec_t now;
    int64_t clock_error; /* of the real-time clock */
    usec_t retain;
    unsigned parallel;                                       /* stop.parallel */
    bool cut;                                                /* the guest's power was cut */
    void (*owe)(struct life *l, const struct operation *op); /* or NULL */
    const struct life_helpers *helpers;                      /* or NULL */
};

/* What became of a request. */
struct reply {
    bool is_there;
    bool has_answer; /* false: there was no memory for one */
    enum error_code code;
    char request_id[UUID_TEXT_SIZE];
    char message[300];
};

/* --- The engine's host ------------------------------------------------------------------------ */

static inline struct moment life_now(void *userdata)
{
    const struct life *l = userdata;

    return (struct moment){
        .monotonic = l->now,
        .realtime = (usec_t)((int64_t)(1700000000 * USEC_PER_SEC + l->now) + l->clock_error)};
}

static inline void life_start_call(void *userdata, struct call *c)
{
    struct life *l = userdata;

    c->next = l->calls;
    l->calls = c;
}

static inline bool life_is_alive(void *userdata, const struct incarnation *run)
{
    struct life *l = userdata;

    return l->world && l->world->hypervisor.ops->is_alive(&l->world->hypervisor, run);
}

static inline uint32_t life_random(void *userdata, uint32_t bound)
{
    return 0;
}

static inline void life_committed(void *userdata, uint64_t sequence)
{
}

static inline void life_owe_wipe(void *userdata, const struct operation *op)
{
    struct life *l = userdata;

    if (l->owe)
        l->owe(l, op);
}

static inline void life_end_wipe(void *userdata, const uuid_t domain)
{
    struct life *l = userdata;

    if (l->helpers)
        l->helpers->end(l, domain);
}

static inline void life_start_wipe(void *userdata, struct wipe_job *j)
{
    struct life *l = userdata;

    l->helpers->start(l, j);
}

/* There may be no memory for it. */
static inline json_object *life_sign(void *userdata, json_object *certificate)
{
    json_object *document = NULL;

    return json_object_deep_copy(certificate, &document, NULL) < 0 ? NULL : document;
}

static inline void life_happened(void *userdata, struct simulated_domain *d, enum happening what,
                                 unsigned run)
{
    struct life *l = userdata;

    l->cut |= what == HAPPENED_CUT;
}

static inline void life_changed(void *userdata, const uuid_t domain)
{
    struct life *l = userdata;

    if (l->engine)
        engine_take_hint(l->engine, domain);
}

static inline void life_lost(void *userdata, const char *why)
{
}

/* --- Up and down ------------------------------------------------------------------------------ */

/* Guest number n, i-n, which runs, and is off a second after the button. */
static inline struct simulated_domain *world_add(struct life *l, unsigned n)
{
    struct instance *i = instance_new();
    struct simulated_domain *d;
    char text[UUID_TEXT_SIZE];

    snprintf(text, sizeof(text), "00000000-0000-4000-8000-%012u", n);
    uuid_parse(text, i->uuid);
    snprintf(text, sizeof(text), "guest-%u", n);
    assert_int_equal(text_replace(&i->name, text), 0);
    snprintf(text, sizeof(text), "i-%u", n);
    assert_int_equal(text_replace(&i->id, text), 0);
    d = simulated_define(l->world, i);
    d->manners.answer = ANSWER_POWER_OFF;
    d->manners.answer_delay = USEC_PER_SEC;
    assert_true(simulated_start(l->world, d));
    return d;
}

static inline void world_make(struct life *l)
{
    l->world = simulated_new(true);
    l->world->observer = (struct simulated_observer){life_happened, l};
    l->world->hypervisor.listener = (struct hypervisor_listener){life_changed, life_lost, l};
    l->now = 100 * USEC_PER_SEC;
    simulated_advance(l->world, l->now);
    l->guest = world_add(l, 1);
}

/* 0, or a negative errno; then nothing of it is left, save a journal that was open before. */
static inline int life_try_start(struct life *l, struct error **err)
{
    static const char *const sinks[] = {"file"}, *const families[] = {"ecs.i1"};
    const struct engine_host host = {.userdata = l,
                                     .start_call = life_start_call,
                                     .now = life_now,
                                     .is_alive = life_is_alive,
                                     .random = life_random,
                                     .committed = life_committed,
                                     .owe_wipe = life_owe_wipe,
                                     .start_wipe = l->helpers ? life_start_wipe : NULL,
                                     .sign = life_sign,
                                     .end_wipe = life_end_wipe};
    const struct engine_settings settings = {
        .host_id = "host-1",
        .policy = {.stop = {.grace = 60 * USEC_PER_SEC,
                            .method = METHOD_ACPI,
                            .on_timeout = ON_TIMEOUT_FAIL},
                   .resend = 10 * USEC_PER_SEC,
                   .local_families = families,
                   .n_local_families = ELEMENTSOF(families),
                   .stopped_mode = STOPPED_MODE_KEEP_CHARGING},
        .parallel = l->parallel,
        .call_timeout = 30 * USEC_PER_SEC,
        .destroy_timeout = 90 * USEC_PER_SEC,
        .retain = l->retain ? l->retain : 72 * 3600 * USEC_PER_SEC,
        .sinks = sinks,
        .n_sinks = 1,
    };
    bool is_open = l->journal;
    int r = is_open ? 0 : journal_open(l->path, NULL, &l->journal, err);

    if (r >= 0)
        r = engine_new(&settings, &host, l->journal, &l->engine, err);
    if (r < 0 && !is_open)
        journal_close(take(l->journal));
    return r;
}

static inline void life_start(struct life *l)
{
    struct error *err = NULL;

    assert_success(life_try_start(l, &err), err);
}

/* stopd is gone, at once; the world is not. */
static inline void life_die(struct life *l)
{
    struct call *c;

    engine_free(take(l->engine));
    journal_close(take(l->journal));
    while ((c = l->calls)) {
        l->calls = c->next;
        call_free(c);
    }
    if (l->helpers)
        l->helpers->leave(l);
    if (l->world)
        simulated_lose_connection(l->world, "stopd is gone");
}

static inline void life_end(struct life *l)
{
    if (l->journal)
        life_die(l);
    if (l->world)
        l->world->hypervisor.ops->free(&l->world->hypervisor);
    l->world = NULL;
}

/* --- Going on --------------------------------------------------------------------------------- */

static inline void make_calls(struct life *l)
{
    struct call *c;

    engine_calm();
    while ((c = l->calls)) {
        l->calls = c->next;
        call_execute(c, &l->world->hypervisor);
        engine_take_call(l->engine, c);
    }
    engine_rough();
}

/* A turn of the engine at this time, and the calls that it starts. */
static inline void life_turn(struct life *l)
{
    engine_turn(l->engine);
    make_calls(l);
    if (l->helpers)
        l->helpers->work(l);
}

/* Goes on until something is true, for an hour of the life at most. */
#define life_until(l, condition)                            \
    do {                                                    \
        usec_t deadline_ = (l)->now + 3600 * USEC_PER_SEC;  \
        while (!(condition) && (l)->now < deadline_)        \
            life_step(l, deadline_);                        \
        if (!(condition))                                   \
            fail_msg("not within an hour: %s", #condition); \
    } while (0)

static inline void life_step(struct life *l, usec_t most)
{
    usec_t due = engine_next_turn(l->engine), in_world = simulated_next(l->world);

    if (in_world < due)
        due = in_world;
    if (due > most)
        due = most;
    if (due > l->now) {
        engine_calm();
        l->now = due;
        simulated_advance(l->world, l->now);
        engine_rough();
    }
    life_turn(l);
}

/* So much time. */
static inline void life_pass(struct life *l, usec_t time)
{
    usec_t until = l->now + time;

    while (l->now < until)
        life_step(l, until);
}

/* --- Asking ----------------------------------------------------------------------------------- */

static inline void take_reply(struct request *r, struct answer *a)
{
    struct reply *reply = r->userdata;

    assert_false(reply->is_there);
    reply->is_there = true;
    reply->has_answer = a;
    if (a) {
        reply->code = a->code;
        snprintf(reply->request_id, sizeof(reply->request_id), "%s", a->request_id);
        snprintf(reply->message, sizeof(reply->message), "%s", a->message ? a->message : "");
    }
    answer_free(a);
    request_free(r);
}

/* StopInstance with this ClientToken, and another parameter or NULL; the reply comes with a turn.
 */
static inline void ask_stop_named(struct life *l, const char *id, const char *token,
                                  const char *parameter, const char *value, struct reply *reply)
{
    struct request *r = request_new(REQUEST_STOP);
    struct parameters p = {0};
    struct error *err = NULL;

    *reply = (struct reply){0};
    assert_int_equal(parameters_add(&p, "InstanceId", id), 0);
    assert_int_equal(parameters_add(&p, "ClientToken", token), 0);
    if (parameter)
        assert_int_equal(parameters_add(&p, parameter, value), 0);
    snprintf(r->principal.name, sizeof(r->principal.name), "test");
    r->principal.may_change = true;
    uuid_new_upper(r->request_id);
    r->command.principal = r->principal;
    assert_success(command_parse(&p, &r->command, &err), err);
    memcpy(r->command.request_id, r->request_id, sizeof(r->request_id));
    r->command.principal = r->principal;
    parameters_clear(&p);
    r->reply = take_reply;
    r->userdata = reply;
    engine_take_request(l->engine, r);
}

/* … of guest n. */
static inline void ask_stop_with(struct life *l, unsigned n, const char *token,
                                 const char *parameter, const char *value, struct reply *reply)
{
    char id[16];

    snprintf(id, sizeof(id), "i-%u", n);
    ask_stop_named(l, id, token, parameter, value, reply);
}

static inline void ask_stop_of(struct life *l, unsigned n, const char *token, struct reply *reply)
{
    ask_stop_with(l, n, token, NULL, NULL, reply);
}

static inline void ask_stop(struct life *l, const char *token, struct reply *reply)
{
    ask_stop_of(l, 1, token, reply);
}

/* The operation is cancelled; the reply comes with a turn. */
static inline void ask_cancel(struct life *l, const char *operation, struct reply *reply)
{
    struct request *r = request_new(REQUEST_CANCEL);

    *reply = (struct reply){0};
    snprintf(r->principal.name, sizeof(r->principal.name), "test");
    r->principal.may_change = true;
    assert_int_equal(text_replace(&r->operation_id, operation), 0);
    r->reply = take_reply;
    r->userdata = reply;
    engine_take_request(l->engine, r);
}

/* --- What the journal holds ------------------------------------------------------------------- */

/* The transitions that it reports, in one line: "Running→Stopping Stopping→Stopped". */
struct history {
    unsigned n;
    char text[400];
};

static inline int note_event(void *userdata, const struct upstream_event *e)
{
    struct history *h = userdata;
    json_object *event = json_tokener_parse(e->body), *data = NULL;
    const char *from = NULL, *to = NULL;

    if (e->sequence != ++h->n)
        fail_msg("event %u has the sequence %llu", h->n, (unsigned long long)e->sequence);
    if (json_get_object(event, "data", &data) == 0 && json_get_string(data, "from", &from) == 0 &&
        json_get_string(data, "to", &to) == 0)
        snprintf(h->text + strlen(h->text), sizeof(h->text) - strlen(h->text), "%s%s→%s",
                 h->text[0] ? " " : "", from, to);
    json_object_put(event);
    return 0;
}

static inline void read_history(const char *path, struct history *h)
{
    struct journal_reader *r = open_reader(path);
    struct error *err = NULL;

    *h = (struct history){0};
    assert_success(journal_read_events(r, 0, 1000, note_event, h, &err), err);
    journal_reader_close(r);
}

static inline void assert_history(const struct life *l, const char *expected)
{
    struct history h;

    read_history(l->path, &h);
    assert_string_equal(h.text, expected);
}

/* How many operations there are. */
static inline size_t count_operations(const char *path)
{
    struct journal_reader *r = open_reader(path);
    struct error *err = NULL;
    json_object *list = NULL;
    size_t n;

    assert_success(journal_read_operations(r, NULL, NULL, 1000, &list, &err), err);
    n = json_object_array_length(list);
    json_object_put(list);
    journal_reader_close(r);
    return n;
}

static inline bool has_operation(const char *path, const char *request_id)
{
    struct journal_reader *r = open_reader(path);
    struct error *err = NULL;
    json_object *o = NULL;
    int found = journal_read_operation(r, request_id, &o, &err);

    assert_success(found, err);
    json_object_put(o);
    journal_reader_close(r);
    return found > 0;
}

#endif
