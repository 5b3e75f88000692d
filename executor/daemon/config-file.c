/* config-file.c - INI files, read line by line, with the file and the line in every error
 *
 * Theory of operation. inih splits the lines; Debian's build does not tell its handler on which
 * line it is, so we hand it the lines ourselves and count. That is also where what inih would let
 * pass is caught: a line longer than its buffer (it would take the rest for a line of its own), a
 * NUL byte (the end of the line to it), a section that is not known but has no key in force either.
 * Within one file a key stands once; a later file may say it again.
 */
#include "daemon/config-file.h"
#include "daemon/config-keys.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <string.h>

#define LINE_MOST 4096

struct seen {
    char *key; /* section.name */
    unsigned line;
};

struct reading {
    struct config_builder *builder;
    const char *path;
    FILE *file;
    unsigned line;
    char *buffer; /* getline's */
    size_t buffer_size;
    struct seen *seen;
    size_t n_seen;
    struct error *error; /* the first; the lines after it are not read */
};

static void reading_cleanup(struct reading *r)
{
    for (size_t i = 0; i < r->n_seen; i++)
        free(r->seen[i].key);
    free(r->seen);
    free(r->buffer);
    if (r->file)
        fclose(r->file);
    error_free(r->error);
}

static int fail(struct reading *r, const char *what)
{
    return error_set(&r->error, ERROR_CONFIGURATION, "%s:%u: %s", r->path, r->line, what);
}

/* inih calls the handler for keys only; the section's own line is looked at here. */
static int check_section(struct reading *r, const char *line)
{
    const char *start = line + strspn(line, " \t"), *end;
    _cleanup_(freep) char *section = NULL;

    if (*start != '[')
        return 0;
    start++;
    end = strchr(start, ']');
    if (!end)
        return fail(r, "a section without its ']'");
    section = strndup(start, (size_t)(end - start));
    if (!section)
        return error_no_memory(&r->error);
    end += 1 + strspn(end + 1, " \t\r\n");
    if (*end && *end != ';' && *end != '#')
        return fail(r, "something stands behind the section's ']'");
    if (!config_section_exists(section))
        return error_set(&r->error, ERROR_CONFIGURATION, "%s:%u: unknown section [%s]", r->path,
                         r->line, section);
    return 0;
}

/* fgets() for inih, one whole line a call. NULL ends the reading: at the end, or for an error. */
static char *next_line(char *ret, int size, void *stream)
{
    struct reading *r = stream;
    ssize_t length;

    if (r->error)
        return NULL;
    errno = 0;
    length = getline(&r->buffer, &r->buffer_size, r->file);
    if (length < 0) {
        if (ferror(r->file) || errno == ENOMEM)
            error_set_errno(&r->error, ERROR_CONFIGURATION, errno, "cannot read %s", r->path);
        return NULL;
    }
    r->line++;
    if (length >= size)
        fail(r, "the line is too long");
    else if (strlen(r->buffer) != (size_t)length)
        fail(r, "the line has a NUL byte");
    else
        check_section(r, r->buffer);
    if (r->error)
        return NULL;
    memcpy(ret, r->buffer, (size_t)length + 1);
    return ret;
}

static int remember(struct reading *r, const char *section, const char *name)
{
    _cleanup_(freep) char *key = NULL;
    struct seen *seen;

    if (asprintf(&key, "%s.%s", section, name) < 0)
        return error_no_memory(&r->error);
    for (size_t i = 0; i < r->n_seen; i++)
        if (text_equal(r->seen[i].key, key))
            return error_set(&r->error, ERROR_CONFIGURATION,
                             "%s:%u: %s is given twice, first on line %u", r->path, r->line, key,
                             r->seen[i].line);
    seen = reallocarray(r->seen, r->n_seen + 1, sizeof(*seen));
    if (!seen)
        return error_no_memory(&r->error);
    r->seen = seen;
    seen[r->n_seen++] = (struct seen){take(key), r->line};
    return 0;
}

/* inih's handler: 0 is a failure. */
static int take_key(void *userdata, const char *section, const char *name, const char *value)
{
    struct reading *r = userdata;
    _cleanup_(freep) char *origin = NULL;

    if (!is_set(section))
        return fail(r, "a key before the first [section]") == 0;
    if (remember(r, section, name) < 0)
        return 0;
    if (asprintf(&origin, "%s:%u", r->path, r->line) < 0)
        return error_no_memory(&r->error) == 0;
    return config_build(r->builder, origin, section, name, value, &r->error) == 0;
}

int config_read_file(struct config_builder *b, const char *path, bool required, struct error **err)
{
    _cleanup_(reading) struct reading r = {.builder = b, .path = path};
    int result;

    r.file = fopen(path, "re");
    if (!r.file) {
        if (errno == ENOENT && !required)
            return 0;
        return error_set_errno(err, ERROR_CONFIGURATION, errno, "cannot read %s", path);
    }
    ini_allow_multiline = false; /* an indented line is a line like any other */
    ini_stop_on_first_error = true;
    ini_max_line = LINE_MOST;
    result = ini_parse_stream(next_line, &r, take_key, &r);
    if (result != 0 && !r.error)
        fail(&r, "neither a [section] nor a KEY = VALUE");
    return r.error ? error_move(err, &r.error) : 0;
}

static int is_configuration(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && text_equal(dot, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Takes the names; reads up to the first error. */
static int read_each(struct config_builder *b, const char *directory, struct dirent **names, int n,
                     struct error **err)
{
    int r = 0;

    for (int i = 0; i < n; i++) {
        _cleanup_(freep) char *path = NULL;

        if (r == 0 && asprintf(&path, "%s/%s", directory, names[i]->d_name) < 0)
            r = error_no_memory(err);
        if (r == 0)
            r = config_read_file(b, path, true, err);
        free(names[i]);
    }
    free(names);
    return r;
}

int config_read_directory(struct config_builder *b, const char *directory, struct error **err)
{
    _cleanup_(freep) char *file = NULL;
    _cleanup_(freep) char *drop_ins = NULL;
    struct dirent **names = NULL;
    int n, r;

    if (asprintf(&file, "%s/stopd.conf", directory) < 0 ||
        asprintf(&drop_ins, "%s/conf.d", directory) < 0)
        return error_no_memory(err);
    r = config_read_file(b, file, false, err);
    if (r < 0)
        return r;
    n = scandir(drop_ins, &names, is_configuration, by_bytes);
    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0)
        return error_set_errno(err, ERROR_CONFIGURATION, errno, "cannot read %s", drop_ins);
    return read_each(b, drop_ins, names, n, err);
}
