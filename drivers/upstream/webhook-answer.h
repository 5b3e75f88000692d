/* webhook-answer.h - what a receiver answered, and what that means for the event */
#ifndef STOPD_UPSTREAM_WEBHOOK_ANSWER_H
#define STOPD_UPSTREAM_WEBHOOK_ANSWER_H

#include "stopd/error.h"

/* So much of a body is read; nobody needs more, and a connection whose answer is longer is closed.
 */
#define WEBHOOK_BODY_MOST ((size_t)64 * 1024)
#define WEBHOOK_EXCERPT 160
/* A receiver may ask for a longer pause; it is tried then all the same. */
#define WEBHOOK_PAUSE_MOST (3600 * USEC_PER_SEC)

struct webhook_answer {
    long status;                       /* 0: there was none */
    char excerpt[WEBHOOK_EXCERPT + 1]; /* the beginning of the body, on one line, in ASCII */
    size_t excerpt_size, body_size;
    char location[WEBHOOK_EXCERPT + 1]; /* of a redirection, its beginning, in ASCII; or "" */
    int64_t retry_after;                /* seconds; 0 or less: nothing was said */
};

/* The next bytes of the body. False: it is too long. */
bool webhook_answer_add(struct webhook_answer *a, const char *data, size_t size);

/* Where the answer leads to; NULL: nowhere. */
void webhook_answer_set_location(struct webhook_answer *a, const char *url);

/* 0: the event is delivered. ERROR_REFUSED: it never will be. ERROR_IO: not this time, and *pause
 * is how long the receiver wants to be left alone; 0: it did not say. */
int webhook_answer_judge(const struct webhook_answer *a, usec_t *pause, struct error **err);

#endif
