/* log.c - log lines: journald fields, text for a terminal, or one JSON object a line */
#include "stopd/log.h"

#include "base/json-writer.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

DEFINE_ENUM_WORDS(enum log_level, log_level, LOG_LEVEL_MAX, "error", "warning", "notice", "info",
                  "debug");
DEFINE_ENUM_WORDS(enum log_format, log_format, LOG_FORMAT_MAX, "auto", "journald", "text", "json");

static _Atomic(int) threshold = LOG_LEVEL_INFO;
static enum log_format log_as = LOG_FORMAT_TEXT;

/* syslog(3) priorities of our levels. */
static const int priorities[LOG_LEVEL_MAX] = {3, 4, 5, 6, 7};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

void log_setup(enum log_level level, enum log_format format)
{
    if (format == LOG_FORMAT_AUTO) {
        if (getenv("JOURNAL_STREAM"))
            format = LOG_FORMAT_JOURNALD;
        else
            format = isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
    }
    log_as = format;
    log_set_level(level);
}

/* A field without a value is left out: an empty iovec would be an error to journald. */
static void add_field(struct iovec *fields, int *n, char *buffer, size_t size, const char *name,
                      const char *value)
{
    int used;

    if (!is_set(value))
        return;
    used = snprintf(buffer, size, "%s=%s", name, value);
    if (used < 0)
        return;
    fields[(*n)++] = (struct iovec){buffer, (size_t)used < size ? (size_t)used : size - 1};
}

static void say_to_journald(enum log_level level, const struct log_fields *f, const char *text)
{
    char buffers[5][256], message[4096];
    struct iovec fields[6];
    int n = 0;

    add_field(fields, &n, message, sizeof(message), "MESSAGE", text);
    snprintf(buffers[0], sizeof(buffers[0]), "PRIORITY=%d", priorities[level]);
    fields[n++] = (struct iovec){buffers[0], strlen(buffers[0])};
    add_field(fields, &n, buffers[1], sizeof(buffers[1]), "MESSAGE_ID", f->message_id);
    add_field(fields, &n, buffers[2], sizeof(buffers[2]), "STOPD_INSTANCE_ID", f->instance_id);
    add_field(fields, &n, buffers[3], sizeof(buffers[3]), "STOPD_REQUEST_ID", f->request_id);
    add_field(fields, &n, buffers[4], sizeof(buffers[4]), "STOPD_CODE", f->code);
    sd_journal_sendv(fields, n);
}

static void write_field(struct json_writer *w, const char *key, const char *value)
{
    if (is_set(value))
        json_write_string(w, key, value);
}

static void say_as_json(enum log_level level, const struct log_fields *f, const char *text)
{
    _cleanup_(json_writer) struct json_writer w = {0};

    json_write_begin(&w, NULL, '{');
    json_write_time(&w, "time", moment_now().realtime);
    write_field(&w, "level", log_level_to_string(level));
    write_field(&w, "message", text);
    write_field(&w, "messageId", f->message_id);
    write_field(&w, "instanceId", f->instance_id);
    write_field(&w, "requestId", f->request_id);
    write_field(&w, "code", f->code);
    json_write_end(&w, '}');
    json_write_line_feed(&w);
    if (json_written(&w))
        (void)!write(STDERR_FILENO, w.text, w.size);
}

static void say(enum log_level level, const struct log_fields *fields, const char *text)
{
    if (log_as == LOG_FORMAT_JOURNALD)
        say_to_journald(level, fields, text);
    else if (log_as == LOG_FORMAT_JSON)
        say_as_json(level, fields, text);
    else
        dprintf(STDERR_FILENO, "%s%s%s\n",
                level <= LOG_LEVEL_WARNING ? log_level_to_string(level) : "",
                level <= LOG_LEVEL_WARNING ? ": " : "", text);
}

void log_say(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
    static const struct log_fields none;
    _cleanup_(freep) char *longer = NULL;
    char text[512]; /* most lines fit */
    va_list ap;
    int n;

    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    va_start(ap, format);
    n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof(text)) {
        va_start(ap, format);
        n = vasprintf(&longer, format, ap);
        va_end(ap);
        if (n < 0)
            longer = NULL; /* cut, then */
    }
    if (!fields)
        fields = &none;
    say(level, fields, longer ? longer : text);
}
