/* sink.c - events to the JetStream stream STOPD_EVENTS
 *
 * Theory of operation. A batch is published without waiting for each acknowledgement, so many
 * events at a time, in the order that flight.c allows; it is delivered when all are acknowledged.
 * Each carries its id, by which the server drops what it has already: what nobody knows of after a
 * failure (the acknowledgement was lost, or came too late) is sent again and stored once. Since a
 * server forgets ids, the stream is looked into before, where that is possible (look.c): at the
 * start and after each failure.
 *
 * The library calls on_acknowledged() for each message on a thread of its own, under the lock of
 * the session's watch; the relay's thread publishes and waits. After a failure the session is
 * closed, and what was out with it is fetched back from the library, so that none of its callbacks
 * comes when the batch is gone: those that have begun are waited for.
 *
 * The server refuses for reasons that an administrator has to mend: a stream that is missing, full,
 * or forbidden. The last looks like silence, and is told through the session's watch.
 */
#include "flight.h"
#include "look.h"
#include "module.h"
#include "session.h"
#include "subject.h"
#include "stopd/thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STREAM "STOPD_EVENTS"
#define SUBJECTS "stopd.event.>"
/* Of a stream that we make: how long the server knows an id. */
#define DUPLICATES_NS ((int64_t)3600 * 1000 * 1000 * 1000)

#define BATCH_EVENTS 16384
#define OUT_MOST 4096
#define SEND_MOST 64 /* under one hold of the lock */
#define WAKE_FOR 512
/* Nothing was acknowledged for so long. */
#define SILENCE (10 * USEC_PER_SEC)
/* After a failure, for what else is out. */
#define SILENCE_OF_REST USEC_PER_SEC

struct sent {
    natsMsg *message; /* NULL: acknowledged */
    size_t event;
};

struct nats_sink {
    struct upstream upstream;
    struct nats_settings settings;
    bool create;
    char *prefix; /* "stopd.event.HOST." */
    struct session session;
    bool doubt;       /* events that come may have been sent before */
    bool cannot_look; /* whether they were: found out once, for a server that does not serve it is
                         silent */

    /* Under the watch's lock while a delivery is under way */
    struct flight flight;
    struct sent sent[OUT_MOST]; /* a ring in the order of sending */
    size_t oldest, newest;      /* from here to there; they only grow */
    size_t out;                 /* sent, and its callback has not ended */
    usec_t heard_at;
    bool failed;
    enum error_code why;
    char complaint[512];
};

/* --- What goes wrong ------------------------------------------------------------------------- */

static void fail(struct nats_sink *s, enum error_code why, const char *format, ...) _printf_(3, 4);
static void fail(struct nats_sink *s, enum error_code why, const char *format, ...)
{
    va_list args;

    if (s->failed)
        return; /* the first is the cause */
    s->failed = true;
    s->why = why;
    va_start(args, format);
    vsnprintf(s->complaint, sizeof(s->complaint), format, args);
    va_end(args);
}

static void fail_by_refusal(struct nats_sink *s, const jsPubAckErr *e)
{
    switch ((int)e->ErrCode) {
    case JSStreamStoreFailedErr:
    case JSAccountResourcesExceededErr:
    case JSStorageResourcesExceededErr:
    case JSMemoryResourcesExceededErr:
    case JSInsufficientResourcesErr:
        fail(s, ERROR_IO,
             "the NATS stream " STREAM " takes no more (%s); raise its limits, or remove what has "
             "been read from it",
             e->ErrText);
        return;
    default:
        break;
    }
    if (e->Err == NATS_NO_RESPONDERS)
        fail(s, ERROR_IO,
             "no NATS stream takes %s*; make the stream " STREAM " with the subjects " SUBJECTS
             ", or set create = yes",
             s->prefix);
    else
        fail(s, ERROR_IO, "the NATS server refused an event: %s (error %d)", e->ErrText,
             (int)e->ErrCode);
}

/* --- Opening --------------------------------------------------------------------------------- */

static int make_stream(struct nats_sink *s, struct error **err)
{
    const char *subjects[] = {SUBJECTS};
    jsStreamConfig config;
    jsErrCode code = 0;
    natsStatus status;

    jsStreamConfig_Init(&config);
    config.Name = STREAM;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Discard = js_DiscardNew; /* a full one says so; nothing is lost unread */
    config.Duplicates = DUPLICATES_NS;
    config.AllowDirect = true;
    status = js_AddStream(NULL, s->session.js, &config, NULL, &code);
    /* It is there, and made otherwise: that is the administrator's right. */
    if (status == NATS_OK || (int)code == JSStreamNameExistErr)
        return 0;
    return session_fail_with_word(&s->session, status, "making the NATS stream " STREAM, err);
}

static void on_acknowledged(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *refusal,
                            void *closure);

static int sink_open(struct upstream *u, char last_id[static UUID_TEXT_SIZE], struct error **err)
{
    struct nats_sink *s = (struct nats_sink *)u;
    jsOptions js;
    int r;

    last_id[0] = '\0'; /* what it has, it drops by its id */
    session_close(&s->session);
    jsOptions_Init(&js);
    js.PublishAsync.AckHandler = on_acknowledged;
    js.PublishAsync.AckHandlerClosure = s;
    r = session_open(&s->settings, "events", &js, &s->session, err);
    if (r == 0 && s->create)
        r = make_stream(s, err);
    if (r < 0)
        session_close(&s->session);
    return r;
}

/* --- Delivering ------------------------------------------------------------------------------ */

/* How many may go out now. */
static size_t count_sendable(const struct nats_sink *s)
{
    size_t room = OUT_MOST - (s->newest - s->oldest);
    size_t ready = flight_ready(&s->flight);

    return ready < room ? ready : room;
}

/* Acknowledgements come in the order of sending, but for a few. */
static size_t take_sent(struct nats_sink *s, const natsMsg *message)
{
    size_t event = s->flight.n;

    for (size_t i = s->oldest; i < s->newest; i++) {
        struct sent *sent = &s->sent[i % OUT_MOST];

        if (sent->message == message) {
            sent->message = NULL;
            event = sent->event;
            break;
        }
    }
    while (s->oldest < s->newest && !s->sent[s->oldest % OUT_MOST].message)
        s->oldest++;
    return event;
}

static void on_acknowledged(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *refusal,
                            void *closure)
{
    struct nats_sink *s = closure;
    struct session_watch *w = s->session.watch;
    size_t event, sendable;

    pthread_mutex_lock(&w->lock);
    event = take_sent(s, message);
    if (refusal)
        fail_by_refusal(s, refusal);
    else if (event < s->flight.n)
        flight_arrive(&s->flight, event);
    s->heard_at = moment_now().monotonic;
    s->out--;
    /* The sender is not woken for each one, but when there is enough to send, or as much as is
     * still out. */
    sendable = count_sendable(s);
    if (sendable >= WAKE_FOR || sendable >= s->out || s->failed)
        pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    natsMsg_Destroy(message);
}

/* The caller's; NULL: out of memory, or the type has none. */
static char *subject_of(const struct nats_sink *s, const struct upstream_event *e)
{
    const char *ending = subject_ending(e->type);

    return ending ? subject_with_token(s->prefix, e->instance_id, ending) : NULL;
}

static natsStatus make_message(struct nats_sink *s, const struct upstream_event *e, natsMsg **ret)
{
    _cleanup_(freep) char *subject = subject_of(s, e);
    natsStatus status;

    if (!subject)
        return subject_ending(e->type) ? NATS_NO_MEMORY : NATS_INVALID_SUBJECT;
    status = natsMsg_Create(ret, subject, NULL, e->body, (int)e->body_size);
    return status == NATS_OK ? natsMsgHeader_Set(*ret, "Nats-Msg-Id", e->id) : status;
}

static void fail_to_send(struct nats_sink *s, size_t i, natsStatus status)
{
    const struct upstream_event *e = &s->flight.events[i];

    fail(s, ERROR_IO, "publishing event %s (%s, %zu bytes): %s", e->id, e->type, e->body_size,
         natsStatus_GetText(status));
}

/* Those that were sent are the library's; the first that was not is why it failed. */
static size_t publish(struct nats_sink *s, natsMsg *messages[], size_t n, natsStatus *status)
{
    size_t sent = 0;

    while (sent < n && *status == NATS_OK) {
        *status = js_PublishMsgAsync(s->session.js, &messages[sent], NULL);
        sent += *status == NATS_OK;
    }
    return sent;
}

/* Sends a few, and lets go of the lock meanwhile, for it may wait for the socket. */
static void send_events(struct nats_sink *s)
{
    pthread_mutex_t *lock = &s->session.watch->lock;
    natsMsg *messages[SEND_MOST] = {0}, *mine[SEND_MOST];
    natsStatus status = NATS_OK;
    size_t events[SEND_MOST], n = 0, made = 0, sent;

    while (n < SEND_MOST && n < count_sendable(s) && flight_depart(&s->flight, &events[n]))
        n++;
    pthread_mutex_unlock(lock);
    while (made < n && status == NATS_OK) {
        status = make_message(s, &s->flight.events[events[made]], &messages[made]);
        made += status == NATS_OK;
    }
    pthread_mutex_lock(lock);
    if (status != NATS_OK)
        fail_to_send(s, events[made], status);
    for (size_t i = 0; i < made; i++)
        s->sent[s->newest++ % OUT_MOST] = (struct sent){mine[i] = messages[i], events[i]};
    s->out += made;
    pthread_mutex_unlock(lock);
    status = NATS_OK;
    sent = publish(s, messages, made, &status);
    pthread_mutex_lock(lock);
    if (sent < made)
        fail_to_send(s, events[sent], status);
    for (size_t i = sent; i < made; i++, s->out--)
        take_sent(s, mine[i]);
    for (size_t i = sent; i < SEND_MOST; i++)
        natsMsg_Destroy(messages[i]);
}

/* Until something was heard, or nothing for so long. */
static void listen(struct nats_sink *s, usec_t silence)
{
    struct session_watch *w = s->session.watch;
    const usec_t end = s->heard_at + silence;
    const struct timespec until = timespec_of(end);
    bool silent = !w->closed && !w->said[0] &&
                  pthread_cond_timedwait(&w->changed, &w->lock, &until) == ETIMEDOUT &&
                  moment_now().monotonic >= s->heard_at + silence;

    if (w->said[0])
        fail(s, ERROR_IO, "the NATS server says: %s", w->said);
    else if (w->closed)
        fail(s, ERROR_IO, "the connection to the NATS server broke");
    else if (silent)
        fail(s, ERROR_IO, "the NATS server acknowledged nothing for %d s",
             (int)(SILENCE / USEC_PER_SEC));
}

/* What else is out may still be acknowledged. */
static void wait_for_rest(struct nats_sink *s)
{
    const struct session_watch *w = s->session.watch;
    const usec_t until = moment_now().monotonic + SILENCE_OF_REST;

    while (s->out > 0 && !w->closed && moment_now().monotonic < until) {
        const struct timespec end = timespec_of(until);

        pthread_cond_timedwait(&s->session.watch->changed, &s->session.watch->lock, &end);
    }
}

/* So that no callback comes any more. The library must not be asked before anything was published.
 */
static void fetch_back(struct nats_sink *s)
{
    struct session_watch *w = s->session.watch;
    natsMsgList list = {0};

    js_PublishAsyncGetPendingList(&list, s->session.js);
    pthread_mutex_lock(&w->lock);
    s->out -= (size_t)list.Count;
    while (s->out > 0)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    natsMsgList_Destroy(&list);
}

/* Which of the batch the stream has already. Batches begin where the former one was delivered to,
 * so once there is one without any, nothing behind it was ever sent. */
static int find_there(struct nats_sink *s, const struct upstream_event *events, size_t n,
                      bool **ret, struct error **err)
{
    _cleanup_(freep) bool *there = calloc(n, sizeof(*there));
    _cleanup_(freep) char **subjects = calloc(n, sizeof(*subjects));
    int r = 0;

    if (!there || !subjects)
        return error_no_memory(err);
    for (size_t i = 0; i < n && r == 0; i++) {
        subjects[i] = subject_of(s, &events[i]);
        if (!subjects[i])
            r = error_set(err, ERROR_INTERNAL, "no subject for an event of type %s",
                          events[i].type);
    }
    if (r == 0)
        r = look_for_stored(&s->session, s->settings.host_id, STREAM, events, subjects, n, there,
                            err);
    for (size_t i = 0; i < n; i++)
        free(subjects[i]);
    if (r < 0)
        return r;
    s->doubt = r > 0 && memchr(there, 1, n);
    s->cannot_look = r == 0;
    *ret = take(there);
    return 0;
}

static int sink_deliver(struct upstream *u, const struct upstream_event *events, size_t n,
                        size_t *delivered, struct error **err)
{
    struct nats_sink *s = (struct nats_sink *)u;
    struct session_watch *w = s->session.watch;
    bool is_out;
    _cleanup_(freep) bool *there = NULL;
    int r = s->doubt ? find_there(s, events, n, &there, err) : 0;

    if (r == 0)
        r = flight_begin(&s->flight, events, n, there, err);
    if (r < 0)
        return r;
    s->oldest = s->newest = s->out = 0;
    s->failed = false;
    s->heard_at = moment_now().monotonic;
    pthread_mutex_lock(&w->lock);
    while (!s->failed && s->flight.n_arrived < n)
        if (count_sendable(s) > 0)
            send_events(s);
        else
            listen(s, SILENCE);
    if (s->failed)
        wait_for_rest(s);
    is_out = s->out > 0;
    pthread_mutex_unlock(&w->lock);
    if (s->failed)
        r = error_set(err, s->why, "%s", s->complaint);
    if (is_out)
        fetch_back(s);
    if (s->failed) {
        session_close(&s->session);
        s->doubt = !s->cannot_look;
    }
    *delivered = flight_prefix(&s->flight);
    return flight_remember(&s->flight, r < 0 ? NULL : err) < 0 && r == 0 ? -ENOMEM : r;
}

/* --- Life ------------------------------------------------------------------------------------ */

static void sink_free(struct upstream *u)
{
    struct nats_sink *s = (struct nats_sink *)u;

    if (!s)
        return;
    session_close(&s->session);
    flight_clear(&s->flight);
    nats_settings_clear(&s->settings);
    free(s->prefix);
    free(s);
}

static const struct upstream_ops sink_ops = {
    .type = "nats",
    .batch = BATCH_EVENTS,
    .open = sink_open,
    .deliver = sink_deliver,
    .free = sink_free,
};

int sink_new(const struct nats_settings *settings, bool create, struct upstream **ret,
             struct error **err)
{
    struct nats_sink *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return error_no_memory(err);
    s->upstream.ops = &sink_ops;
    s->create = create;
    s->doubt = true;
    r = nats_settings_copy(settings, &s->settings, err);
    if (r == 0) {
        s->prefix = subject_with_token("stopd.event.", settings->host_id, ".");
        if (!s->prefix)
            r = error_no_memory(err);
    }
    if (r < 0) {
        sink_free(&s->upstream);
        return r;
    }
    *ret = &s->upstream;
    return 0;
}
