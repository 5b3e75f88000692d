/* fuzz-config.c - a configuration file; one that is accepted is printed as one that says the same
 */
#include "fuzz.h"

#include "daemon/config-file.h"

#include <sys/mman.h>
#include <unistd.h>

static int load(const void *text, size_t size, struct config **ret, struct error **err)
{
    static int fd = -1;
    char path[32];

    if (fd < 0)
        fd = memfd_create("stopd.conf", MFD_CLOEXEC);
    must(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, text, size, 0) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return config_load(path, NULL, 0, ret, err);
}

static char *print(const struct config *c, size_t *size)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, size);

    must(to);
    config_write(c, to);
    must(fclose(to) == 0);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(error_free) struct error *error = NULL;
    _cleanup_(config_free) struct config *config = NULL, *again = NULL;
    _cleanup_(freep) char *first = NULL, *second = NULL;
    size_t n, m;
    int r = load(data, size, &config, &error);

    must((r < 0) == (error != NULL));
    if (r < 0) {
        must(is_set(error_message(error)) && !strchr(error_message(error), '\n'));
        return 0;
    }
    first = print(config, &n);
    if (load(first, n, &again, &error) < 0) {
        fprintf(stderr, "%s\n%s", error_message(error), first);
        must(false);
    }
    second = print(again, &m);
    must(n == m && memcmp(first, second, n) == 0);
    return 0;
}
