/* api-kit.h - the API on a real socket with a real journal, raw clients, a stand-in for the engine
 *
 * The stand-in answers what it is told to, on a thread of its own, as the engine would: at once, or
 * for the kinds that are held, when they are released. */
#ifndef STOPD_TESTS_API_KIT_H
#define STOPD_TESTS_API_KIT_H

#include "api/api.h"
#include "journal-kit.h"
#include "scratch.h"

#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

/* How long anything here may take before the test fails. */
#define PATIENCE (10 * USEC_PER_SEC)

/* --- The stand-in for the engine ---------------------------------------------------------- */

struct stand_in {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;
    struct request *waiting;      /* to be answered, or held */
    bool held[REQUEST_KIND_MAX];  /* a wait that is not held ends at its deadline */
    unsigned n[REQUEST_KIND_MAX]; /* how many came */
    enum error_code code;         /* what is answered: */
    const char *message;
    const char *request_id;    /* of a stop */
    const char *body;          /* JSON */
    struct command last;       /* the last stop's */
    const char *const *slices; /* of instances: behind 0, 1, … */
    char last_id[256];         /* the last instance_id, operation_id or sink */
    char last_request_id[UUID_TEXT_SIZE], last_principal[256];
    uint64_t last_after;
    usec_t last_wait;
};

#define INSTANCES                                                                     \
    "{\"instances\":["                                                                \
    "{\"instanceId\":\"i-3\",\"name\":\"guest3\",\"uuid\":\"00000000-0000-0000-0000-" \
    "00000000000a\","                                                                 \
    "\"state\":\"Stopping\",\"certain\":true},"                                       \
    "{\"instanceId\":\"i-1\",\"name\":\"guest1\",\"uuid\":\"00000000-0000-0000-0000-" \
    "00000000000b\","                                                                 \
    "\"state\":\"Running\",\"certain\":true},"                                        \
    "{\"instanceId\":\"i-2\",\"name\":\"guest2\",\"uuid\":\"00000000-0000-0000-0000-" \
    "00000000000c\","                                                                 \
    "\"state\":\"Stopped\",\"certain\":false}]}"

static inline bool is_wait(const struct request *r)
{
    return r->kind == REQUEST_WAIT_OPERATION || r->kind == REQUEST_WAIT_EVENTS;
}

static inline void stand_in_answer(struct stand_in *s, struct request *r)
{
    struct answer *a = calloc(1, sizeof(*a));
    const char *body = s->body;

    if (!body && r->kind == REQUEST_INSTANCES)
        body = s->slices ? s->slices[r->after] : INSTANCES;
    if (!body && r->kind == REQUEST_METRICS)
        body = "{\"text\":\"stopd_operations 1\\n\"}";
    a->code = s->code;
    a->message = s->message ? strdup(s->message) : NULL;
    if (r->kind == REQUEST_STOP && s->code == ERROR_NONE)
        snprintf(a->request_id, sizeof(a->request_id), "%s",
                 s->request_id ? s->request_id : r->command.request_id);
    if (s->code == ERROR_NONE && body && !is_wait(r))
        a->body = json_tokener_parse(body);
    r->reply(r, a);
}

static inline void *stand_in_run(void *userdata)
{
    struct stand_in *s = userdata;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        usec_t now = moment_now().monotonic, next = now + USEC_PER_SEC;
        struct request *ready = NULL, **place = &s->waiting;
        struct timespec until;

        while (*place) {
            struct request *r = *place;

            if (s->ended ||
                (is_wait(r) ? !s->held[r->kind] && r->deadline <= now : !s->held[r->kind])) {
                *place = r->next;
                r->next = ready;
                ready = r;
                continue;
            }
            if (is_wait(r) && r->deadline < next)
                next = r->deadline;
            place = &r->next;
        }
        while (ready) {
            struct request *r = ready;

            ready = r->next;
            stand_in_answer(s, r);
        }
        if (s->ended && !s->waiting)
            break;
        until =
            (struct timespec){(time_t)(next / USEC_PER_SEC), (long)(next % USEC_PER_SEC * 1000)};
        if (!s->ended)
            pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static inline void stand_in_post(void *userdata, struct request *r)
{
    struct stand_in *s = userdata;
    const char *id = r->instance_id ? r->instance_id : r->operation_id ? r->operation_id : r->sink;

    pthread_mutex_lock(&s->lock);
    s->n[r->kind]++;
    snprintf(s->last_id, sizeof(s->last_id), "%s", id ? id : "");
    snprintf(s->last_request_id, sizeof(s->last_request_id), "%s", r->request_id);
    snprintf(s->last_principal, sizeof(s->last_principal), "%s", r->principal.name);
    s->last_after = r->after;
    if (r->kind == REQUEST_CLEAR)
        text_replace(&s->last.traceparent, r->command.traceparent);
    s->last_wait = r->wait;
    if (r->kind == REQUEST_STOP) {
        command_clear(&s->last);
        s->last = r->command;
        s->last.instance_id = strdup(r->command.instance_id);
        s->last.fingerprint = strdup(r->command.fingerprint);
        s->last.client_token = NULL;
        s->last.traceparent = NULL;
        text_replace(&s->last.client_token, r->command.client_token);
        text_replace(&s->last.traceparent, r->command.traceparent);
    }
    r->deadline = moment_now().monotonic + r->wait;
    r->next = s->waiting;
    s->waiting = r;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline void stand_in_hold(struct stand_in *s, enum request_kind kind, bool held)
{
    pthread_mutex_lock(&s->lock);
    s->held[kind] = held;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Answers every wait, as if what is waited for had come. */
static inline void stand_in_wake(struct stand_in *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct request *r = s->waiting; r; r = r->next)
        r->deadline = 0;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline unsigned stand_in_count(struct stand_in *s, enum request_kind kind)
{
    unsigned n;

    pthread_mutex_lock(&s->lock);
    n = s->n[kind];
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* What the last wait was for. */
static inline uint64_t stand_in_last_after(struct stand_in *s)
{
    uint64_t after;

    pthread_mutex_lock(&s->lock);
    after = s->last_after;
    pthread_mutex_unlock(&s->lock);
    return after;
}

/* --- The whole ---------------------------------------------------------------------------- */

struct fixture {
    struct scratch *scratch;
    char socket[96], journal_path[96];
    struct journal *journal;
    struct stand_in engine;
    struct api_settings settings;
    struct api *api;
};

static inline void api_begin(struct fixture *f)
{
    struct error *err = NULL;

    assert_success(api_start(&f->settings, &f->api, &err), err);
}

/* With other settings than those that setup made. */
static inline void api_begin_again(struct fixture *f)
{
    api_stop(take(f->api));
    api_begin(f);
}

static inline int fixture_setup(void **state)
{
    static const char *const anybody[] = {"*"};
    struct fixture *f = calloc(1, sizeof(*f));
    pthread_condattr_t monotonic;

    if (scratch_setup((void **)&f->scratch) < 0)
        return -1;
    chmod(f->scratch->folder, 0755);
    snprintf(f->socket, sizeof(f->socket), "%s/sock", f->scratch->folder);
    snprintf(f->journal_path, sizeof(f->journal_path), "%s/journal.db", f->scratch->folder);
    f->journal = open_journal(f->journal_path);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&f->engine.lock, NULL);
    pthread_cond_init(&f->engine.changed, &monotonic);
    pthread_create(&f->engine.thread, NULL, stand_in_run, &f->engine);
    f->settings = (struct api_settings){
        .host_id = "host-1",
        .journal_path = f->journal_path,
        .socket_path = f->socket,
        .socket_fd = -1,
        .socket_mode = 0666,
        .operators = {anybody, 1},
        .readers = {anybody, 1},
        .limits = {.slice = USEC_PER_SEC / 5},
        .post = stand_in_post,
        .userdata = &f->engine,
    };
    api_begin(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    api_stop(take(f->api));
    pthread_mutex_lock(&f->engine.lock);
    f->engine.ended = true;
    pthread_cond_signal(&f->engine.changed);
    pthread_mutex_unlock(&f->engine.lock);
    pthread_join(f->engine.thread, NULL);
    command_clear(&f->engine.last);
    journal_close(f->journal);
    scratch_teardown((void **)&f->scratch);
    free(f);
    return 0;
}

/* Waits until something is true; a condition, never a time. */
#define eventually(condition)                                                                    \
    do {                                                                                         \
        usec_t deadline_ = moment_now().monotonic + PATIENCE;                                    \
        while (!(condition)) {                                                                   \
            if (moment_now().monotonic > deadline_)                                              \
                fail_msg("not within %us: %s", (unsigned)(PATIENCE / USEC_PER_SEC), #condition); \
            usleep(2000);                                                                        \
        }                                                                                        \
    } while (0)

/* --- Clients ------------------------------------------------------------------------------ */

struct client {
    int fd;
    char *bytes; /* heard and not looked at */
    size_t n, size;
};

struct response {
    int status;
    char head[4096];
    char *body;
    size_t size;
    bool is_open; /* the connection goes on */
};

static inline int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = (time_t)(PATIENCE / USEC_PER_SEC)};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline struct client client_of(struct fixture *f)
{
    struct client c = {.fd = dial(f->socket)};

    assert_true(c.fd >= 0);
    return c;
}

struct other_user {
    const char *path;
    uid_t uid;
    gid_t gid;
    gid_t also; /* a supplementary group; 0: none */
    int fd;
};

/* Credentials are a thread's own, for the kernel: the process's stay as they are. */
static inline void *dial_as_other(void *userdata)
{
    struct other_user *u = userdata;

    u->fd = -1;
    if (syscall(SYS_setgroups, u->also ? 1 : 0, &u->also) == 0 &&
        syscall(SYS_setresgid, u->gid, u->gid, u->gid) == 0 &&
        syscall(SYS_setresuid, u->uid, u->uid, u->uid) == 0)
        u->fd = dial(u->path);
    return NULL;
}

/* A client of another user; fd -1, with the reason printed: not possible here. */
static inline struct client client_in(struct fixture *f, uid_t uid, gid_t gid, gid_t also)
{
    struct other_user u = {f->socket, uid, gid, also, -1};
    pthread_t thread;

    pthread_create(&thread, NULL, dial_as_other, &u);
    pthread_join(thread, NULL);
    if (u.fd < 0)
        print_message("skipped: being another user needs root\n");
    return (struct client){.fd = u.fd};
}

static inline struct client client_as(struct fixture *f, uid_t uid, gid_t gid)
{
    return client_in(f, uid, gid, 0);
}

static inline void hang_up(struct client *c)
{
    close(c->fd);
    free(c->bytes);
    *c = (struct client){.fd = -1};
}

static inline void say_bytes(struct client *c, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the answer will say why */
        bytes += sent;
        n -= (size_t)sent;
    }
}

static inline void _printf_(2, 3) say(struct client *c, const char *format, ...)
{
    _cleanup_(freep) char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vasprintf(&text, format, ap);
    va_end(ap);
    say_bytes(c, text, (size_t)n);
}

/* false: the server has closed. */
static inline bool hear_more(struct client *c)
{
    ssize_t n;

    if (c->size - c->n < 65536) {
        c->size = c->n + 2 * 65536;
        c->bytes = realloc(c->bytes, c->size);
    }
    n = recv(c->fd, c->bytes + c->n, c->size - c->n - 1, 0);
    if (n < 0 && errno == EAGAIN)
        fail_msg("no answer within %us; so far: %.*s", (unsigned)(PATIENCE / USEC_PER_SEC),
                 (int)c->n, c->bytes ? c->bytes : "");
    if (n <= 0)
        return false;
    c->n += (size_t)n;
    c->bytes[c->n] = '\0';
    return true;
}

static inline void swallow(struct client *c, size_t n)
{
    memmove(c->bytes, c->bytes + n, c->n - n + 1);
    c->n -= n;
}

/* Up to and with this text; false: closed before. */
static inline bool hear_text(struct client *c, const char *text)
{
    char *found;

    while (!(found = c->n ? strstr(c->bytes, text) : NULL))
        if (!hear_more(c))
            return false;
    swallow(c, (size_t)(found - c->bytes) + strlen(text));
    return true;
}

static inline const char *field(const struct response *r, const char *name)
{
    static char value[512];
    const char *line = r->head;

    while ((line = strstr(line, "\r\n"))) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            line += strlen(name) + 1;
            line += strspn(line, " ");
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
            return value;
        }
    }
    return NULL;
}

static inline void response_clear(struct response *r)
{
    free(r->body);
    *r = (struct response){0};
}

static inline void response_cleanup(struct response *r)
{
    response_clear(r);
}

/* The header of the next answer; status 0: closed before it came. */
static inline struct response hear_head(struct client *c)
{
    struct response r = {0};
    char *end;

    while (!(end = c->n ? strstr(c->bytes, "\r\n\r\n") : NULL))
        if (!hear_more(c))
            return r;
    snprintf(r.head, sizeof(r.head), "%.*s", (int)(end - c->bytes + 2), c->bytes);
    swallow(c, (size_t)(end - c->bytes) + 4);
    assert_int_equal(sscanf(r.head, "HTTP/1.1 %d", &r.status), 1);
    r.is_open = !text_equal_case(field(&r, "Connection"), "close");
    return r;
}

static inline struct response hear(struct client *c)
{
    struct response r = hear_head(c);
    const char *length = r.status ? field(&r, "Content-Length") : NULL;

    if (!length)
        return r;
    r.size = strtoul(length, NULL, 10);
    while (c->n < r.size)
        if (!hear_more(c))
            fail_msg("closed within an answer");
    r.body = strndup(c->bytes ? c->bytes : "", r.size);
    if (r.size > 0)
        swallow(c, r.size);
    return r;
}

/* One request on a connection of its own. lines: further header lines, each with its \r\n. */
static inline struct response ask_on(struct client *c, const char *verb, const char *target,
                                     const char *lines, const char *body)
{
    if (body)
        say(c, "%s %s HTTP/1.1\r\nHost: stopd\r\n%sContent-Length: %zu\r\n\r\n%s", verb, target,
            lines, strlen(body), body);
    else
        say(c, "%s %s HTTP/1.1\r\nHost: stopd\r\n%s\r\n", verb, target, lines);
    return text_equal(verb, "HEAD") ? hear_head(c) : hear(c);
}

static inline struct response ask(struct fixture *f, const char *verb, const char *target,
                                  const char *lines, const char *body)
{
    struct client c = client_of(f);
    struct response r = ask_on(&c, verb, target, lines, body);

    hang_up(&c);
    return r;
}

static inline struct response get(struct fixture *f, const char *target)
{
    return ask(f, "GET", target, "", NULL);
}

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static inline struct response post_form(struct fixture *f, const char *target, const char *form)
{
    return ask(f, "POST", target, FORM, form);
}

/* --- What an answer must be --------------------------------------------------------------- */

static inline const char *member(const struct response *r, const char *key)
{
    static char value[1024];
    _cleanup_(json) json_object *body = json_tokener_parse(r->body ? r->body : "");
    const char *text = NULL;

    if (json_get_string(body, key, &text) < 0 || !text)
        return NULL;
    snprintf(value, sizeof(value), "%s", text);
    return value;
}

static inline void check_error(const struct response *r, int status, const char *code,
                               const char *message, int line)
{
    uuid_t uuid;
    const char *id;

    if (r->status != status || !text_equal(member(r, "Code"), code) ||
        (message && (!member(r, "Message") || !strstr(member(r, "Message"), message))))
        fail_msg("line %d: %d %s, wanted %d %s %s", line, r->status,
                 r->body ? r->body : "(nothing)", status, code, message ? message : "");
    assert_string_equal(field(r, "Content-Type"), "application/json");
    assert_string_equal(member(r, "HostId"), "host-1");
    assert_non_null(member(r, "Message"));
    id = member(r, "RequestId");
    assert_non_null(id);
    assert_int_equal(uuid_parse(id, uuid), 0);
    assert_string_equal(field(r, "x-acs-request-id"), id);
    for (; *id; id++)
        assert_false(*id >= 'a' && *id <= 'z');
}

/* The request of this expression is answered with this error, in the contract's form. */
#define assert_refused(expression, status, code, message)      \
    do {                                                       \
        _cleanup_(response) struct response r_ = (expression); \
        check_error(&r_, status, code, message, __LINE__);     \
    } while (0)

#define assert_answered(expression, text)                                                       \
    do {                                                                                        \
        _cleanup_(response) struct response r_ = (expression);                                  \
        if (r_.status != 200 || !text_equal(r_.body, text))                                     \
            fail_msg("%d %s, wanted 200 %s", r_.status, r_.body ? r_.body : "(nothing)", text); \
    } while (0)

#define assert_accepted(expression)                                                    \
    do {                                                                               \
        _cleanup_(response) struct response r_ = (expression);                         \
        if (r_.status != 200)                                                          \
            fail_msg("%d %s, wanted 200", r_.status, r_.body ? r_.body : "(nothing)"); \
    } while (0)

#endif
