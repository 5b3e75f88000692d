/* wiper-kit.h - a wiper with a small hypervisor, helpers that are shell scripts, and what was
 * reported */
#ifndef STOPD_TESTS_WIPER_KIT_H
#define STOPD_TESTS_WIPER_KIT_H

#include "base/json.h"
#include "engine/disk-node.h"
#include "engine/wiper.h"
#include "scratch.h"
#include "stopd/wipe-protocol.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>

/* Longer than anything takes; a condition that has not come by then is a failure. */
#define PATIENCE 30
#define DOMAINS_MAX 512
#define REPORTS_MAX 256
#define OWN "11111111-1111-4111-8111-111111111111"
#define OTHER "22222222-2222-4222-8222-222222222222"
#define REQUEST "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"

struct kit_domain {
    char uuid[UUID_TEXT_SIZE], name[32];
    enum domain_state state; /* DOMAIN_ABSENT: it is not there */
    bool is_saved, is_unreadable, has_run_since;
    bool save_is_untold;
    pid_t starts_as;   /* is unreadable, and has this process */
    char disk[160];    /* one; the own domain's has the target vdb, and is local */
    char backing[160]; /* of the disk's backing chain, or "" */
    char volume[32];   /* of the pool "pool", named by the disk vdc, or "" */
    const char *pci;   /* the address of a device that it passes through; "": not to be read */
};

struct kit {
    struct hypervisor hypervisor; /* first */
    struct scratch *scratch;
    struct wiper *wiper;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything below */
    struct kit_domain domains[DOMAINS_MAX];
    size_t n_domains;
    bool is_away, hangs; /* calls fail; calls wait until this is false again */
    unsigned n_hanging, n_lists, n_looks;
    enum process_fate fate;
    char volume_path[160]; /* of every volume; "": it cannot be told */
    unsigned n_volumes;    /* that were asked for */

    struct wipe_report *reports[REPORTS_MAX];
    size_t n_reports;
    uint64_t last_job;

    char device[160];
    /* A socket that is served as the service manager does with Accept=yes */
    int listener;
    pthread_t server;
    pid_t served[64];
    size_t n_served;
};

static inline struct kit *kit_of(void **state)
{
    return *state;
}

static inline const char *kit_path(struct kit *k, const char *name)
{
    static _Thread_local char paths[8][160];
    static _Thread_local unsigned n;
    char *path = paths[n++ % 8];

    snprintf(path, 160, "%s/%s", k->scratch->folder, name);
    return path;
}

/* --- The hypervisor -------------------------------------------------------------------------- */

static inline int kit_call(struct kit *k, struct error **err)
{
    k->n_hanging++;
    pthread_cond_broadcast(&k->changed);
    while (k->hangs)
        pthread_cond_wait(&k->changed, &k->lock);
    k->n_hanging--;
    return k->is_away ? error_set(err, ERROR_UNKNOWN, "libvirt is away") : 0;
}

static inline void kit_see(const struct kit_domain *d, struct sighting *ret)
{
    uuid_parse(d->uuid, ret->domain);
    ret->state = d->is_unreadable ? DOMAIN_UNKNOWN : d->state;
    ret->incarnation.pid = d->starts_as;
    ret->has_managed_save = d->is_saved;
    ret->has_run_since = d->has_run_since;
    ret->save_is_untold = d->save_is_untold;
    if (d->is_unreadable || d->state == DOMAIN_ABSENT)
        return;
    ret->instance = instance_new();
    uuid_parse(d->uuid, ret->instance->uuid);
    ret->instance->name = strdup(d->name);
    if (*d->backing)
        instance_add_relative(ret->instance, "vdb", d->backing, NULL, NULL);
    if (*d->volume)
        instance_add_relative(ret->instance, "vdc", NULL, "pool", d->volume);
    if (d->pci)
        instance_add_pci_device(ret->instance, d->pci);
    if (!*d->disk)
        return;
    instance_add_disk(ret->instance, "vdb", d->disk, DISK_FILE);
    if (strcmp(d->uuid, OWN) == 0)
        instance_add_local_disk(ret->instance)->target = strdup("vdb");
}

static inline int kit_list(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    struct kit *k = (struct kit *)h;
    int r;

    pthread_mutex_lock(&k->lock);
    r = kit_call(k, err);
    k->n_lists++;
    if (r == 0) {
        ret->items = calloc(DOMAINS_MAX, sizeof(*ret->items));
        for (size_t i = 0; i < k->n_domains; i++)
            if (k->domains[i].state != DOMAIN_ABSENT)
                kit_see(&k->domains[i], &ret->items[ret->n++]);
    }
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    return r;
}

static inline int kit_look(struct hypervisor *h, const uuid_t domain,
                           const struct incarnation *remembered, struct sighting *ret,
                           struct error **err)
{
    struct kit *k = (struct kit *)h;
    char text[UUID_TEXT_SIZE];
    int r;

    uuid_unparse_lower(domain, text);
    pthread_mutex_lock(&k->lock);
    r = kit_call(k, err);
    k->n_looks++;
    if (r == 0) {
        ret->state = DOMAIN_ABSENT;
        for (size_t i = 0; i < k->n_domains; i++)
            if (strcmp(k->domains[i].uuid, text) == 0)
                kit_see(&k->domains[i], ret);
        ret->remembered = remembered ? k->fate : PROCESS_NONE;
        if (k->fate == PROCESS_ALIVE)
            ret->process_detail = strdup("pid 4711, state D, wchan io_schedule");
    }
    pthread_mutex_unlock(&k->lock);
    return r;
}

static inline int kit_find_volume(struct hypervisor *h, const char *pool, const char *volume,
                                  char **ret, struct error **err)
{
    struct kit *k = (struct kit *)h;
    int r = 0;

    pthread_mutex_lock(&k->lock);
    k->n_volumes++;
    if (!*k->volume_path)
        r = error_set(err, ERROR_UNSUPPORTED, "no pool has the name %s", pool);
    else if (k->volume_path[0] == '/')
        *ret = strdup(k->volume_path);
    pthread_mutex_unlock(&k->lock);
    return r;
}

static inline struct kit_domain *kit_domain(struct kit *k, const char *uuid)
{
    for (size_t i = 0; i < k->n_domains; i++)
        if (strcmp(k->domains[i].uuid, uuid) == 0)
            return &k->domains[i];
    snprintf(k->domains[k->n_domains].uuid, UUID_TEXT_SIZE, "%s", uuid);
    snprintf(k->domains[k->n_domains].name, 32, "guest%zu", k->n_domains);
    return &k->domains[k->n_domains++];
}

/* Changes what it is to do. */
#define tell(k, change)                        \
    do {                                       \
        pthread_mutex_lock(&(k)->lock);        \
        change;                                \
        pthread_cond_broadcast(&(k)->changed); \
        pthread_mutex_unlock(&(k)->lock);      \
    } while (0)

/* Waits until the condition holds; it may be about files too. */
#define await(k, condition)                                                   \
    do {                                                                      \
        struct timespec until_;                                               \
        usec_t give_up_ = moment_now().monotonic + PATIENCE * USEC_PER_SEC;   \
        bool held_;                                                           \
        pthread_mutex_lock(&(k)->lock);                                       \
        while (!(held_ = (condition)) && moment_now().monotonic < give_up_) { \
            clock_gettime(CLOCK_REALTIME, &until_);                           \
            until_.tv_nsec += 10000000;                                       \
            until_.tv_sec += until_.tv_nsec / 1000000000;                     \
            until_.tv_nsec %= 1000000000;                                     \
            pthread_cond_timedwait(&(k)->changed, &(k)->lock, &until_);       \
        }                                                                     \
        pthread_mutex_unlock(&(k)->lock);                                     \
        if (!held_)                                                           \
            kit_fail(k, #condition);                                          \
    } while (0)

static const char *const kit_kinds[] = {"identified", "progress", "setback",
                                        "silent",     "cleared",  "failed"};

static inline void kit_fail(struct kit *k, const char *condition)
{
    for (size_t i = 0; i < k->n_reports; i++)
        print_message("%s: %s%s\n", kit_kinds[k->reports[i]->kind],
                      k->reports[i]->error ? error_message(k->reports[i]->error) : "",
                      k->reports[i]->message ? k->reports[i]->message : "");
    fail_msg("not within %d s: %s", PATIENCE, condition);
}

/* --- Reports --------------------------------------------------------------------------------- */

static inline void kit_report(void *userdata, struct wipe_report *r)
{
    struct kit *k = userdata;

    pthread_mutex_lock(&k->lock);
    if (k->n_reports < REPORTS_MAX)
        k->reports[k->n_reports++] = r;
    else
        wipe_report_free(r);
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

/* With the lock held, or when nothing is reported any more. */
static inline struct wipe_report *kit_find(struct kit *k, uint64_t job, enum wipe_report_kind kind)
{
    for (size_t i = 0; i < k->n_reports; i++)
        if (k->reports[i]->job == job && k->reports[i]->kind == kind)
            return k->reports[i];
    return NULL;
}

/* Likewise. */
static inline bool kit_is_over(struct kit *k, uint64_t job)
{
    return kit_find(k, job, WIPE_REPORT_CLEARED) || kit_find(k, job, WIPE_REPORT_FAILED);
}

/* While it may be reporting. */
static inline bool kit_goes_on(struct kit *k, uint64_t job)
{
    bool goes_on;

    pthread_mutex_lock(&k->lock);
    goes_on = !kit_is_over(k, job);
    pthread_mutex_unlock(&k->lock);
    return goes_on;
}

static inline size_t kit_count(struct kit *k, enum wipe_report_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < k->n_reports; i++)
        n += k->reports[i]->kind == kind;
    return n;
}

static inline struct wipe_report *await_report(struct kit *k, uint64_t job,
                                               enum wipe_report_kind kind)
{
    struct wipe_report *r = NULL;

    await(k, (r = kit_find(k, job, kind)) || kit_is_over(k, job));
    if (!r)
        kit_fail(k, "the report that was waited for, and not the end of the job");
    return r;
}

/* --- Helpers --------------------------------------------------------------------------------- */

/* What every script begins with: it reads the request and can say each line. */
static const char kit_prelude[] =
    "#!/bin/sh\n"
    "cd '%s' || exit 1\n"
    "say() { printf '%%s\\n' \"$*\"; }\n"
    "listen() { read -r request; say \"$request\" > request; echo $$ > pid; ls owed > marked "
    "2>/dev/null;\n"
    "    device=$(say \"$request\" | sed "
    "'s/^{\"version\":1,\"verb\":\"[a-z]*\",\"device\":\"\\([^\"]*\\)\".*/\\1/'); }\n"
    "claimed() { say "
    "'{\"event\":\"claimed\",\"driver\":\"file\",\"device\":\"'$device'\",\"identity\":{}}'; }\n"
    "method() { say '{\"event\":\"method\",\"method\":\"overwrite\",\"resumedAt\":0}'; }\n"
    "progress() { say "
    "'{\"event\":\"progress\",\"phase\":\"'$1'\",\"method\":\"overwrite\",\"done\":'$2',\"total\":'"
    "$3',"
    "\"durable\":0,\"mibPerS\":7,\"secondsLeft\":9}'; }\n"
    "cleared() { say '{\"event\":\"cleared\",\"method\":\"overwrite\",\"bytes\":4096}'; }\n"
    "verified() { say '{\"event\":\"verified\",\"verify\":\"sample\",\"bytesRead\":4096}'; }\n"
    "certificate() { say '{\"event\":\"certificate\",\"certificate\":{\"method\":\"overwrite\"}}'; "
    "}\n"
    "identity() { say '{\"event\":\"identity\",\"driver\":\"file\",\"device\":\"'$device'\","
    "\"identity\":{\"size\":4096,\"serial\":\"S4EWNX0R\"},\"facts\":{}}'; }\n"
    "plan() { say "
    "'{\"event\":\"plan\",\"driver\":\"file\",\"device\":\"'$device'\",\"identity\":{\"size\":4096}"
    ","
    "\"guards\":[],\"method\":'$1',\"passedOver\":['$2'],\"verify\":\"sample\"}'; }\n"
    "waits_for() { while [ ! -e $1 ]; do sleep 0.02; done; }\n"
    "hangs() { exec sleep 1000; }\n"
    "deaf() { trap '' TERM PIPE; }\n"
    "hangs_for_good() { deaf; exec sleep 1000; }\n";

/* A good clear, line by line. */
static const char *const kit_lines[] = {"claimed",
                                        "method",
                                        "progress clearing 4096 4096",
                                        "cleared",
                                        "progress verifying 4096 4096",
                                        "verified",
                                        "certificate"};
#define A_CLEAR \
    "listen; claimed; method; progress clearing 4096 4096; cleared; verified; certificate\n"

/* The executable script; scripts that tests run at once have names of their own. */
static inline void kit_script(struct kit *k, const char *name, const char *body)
{
    const char *path = kit_path(k, name);
    char temporary[200];
    FILE *f;

    /* Not written in place: a fork of another thread may have it open for writing just then. */
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    f = fopen(temporary, "we");
    fprintf(f, kit_prelude, k->scratch->folder);
    fputs(body, f);
    fclose(f);
    chmod(temporary, 0755);
    rename(temporary, path);
}

static inline void kit_touch(struct kit *k, const char *name)
{
    scratch_write(kit_path(k, name), "", 0);
}

static inline bool kit_exists(struct kit *k, const char *name)
{
    return access(kit_path(k, name), F_OK) == 0;
}

/* The pid that the script wrote; 0: none yet. */
static inline pid_t kit_pid(struct kit *k)
{
    _cleanup_(freep) char *text = scratch_read(kit_path(k, "pid"), NULL);

    return text && strchr(text, '\n') ? atoi(text) : 0;
}

static inline bool kit_is_alive(pid_t pid)
{
    char path[64];
    _cleanup_(freep) char *stat_text = NULL;
    FILE *f;
    char state = 'X';

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(f);
    return state != 'Z' && state != 'X';
}

static inline bool kit_is_marked(struct kit *k)
{
    return kit_exists(k, "owed/" OWN ".vdb.json");
}

/* --- A served socket ------------------------------------------------------------------------- */

static inline void *kit_serve(void *userdata)
{
    struct kit *k = userdata;
    int fd;

    while ((fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        posix_spawn_file_actions_t files;
        char *const argv[] = {(char *)kit_path(k, "served"), NULL};
        pid_t pid;

        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_adddup2(&files, fd, 0);
        posix_spawn_file_actions_adddup2(&files, fd, 1);
        if (posix_spawn(&pid, argv[0], &files, NULL, argv, environ) == 0)
            k->served[k->n_served++] = pid;
        posix_spawn_file_actions_destroy(&files);
        close(fd);
    }
    return NULL;
}

static inline void kit_listen(struct kit *k)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", kit_path(k, "socket"));
    k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(k->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(k->listener, 16), 0);
    assert_int_equal(pthread_create(&k->server, NULL, kit_serve, k), 0);
}

static inline void kit_hang_up(struct kit *k)
{
    if (k->listener < 0)
        return;
    shutdown(k->listener, SHUT_RDWR);
    pthread_join(k->server, NULL);
    close(k->listener);
    for (size_t i = 0; i < k->n_served; i++) {
        kill(k->served[i], SIGKILL);
        waitpid(k->served[i], NULL, 0);
    }
}

/* --- The wiper ------------------------------------------------------------------------------- */

static const char *kit_globs[1];
static char kit_glob[160];

static inline struct wiper_settings kit_settings(struct kit *k)
{
    static char helper[200], folder[160];

    snprintf(helper, sizeof(helper), "spawn:%s", kit_path(k, "helper"));
    snprintf(folder, sizeof(folder), "%s", kit_path(k, "owed"));
    snprintf(kit_glob, sizeof(kit_glob), "%s/*.img", k->scratch->folder);
    kit_globs[0] = kit_glob;
    return (struct wiper_settings){.helper = helper,
                                   .files = kit_globs,
                                   .n_files = 1,
                                   .methods = "write-zeroes,overwrite",
                                   .level = "clear",
                                   .verify = "sample",
                                   .max_mib_per_s = 100,
                                   .host_id = "node-17",
                                   .marker_folder = folder,
                                   .identify_timeout = 10 * USEC_PER_SEC,
                                   .silence = 20 * USEC_PER_SEC,
                                   .call_timeout = 10 * USEC_PER_SEC,
                                   .look_every = 20 * USEC_PER_MSEC,
                                   .stop_patience = 200 * USEC_PER_MSEC,
                                   .report = kit_report,
                                   .userdata = k};
}

static inline void kit_start(struct kit *k, const struct wiper_settings *settings)
{
    struct error *err = NULL;

    if (wiper_new(settings, &k->hypervisor, &k->wiper, &err) < 0)
        fail_msg("%s", error_message(err));
}

/* Nothing may be left out at the end of a test. */
static inline void kit_stop(struct kit *k)
{
    if (k->wiper)
        assert_true(wiper_free(k->wiper, PATIENCE * USEC_PER_SEC));
    k->wiper = NULL;
}

/* One local disk, a file of 4096 bytes, of a domain that is off; nobody else is there. */
static inline int kit_setup(void **state)
{
    static const struct hypervisor_ops ops = {
        .name = "kit", .list = kit_list, .look = kit_look, .find_volume = kit_find_volume};
    struct kit *k = calloc(1, sizeof(*k));
    void *scratch = NULL;
    struct kit_domain *own;

    if (!k || scratch_setup(&scratch) < 0)
        return -1;
    k->scratch = scratch;
    k->hypervisor.ops = &ops;
    k->listener = -1;
    k->fate = PROCESS_ENDED;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->changed, NULL);
    snprintf(k->device, sizeof(k->device), "%s/disk.img", k->scratch->folder);
    scratch_write(k->device, "", 0);
    if (truncate(k->device, 4096) < 0)
        return -1;
    own = kit_domain(k, OWN);
    own->state = DOMAIN_OFF;
    snprintf(own->disk, sizeof(own->disk), "%s", k->device);
    *state = k;
    return 0;
}

static inline int kit_teardown(void **state)
{
    struct kit *k = *state;
    void *scratch = k->scratch;

    kit_stop(k);
    kit_hang_up(k);
    for (size_t i = 0; i < k->n_reports; i++)
        wipe_report_free(k->reports[i]);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->changed);
    free(k);
    return scratch_teardown(&scratch);
}

static inline void assert_says(const struct error *e, const char *what)
{
    if (!e)
        fail_msg("no error, and it should say '%s'", what);
    if (!strstr(error_message(e), what))
        fail_msg("'%s' does not say '%s'", error_message(e), what);
}

#endif
