/* config-kit.h - configurations in a directory of their own, and what is said of wrong ones */
#ifndef STOPD_TESTS_CONFIG_KIT_H
#define STOPD_TESTS_CONFIG_KIT_H

#include "daemon/config-file.h"
#include "daemon/config-keys.h"
#include "stopd/storage.h"

#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static inline int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/test_config.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    return remove(path);
}

static inline int remove_directory(void **state)
{
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static inline void write_bytes(const char *name, const char *text, size_t length)
{
    FILE *file;

    if (strchr(name, '/'))
        mkdir(path_of("conf.d"), 0700);
    file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static inline void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* What the default places of this directory and these settings (NULL-terminated) amount to. */
static inline struct config *load(char *const *settings)
{
    _cleanup_(error_free) struct error *err = NULL;
    struct config *c = NULL;
    size_t n = 0;

    while (settings && settings[n])
        n++;
    if (config_load_from(directory, NULL, settings, n, &c, &err) < 0)
        fail_msg("%s", error_message(err));
    return c;
}

#define SET(...) ((char *[]){__VA_ARGS__, NULL})

/* The message of the error that loading ends in, without this directory's name. */
static inline const char *refusal(const char *file, char *const *settings)
{
    static char message[1024];
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(config_free) struct config *c = NULL;
    const char *text;
    size_t n = 0;

    while (settings && settings[n])
        n++;
    if (config_load_from(directory, file, settings, n, &c, &err) >= 0)
        fail_msg("loaded what must be refused");
    assert_null(c);
    assert_int_equal(error_code_of(err), ERROR_CONFIGURATION);
    assert_int_equal(error_exit_status(error_code_of(err)), 78);
    text = strstr(error_message(err), directory);
    if (text == error_message(err))
        snprintf(message, sizeof(message), "%s", text + strlen(directory) + 1);
    else
        snprintf(message, sizeof(message), "%s", error_message(err));
    return message;
}

static inline const char *refusal_of(const char *text)
{
    write_file("stopd.conf", text);
    return refusal(NULL, NULL);
}

/* As --check-config prints it. The caller frees. */
static inline char *written(const struct config *c)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    config_write(c, to);
    fclose(to);
    return text;
}

/* Does the written configuration have this line in this section? Not inlined: in a loop gcc 12
 * would take its pointers for some that outlive the text. */
__attribute__((noinline, unused)) static bool says(const char *text, const char *section,
                                                   const char *line)
{
    char head[128], whole[512];
    const char *start, *end, *found;

    snprintf(head, sizeof(head), "[%s]\n", section);
    snprintf(whole, sizeof(whole), "\n%s\n", line);
    start = strstr(text, head);
    if (!start)
        return false;
    start += strlen(head) - 1;
    end = strstr(start, "\n[");
    found = strstr(start, whole);
    return found && (!end || found < end);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_directory, remove_directory)

#endif
