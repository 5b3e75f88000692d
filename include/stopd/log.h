/* log.h - what the program tells its operator: journald under systemd, text on a terminal, else
 * JSON lines
 *
 * Any thread may log. Only a program's top and long-lived threads log; library code returns errors.
 */
#ifndef STOPD_LOG_H
#define STOPD_LOG_H

#include "stopd/base.h"

/* syslog's severities, as in log.level. */
enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_MAX
};
enum log_format {
    LOG_FORMAT_AUTO,
    LOG_FORMAT_JOURNALD,
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
    LOG_FORMAT_MAX
};
DECLARE_ENUM_WORDS(enum log_level, log_level);   /* error warning notice info debug */
DECLARE_ENUM_WORDS(enum log_format, log_format); /* auto journald text json */

/* Fields that a line carries beside its text; any may be NULL. message_id is one of the constants
 * in log-message-ids.h: a 128-bit id for each kind of event, for journalctl MESSAGE_ID=. */
struct log_fields {
    const char *message_id;
    const char *instance_id;
    const char *request_id;
    const char *code;
};

/* To standard error until called. AUTO looks at JOURNAL_STREAM and isatty. Before threads start. */
void log_setup(enum log_level level, enum log_format format);
void log_set_level(enum log_level level);

void log_say(enum log_level level, const struct log_fields *fields, const char *format, ...)
    _printf_(3, 4);
#define log_error(...) log_say(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_say(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_say(LOG_LEVEL_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_say(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_say(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

#endif
