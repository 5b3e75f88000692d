/* may-start.c - stopd-may-start: for libvirt's qemu hook, may this domain start?
 *
 * Theory of operation. libvirt runs its hook at every step of a domain's life and waits for it, and
 * what a refusal means depends on the step: at "reconnect" it kills a guest that runs. So all but
 * one of them are let pass without a look: "prepare begin", before anything of the start is done.
 * There the domain's XML on standard input is compared with the markers of what is owed a clear
 * (markers.h). The daemon is not asked, nor is libvirt, which would wait for its own hook; so it
 * works while they come up, and at autostart.
 *
 * Without a folder of markers, or with none in it, every domain may start, and nothing else is
 * read. With a folder or a marker that cannot be read nothing is known, and a domain that names
 * anything of this host is refused.
 */
#include "hook/owed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/var/lib/stopd/owed"
#define XML_BYTES_MAX ((size_t)16 << 20)
/* A path on a file system that hangs must not hold libvirt up for good: the signal ends us, which
 * refuses the start. */
#define SECONDS_MAX 20

enum { MAY_START = 0, REFUSED = 76 };

static const char usage[] =
    "Usage: stopd-may-start [--folder FOLDER] DOMAIN OPERATION SUBOPERATION EXTRA < XML\n"
    "For libvirt's qemu hook, with its arguments: refuses, with status 76 and a line on\n"
    "standard error, to let a domain start (prepare begin) that names a disk which is owed\n"
    "a clear. Everything else passes.\n";

static int read_input(char **ret, size_t *ret_n, struct error **err)
{
    size_t size = 64 << 10, n = 0;
    _cleanup_(freep) char *text = malloc(size);

    while (text) {
        char *larger;
        ssize_t got = read(STDIN_FILENO, text + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, ERROR_IO, errno, "reading the domain's definition");
        if (got == 0) {
            *ret = take(text);
            *ret_n = n;
            return 0;
        }
        n += (size_t)got;
        if (n < size)
            continue;
        size *= 2;
        if (size > XML_BYTES_MAX)
            return error_set(err, ERROR_IO, "the domain's definition is too long");
        larger = realloc(text, size);
        if (!larger)
            break;
        text = larger;
    }
    return error_no_memory(err);
}

/* What cannot be read forbids nothing to a domain that names nothing. */
static int check(const char *folder, struct error **err)
{
    _cleanup_(domain_sources) struct domain_sources sources = {0};
    _cleanup_(freep) char *xml = NULL;
    struct marker_list markers = {0};
    struct error *unreadable = NULL;
    size_t n = 0;
    int known = markers_read(folder, &markers, &unreadable), r = 0;

    if (known == 0 && markers.n == 0)
        return 0;
    r = read_input(&xml, &n, err);
    if (r == 0)
        r = domain_sources_read(xml, n, &sources, err);
    if (r == 0 && (sources.n + sources.n_controllers > 0 || sources.untold))
        r = known < 0 ? error_move(err, &unreadable) : check_owed(&sources, &markers, err);
    error_free(unreadable);
    marker_list_clear(&markers);
    return r;
}

int main(int argc, char **argv)
{
    _cleanup_(error_free) struct error *error = NULL;
    const char *folder = FOLDER;
    int first = 1;

    if (argc == 2 && text_equal(argv[1], "--help")) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc > 2 && text_equal(argv[1], "--folder")) {
        folder = argv[2];
        first = 3;
    }
    if (argc < first + 3 || !text_equal(argv[first + 1], "prepare") ||
        !text_equal(argv[first + 2], "begin"))
        return MAY_START;
    alarm(SECONDS_MAX);
    if (check(folder, &error) >= 0)
        return MAY_START;
    fprintf(stderr, "stopd: domain %s may not start: %s\n", argv[first], error_message(error));
    return REFUSED;
}
