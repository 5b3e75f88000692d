/* text.c - see text.h */
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

/* The next character of text: its bytes (at least one, unless at the end), and its columns. */
static size_t next_character(const char *text, size_t left, bool *printable, size_t *columns)
{
    mbstate_t state = {0};
    wchar_t c = 0;
    size_t bytes = mbrtowc(&c, text, left, &state);

    if (bytes == 0 || bytes > left) { /* at the end, or not a character of this locale */
        *printable = false;
        *columns = 1;
        return left > 0 ? 1 : 0;
    }
    *printable = iswprint((wint_t)c);
    *columns = *printable && wcwidth(c) >= 0 ? (size_t)wcwidth(c) : 1;
    return bytes;
}

char *text_clean(const char *text)
{
    size_t left = strlen(text);
    char *clean = malloc(left + 1), *out = clean;

    while (clean && left > 0) {
        bool printable;
        size_t columns, bytes = next_character(text, left, &printable, &columns);

        if (printable) {
            memcpy(out, text, bytes);
            out += bytes;
        } else {
            *out++ = '?';
        }
        text += bytes;
        left -= bytes;
    }
    if (clean)
        *out = '\0';
    return clean;
}

void text_print(FILE *to, const char *text)
{
    _cleanup_(freep) char *clean = text_clean(text);

    fputs(clean ? clean : "out of memory", to);
}

size_t text_fit(const char *text, size_t columns)
{
    size_t left = strlen(text), used = 0;

    while (left > 0) {
        bool printable;
        size_t width, bytes = next_character(text + used, left, &printable, &width);

        if (width > columns)
            break;
        columns -= width;
        used += bytes;
        left -= bytes;
    }
    return used;
}

size_t text_columns(const char *text)
{
    size_t left = strlen(text), columns = 0;

    while (left > 0) {
        bool printable;
        size_t width, bytes = next_character(text, left, &printable, &width);

        columns += width;
        text += bytes;
        left -= bytes;
    }
    return columns;
}

const char *elapsed_to_text(usec_t elapsed, char ret[static ELAPSED_TEXT_SIZE])
{
    usec_t tenths = (elapsed + USEC_PER_SEC / 20) / (USEC_PER_SEC / 10);
    uint64_t seconds = tenths / 10;

    if (seconds < 60)
        snprintf(ret, ELAPSED_TEXT_SIZE, "%" PRIu64 ".%" PRIu64 " s", seconds, tenths % 10);
    else if (seconds < 3600)
        snprintf(ret, ELAPSED_TEXT_SIZE, "%" PRIu64 " min %02" PRIu64 " s", seconds / 60,
                 seconds % 60);
    else
        snprintf(ret, ELAPSED_TEXT_SIZE, "%" PRIu64 " h %02" PRIu64 " min", seconds / 3600,
                 seconds / 60 % 60);
    return ret;
}

const char *bytes_to_text(uint64_t bytes, char ret[static BYTES_TEXT_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(ret, BYTES_TEXT_SIZE, "%" PRIu64 " B", bytes);
        return ret;
    }
    /* 1023.95 would be written as 1024.0 */
    for (value /= 1024; value >= 1023.95 && unit + 1 < ELEMENTSOF(units); unit++)
        value /= 1024;
    snprintf(ret, BYTES_TEXT_SIZE, "%.1f %s", value, units[unit]);
    return ret;
}

unsigned percent_of(uint64_t part, uint64_t whole)
{
    unsigned percent;

    if (whole == 0)
        return 0;
    if (part >= whole)
        return 100;
    percent = (unsigned)((double)part / (double)whole * 100);
    return percent < 100 ? percent : 99; /* a quotient of large numbers may be rounded up to 1.0 */
}

int text_compare_natural(const char *a, const char *b)
{
    return strverscmp(a, b);
}

const char *local_time_to_text(usec_t realtime, char ret[static LOCAL_TIME_SIZE])
{
    time_t seconds = (time_t)(realtime / USEC_PER_SEC);
    struct tm tm;

    if (!localtime_r(&seconds, &tm) ||
        strftime(ret, LOCAL_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(ret, LOCAL_TIME_SIZE, "?");
    return ret;
}

void table_add(struct table *t, const char *cell)
{
    char **cells = reallocarray(t->cells, t->n + 1, sizeof(*cells));

    if (!cells) {
        t->failed = true;
        return;
    }
    t->cells = cells;
    cells[t->n] = text_clean(is_set(cell) ? cell : "-");
    if (cells[t->n])
        t->n++;
    else
        t->failed = true;
}

int table_print(const struct table *t, FILE *to)
{
    _cleanup_(freep) size_t *widths = calloc(t->columns, sizeof(*widths));

    if (!widths || t->failed)
        return -ENOMEM;
    for (size_t i = 0; i < t->n; i++) {
        size_t width = text_columns(t->cells[i]);

        if (width > widths[i % t->columns])
            widths[i % t->columns] = width;
    }
    for (size_t i = 0; i < t->n; i++) {
        bool last = i % t->columns == t->columns - 1;

        fputs(t->cells[i], to);
        if (last)
            putc('\n', to);
        else
            fprintf(to, "%*s", (int)(widths[i % t->columns] - text_columns(t->cells[i]) + 2), "");
    }
    return 0;
}

void table_cleanup(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
}

const char *color_begin(bool on, enum color color)
{
    static const char *const sequences[] = {[COLOR_NONE] = "",
                                            [COLOR_GOOD] = "\033[32m",
                                            [COLOR_BAD] = "\033[31m",
                                            [COLOR_BUSY] = "\033[33m"};

    return on ? sequences[color] : "";
}

const char *color_end(bool on)
{
    return on ? "\033[0m" : "";
}
