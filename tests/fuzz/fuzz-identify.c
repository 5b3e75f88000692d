/* fuzz-identify.c - what a helper answers that is asked what a disk is, and how it would clear it
 *
 * The conversation is the real one, over a socket; the other side of it says the input and hangs
 * up. What is taken for the disk's identity goes into the operation, and has to be one that can be
 * read back at the next start. The first byte says whether a plan is asked for. */
#include "fuzz.h"

#include "core/operation.h"
#include "engine/wiper-internal.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A file that is there; nothing opens it. */
#define THE_FILE "/etc/passwd"
#define THE_SOCKET "/tmp/stopd-fuzz-identify.%d"

static struct {
    int fd;
    const char *text;
    size_t size;
} answer;

static char socket_path[64], helper[80];

/* One conversation after another. */
static void *serve(void *userdata)
{
    for (;;) {
        char request[4096];
        int fd = accept4(answer.fd, NULL, NULL, SOCK_CLOEXEC);

        must(fd >= 0);
        while (read(fd, request, sizeof(request)) == (ssize_t)sizeof(request))
            ;
        for (size_t at = 0; at < answer.size;) {
            ssize_t n = send(fd, answer.text + at, answer.size - at, MSG_NOSIGNAL);

            if (n <= 0)
                break;
            at += (size_t)n;
        }
        close(fd);
    }
    return NULL;
}

static void remove_socket(void)
{
    unlink(socket_path);
}

static void begin_serving(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;

    snprintf(socket_path, sizeof(socket_path), THE_SOCKET, (int)getpid());
    snprintf(helper, sizeof(helper), "unix:%s", socket_path);
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    answer.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(answer.fd >= 0);
    unlink(socket_path);
    must(bind(answer.fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    must(listen(answer.fd, 8) == 0);
    atexit(remove_socket);
    must(pthread_create(&thread, NULL, serve, NULL) == 0);
}

static void check_can_be_read_back(const struct disk_plan *plan)
{
    _cleanup_(operation_free) struct operation *op = operation_new(), *again = NULL;
    _cleanup_(json) json_object *document = NULL;
    struct json_writer w = {0};
    const char *text;

    must(op && text_replace(&op->instance_id, "i-1") == 0);
    must(text_replace(&op->domain_name, "guest") == 0 && text_replace(&op->principal, "fuzz") == 0);
    memcpy(op->request_id, "473469C7-AA6F-4DC5-B3DB-000000000001", UUID_TEXT_SIZE);
    op->accepted_at = 1700000000 * USEC_PER_SEC;
    op->stage = STAGE_SHUTTING_DOWN;
    must(disk_plan_copy(&op->disks, plan) == 0);
    text = operation_write(op, true, &w);
    must(text);
    if (json_parse_object(text, strlen(text), &document) < 0 ||
        operation_from_journal(document, &again, NULL) < 0) {
        fprintf(stderr, "%s\n", text);
        must(false);
    }
    must(json_object_equal(op->disks.items[0].identity, again->disks.items[0].identity));
    json_writer_clear(&w);
}

static void take_report(void *userdata, struct wipe_report *r)
{
    must(r->kind == WIPE_REPORT_IDENTIFIED);
    must((r->error != NULL) == (r->plan.n == 0));
    must(!r->error || is_set(error_message(r->error)));
    if (!r->error) {
        must(r->plan.n == 1 && r->plan.items[0].bytes > 0);
        check_can_be_read_back(&r->plan);
    }
    wipe_report_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *files[] = {(char *)THE_FILE};
    static struct disk vdb = {(char *)"vdb", (char *)THE_FILE, DISK_FILE};
    static struct local_disk named = {.target = (char *)"vdb"};
    static struct instance instance = {.name = (char *)"guest",
                                       .disks = &vdb,
                                       .n_disks = 1,
                                       .local_disks = &named,
                                       .n_local_disks = 1};
    static struct wiper_config config = {.helper = helper,
                                         .files = {files, 1},
                                         .level = LEVEL_CLEAR,
                                         .verify = WIPE_VERIFY_SAMPLE,
                                         .identify_timeout = 10 * USEC_PER_SEC,
                                         .stop_patience = USEC_PER_SEC,
                                         .silence = 10 * USEC_PER_SEC};
    static struct wiper wiper = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                 .calling = PTHREAD_MUTEX_INITIALIZER,
                                 .report = take_report};
    static struct wipe_job order = {.kind = WIPE_JOB_IDENTIFY, .instance = &instance};
    struct job job = {.wiper = &wiper, .order = &order, .config = &config, .bell = -1};
    _cleanup_(freep) char *text = fuzz_text(data, size);

    if (size < 1)
        return 0;
    if (!socket_path[0])
        begin_serving();
    config.methods = (char *)(text[0] == 'p' ? "punch-hole" : "overwrite");
    answer.text = text + 1;
    answer.size = size - 1;
    identify_run(&job);
    return 0;
}
