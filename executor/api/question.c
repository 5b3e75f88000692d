/* question.c - one question to the engine
 *
 * Theory of operation. A connection that waits for the engine is suspended: the library does not
 * look at it again until somebody resumes it, exactly once. Two can: the engine's reply(), and
 * whoever stops the server. The lock decides between them. The connection cannot go away
 * meanwhile, because the library notices nothing about a suspended one; that is why a wait
 * is never asked for longer than a slice, and renewed.
 *
 * Whoever resumes is still in the library for a moment when the connection goes on already, and the
 * library may be stopped next. It resumes under the lock, which the exchange takes to drop the
 * question: no exchange is over, and no thread of the library's, before the resumer has left.
 *
 * An answer that comes after the interruption is thrown away. reply() touches nothing but the
 * question, so that it may come when the server is long gone.
 */
#include "api/question.h"

#include <pthread.h>

struct question {
    pthread_mutex_t lock;
    unsigned holders;
    bool answered;
    struct MHD_Connection *http;
    struct answer *answer;         /* the engine's; NULL: it had none, or was not waited for */
    const struct answer *stand_in; /* instead of it */
};

/* What was asked may have been done or not. */
static const struct answer interrupted = {
    .code = ERROR_INTERNAL,
    .message = (char *)"The service is stopping and the outcome is not known; ask again with the "
                       "same ClientToken.",
};
static const struct answer no_memory = {
    .code = ERROR_NO_MEMORY,
    .message = (char *)"out of memory",
};

/* Resumes the connection with the answer, unless that was done before. */
static bool settle(struct question *q, struct answer *a, const struct answer *stand_in)
{
    bool first;

    pthread_mutex_lock(&q->lock);
    first = !q->answered;
    if (first) {
        q->answered = true;
        q->answer = a;
        q->stand_in = stand_in;
        MHD_resume_connection(q->http);
    }
    pthread_mutex_unlock(&q->lock);
    return first;
}

static void reply(struct request *r, struct answer *a)
{
    struct question *q = r->userdata;

    if (!settle(q, a, &no_memory))
        answer_free(a);
    request_free(r);
    question_drop(q);
}

struct question *question_new(struct MHD_Connection *http, struct request *r)
{
    struct question *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    pthread_mutex_init(&q->lock, NULL);
    q->holders = 2;
    q->http = http;
    r->reply = reply;
    r->userdata = q;
    return q;
}

void question_interrupt(struct question *q)
{
    settle(q, NULL, &interrupted);
}

const struct answer *question_answer(const struct question *q)
{
    return q->answer ? q->answer : q->stand_in;
}

void question_drop(struct question *q)
{
    bool is_last;

    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    is_last = --q->holders == 0;
    pthread_mutex_unlock(&q->lock);
    if (!is_last)
        return;
    pthread_mutex_destroy(&q->lock);
    answer_free(q->answer);
    free(q);
}
