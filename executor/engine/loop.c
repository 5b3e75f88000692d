/* loop.c - the daemon's host of an engine
 *
 * Theory of operation. Other threads (the API's, the workers, libvirt's, the sinks') leave what
 * they have in the inbox and ring an eventfd. The loop takes all that is there, gives it to the
 * engine and runs one turn; what arrives during the turn's commit waits for the next, so that under
 * load one transaction carries many commands, with no timer that would make a single one wait.
 */
#include "engine/loop.h"

#include "engine/workers.h"
#include "stopd/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

/* How long a stop of the program waits for calls that are out. */
#define PATIENCE (5 * USEC_PER_SEC)
/* How often calls that are out are looked at for their time-out. */
#define EXPIRE_EVERY USEC_PER_SEC

struct message {
    enum {
        MESSAGE_REQUEST,
        MESSAGE_CALL,
        MESSAGE_HINT,
        MESSAGE_LOST,
        MESSAGE_SINK_REPORT,
        MESSAGE_REPORT
    } kind;
    union {
        struct request *request;
        struct call *call;
        struct wipe_report *report;
        uuid_t domain;
        struct sink_report *sink_report;
        char *text; /* why lost */
    };
    struct message *next;
};

struct loop {
    struct loop_settings settings;
    struct engine *engine;
    struct workers *workers;
    struct wiper *wiper;
    struct hypervisor *hypervisor;
    sd_event *event;
    sd_event_source *timer;
    int bell;

    struct call *calls, **calls_end; /* that a turn has begun; the workers get them together */

    pthread_mutex_t lock;
    struct message *inbox, **inbox_end;
};

/* --- The inbox ----------------------------------------------------------------------------- */

static void post(struct loop *l, struct message *m)
{
    const uint64_t one = 1;
    bool was_empty;

    pthread_mutex_lock(&l->lock);
    was_empty = !l->inbox;
    m->next = NULL;
    *l->inbox_end = m;
    l->inbox_end = &m->next;
    pthread_mutex_unlock(&l->lock);
    if (was_empty && write(l->bell, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort(); /* an eventfd that cannot be rung: nothing could go on */
}

static struct message *message_new(int kind)
{
    struct message *m = calloc(1, sizeof(*m));

    if (m)
        m->kind = kind;
    return m;
}

void loop_post_request(struct loop *l, struct request *r)
{
    struct message *m = message_new(MESSAGE_REQUEST);

    if (!m) {
        r->reply(r, NULL);
        return;
    }
    m->request = r;
    post(l, m);
}

int loop_post_sink_report(struct loop *l, struct sink_report *r)
{
    struct message *m = message_new(MESSAGE_SINK_REPORT);

    if (!m) {
        sink_report_free(r);
        return -ENOMEM;
    }
    m->sink_report = r;
    post(l, m);
    return 0;
}

static void post_call(void *userdata, struct call *c)
{
    struct message *m = message_new(MESSAGE_CALL);

    if (!m)
        abort(); /* a result that is lost would hold its domain up for good: go on from the journal
                  */
    m->call = c;
    post(userdata, m);
}

static void post_report(void *userdata, struct wipe_report *r)
{
    struct message *m = message_new(MESSAGE_REPORT);

    if (!m)
        abort(); /* as with a call's result */
    m->report = r;
    post(userdata, m);
}

static void post_hint(void *userdata, const uuid_t domain)
{
    struct message *m = message_new(MESSAGE_HINT);

    if (!m)
        return; /* a hint may be lost */
    uuid_copy(m->domain, domain);
    post(userdata, m);
}

static void post_lost(void *userdata, const char *why)
{
    struct message *m = message_new(MESSAGE_LOST);

    if (!m)
        abort();
    m->text = strdup(why);
    post(userdata, m);
}

static void deliver(struct loop *l, struct message *m)
{
    switch (m->kind) {
    case MESSAGE_REQUEST:
        engine_take_request(l->engine, m->request);
        break;
    case MESSAGE_CALL:
        engine_take_call(l->engine, m->call);
        break;
    case MESSAGE_REPORT:
        engine_take_report(l->engine, m->report);
        break;
    case MESSAGE_HINT:
        engine_take_hint(l->engine, m->domain);
        break;
    case MESSAGE_LOST:
        engine_take_lost(l->engine, m->text ? m->text : "the connection broke");
        free(m->text);
        break;
    case MESSAGE_SINK_REPORT:
        engine_take_sink_report(l->engine, m->sink_report);
        break;
    }
    free(m);
}

static void empty_inbox(struct loop *l)
{
    struct message *m, *next;
    uint64_t rings;

    (void)!read(l->bell, &rings, sizeof(rings));
    pthread_mutex_lock(&l->lock);
    m = l->inbox;
    l->inbox = NULL;
    l->inbox_end = &l->inbox;
    pthread_mutex_unlock(&l->lock);
    for (; m; m = next) {
        next = m->next;
        deliver(l, m);
    }
}

/* --- A turn -------------------------------------------------------------------------------- */

static void set_timer(struct loop *l)
{
    usec_t due = engine_next_turn(l->engine);
    usec_t expire = moment_now().monotonic + EXPIRE_EVERY;

    if (workers_are_busy(l->workers) && expire < due)
        due = expire;
    sd_event_source_set_time(l->timer, due);
    sd_event_source_set_enabled(l->timer, due == USEC_NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void run_turn(struct loop *l)
{
    engine_turn(l->engine);
    if (l->calls)
        workers_start(l->workers, take(l->calls));
    l->calls_end = &l->calls;
}

static int turn(struct loop *l)
{
    empty_inbox(l);
    workers_expire(l->workers, moment_now().monotonic);
    run_turn(l);
    set_timer(l);
    return 0;
}

static int on_bell(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
    return turn(userdata);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    return turn(userdata);
}

static int on_term(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct loop *l = userdata;

    sd_notify(false, "STOPPING=1");
    log_info(
        "going down on signal %u; %zu operations stay in the journal and go on at the next start",
        si->ssi_signo, engine_unfinished(l->engine));
    empty_inbox(l);
    engine_quiesce(l->engine);
    run_turn(l);
    return sd_event_exit(l->event, 0);
}

static int on_hup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct loop *l = userdata;

    l->settings.reload(l->settings.userdata);
    return turn(l);
}

/* --- The engine's host --------------------------------------------------------------------- */

static bool host_is_alive(void *userdata, const struct incarnation *run)
{
    struct hypervisor *h = ((struct loop *)userdata)->hypervisor;

    return h->ops->is_alive && h->ops->is_alive(h, run);
}

static void host_start_call(void *userdata, struct call *c)
{
    struct loop *l = userdata;

    c->next = NULL;
    *l->calls_end = c;
    l->calls_end = &c->next;
}

static struct moment host_now(void *userdata)
{
    return moment_now();
}

static uint32_t host_random(void *userdata, uint32_t bound)
{
    uint32_t n = 0;

    (void)!TEMP_FAILURE_RETRY(getrandom(&n, sizeof(n), 0));
    return bound ? n % bound : 0;
}

static void host_committed(void *userdata, uint64_t sequence)
{
    struct loop *l = userdata;

    l->settings.committed(l->settings.userdata, sequence);
}

static void host_start_wipe(void *userdata, struct wipe_job *j)
{
    struct loop *l = userdata;

    wiper_start(l->wiper, j);
}

static void host_owe_wipe(void *userdata, const struct operation *op)
{
    struct loop *l = userdata;

    wiper_owe(l->wiper, op->domain, op->request_id, op->instance_id, &op->disks);
}

static void host_end_wipe(void *userdata, const uuid_t domain)
{
    struct loop *l = userdata;

    wiper_end(l->wiper, domain);
}

static json_object *host_sign(void *userdata, json_object *certificate)
{
    struct loop *l = userdata;

    return l->settings.sign(l->settings.userdata, certificate);
}

static void host_add_metrics(void *userdata, FILE *f)
{
    struct loop *l = userdata;

    l->settings.add_metrics(l->settings.userdata, f);
}

/* --- Life ---------------------------------------------------------------------------------- */

static int set_up_events(struct loop *l)
{
    sigset_t signals;
    int r;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    r = -pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (r < 0)
        return r;
    l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->bell < 0)
        return -errno;
    r = sd_event_new(&l->event);
    if (r >= 0)
        r = sd_event_add_io(l->event, NULL, l->bell, EPOLLIN, on_bell, l);
    /* Accuracy of a millisecond: the default lets timers come a quarter of a second late. */
    if (r >= 0)
        r = sd_event_add_time(l->event, &l->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, l);
    if (r >= 0)
        r = sd_event_add_signal(l->event, NULL, SIGTERM, on_term, l);
    if (r >= 0)
        r = sd_event_add_signal(l->event, NULL, SIGINT, on_term, l);
    if (r >= 0)
        r = sd_event_add_signal(l->event, NULL, SIGHUP, on_hup, l);
    if (r >= 0)
        r = sd_event_set_watchdog(l->event, true);
    return r < 0 ? r : 0;
}

static struct wiper_settings own_wiper(struct loop *l, const struct wiper_settings *settings)
{
    struct wiper_settings own = *settings;

    own.report = post_report;
    own.userdata = l;
    return own;
}

int loop_new(const struct loop_settings *settings, struct hypervisor *h, struct journal *j,
             struct loop **ret, struct error **err)
{
    struct engine_host host = {.start_call = host_start_call,
                               .now = host_now,
                               .is_alive = host_is_alive,
                               .random = host_random,
                               .committed = host_committed,
                               .start_wipe = host_start_wipe,
                               .owe_wipe = host_owe_wipe,
                               .end_wipe = host_end_wipe,
                               .sign = host_sign,
                               .sinks = settings->sinks,
                               .add_metrics = host_add_metrics};
    struct loop *l = calloc(1, sizeof(*l));
    int r;

    if (!l) {
        h->ops->free(h);
        return error_no_memory(err);
    }
    l->settings = *settings;
    l->hypervisor = h;
    l->calls_end = &l->calls;
    l->inbox_end = &l->inbox;
    l->bell = -1;
    pthread_mutex_init(&l->lock, NULL);
    host.userdata = l;
    r = set_up_events(l);
    if (r < 0)
        r = error_set_errno(err, ERROR_IO, r, "setting up the event loop");
    if (r == 0) {
        h->listener = (struct hypervisor_listener){post_hint, post_lost, l};
        r = workers_new(h, settings->workers, post_call, l, &l->workers, err);
    }
    if (r == 0) {
        struct wiper_settings wiper = own_wiper(l, &settings->wiper);

        r = wiper_new(&wiper, h, &l->wiper, err);
    }
    if (r == 0)
        r = engine_new(&settings->engine, &host, j, &l->engine, err);
    if (r < 0) {
        loop_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

int loop_run(struct loop *l, struct error **err)
{
    int r = sd_event_loop(l->event);

    return r < 0 ? error_set_errno(err, ERROR_IO, r, "running the event loop") : 0;
}

void loop_finish(struct loop *l)
{
    empty_inbox(l);
    engine_quiesce(l->engine);
    run_turn(l);
}

struct engine *loop_engine(struct loop *l)
{
    return l->engine;
}

void loop_configure_wiper(struct loop *l, const struct wiper_settings *settings)
{
    struct wiper_settings own = own_wiper(l, settings);

    wiper_configure(l->wiper, &own);
}

void loop_free(struct loop *l)
{
    bool all_back;

    if (!l)
        return;
    all_back = wiper_free(l->wiper, PATIENCE);
    all_back &= workers_free(l->workers, PATIENCE);
    /* A call or a clear that is still out goes on using the hypervisor, whose thread goes on
     * posting: both stay, for the little that is left of the process. */
    if (!all_back)
        return;
    l->hypervisor->ops->free(l->hypervisor);
    if (l->engine)
        empty_inbox(l);
    engine_free(l->engine);
    sd_event_source_unref(l->timer);
    sd_event_unref(l->event);
    if (l->bell >= 0)
        close(l->bell);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
