/* look.c - which events does the stream have already?
 *
 * Theory of operation. The server drops what it has by its id, but only for as long as its window
 * of duplicates is, and a host or a server may be down for longer. An instance's events are stored
 * one by one and in order; so of those with one subject the last that is stored tells of all before
 * it. The last message of a subject is had from the stream by a direct get, which is itself a
 * subject that ends with that one, so that a host can be allowed to see what is its own and nothing
 * else. Many questions are out at a time.
 */
#include "look.h"
#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ASKED_MOST 256
#define PATIENCE_MS 200 /* so many times, unless it turns out to be forbidden */
#define PATIENCE_TIMES 10

struct look {
    struct session *session;
    const char *stream;
    const struct upstream_event *events;
    char *const *subjects;
    size_t n;
    bool *stored;
    size_t *order; /* the events by subject, and those of one in their order */
    char *inbox;   /* and behind it a dot and the place in that order */
    natsSubscription *sub;
    size_t out;
};

static const char *subject_at(const struct look *l, size_t place)
{
    return l->subjects[l->order[place]];
}

static bool is_last_of_subject(const struct look *l, size_t place)
{
    return place + 1 == l->n || strcmp(subject_at(l, place), subject_at(l, place + 1)) != 0;
}

static int compare(const void *a, const void *b, void *userdata)
{
    const struct look *l = userdata;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int by_subject = strcmp(l->subjects[x], l->subjects[y]);

    return by_subject != 0 ? by_subject : (x > y) - (x < y);
}

/* The last message of the subject at this place has this id. */
static void mark(struct look *l, size_t place, const char *id)
{
    const char *subject = subject_at(l, place);
    bool is_stored = false;

    for (size_t p = place + 1; p-- > 0 && strcmp(subject_at(l, p), subject) == 0;) {
        is_stored |= strcmp(l->events[l->order[p]].id, id) == 0;
        if (is_stored)
            l->stored[l->order[p]] = true;
    }
}

static natsStatus ask(struct look *l, size_t place)
{
    _cleanup_(freep) char *subject = NULL;
    _cleanup_(freep) char *reply = NULL;

    if (asprintf(&subject, SESSION_LOOK "%s.%s", l->stream, subject_at(l, place)) < 0) {
        subject = NULL;
        return NATS_NO_MEMORY;
    }
    if (asprintf(&reply, "%s.%zu", l->inbox, place) < 0) {
        reply = NULL;
        return NATS_NO_MEMORY;
    }
    l->out++;
    return natsConnection_PublishRequest(l->session->connection, subject, reply, NULL, 0);
}

static bool is_forbidden(struct session *s)
{
    bool forbidden;

    pthread_mutex_lock(&s->watch->lock);
    forbidden = s->watch->may_not_look;
    pthread_mutex_unlock(&s->watch->lock);
    return forbidden;
}

/* 1: an answer; 0: there will be none. */
static int hear(struct look *l, struct error **err)
{
    const char *id = NULL, *code = NULL, *place;
    natsStatus status = NATS_TIMEOUT;
    natsMsg *m = NULL;

    for (int i = 0; i < PATIENCE_TIMES && status == NATS_TIMEOUT && !is_forbidden(l->session); i++)
        status = natsSubscription_NextMsg(&m, l->sub, PATIENCE_MS);
    if (status == NATS_TIMEOUT || status == NATS_NO_RESPONDERS)
        return 0;
    if (status != NATS_OK)
        return session_fail_with_word(l->session, status, "looking into the NATS stream", err);
    l->out--;
    natsMsgHeader_Get(m, "Nats-Msg-Id", &id);
    natsMsgHeader_Get(m, "Status", &code);
    place = strrchr(natsMsg_GetSubject(m), '.');
    if (!code && id && place)
        mark(l, strtoul(place + 1, NULL, 10), id);
    natsMsg_Destroy(m);
    return 1;
}

static int ask_all(struct look *l, struct error **err)
{
    int r = 1;

    for (size_t place = 0; place < l->n && r > 0; place++) {
        natsStatus status = NATS_OK;

        if (!is_last_of_subject(l, place))
            continue;
        while (r > 0 && l->out >= ASKED_MOST)
            r = hear(l, err);
        if (r > 0)
            status = ask(l, place);
        if (status != NATS_OK)
            return session_fail(status, "looking into the NATS stream", err);
    }
    while (r > 0 && l->out > 0)
        r = hear(l, err);
    return r;
}

static int subscribe(struct look *l, const char *host_id, struct error **err)
{
    char behind[UUID_TEXT_SIZE + 1] = ".";
    _cleanup_(freep) char *all = NULL;
    natsStatus status;

    uuid_new_lower(behind + 1);
    l->inbox = subject_with_token(SESSION_INBOX, host_id, behind);
    if (!l->inbox || asprintf(&all, "%s.*", l->inbox) < 0) {
        all = NULL;
        return error_no_memory(err);
    }
    status = natsConnection_SubscribeSync(&l->sub, l->session->connection, all);
    return status == NATS_OK ? 0 : session_fail(status, "subscribing to an inbox", err);
}

int look_for_stored(struct session *s, const char *host_id, const char *stream,
                    const struct upstream_event *events, char *const *subjects, size_t n,
                    bool *stored, struct error **err)
{
    _cleanup_(freep) size_t *order = calloc(n, sizeof(*order));
    struct look l = {.session = s,
                     .stream = stream,
                     .events = events,
                     .subjects = subjects,
                     .n = n,
                     .stored = stored,
                     .order = order};
    int r;

    if (!order)
        return error_no_memory(err);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), compare, &l);
    r = subscribe(&l, host_id, err);
    if (r == 0)
        r = ask_all(&l, err);
    natsSubscription_Destroy(l.sub);
    free(l.inbox);
    return r;
}
