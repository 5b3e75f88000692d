/* follow.c - the two halves of an operation as its caller sees them: until it is accepted, until it
 * ends
 *
 * Theory of operation. Every operation is at one step, ASKING or WAITING, and has at most one
 * transfer out. A stop carries a ClientToken, so that one whose answer was lost is simply asked
 * again: the daemon gives the first answer again, and nothing is stopped twice. It is lost where
 * the daemon broke off or said InternalError; from then on not being reached does not end it
 * either, for a bounded number of tries, since the daemon may be starting again. A command that is
 * not safe to send again is in doubt at once. A daemon that was never reached has accepted nothing:
 * that is an error at once.
 *
 * Waiting is a request that the daemon answers at the end of the operation or a second later, again
 * and again: a daemon that is being restarted meanwhile is waited for with patience, since the
 * operation goes on. One that is quarantined waits for an operator, and so nobody waits for it.
 * SIGINT is read from a descriptor among curl's, so that nothing is cut short in the middle.
 */
#include "cli/follow.h"
#include "cli/picture.h"
#include "cli/transfer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Connections to the daemon at once. */
#define OUT_MOST 64
#define ASK_TRIES_MOST 6
#define ASK_AGAIN (200 * USEC_PER_MSEC) /* then twice that, … */
/* Before it accepts, the daemon may have to have several local disks identified. */
#define ACCEPT_SECONDS 60
#define WAIT_SECONDS 1
#define WAIT_AGAIN (200 * USEC_PER_MSEC) /* also if the daemon does not wait at all */
#define WAIT_PATIENCE (30 * USEC_PER_SEC)
#define REDRAW (200 * USEC_PER_MSEC)

struct following {
    struct cli *cli;
    struct followed *all;
    size_t n;
    const struct follow_plan *plan;
    CURLM *multi;
    int signals;
    sigset_t former;
    struct progress *progress;
    size_t out;  /* transfers */
    size_t next; /* who is first to get a place */
    usec_t deadline;
};

void followed_cleanup(struct followed *f)
{
    parameters_clear(&f->command);
    json_object_put(f->operation);
    error_free(f->error);
    free(f->code);
    transfer_free(f->transfer);
}

static void following_cleanup(struct following *f)
{
    for (size_t i = 0; f->multi && i < f->n; i++)
        if (f->all[i].transfer)
            curl_multi_remove_handle(f->multi, f->all[i].transfer->easy);
    if (f->multi)
        curl_multi_cleanup(f->multi);
    if (f->signals >= 0) {
        struct signalfd_siginfo taken;

        /* One that has come is answered by what we print: it must not end us once it is let
         * through. */
        while (read(f->signals, &taken, sizeof(taken)) > 0)
            ;
        close(f->signals);
        sigprocmask(SIG_SETMASK, &f->former, NULL);
    }
    progress_free(f->progress);
}

static usec_t monotonic(void)
{
    return moment_now().monotonic;
}

static bool is_on_its_way(const struct followed *one)
{
    return one->step == FOLLOW_ASKING || one->step == FOLLOW_WAITING;
}

/* --- One answer ---------------------------------------------------------------------------- */

static void end(struct following *f, struct followed *one)
{
    one->step = FOLLOW_ENDED;
    progress_clear(f->progress);
    if (f->plan->ended)
        f->plan->ended(f->cli, one);
}

static void end_with(struct following *f, struct followed *one, struct error **e)
{
    one->error = take(*e);
    one->code = take(f->cli->code);
    end(f, one);
}

static void ask_again(struct followed *one)
{
    one->not_before = monotonic() + (ASK_AGAIN << one->tries);
    one->tries++;
}

/* Was this command perhaps accepted? Once that was so, it stays so until there is an answer. */
static bool is_in_doubt(const struct followed *one, const struct transfer *x)
{
    if (x->reach == REACH_BROKEN_OFF || (x->reach == REACH_ANSWERED && x->status == 500))
        return true;
    return one->tries > 0 && (x->reach == REACH_NONE || x->status == 503 || x->status == 429);
}

/* What a command answers is its RequestId or, where it was about an operation, that. */
static bool take_request_id(struct followed *one, json_object *answer)
{
    const char *id = document_text(answer, "RequestId");
    uuid_t uuid;

    if (!is_set(id))
        id = document_text(answer, "requestId");
    if (uuid_parse(id, uuid) < 0)
        return false;
    memcpy(one->request_id, id, sizeof(one->request_id));
    return true;
}

static void take_acceptance(struct following *f, struct followed *one, const struct transfer *x,
                            struct error **e)
{
    if (!*e && take_request_id(one, x->answer)) {
        one->step = FOLLOW_WAITING;
        one->last_heard = monotonic();
        if (!f->plan->wait)
            end(f, one);
    } else if (*e && error_code_of(*e) == ERROR_DRY_RUN) {
        one->validated = true;
        end(f, one);
    } else if (*e && is_in_doubt(one, x)) {
        if (one->repeatable && one->tries + 1 < ASK_TRIES_MOST) {
            ask_again(one);
            return;
        }
        one->in_doubt = true;
        error_context(e, "whether it was accepted is not known");
        end_with(f, one, e);
    } else {
        if (!*e)
            error_set(e, ERROR_UNREACHABLE, "the daemon's answer has no RequestId");
        end_with(f, one, e);
    }
}

static bool may_come_back(const struct transfer *x)
{
    return x->reach != REACH_ANSWERED || x->status == 429 || x->status >= 500;
}

static bool is_over(const struct following *f, const struct operation_view *v)
{
    if (f->plan->is_over)
        return f->plan->is_over(v);
    return operation_view_finished(v) || operation_view_quarantined(v);
}

/* The document says what was left of the grace when it was last written, which is not with every
 * second: it is counted from the first sight of a figure. */
static void take_grace(struct followed *one, const struct operation_view *v, usec_t now)
{
    struct operation_view former = {.grace_left = USEC_NEVER};

    if (one->operation)
        operation_view(one->operation, &former, NULL);
    if (v->grace_left == USEC_NEVER)
        one->grace_end = 0;
    else if (v->grace_left != former.grace_left)
        one->grace_end = now + v->grace_left;
}

static void take_operation(struct following *f, struct followed *one, struct transfer *x,
                           struct error **e)
{
    struct operation_view view;
    usec_t now = monotonic();

    if (*e) {
        if (may_come_back(x) && now - one->last_heard < WAIT_PATIENCE) {
            one->not_before = now + WAIT_AGAIN;
            return;
        }
        error_context(e, "accepted, RequestId %s, and going on, but how far is not known",
                      one->request_id);
        end_with(f, one, e);
        return;
    }
    if (operation_view(x->answer, &view, e) < 0) {
        end_with(f, one, e);
        return;
    }
    take_grace(one, &view, now);
    json_object_put(one->operation);
    one->operation = take(x->answer);
    one->last_heard = now;
    one->not_before = one->asked_at + WAIT_AGAIN;
    if (is_over(f, &view))
        end(f, one);
}

static void take_answer(struct following *f, struct followed *one, CURLcode result)
{
    _cleanup_(transfer_free) struct transfer *x = take(one->transfer);
    _cleanup_(error_free) struct error *e = NULL;

    f->out--;
    transfer_finish(f->cli, x, result, &e);
    if (one->step == FOLLOW_ASKING)
        take_acceptance(f, one, x, &e);
    else
        take_operation(f, one, x, &e);
}

/* --- All of them --------------------------------------------------------------------------- */

static int ask(struct following *f, struct followed *one, struct error **err)
{
    _cleanup_(freep) char *path = NULL;
    bool asking = one->step == FOLLOW_ASKING, is_form = asking && !one->document;
    char after[16];
    int r;

    snprintf(after, sizeof(after), "?wait=%d", WAIT_SECONDS);
    path = asking ? strdup(one->path) : transfer_path("/v1/operations/", one->request_id, after);
    if (!path)
        return error_no_memory(err);
    r = transfer_new(f->cli, path, is_form ? &one->command : NULL,
                     asking ? ACCEPT_SECONDS : WAIT_SECONDS, &one->transfer, err);
    if (r == 0 && asking && one->document)
        r = transfer_set_document(one->transfer, one->document, err);
    if (r < 0)
        return r;
    one->transfer->userdata = one;
    one->asked_at = monotonic();
    if (curl_multi_add_handle(f->multi, one->transfer->easy) != CURLM_OK) {
        transfer_free(take(one->transfer));
        return error_no_memory(err);
    }
    f->out++;
    return 0;
}

/* Round robin, so that with more stops than places none is left behind. */
static int ask_due(struct following *f, struct error **err)
{
    usec_t now = monotonic();

    for (size_t i = 0; i < f->n && f->out < OUT_MOST; i++) {
        struct followed *one = &f->all[f->next];
        int r;

        f->next = (f->next + 1) % f->n;
        if (!is_on_its_way(one) || one->transfer || one->not_before > now)
            continue;
        r = ask(f, one, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void draw(struct following *f)
{
    _cleanup_(picture) struct picture picture = {0};
    usec_t now = monotonic();

    if (!f->progress)
        return;
    picture_begin(&picture, f->n);
    for (size_t i = 0; i < f->n; i++) {
        const struct followed *one = &f->all[i];
        usec_t left = one->grace_end > now ? one->grace_end - now : 0;

        if (is_on_its_way(one))
            picture_add(&picture, one->name, one->operation, one->grace_end ? left : USEC_NEVER);
    }
    progress_draw(f->progress, picture.lines, picture.n);
}

/* How long until something has to be done without anything arriving, in milliseconds. */
static int patience(const struct following *f)
{
    usec_t now = monotonic(), due = f->progress ? now + REDRAW : now + USEC_PER_SEC;

    if (f->deadline < due)
        due = f->deadline;
    for (size_t i = 0; i < f->n; i++)
        if (is_on_its_way(&f->all[i]) && !f->all[i].transfer && f->out < OUT_MOST &&
            f->all[i].not_before < due)
            due = f->all[i].not_before;
    return due > now ? (int)((due - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
}

/* Takes what has arrived. Returns whether anything had. */
static bool take_answers(struct following *f)
{
    bool any = false;
    CURLMsg *message;

    while ((message = curl_multi_info_read(f->multi, &(int){0}))) {
        CURLcode result = message->data.result;
        CURL *easy = message->easy_handle;
        char *private;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        curl_multi_remove_handle(f->multi, easy);
        take_answer(f, ((struct transfer *)(void *)private)->userdata, result);
        any = true;
    }
    return any;
}

/* Sends and receives what can be; where nothing has come of that, waits for curl's descriptors and
 * the signal. */
static int turn(struct following *f, bool *interrupted, struct error **err)
{
    struct curl_waitfd signals = {.fd = f->signals, .events = CURL_WAIT_POLLIN};
    CURLMcode r = curl_multi_perform(f->multi, &(int){0});

    if (r == CURLM_OK && take_answers(f))
        return 0;
    if (r == CURLM_OK)
        r = curl_multi_poll(f->multi, &signals, 1, patience(f), NULL);
    if (r != CURLM_OK)
        return error_set(err, ERROR_IO, "cannot wait for the daemon: %s", curl_multi_strerror(r));
    *interrupted = signals.revents != 0;
    return 0;
}

static bool any_on_its_way(const struct following *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (is_on_its_way(&f->all[i]))
            return true;
    return false;
}

static void leave(struct following *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (is_on_its_way(&f->all[i]))
            f->all[i].step = FOLLOW_LEFT;
}

static int open_signals(struct following *f, struct error **err)
{
    sigset_t interrupt;

    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    f->signals = signalfd(-1, &interrupt, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f->signals < 0)
        return error_set_errno(err, ERROR_IO, errno, "cannot watch for signals");
    sigprocmask(SIG_BLOCK, &interrupt, &f->former);
    return 0;
}

int follow(struct cli *cli, struct followed *all, size_t n, const struct follow_plan *plan,
           enum follow_end *ret, struct error **err)
{
    _cleanup_(following) struct following f = {
        .cli = cli, .all = all, .n = n, .plan = plan, .signals = -1};
    int r;

    f.deadline = plan->time_out == USEC_NEVER ? USEC_NEVER : monotonic() + plan->time_out;
    f.multi = curl_multi_init();
    f.progress = progress_new();
    if (!f.multi)
        return error_no_memory(err);
    r = open_signals(&f, err);
    *ret = FOLLOW_ALL_ENDED;
    while (r == 0 && *ret == FOLLOW_ALL_ENDED && any_on_its_way(&f)) {
        bool interrupted = false;

        r = ask_due(&f, err);
        draw(&f);
        if (r == 0)
            r = turn(&f, &interrupted, err);
        if (interrupted)
            *ret = FOLLOW_INTERRUPTED;
        else if (monotonic() >= f.deadline && any_on_its_way(&f))
            *ret = FOLLOW_TIMED_OUT;
    }
    leave(&f);
    return r;
}
