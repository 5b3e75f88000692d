/* commands.c - StopInstance commands from a queue
 *
 * Theory of operation. One thread takes messages and posts each to the engine, as the API does with
 * its requests; another settles them with the engine's answers, for neither the queue nor the
 * engine may wait for the other. A message is acknowledged after its command is durable. Since it
 * may come again all the same, it has a name by which the engine knows it: its ClientToken, else
 * the id that its sender gave it, else its place and time in the queue. The journal binds the name
 * to the answer.
 *
 * What is refused is over, but for refusals that say "try again": these leave the message in the
 * queue, until the command is too old. How old it may be is the engine's to compare, behind the
 * look at the token: a command that was accepted long ago, and whose acknowledgement was lost, is
 * answered and not refused. Of a command whose outcome nobody knows nothing is said: it comes
 * again, and then it is known.
 *
 * A message that comes again while it is still with the engine is passed over: the first one's
 * answer settles both.
 */
#include "daemon/commands-internal.h"

#include "api/render.h"
#include "base/json.h"

#include <gnutls/crypto.h>
#include <inttypes.h>
#include <string.h>

#define BODY_MOST ((size_t)64 * 1024)
#define RETRY_AFTER (5 * USEC_PER_SEC)
#define TOKEN_SIZE 65

/* --- What a message is known by -------------------------------------------------------------- */

/* Ids may be longer than a token, and of any characters. */
static void token_of(const struct queue_message *m, char ret[static TOKEN_SIZE])
{
    unsigned char digest[32];
    size_t used;

    if (!is_set(m->id)) {
        snprintf(ret, TOKEN_SIZE, "message %" PRIu64 " of %" PRIu64, m->sequence, m->sent_at);
        return;
    }
    used = (size_t)snprintf(ret, TOKEN_SIZE, "id ");
    gnutls_hash_fast(GNUTLS_DIG_SHA256, m->id, strlen(m->id), digest);
    for (size_t i = 0; i < 30; i++)
        used += (size_t)snprintf(ret + used, TOKEN_SIZE - used, "%02x", digest[i]);
}

static int name_command(const struct queue_message *m, struct command *c, struct error **err)
{
    char token[TOKEN_SIZE];

    if (c->client_token)
        return 0;
    token_of(m, token);
    return text_replace(&c->client_token, token) < 0 ? error_no_memory(err) : 0;
}

/* --- A message becomes a request ------------------------------------------------------------- */

static int read_command(const struct commands *c, const struct queue_message *m, struct request *r,
                        struct error **err)
{
    struct command *command = &r->command;
    struct parameters p = {0};
    int result = 0;

    snprintf(r->principal.name, sizeof(r->principal.name), "%s", c->queue->name);
    r->principal.may_change = true;
    command->principal = r->principal;
    if (m->body_size > BODY_MOST)
        result = error_set(err, ERROR_REQUEST_TOO_LARGE, NULL);
    if (result == 0)
        result = parameters_add_json(&p, m->body, m->body_size, err);
    if (result == 0)
        result = command_parse(&p, command, err);
    parameters_clear(&p);
    if (result == 0)
        result = name_command(m, command, err);
    if (result < 0)
        return result;
    memcpy(command->request_id, r->request_id, sizeof(command->request_id));
    command->principal = r->principal;
    command->expires = m->sent_at + atomic_load(&c->max_age);
    if (m->traceparent && traceparent_is_valid(m->traceparent) &&
        text_replace(&command->traceparent, m->traceparent) < 0)
        return error_no_memory(err);
    return 0;
}

static struct answer *answer_of_error(const struct request *r, const struct error *e)
{
    struct answer *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    memcpy(a->request_id, r->request_id, sizeof(a->request_id));
    a->code = error_code_of(e);
    (void)text_replace(&a->message, error_message(e));
    return a;
}

static void replied(struct request *r, struct answer *a)
{
    commands_answered(r->userdata, a);
    request_free(r);
}

static void post_message(struct commands *c, struct pending *p)
{
    _cleanup_(error_free) struct error *error = NULL;
    struct request *r = request_new(REQUEST_STOP);

    if (!r) {
        commands_answered(p, NULL);
        return;
    }
    r->reply = replied;
    r->userdata = p;
    if (read_command(c, p->message, r, &error) == 0)
        c->post(c->userdata, r);
    else
        replied(r, answer_of_error(r, error));
}

void commands_handle(struct commands *c, struct queue_message *m)
{
    struct pending *p;

    pthread_mutex_lock(&c->posting);
    p = c->quiescing ? NULL : commands_admit(c, m);
    if (p)
        post_message(c, p);
    pthread_mutex_unlock(&c->posting);
    if (!p)
        c->queue->ops->settle(c->queue, m, QUEUE_LEFT, 0, NULL, NULL);
}

/* --- An answer becomes a verdict ------------------------------------------------------------- */

/* "Try again", but for the one that says that nobody knows. */
static enum queue_verdict verdict_of(const struct answer *a)
{
    if (!a)
        return QUEUE_LATER;
    if (a->code == ERROR_NONE)
        return QUEUE_DONE;
    if (a->code == ERROR_INTERNAL)
        return QUEUE_LEFT;
    return error_exit_status(a->code) == error_exit_status(ERROR_UNAVAILABLE) ? QUEUE_LATER
                                                                              : QUEUE_REFUSED;
}

static char *text_of(const struct commands *c, const struct answer *a)
{
    _cleanup_(json) json_object *body = NULL;

    if (a->code != ERROR_NONE) {
        body = render_error(a->request_id, c->host_id, a->code, a->message);
    } else {
        body = json_object_new_object();
        if (body && json_add_string(body, "RequestId", a->request_id) < 0)
            return NULL;
    }
    return body ? render_json(body) : NULL;
}

int commands_settle(struct commands *c, struct pending *p, struct error **err)
{
    static const enum commands_counter counters[] = {[QUEUE_DONE] = COMMANDS_ACCEPTED,
                                                     [QUEUE_REFUSED] = COMMANDS_REFUSED,
                                                     [QUEUE_LATER] = COMMANDS_DEFERRED,
                                                     [QUEUE_LEFT] = COMMANDS_UNKNOWN};
    const enum queue_verdict verdict = verdict_of(p->answer);
    _cleanup_(freep) char *answer = NULL;

    if (verdict == QUEUE_DONE || verdict == QUEUE_REFUSED)
        answer = text_of(c, p->answer);
    if (verdict == QUEUE_REFUSED)
        log_notice("a command from %s was refused (%s): %s", c->queue->name,
                   error_public_code(p->answer->code),
                   p->answer->message ? p->answer->message : error_public_message(p->answer->code));
    atomic_fetch_add(&c->counters[counters[verdict]], 1);
    return c->queue->ops->settle(c->queue, take(p->message), verdict, RETRY_AFTER, answer, err);
}
