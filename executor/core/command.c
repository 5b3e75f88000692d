/* command.c - how StopInstance's parameters are read
 *
 * Theory of operation. One table names every parameter and the function that reads it. A parameter
 * that is not in the table is an error unless it is one of the cloud's common ones: a misspelt
 * ForceStop must never be taken for a soft stop. What a ClientToken binds is a canonical text of
 * the parameters as they were given, so that a repeated token can be told from a reused one by a
 * comparison of texts, also after a restart.
 */
#include "core/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GRACE_MOST 86400
#define TOKEN_MOST 64
#define INSTANCE_ID_MOST 256

typedef int (*reader)(struct command *c, const char *name, const char *value, struct error **err);

static int invalid(struct error **err, const char *name, const char *must)
{
    return error_set(err, ERROR_INVALID_PARAMETER, "The parameter %s must be %s.", name, must);
}

static int read_action(struct command *c, const char *name, const char *value, struct error **err)
{
    if (!text_equal(value, "StopInstance"))
        return error_set(err, ERROR_ACTION_NOT_FOUND, NULL);
    return 0;
}

static int read_instance_id(struct command *c, const char *name, const char *value,
                            struct error **err)
{
    if (strlen(value) > INSTANCE_ID_MOST)
        return invalid(err, name, "at most 256 characters long");
    return text_replace(&c->instance_id, value) < 0 ? error_no_memory(err) : 0;
}

static int read_force_stop(struct command *c, const char *name, const char *value,
                           struct error **err)
{
    return parameter_boolean(name, value, &c->force_stop, err);
}

/* Ignored for an instance without local storage whatever its value: hence anything but true is no
 * confirmation, and no error here. */
static int read_confirm_stop(struct command *c, const char *name, const char *value,
                             struct error **err)
{
    c->confirm_stop = text_equal_case(value, "true");
    return 0;
}

/* The API reference's own example writes keepcharging. */
static int read_stopped_mode(struct command *c, const char *name, const char *value,
                             struct error **err)
{
    if (text_equal_case(value, "KeepCharging"))
        c->stopped_mode = STOPPED_MODE_KEEP_CHARGING;
    else if (text_equal_case(value, "StopCharging"))
        c->stopped_mode = STOPPED_MODE_STOP_CHARGING;
    else if (!text_equal_case(value, "Not-applicable") && !text_equal_case(value, "NotApplicable"))
        return invalid(err, name, "KeepCharging, StopCharging or Not-applicable");
    return 0;
}

static int read_hibernate(struct command *c, const char *name, const char *value,
                          struct error **err)
{
    return parameter_boolean(name, value, &c->hibernate, err);
}

static int read_dry_run(struct command *c, const char *name, const char *value, struct error **err)
{
    return parameter_boolean(name, value, &c->dry_run, err);
}

static int read_client_token(struct command *c, const char *name, const char *value,
                             struct error **err)
{
    size_t length = strlen(value);

    for (size_t i = 0; i < length; i++)
        if (value[i] < 0x20 || value[i] > 0x7e)
            return invalid(err, name, "printable ASCII");
    if (length > TOKEN_MOST)
        return invalid(err, name, "at most 64 characters long");
    return text_replace(&c->client_token, value) < 0 ? error_no_memory(err) : 0;
}

static int read_grace_period(struct command *c, const char *name, const char *value,
                             struct error **err)
{
    uint64_t seconds;
    int r = parameter_integer(name, value, 1, GRACE_MOST, &seconds, err);

    if (r < 0)
        return r;
    c->grace = seconds * USEC_PER_SEC;
    return 0;
}

static int read_on_grace_timeout(struct command *c, const char *name, const char *value,
                                 struct error **err)
{
    if (text_equal_case(value, "Fail"))
        c->on_timeout = ON_TIMEOUT_FAIL;
    else if (text_equal_case(value, "Force"))
        c->on_timeout = ON_TIMEOUT_FORCE;
    else
        return invalid(err, name, "Fail or Force");
    return 0;
}

/* A host's operator has to be able to empty it; nobody else overrides anything. */
static int read_override(struct command *c, const char *name, const char *value, struct error **err)
{
    if (!c->principal.is_local_root)
        return error_set(err, ERROR_FORBIDDEN, "Override is only for root over the Unix socket.");
    for (const char *word = value; word;) {
        size_t length = strcspn(word, ",");

        if (length == 4 && strncmp(word, "lock", 4) == 0)
            c->override_lock = true;
        else if (length == 7 && strncmp(word, "arrears", 7) == 0)
            c->override_arrears = true;
        else
            return invalid(err, name, "lock, arrears, or both with a comma between");
        word = word[length] ? word + length + 1 : NULL;
    }
    return 0;
}

const char *command_overriding(const struct command *c)
{
    static const char *const clauses[2][2] = {
        {"", ", overriding expiry and arrears"},
        {", overriding the security lock", ", overriding the security lock, expiry and arrears"}};

    return clauses[c->override_lock][c->override_arrears];
}

static const struct {
    const char *name;
    reader read;
} readers[] = {
    {"Action", read_action},
    {"InstanceId", read_instance_id},
    {"ForceStop", read_force_stop},
    {"ConfirmStop", read_confirm_stop},
    {"StoppedMode", read_stopped_mode},
    {"Hibernate", read_hibernate},
    {"DryRun", read_dry_run},
    {"ClientToken", read_client_token},
    {"GracePeriod", read_grace_period},
    {"OnGraceTimeout", read_on_grace_timeout},
    {"Override", read_override},
};

static reader find_reader(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(readers); i++)
        if (text_equal(readers[i].name, name))
            return readers[i].read;
    return NULL;
}

static bool is_repeated(const struct parameters *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (text_equal(p->items[k].name, p->items[i].name))
            return true;
    return false;
}

static int read_all(const struct parameters *p, struct command *c, struct error **err)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct parameter *item = &p->items[i];
        reader read = find_reader(item->name);
        int r;

        if (!read && !parameter_is_common(item->name))
            return error_set(err, ERROR_INVALID_PARAMETER, "The parameter %.64s is not known.",
                             item->name);
        if (is_repeated(p, i))
            return error_set(err, ERROR_INVALID_PARAMETER, "The parameter %.64s is given twice.",
                             item->name);
        if (!read || !is_set(item->value))
            continue;
        r = read(c, item->name, item->value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct parameter *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* Of a fingerprint's line, beside name and value: signs and the digits of a size. */
#define LINE_REST 24

static int make_fingerprint(const struct parameters *p, struct command *c, struct error **err)
{
    _cleanup_(freep) const struct parameter **sorted = calloc(p->n, sizeof(*sorted));
    size_t n = 0, room = 1;
    char *to;

    if (!sorted)
        return error_no_memory(err);
    for (size_t i = 0; i < p->n; i++)
        if (!parameter_is_common(p->items[i].name) && is_set(p->items[i].value))
            sorted[n++] = &p->items[i];
    qsort(sorted, n, sizeof(*sorted), compare_names);
    for (size_t i = 0; i < n; i++)
        room += strlen(sorted[i]->name) + strlen(sorted[i]->value) + LINE_REST;
    to = c->fingerprint = malloc(room);
    if (!to)
        return error_no_memory(err);
    *to = '\0';
    for (size_t i = 0; i < n; i++)
        if (!text_equal(sorted[i]->name, "Action") && !text_equal(sorted[i]->name, "ClientToken"))
            to += sprintf(to, "%s=%zu:%s\n", sorted[i]->name, strlen(sorted[i]->value),
                          sorted[i]->value);
    return 0;
}

int command_parse(const struct parameters *p, struct command *ret, struct error **err)
{
    int r = 0;

    if (!parameters_get(p, "InstanceId"))
        r = error_set(err, ERROR_MISSING_PARAMETER, NULL);
    if (r == 0)
        r = read_all(p, ret, err);
    if (r == 0)
        r = make_fingerprint(p, ret, err);
    if (r < 0)
        command_clear(ret);
    return r;
}

void command_clear(struct command *c)
{
    free(c->instance_id);
    free(c->client_token);
    free(c->traceparent);
    free(c->fingerprint);
    *c = (struct command){0};
}

void command_cleanup(struct command *c)
{
    command_clear(c);
}
