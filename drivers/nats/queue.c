/* queue.c - commands from the JetStream work queue STOPD_COMMANDS
 *
 * Theory of operation. A consumer of the stream, called after the host, gives messages when it is
 * asked for them. We ask for as many as there is room for, and again when they have come or the
 * time of asking is over; the server says now and then that it is still there, and one that falls
 * silent is left. The library's own fetch would wait for the last message of those that were asked
 * for before it gave the first, hence asking and taking are ours; they are two subjects.
 *
 * What settles a message is a word sent to the subject that came with it, and any connection will
 * do: so a message outlives the session that it came by. That it was done may be said without
 * hearing whether the word arrived, for if not, it comes again and is answered as before. That it
 * was refused has to arrive before its sender is told: otherwise it could come again, and be done
 * after all.
 */
#include "module.h"
#include "session.h"
#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STREAM "STOPD_COMMANDS"
#define ASK_NS 25000000000
#define HEARTBEAT_NS 5000000000
#define SILENCE_MS 12000
#define CONFIRM_MS 5000
/* Of a consumer that we make: a command may wait for an I1's disks to be identified. */
#define ACK_WAIT_NS ((int64_t)30 * 1000 * 1000 * 1000)
#define OUT_MOST 1024

struct nats_message {
    struct queue_message message;
    natsMsg *nats;
};

struct nats_queue {
    struct queue queue;
    struct nats_settings settings;
    char *durable, *subject, *ask; /* the consumer, what it is for, where it is asked */

    pthread_mutex_t lock; /* over the session, which others settle by; the taker replaces it */
    struct session session;
    unsigned wanted; /* asked for, and not come. The taker's own */

    pthread_mutex_t stop_lock; /* never held for long */
    natsSubscription *sub;
    char *inbox;
    bool stopped;
};

/* --- Opening --------------------------------------------------------------------------------- */

static int check_consumer(const struct nats_queue *q, const jsConsumerInfo *info,
                          struct error **err)
{
    const jsConsumerConfig *c = info->Config;

    if (!c || !text_equal(c->FilterSubject, q->subject))
        return error_set(err, ERROR_CONFIGURATION,
                         "the consumer %s of the NATS stream " STREAM " is for %s; make it anew "
                         "with the filter %s",
                         q->durable,
                         c && is_set(c->FilterSubject) ? c->FilterSubject : "everything",
                         q->subject);
    if (c->AckPolicy != js_AckExplicit || is_set(c->DeliverSubject))
        return error_set(err, ERROR_CONFIGURATION,
                         "the consumer %s of the NATS stream " STREAM
                         " has to be a pull consumer with explicit acknowledgement",
                         q->durable);
    return 0;
}

static natsStatus make_consumer(const struct nats_queue *q, struct session *s, jsErrCode *code)
{
    jsConsumerConfig config;

    jsConsumerConfig_Init(&config);
    config.Durable = q->durable;
    config.FilterSubject = q->subject;
    config.AckPolicy = js_AckExplicit;
    config.DeliverPolicy = js_DeliverAll;
    config.AckWait = ACK_WAIT_NS;
    config.MaxAckPending = OUT_MOST;
    return js_AddConsumer(NULL, s->js, STREAM, &config, NULL, code);
}

static int find_consumer(const struct nats_queue *q, struct session *s, struct error **err)
{
    jsConsumerInfo *info = NULL;
    jsErrCode code = 0;
    natsStatus status = js_GetConsumerInfo(&info, s->js, STREAM, q->durable, NULL, &code);
    int r = 0;

    if (status == NATS_OK)
        r = check_consumer(q, info, err);
    jsConsumerInfo_Destroy(info);
    if (status == NATS_OK)
        return r;
    if (status == NATS_NOT_FOUND && (int)code != JSStreamNotFoundErr)
        status = make_consumer(q, s, &code);
    if (status == NATS_OK)
        return 0;
    if ((int)code == JSStreamNotFoundErr)
        return error_set(err, ERROR_IO,
                         "there is no NATS stream " STREAM
                         "; make it as a work queue with the subjects stopd.command.>");
    return session_fail_with_word(s, status, "finding the consumer in the NATS stream " STREAM,
                                  err);
}

static int subscribe(struct nats_queue *q, struct session *s, struct error **err)
{
    _cleanup_(freep) char *inbox = NULL;
    char behind[UUID_TEXT_SIZE + 1] = ".";
    natsSubscription *sub = NULL;
    natsStatus status;
    bool stopped;

    uuid_new_lower(behind + 1);
    inbox = subject_with_token(SESSION_INBOX, q->settings.host_id, behind);
    if (!inbox)
        return error_no_memory(err);
    status = natsConnection_SubscribeSync(&sub, s->connection, inbox);
    if (status != NATS_OK)
        return session_fail(status, "subscribing to an inbox", err);
    pthread_mutex_lock(&q->stop_lock);
    stopped = q->stopped;
    if (!stopped) {
        q->sub = sub;
        q->inbox = take(inbox);
    }
    pthread_mutex_unlock(&q->stop_lock);
    if (stopped)
        natsSubscription_Destroy(sub);
    return 0;
}

static void unsubscribe(struct nats_queue *q)
{
    pthread_mutex_lock(&q->stop_lock);
    natsSubscription_Destroy(q->sub);
    free(q->inbox);
    q->sub = NULL;
    q->inbox = NULL;
    pthread_mutex_unlock(&q->stop_lock);
    q->wanted = 0;
}

static void replace_session(struct nats_queue *q, const struct session *s)
{
    pthread_mutex_lock(&q->lock);
    session_close(&q->session);
    if (s)
        q->session = *s;
    pthread_mutex_unlock(&q->lock);
}

static int queue_open(struct queue *queue, struct error **err)
{
    struct nats_queue *q = (struct nats_queue *)queue;
    struct session s = {0};
    int r;

    unsubscribe(q);
    replace_session(q, NULL);
    r = session_open(&q->settings, "commands", NULL, &s, err);
    if (r < 0)
        return r;
    r = find_consumer(q, &s, err);
    if (r == 0)
        r = subscribe(q, &s, err);
    if (r < 0)
        session_close(&s);
    else
        replace_session(q, &s);
    return r;
}

/* --- Taking ---------------------------------------------------------------------------------- */

static natsStatus ask(struct nats_queue *q, unsigned most)
{
    char request[128];

    snprintf(request, sizeof(request), "{\"batch\":%u,\"expires\":%llu,\"idle_heartbeat\":%llu}",
             most, (unsigned long long)ASK_NS, (unsigned long long)HEARTBEAT_NS);
    q->wanted = most;
    return natsConnection_PublishRequestString(q->session.connection, q->ask, q->inbox, request);
}

static const char *header_of(natsMsg *m, const char *key)
{
    const char *value = NULL;

    return natsMsgHeader_Get(m, key, &value) == NATS_OK ? value : NULL;
}

/* What the server says instead of a message: it is still there, or will give no more of what was
 * asked for. */
static int hear_status(struct nats_queue *q, natsMsg *m, const char *status, struct error **err)
{
    const char *description = header_of(m, "Description");

    if (text_equal(status, "100"))
        return 0;
    q->wanted = 0;
    if (text_equal(status, "404") || text_equal(status, "408"))
        return 0;
    return error_set(err, ERROR_IO, "the NATS server gives no commands: %s (status %s)",
                     description ? description : "no reason told", status);
}

/* A subject that nothing but an answer goes to: whoever may send commands must not speak through us
 * where he may not himself. */
static bool may_reply_to(const char *subject)
{
    return is_set(subject) && strlen(subject) <= 256 && !strpbrk(subject, " \t\r\n*>") &&
           subject[0] != '$' && strncmp(subject, "stopd.", 6) != 0;
}

/* Takes nats. */
static int make_message(natsMsg *nats, struct queue_message **ret, struct error **err)
{
    struct nats_message *m = calloc(1, sizeof(*m));
    const char *reply_to = header_of(nats, "Stopd-Reply");
    jsMsgMetaData *meta = NULL;
    natsStatus status;

    if (!m) {
        natsMsg_Destroy(nats);
        return error_no_memory(err);
    }
    status = natsMsg_GetMetaData(&meta, nats);
    if (status != NATS_OK) {
        natsMsg_Destroy(nats);
        free(m);
        return session_fail(status, "reading a message that is of no stream", err);
    }
    m->nats = nats;
    m->message = (struct queue_message){
        .body = natsMsg_GetData(nats),
        .body_size = (size_t)natsMsg_GetDataLength(nats),
        .id = header_of(nats, "Nats-Msg-Id"),
        .sequence = meta->Sequence.Stream,
        .sent_at = (usec_t)(meta->Timestamp / 1000),
        .traceparent = header_of(nats, "traceparent"),
        .reply_to = may_reply_to(reply_to) ? reply_to : NULL,
    };
    jsMsgMetaData_Destroy(meta);
    *ret = &m->message;
    return 1;
}

static bool is_stopped(struct nats_queue *q)
{
    bool stopped;

    pthread_mutex_lock(&q->stop_lock);
    stopped = q->stopped;
    pthread_mutex_unlock(&q->stop_lock);
    return stopped;
}

static int queue_next(struct queue *queue, unsigned most, struct queue_message **ret,
                      struct error **err)
{
    struct nats_queue *q = (struct nats_queue *)queue;
    natsStatus status = NATS_OK;
    natsMsg *m = NULL;
    const char *word;
    int r;

    if (is_stopped(q))
        return 0;
    if (q->wanted == 0)
        status = ask(q, most);
    if (status == NATS_OK)
        status = natsSubscription_NextMsg(&m, q->sub, SILENCE_MS);
    if (is_stopped(q)) {
        natsMsg_Destroy(m);
        return 0;
    }
    if (status == NATS_NO_RESPONDERS)
        return error_set(err, ERROR_IO,
                         "the consumer %s of the NATS stream " STREAM " has gone, or JetStream is "
                         "not at hand",
                         q->durable);
    if (status != NATS_OK)
        return session_fail_with_word(&q->session, status, "waiting for commands", err);
    word = header_of(m, "Status");
    /* A command has a place to be acknowledged at, whatever its sender put into its headers. */
    if (word && natsMsg_GetDataLength(m) == 0 && !natsMsg_GetReply(m)) {
        r = hear_status(q, m, word, err);
        natsMsg_Destroy(m);
        return r;
    }
    q->wanted--;
    return make_message(m, ret, err);
}

static void queue_stop(struct queue *queue)
{
    struct nats_queue *q = (struct nats_queue *)queue;

    pthread_mutex_lock(&q->stop_lock);
    q->stopped = true;
    if (q->sub)
        natsSubscription_Unsubscribe(q->sub); /* wakes who waits for its next message */
    pthread_mutex_unlock(&q->stop_lock);
}

/* --- Settling -------------------------------------------------------------------------------- */

static natsStatus confirm(natsConnection *nc, const char *ack, const char *word)
{
    natsMsg *confirmation = NULL;
    natsStatus status = natsConnection_RequestString(&confirmation, nc, ack, word, CONFIRM_MS);

    natsMsg_Destroy(confirmation);
    return status;
}

static natsStatus say(natsConnection *nc, const char *ack, enum queue_verdict verdict, usec_t delay)
{
    char word[64];

    switch (verdict) {
    case QUEUE_DONE:
        return natsConnection_PublishString(nc, ack, "+ACK");
    case QUEUE_REFUSED:
        return confirm(nc, ack, "+TERM");
    case QUEUE_LATER:
        snprintf(word, sizeof(word), "-NAK {\"delay\":%llu}", (unsigned long long)delay * 1000);
        return natsConnection_PublishString(nc, ack, word);
    case QUEUE_LEFT:
        break;
    }
    return NATS_OK;
}

static int queue_settle(struct queue *queue, struct queue_message *message,
                        enum queue_verdict verdict, usec_t delay, const char *answer,
                        struct error **err)
{
    struct nats_queue *q = (struct nats_queue *)queue;
    struct nats_message *m = (struct nats_message *)message;
    natsStatus status = NATS_CONNECTION_CLOSED;

    pthread_mutex_lock(&q->lock);
    if (q->session.connection)
        status = say(q->session.connection, natsMsg_GetReply(m->nats), verdict, delay);
    if (status == NATS_OK && answer && message->reply_to)
        status = natsConnection_PublishString(q->session.connection, message->reply_to, answer);
    pthread_mutex_unlock(&q->lock);
    natsMsg_Destroy(m->nats);
    free(m);
    return status == NATS_OK ? 0 : session_fail(status, "settling a command", err);
}

/* --- Life ------------------------------------------------------------------------------------ */

static void queue_free(struct queue *queue)
{
    struct nats_queue *q = (struct nats_queue *)queue;

    if (!q)
        return;
    unsubscribe(q);
    session_close(&q->session);
    nats_settings_clear(&q->settings);
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->stop_lock);
    free(q->durable);
    free(q->subject);
    free(q->ask);
    free(q);
}

static const struct queue_ops queue_ops = {
    .open = queue_open,
    .next = queue_next,
    .settle = queue_settle,
    .stop = queue_stop,
    .free = queue_free,
};

/* The host as a token, but for the sign: servers (2.9) put a consumer's name into a format, and a
 * per cent sign in it garbles what messages are acknowledged by. */
static char *consumer_name(const char *host)
{
    char *name = subject_with_token("", host, "");

    for (char *c = name; c && *c; c++)
        if (*c == '%')
            *c = '=';
    return name;
}

int queue_new(const struct nats_settings *settings, struct queue **ret, struct error **err)
{
    struct nats_queue *q = calloc(1, sizeof(*q));
    const char *host = settings->host_id;
    int r;

    if (!q)
        return error_no_memory(err);
    q->queue = (struct queue){.ops = &queue_ops, .name = "nats:" STREAM};
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->stop_lock, NULL);
    r = nats_settings_copy(settings, &q->settings, err);
    q->durable = consumer_name(host);
    q->subject = subject_with_token("stopd.command.", host, ".StopInstance");
    if (r == 0 && (!q->durable || !q->subject ||
                   asprintf(&q->ask, "$JS.API.CONSUMER.MSG.NEXT." STREAM ".%s", q->durable) < 0))
        r = error_no_memory(err);
    if (r < 0) {
        queue_free(&q->queue);
        return r;
    }
    *ret = &q->queue;
    return 0;
}
