/* webhook-answer.c - what a receiver answered, and what that means for the event
 *
 * Theory of operation. Contract section 6 is a function of the status: 2xx has taken the event; 4xx
 * says that there is something wrong with the event, and will be there the next time; except 408
 * and 429, which like 5xx and all else say something of the receiver or of the moment. That holds
 * for 401 and 403 too: what a wrong token loses is kept as dead letters, and sent again when an
 * operator has mended it.
 */
#include "webhook-answer.h"

bool webhook_answer_add(struct webhook_answer *a, const char *data, size_t size)
{
    for (size_t i = 0; i < size && a->excerpt_size < WEBHOOK_EXCERPT; i++) {
        bool is_space = data[i] == ' ' || (data[i] >= '\t' && data[i] <= '\r');
        bool is_first = a->excerpt_size == 0 || a->excerpt[a->excerpt_size - 1] == ' ';

        if (is_space && is_first)
            continue;
        a->excerpt[a->excerpt_size++] = (char)(is_space                          ? ' '
                                               : data[i] > ' ' && data[i] < 0x7f ? data[i]
                                                                                 : '?');
    }
    a->excerpt[a->excerpt_size] = '\0';
    a->body_size += size;
    return a->body_size <= WEBHOOK_BODY_MOST;
}

void webhook_answer_set_location(struct webhook_answer *a, const char *url)
{
    size_t n = 0;

    for (; url && url[n] && n < WEBHOOK_EXCERPT; n++)
        a->location[n] = (char)(url[n] > ' ' && url[n] < 0x7f ? url[n] : '?');
    a->location[n] = '\0';
}

static bool is_refusal(long status)
{
    return status >= 400 && status <= 499 && status != 408 && status != 429;
}

static usec_t pause_of(const struct webhook_answer *a)
{
    const int64_t most = WEBHOOK_PAUSE_MOST / USEC_PER_SEC;

    if (a->retry_after <= 0)
        return 0;
    return (usec_t)(a->retry_after < most ? a->retry_after : most) * USEC_PER_SEC;
}

int webhook_answer_judge(const struct webhook_answer *a, usec_t *pause, struct error **err)
{
    const char *colon = a->excerpt_size > 0 ? ": " : "";

    *pause = 0;
    if (a->status >= 200 && a->status <= 299)
        return 0;
    if (is_refusal(a->status))
        return error_set(err, ERROR_REFUSED, "the receiver answered %ld%s%s", a->status, colon,
                         a->excerpt);
    *pause = pause_of(a);
    if (a->location[0])
        return error_set(err, ERROR_IO,
                         "the receiver answered %ld and leads to %s, where nothing is sent; set "
                         "the url to where events are to go",
                         a->status, a->location);
    return error_set(err, ERROR_IO, "the receiver answered %ld%s%s", a->status, colon, a->excerpt);
}
