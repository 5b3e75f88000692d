/* wiper-helper.h - one conversation with one stopd-wipe: started, asked, listened to, ended
 *
 * For the one thread that started it. Nothing here waits longer than it is told to. */
#ifndef STOPD_ENGINE_WIPER_HELPER_H
#define STOPD_ENGINE_WIPER_HELPER_H

#include "stopd/error.h"

/* A line is a certificate with raw identify data at most. */
#define HELPER_LINE_MAX ((size_t)1 << 20)

struct helper;

/* how: spawn:PATH or unix:SOCKET. The request, one line without its newline, is copied.
 * ERROR_UNAVAILABLE: no helper is to be had there. */
int helper_start(const char *how, const char *request, size_t n, struct helper **ret,
                 struct error **err);
/* Closes its ends. A process that is still there is left to itself: await its end first. */
void helper_free(struct helper *h);
DEFINE_CLEANUP(struct helper *, helper_free);

enum heard {
    HEARD_NOTHING, /* until then, or the bell rang */
    HEARD_LINE,
    HEARD_END, /* it says nothing any more; a line that it did not end is not told */
};
/* Waits for what comes first; bell is a descriptor that becomes readable, or -1. The line, without
 * its newline and with a NUL instead, is the helper's until the next call. Negative: what it says
 * is no line, or cannot be read. */
int helper_listen(struct helper *h, int bell, usec_t until, enum heard *ret, const char **line,
                  size_t *n, struct error **err);

/* Tells it to stop: a process by SIGTERM, one behind a socket by nobody listening to it any more.
 */
void helper_stop(struct helper *h);
/* The same by SIGKILL; it may be in the kernel and not heed it. Behind a socket there is nothing
 * more to be done. */
void helper_kill(struct helper *h);
/* Waits for its end, or the bell, until then. True: it is gone, and has let go of its device. */
bool helper_await_end(struct helper *h, int bell, usec_t until);

/* How it ended, or how it stands with it: "it ended with status 71", "pid 4711, state D, wchan
 * io_schedule", "the helper behind /run/stopd-wipe.sock". Belongs to the helper. */
const char *helper_describe(struct helper *h);
/* Once it is gone: its exit status; -1: it has none that is known (killed, or behind a socket). */
int helper_exit_status(const struct helper *h);
bool helper_has_exit_status(const struct helper *h); /* is it one that would have one? */

#endif
