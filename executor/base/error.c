/* error.c - the error object and the table behind it */
#include "stopd/error.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int errnum;
    int http_status;
    int exit_status;
    const char *public_code;
    const char *public_message;
} errors[ERROR_MAX] = {
    [ERROR_NONE] = {"NONE", 0, 200, 0, "", ""},
#define ERROR(name, errnum, http, exit, code, message) \
    [ERROR_##name] = {#name, errnum, http, exit, code, message},
#include "stopd/error-list.h"
#undef ERROR
};

/* What stands in for an error that there was no memory for; never freed. */
static char no_memory_message[] = "out of memory";
static struct error no_memory = {.code = ERROR_NO_MEMORY, .message = no_memory_message};

static int error_of(const struct error *e)
{
    return -errors[e->code].errnum;
}

int error_no_memory(struct error **err)
{
    if (err)
        *err = &no_memory;
    return -ENOMEM;
}

/* Takes the message, which ends up in answers and events. What others say may be any bytes, and
 * what is cut short may be cut in the middle of a character. */
static int set(struct error **err, enum error_code code, char *message)
{
    struct error *e;

    if (!err) {
        free(message);
        return -errors[code].errnum;
    }
    e = malloc(sizeof(*e));
    if (!e || !message) {
        free(message);
        free(e);
        return error_no_memory(err);
    }
    utf8_repair(message, strlen(message));
    *e = (struct error){.code = code, .message = message};
    *err = e;
    return error_of(e);
}

int error_set(struct error **err, enum error_code code, const char *format, ...)
{
    char *message = NULL;
    va_list ap;

    if (!err)
        return -errors[code].errnum;
    if (!is_set(format))
        return set(err, code, strdup(errors[code].public_message));
    va_start(ap, format);
    message = text_vformat(format, ap);
    va_end(ap);
    return set(err, code, message);
}

int error_set_errno(struct error **err, enum error_code code, int errnum, const char *format, ...)
{
    _cleanup_(freep) char *what = NULL;
    char *message = NULL;
    va_list ap;

    if (!err)
        return -errors[code].errnum;
    va_start(ap, format);
    what = text_vformat(format, ap);
    va_end(ap);
    if (!what || asprintf(&message, "%s: %s", what, strerror(errnum < 0 ? -errnum : errnum)) < 0)
        message = NULL;
    return set(err, code, message);
}

int error_context(struct error **err, const char *format, ...)
{
    _cleanup_(freep) char *what = NULL;
    char *message;
    va_list ap;

    if (!err || !*err)
        return -errors[ERROR_INTERNAL].errnum;
    if (*err == &no_memory)
        return -ENOMEM;
    va_start(ap, format);
    what = text_vformat(format, ap);
    va_end(ap);
    if (what && asprintf(&message, "%s: %s", what, (*err)->message) >= 0) {
        utf8_repair(message, strlen(message));
        free((*err)->message);
        (*err)->message = message;
    }
    return error_of(*err);
}

int error_move(struct error **to, struct error **from)
{
    int r = *from ? error_of(*from) : 0;

    if (to)
        *to = take(*from);
    else
        error_free(take(*from));
    return r;
}

void error_free(struct error *e)
{
    if (!e || e == &no_memory)
        return;
    free(e->message);
    free(e);
}

const char *error_message(const struct error *e)
{
    return e ? e->message : "unknown error";
}

enum error_code error_code_of(const struct error *e)
{
    return e ? e->code : ERROR_INTERNAL;
}

const char *error_name(enum error_code code)
{
    return (unsigned)code < ERROR_MAX ? errors[code].name : NULL;
}

int error_from_name(const char *name, enum error_code *ret)
{
    for (unsigned i = 0; i < ERROR_MAX; i++)
        if (text_equal(errors[i].name, name)) {
            *ret = (enum error_code)i;
            return 0;
        }
    return -EINVAL;
}

int error_errno(enum error_code code)
{
    return errors[code].errnum;
}

int error_http_status(enum error_code code)
{
    return errors[code].http_status;
}

int error_exit_status(enum error_code code)
{
    return errors[code].exit_status;
}

const char *error_public_code(enum error_code code)
{
    return errors[code].public_code;
}

const char *error_public_message(enum error_code code)
{
    return errors[code].public_message;
}

int error_exit_status_of_answer(const char *public_code, int http_status)
{
    for (unsigned i = 1; i < ERROR_MAX; i++)
        if (text_equal(errors[i].public_code, public_code) && errors[i].http_status == http_status)
            return errors[i].exit_status;
    if (http_status == 429 || http_status >= 500)
        return 75;
    return http_status == 404 ? 66 : 76;
}
