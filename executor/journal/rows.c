/* rows.c - stored rows as values: nothing in the file is taken for granted
 *
 * Theory of operation. The columns are checked by SQLite when they are written (STRICT tables), and
 * the file's structure when it is opened. What is left are bytes that a bad disk or a person
 * changed inside a row. Such a row is an error that says which one it is; guessing at an operation
 * could cut somebody's power.
 */
#include "base/json.h"
#include "journal/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_uuid(const char *s)
{
    uuid_t ignored;

    return s && uuid_parse(s, ignored) == 0;
}

int row_damaged(sqlite3_stmt *q, struct error **err, const char *row, const char *name)
{
    if (column_had_no_memory(q))
        return error_no_memory(err);
    return error_set(err, ERROR_JOURNAL,
                     "%s %s in the journal is damaged; stop stopd, keep a copy of the file, and "
                     "delete that row with sqlite3",
                     row, name);
}

int each_ended(int r, struct error **err)
{
    if (r >= 0)
        return 0;
    return r == -ENOMEM ? error_no_memory(err)
                        : error_set_errno(err, ERROR_INTERNAL, r, "reading the journal");
}

static bool names(json_object *document, const char *request_id)
{
    const char *named;

    return json_get_string(document, "requestId", &named) == 0 && text_equal(named, request_id);
}

static int parse(sqlite3_stmt *q, json_object **ret)
{
    _cleanup_(json) json_object *document = NULL;
    const char *request_id = column_text(q, 0, NULL), *text;
    size_t size = 0;
    int r;

    text = column_text(q, 1, &size);
    if (!request_id || !text)
        return -EINVAL;
    r = json_parse_object(text, size, &document);
    if (r == 0 && !names(document, request_id))
        r = -EINVAL;
    if (r == 0)
        *ret = take(document);
    return r;
}

int document_of_row(sqlite3_stmt *q, json_object **ret, struct error **err)
{
    const char *request_id = column_text(q, 0, NULL);
    int r = parse(q, ret);

    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r < 0)
        return row_damaged(q, err, "operation", request_id ? request_id : "(without a RequestId)");
    return 0;
}

int event_of_row(sqlite3_stmt *q, struct upstream_event *ret, struct error **err)
{
    struct upstream_event e = {
        .id = column_text(q, 1, NULL),
        .instance_id = column_text(q, 2, NULL),
        .type = column_text(q, 3, NULL),
    };
    char name[32] = "(without a sequence)";

    e.body = column_text(q, 4, &e.body_size);
    if (column_number(q, 0, &e.sequence))
        snprintf(name, sizeof(name), "%llu", (unsigned long long)e.sequence);
    if (e.sequence == 0 || !is_uuid(e.id) || !is_set(e.instance_id) || !is_set(e.type) ||
        !is_set(e.body))
        return row_damaged(q, err, "event", name);
    *ret = e;
    return 0;
}

int reported_of_row(sqlite3_stmt *q, struct reported *ret, struct error **err)
{
    const char *domain = column_text(q, 0, NULL);
    const char *instance_id = column_text(q, 1, NULL);
    const char *state = column_text(q, 2, NULL);
    const char *boot_id = column_text(q, 3, NULL);
    uint64_t pid, start_time;
    struct reported r = {0};

    if (!domain || uuid_parse(domain, r.domain) < 0 || !is_set(instance_id) || !state ||
        instance_state_from_string(state, &r.state) < 0 || !boot_id ||
        strlen(boot_id) >= sizeof(r.incarnation.boot_id) || !column_number(q, 4, &pid) ||
        pid > INT32_MAX || !column_number(q, 5, &start_time))
        return row_damaged(q, err, "the last report of domain",
                           domain ? domain : "(without a UUID)");
    memcpy(r.incarnation.boot_id, boot_id, strlen(boot_id) + 1);
    r.incarnation.pid = (pid_t)pid;
    r.incarnation.start_time = start_time;
    if (text_replace(&r.instance_id, instance_id) < 0 ||
        text_replace(&r.facts, column_text(q, 6, NULL)) < 0 || column_had_no_memory(q)) {
        reported_clear(&r);
        return error_no_memory(err);
    }
    *ret = r;
    return 0;
}

void reported_clear(struct reported *r)
{
    free(r->instance_id);
    free(r->facts);
    *r = (struct reported){0};
}
