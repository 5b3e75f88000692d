/* fuzz-request.c - bytes on the API's socket, from the first line of a request to the answer
 *
 * The API is the real one, on a real socket and a real journal; a stand-in answers for the engine,
 * at once. Whatever comes back has to be HTTP, with a status that the contract knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fuzz.h"

#include "api-kit.h"
#include "stopd/log.h"

/* Nothing has been said for so long: nothing more is coming. */
#define PAUSE_MS 20

static struct fixture *fixture;

/* Nobody waits here. */
static void post(void *userdata, struct request *r)
{
    r->wait = 0;
    stand_in_post(userdata, r);
}

static void remove_folder(void)
{
    fixture_teardown((void **)&fixture);
}

static void set_up(void)
{
    must(fixture_setup((void **)&fixture) == 0);
    fixture->settings.post = post;
    fixture->settings.limits.idle = USEC_PER_SEC;
    api_begin_again(fixture);
    log_set_level(LOG_LEVEL_ERROR);
    atexit(remove_folder);
}

static void check_answer(const char *answer, size_t size)
{
    static const int known[] = {100, 200, 302, 400, 403, 404, 405, 409,
                                413, 414, 429, 431, 500, 501, 503, 505};
    int status = 0;

    if (size < 13)
        return;
    must(sscanf(answer, "HTTP/1.%*1[01] %3d ", &status) == 1);
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (known[i] == status)
            return;
    fprintf(stderr, "status %d\n", status);
    must(false);
}

/* Until the other side closes, or has nothing more to say for a moment: a stream has no end. */
static void listen_to(int fd)
{
    static char answer[64 * 1024];
    size_t n = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    while (n < sizeof(answer) - 1 && poll(&ready, 1, PAUSE_MS) > 0) {
        ssize_t got = read(fd, answer + n, sizeof(answer) - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    answer[n] = '\0';
    check_answer(answer, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;

    if (!fixture)
        set_up();
    fd = dial(fixture->socket);
    must(fd >= 0);
    /* A header that has no end is only waited for. */
    if (send(fd, data, size, MSG_NOSIGNAL) >= 0 && send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL) >= 0)
        shutdown(fd, SHUT_WR);
    listen_to(fd);
    close(fd);
    return 0;
}
