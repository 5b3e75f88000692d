/* main.c - stopd-wipe: by hand with arguments, else one request on descriptor 0 and lines on
 * descriptor 1 */
#include "wipe/main.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wipe/options.h"
#include "wipe/privileges.h"
#include "wipe/say.h"

/* Up to the first newline, the end of the input or the bound. */
static int read_request(char **ret, size_t *ret_n, struct error **err)
{
    _cleanup_(freep) char *text = malloc(WIPE_REQUEST_MAX + 1);
    size_t n = 0;

    if (!text)
        return error_no_memory(err);
    while (n <= WIPE_REQUEST_MAX) {
        ssize_t got = read(STDIN_FILENO, text + n, WIPE_REQUEST_MAX + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, ERROR_IO, errno, "reading the request");
        if (got == 0)
            break;
        if (memchr(text + n, '\n', (size_t)got)) {
            n = (size_t)((char *)memchr(text + n, '\n', (size_t)got) - text);
            break;
        }
        n += (size_t)got;
    }
    if (n > WIPE_REQUEST_MAX)
        return error_set(err, ERROR_USAGE, "the request is larger than %zu bytes",
                         WIPE_REQUEST_MAX);
    *ret = take(text);
    *ret_n = n;
    return 0;
}

static int request_of_input(struct wipe_request *ret, struct error **err)
{
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;
    int r = read_request(&text, &n, err);

    return r < 0 ? r : wipe_request_parse(text, n, ret, err);
}

static void request_cleanup(struct wipe_request *r)
{
    wipe_request_clear(r);
}

int wipe_main(int argc, char **argv, wipe_opener open_device)
{
    _cleanup_(request) struct wipe_request request;
    _cleanup_(error_free) struct error *error = NULL;
    struct report report = {.fd = STDOUT_FILENO};
    bool is_done = false, is_protocol = argc == 1;
    int r;

    /* A reader that goes away is an error of writing, not the end in the middle of a command. */
    signal(SIGPIPE, SIG_IGN);
    privileges_drop();
    wipe_request_init(&request);
    r = is_protocol ? request_of_input(&request, &error)
                    : options_parse(argc, argv, &request, &is_done, &error);
    if (is_done)
        return WIPE_EXIT_DONE;
    if (r >= 0) {
        malloc_trim(0); /* a request may name thousands of disks, and as JSON they take more than
                           all else */
        return wipe_run(&request, open_device, &report);
    }
    if (is_protocol)
        say_error(&report, WIPE_USAGE, NULL, error_message(error), 0);
    else
        fprintf(stderr, "stopd-wipe: %s\nTry 'stopd-wipe --help'.\n", error_message(error));
    return WIPE_EXIT_USAGE;
}
