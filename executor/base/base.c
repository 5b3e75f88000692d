/* base.c - time and text */
#include "stopd/base.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* Of a time as text, up to the second. */
#define SECONDS_SIZE (sizeof("2006-01-02T15:04:05") - 1)

static usec_t clock_usec(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

struct moment moment_now(void)
{
    return (struct moment){.monotonic = clock_usec(CLOCK_MONOTONIC),
                           .realtime = clock_usec(CLOCK_REALTIME)};
}

/* The digits of n, as many as there is room for. */
static char *put_digits(char *to, unsigned n, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; n /= 10)
        to[i] = (char)('0' + n % 10);
    return to + digits;
}

/* Up to the second. */
static void put_seconds(char *to, time_t seconds)
{
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    to = put_digits(to, (unsigned)tm.tm_year + 1900, 4);
    *to++ = '-';
    to = put_digits(to, (unsigned)tm.tm_mon + 1, 2);
    *to++ = '-';
    to = put_digits(to, (unsigned)tm.tm_mday, 2);
    *to++ = 'T';
    to = put_digits(to, (unsigned)tm.tm_hour, 2);
    *to++ = ':';
    to = put_digits(to, (unsigned)tm.tm_min, 2);
    *to++ = ':';
    put_digits(to, (unsigned)tm.tm_sec, 2);
}

const char *time_to_text(usec_t realtime, char ret[static TIME_TEXT_SIZE])
{
    /* Most times that are written down are of the same second as the one before. */
    static _Thread_local char last_text[SECONDS_SIZE];
    static _Thread_local time_t last = -1;
    time_t seconds = (time_t)(realtime / USEC_PER_SEC);
    char *to;

    if (seconds != last)
        put_seconds(last_text, seconds);
    last = seconds;
    memcpy(ret, last_text, SECONDS_SIZE);
    to = ret + SECONDS_SIZE;
    *to++ = '.';
    to = put_digits(to, (unsigned)(realtime % USEC_PER_SEC / USEC_PER_MSEC), 3);
    *to++ = 'Z';
    *to = '\0';
    return ret;
}

int time_from_text(const char *text, usec_t *ret)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    unsigned milliseconds;
    int used = 0;
    time_t seconds;

    if (!rest || sscanf(rest, ".%3uZ%n", &milliseconds, &used) != 1 || used != 5 || rest[used])
        return -EINVAL;
    seconds = timegm(&tm);
    if (seconds < 0)
        return -EINVAL;
    *ret = (usec_t)seconds * USEC_PER_SEC + milliseconds * USEC_PER_MSEC;
    return 0;
}

ssize_t read_up_to(int fd, char *buffer, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t n = read(fd, buffer + length, size - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

void close_cleanup(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool text_equal_case(const char *a, const char *b)
{
    return a && b ? strcasecmp(a, b) == 0 : a == b;
}

char *text_vformat(const char *format, va_list ap)
{
    char *text;

    return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

int text_replace(char **s, const char *value)
{
    char *copy = NULL;

    if (value) {
        copy = strdup(value);
        if (!copy)
            return -ENOMEM;
    }
    free(*s);
    *s = copy;
    return 0;
}

int text_index(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; word && i < n; i++)
        if (text_equal(words[i], word))
            return (int)i;
    return -1;
}
