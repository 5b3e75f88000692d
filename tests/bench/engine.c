/* engine.c - what the engine costs: a command beside few and beside many operations, its memory,
 * its recovery
 *
 * Theory of operation. The real engine and the real journal, on a file, with a hypervisor whose
 * guests never answer the button, so that operations stay unfinished for as long as they are
 * wanted. Calls are carried out between the turns. Nothing else runs: what is measured is the
 * engine's thread.
 *
 * The floor of a command is a transaction of one row in the same folder, for most of a command is
 * its fsync. The time of the processor is told apart from it, since the disk hides what the code
 * does.
 */
#include "base/json.h"
#include "engine/engine.h"
#include "stopd/log.h"

#include <err.h>
#include <getopt.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COMMANDS 400
#define FEW 10

static const char usage[] =
    "Usage: engine [--operations N] [--folder FOLDER]\n"
    "Measures the engine with 10 and with N (10000) unfinished operations, on a journal in a new\n"
    "folder within FOLDER (.). Exit 0 says that it could be measured, whatever the figures are.\n";

struct bench {
    struct deaf *hypervisor;
    struct journal *journal;
    struct engine *engine;
    char path[4096];
    struct call *out, **out_end;
    unsigned answered, refused;
};

/* --- A hypervisor whose guests never answer --------------------------------------------------- */

struct deaf {
    struct hypervisor hypervisor;
    unsigned n;
};

/* A guest's number stands in its UUID. */
static void make_uuid(unsigned number, uuid_t ret)
{
    memset(ret, 0x5a, sizeof(uuid_t));
    memcpy(ret, &number, sizeof(number));
}

static void see(const uuid_t domain, struct sighting *ret)
{
    struct instance *instance = instance_new();
    char text[32];
    unsigned number;

    memcpy(&number, domain, sizeof(number));
    snprintf(text, sizeof(text), "i-%u", number);
    if (!instance || text_replace(&instance->name, text) < 0 ||
        text_replace(&instance->id, text) < 0 ||
        instance_add_disk(instance, "vda", "/var/lib/libvirt/images/vm.qcow2", DISK_FILE) < 0)
        err(1, "out of memory");
    uuid_copy(instance->uuid, domain);
    instance->vcpus = 2;
    instance->memory_kib = 4 << 20;
    *ret = (struct sighting){
        .state = DOMAIN_RUNNING,
        .incarnation = {.boot_id = "bench", .pid = (pid_t)(1000 + number), .start_time = 1},
        .remembered = PROCESS_ALIVE,
        .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_RESTART},
        .instance = instance,
    };
    uuid_copy(ret->domain, domain);
}

static int deaf_connect(struct hypervisor *h, bool *has_processes, struct error **err)
{
    *has_processes = true;
    return 0;
}

static int deaf_list(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    const struct deaf *deaf = (const struct deaf *)h;

    ret->items = calloc(deaf->n, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(err);
    for (; ret->n < deaf->n; ret->n++) {
        uuid_t uuid;

        make_uuid((unsigned)ret->n, uuid);
        see(uuid, &ret->items[ret->n]);
    }
    return 0;
}

static int deaf_look(struct hypervisor *h, const uuid_t domain,
                     const struct incarnation *remembered, struct sighting *ret, struct error **err)
{
    see(domain, ret);
    return 0;
}

static int deaf_press(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                      enum button button, const struct lifecycle *seen, struct press *ret,
                      struct error **err)
{
    ret->is_over = true;
    return 0;
}

static const struct hypervisor_ops deaf_ops = {
    .name = "deaf",
    .connect = deaf_connect,
    .list = deaf_list,
    .look = deaf_look,
    .press_button = deaf_press,
};

/* --- The host of the engine ------------------------------------------------------------------ */

static struct moment now(void *userdata)
{
    return moment_now();
}

static uint32_t chance(void *userdata, uint32_t bound)
{
    return arc4random_uniform(bound);
}

static void committed(void *userdata, uint64_t sequence)
{
}

static void start_call(void *userdata, struct call *c)
{
    struct bench *b = userdata;

    c->next = NULL;
    *b->out_end = c;
    b->out_end = &c->next;
}

/* Carries out what is out, and hands it over. */
static void answer_calls(struct bench *b)
{
    struct call *c = b->out;

    b->out = NULL;
    b->out_end = &b->out;
    while (c) {
        struct call *next = c->next;

        call_execute(c, &b->hypervisor->hypervisor);
        engine_take_call(b->engine, c);
        c = next;
    }
}

/* Until all that is out has come back, and nothing is due now. */
static void settle(struct bench *b)
{
    do {
        answer_calls(b);
        engine_turn(b->engine);
    } while (b->out || engine_next_turn(b->engine) <= moment_now().monotonic);
}

static void start_engine(struct bench *b)
{
    const struct engine_settings settings = {
        .host_id = "bench",
        .policy = {.stop = {.grace = 3600 * USEC_PER_SEC,
                            .method = METHOD_ACPI,
                            .on_timeout = ON_TIMEOUT_FAIL},
                   .resend = 10 * USEC_PER_SEC,
                   .stopped_mode = STOPPED_MODE_KEEP_CHARGING},
        .clear_parallel = 1,
        .call_timeout = 30 * USEC_PER_SEC,
        .destroy_timeout = 90 * USEC_PER_SEC,
        .retain = 72 * 3600 * USEC_PER_SEC,
    };
    const struct engine_host host = {.userdata = b,
                                     .start_call = start_call,
                                     .now = now,
                                     .random = chance,
                                     .committed = committed};
    struct error *error = NULL;

    b->out_end = &b->out;
    if (journal_open(b->path, &(bool){false}, &b->journal, &error) < 0 ||
        engine_new(&settings, &host, b->journal, &b->engine, &error) < 0)
        errx(1, "%s", error_message(error));
}

/* As a kill -9 would: nothing is put in order. */
static void end_engine(struct bench *b)
{
    struct call *c;

    engine_free(take(b->engine));
    journal_close(take(b->journal));
    while ((c = b->out)) {
        b->out = c->next;
        call_free(c);
    }
}

/* --- Commands -------------------------------------------------------------------------------- */

static void on_reply(struct request *r, struct answer *a)
{
    struct bench *b = r->userdata;

    if (a && a->code == ERROR_NONE)
        b->answered++;
    else
        b->refused++;
    answer_free(a);
    request_free(r);
}

static void command(struct bench *b, unsigned guest)
{
    struct request *r = request_new(REQUEST_STOP);
    struct parameters p = {0};
    struct error *error = NULL;
    char text[32];

    snprintf(text, sizeof(text), "i-%u", guest);
    if (!r || parameters_add(&p, "InstanceId", text) < 0)
        err(1, "out of memory");
    memcpy(r->command.request_id, r->request_id, sizeof(r->request_id));
    snprintf(r->principal.name, sizeof(r->principal.name), "bench");
    r->principal.may_change = true;
    r->command.principal = r->principal;
    if (command_parse(&p, &r->command, &error) < 0)
        errx(1, "%s", error_message(error));
    parameters_clear(&p);
    r->reply = on_reply;
    r->userdata = b;
    engine_take_request(b->engine, r);
}

/* --- Figures --------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mib(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f || fscanf(f, "%*u %lu", &pages) != 1)
        err(1, "/proc/self/statm");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

struct cost {
    double wall[COMMANDS], cpu[COMMANDS];
};

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
    qsort(values, COMMANDS, sizeof(*values), by_value);
    return values[COMMANDS / 2];
}

/* One command by itself: from its arrival to its answer, in one turn. What it leads to (the button)
 * is done outside of the measured time. */
static void measure_command(struct bench *b, unsigned guest, double *ret_wall, double *ret_cpu)
{
    double wall = (double)moment_now().monotonic, cpu = cpu_seconds();

    command(b, guest);
    engine_turn(b->engine);
    *ret_wall = ((double)moment_now().monotonic - wall) / 1e3;
    *ret_cpu = (cpu_seconds() - cpu) * 1e3;
    settle(b);
}

/* In turns, so that whatever else the machine does, it does to both. */
static void measure_commands(struct bench *few, struct cost *ret_few, struct bench *many,
                             unsigned operations, struct cost *ret_many)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        measure_command(few, FEW + i, &ret_few->wall[i], &ret_few->cpu[i]);
        measure_command(many, operations + i, &ret_many->wall[i], &ret_many->cpu[i]);
    }
}

static void measure_rows(const char *folder, double wall[COMMANDS])
{
    char path[4096];
    sqlite3 *db;
    sqlite3_stmt *insert;

    snprintf(path, sizeof(path), "%s/rows.db", folder);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(x)",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT INTO t VALUES(zeroblob(1000))", -1, &insert, NULL) !=
            SQLITE_OK)
        errx(1, "%s: %s", path, sqlite3_errmsg(db));
    for (unsigned i = 0; i < COMMANDS; i++) {
        double begun = (double)moment_now().monotonic;

        if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK)
            errx(1, "%s: %s", path, sqlite3_errmsg(db));
        wall[i] = ((double)moment_now().monotonic - begun) / 1e3;
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    unlink(path);
}

/* Many commands in one turn, as they come from many connections. */
static void accept_many(struct bench *b, unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        command(b, first + i);
        if (i % 64 == 63)
            engine_turn(b->engine);
    }
    settle(b);
}

static void measure_recovery(struct bench *b, unsigned operations)
{
    double begun = (double)moment_now().monotonic, loaded;

    start_engine(b);
    loaded = (double)moment_now().monotonic;
    if (engine_unfinished(b->engine) != operations)
        errx(1, "%zu operations are unfinished, not %u", engine_unfinished(b->engine), operations);
    settle(b);
    printf("recovery of %u unfinished operations: loaded %.0f ms, all looked at and going on %.0f "
           "ms after the start\n",
           operations, (loaded - begun) / 1e3, ((double)moment_now().monotonic - begun) / 1e3);
}

static void measure_idling(struct bench *b, unsigned operations)
{
    const usec_t until = moment_now().monotonic + 10 * USEC_PER_SEC;
    double cpu = cpu_seconds();
    unsigned turns = 0;

    while (moment_now().monotonic < until) {
        usec_t next = engine_next_turn(b->engine), here = moment_now().monotonic;

        if (!b->out && next > here)
            usleep((useconds_t)(next - here < USEC_PER_SEC ? next - here : USEC_PER_SEC));
        answer_calls(b);
        engine_turn(b->engine);
        turns++;
    }
    printf("10 s with %u guests that do not answer: %u turns, %.1f %% of a processor\n", operations,
           turns, (cpu_seconds() - cpu) * 10);
}

static void attach(struct bench *b)
{
    start_engine(b);
    settle(b);
    if (!engine_is_attached(b->engine))
        errx(1, "the engine is not attached");
}

static void check_answers(const struct bench *b, unsigned commands)
{
    if (b->refused > 0 || b->answered != commands)
        errx(1, "%u commands were accepted, %u refused", b->answered, b->refused);
}

static void run(struct bench *few, struct bench *many, const char *folder, unsigned operations)
{
    static struct cost beside_few, beside_many;
    static double rows[COMMANDS];
    struct deaf less = {.hypervisor = {.ops = &deaf_ops}, .n = FEW + COMMANDS},
                deaf = {.hypervisor = {.ops = &deaf_ops}, .n = operations + COMMANDS};
    double empty = resident_mib(), idle, full;

    many->hypervisor = &deaf;
    attach(many);
    idle = resident_mib();
    accept_many(many, 0, operations);
    full = resident_mib();
    few->hypervisor = &less;
    attach(few);
    accept_many(few, 0, FEW);

    measure_rows(folder, rows);
    measure_commands(few, &beside_few, many, operations, &beside_many);
    check_answers(few, FEW + COMMANDS);
    check_answers(many, operations + COMMANDS);
    end_engine(few);
    printf("one row alone:                    %6.3f ms\n", median(rows));
    printf("a command beside %5u operations: %6.3f ms, %.3f ms of processor\n", FEW,
           median(beside_few.wall), median(beside_few.cpu));
    printf("a command beside %5u operations: %6.3f ms, %.3f ms of processor; ratio %.2f, %.2f\n",
           operations, median(beside_many.wall), median(beside_many.cpu),
           median(beside_many.wall) / median(beside_few.wall),
           median(beside_many.cpu) / median(beside_few.cpu));
    printf("memory: %.1f MiB at first, %.1f with %u domains, %.1f with %u operations besides\n",
           empty, idle, deaf.n, full, operations);
    measure_idling(many, operations + COMMANDS);
    end_engine(many);
    measure_recovery(many, operations + COMMANDS);
    end_engine(many);
}

static void remove_journal(const char *journal)
{
    static const char *const names[] = {"", "-wal", "-shm", ".lock", ".reserve"};
    char path[4200];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s%s", journal, names[i]);
        unlink(path);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"operations", required_argument, NULL, 'n'},
        {"folder", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench few = {0}, many = {0};
    unsigned operations = 10000;
    const char *within = ".";
    char folder[2048];

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'n')
            operations = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'f')
            within = optarg;
        else {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 64;
        }
    }
    if (operations < FEW)
        errx(64, "--operations has to be at least %d", FEW);
    snprintf(folder, sizeof(folder), "%s/stopd-bench-XXXXXX", within);
    if (!mkdtemp(folder))
        err(1, "%s", within);
    snprintf(few.path, sizeof(few.path), "%s/few.db", folder);
    snprintf(many.path, sizeof(many.path), "%s/many.db", folder);
    log_set_level(LOG_LEVEL_ERROR);
    run(&few, &many, folder, operations);
    remove_journal(few.path);
    remove_journal(many.path);
    if (rmdir(folder) < 0)
        warn("%s is left", folder);
    return 0;
}
