/* describe.c - DescribeInstanceStatus: which instance is in which state, a page at a time
 *
 * Theory of operation. The engine tells of every instance there is, a slice at a time; which of
 * them are asked for, in which order they stand and which page they make is decided here. The order
 * is the ids', so that a caller who turns the pages while instances come and go sees each that
 * stays.
 */
#include "api/route.h"

#include "api/instances.h"
#include "api/respond.h"
#include "api/urlencoded.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INSTANCE_IDS_MOST 100
#define PAGE_SIZE_MOST 50
#define PAGE_SIZE_DEFAULT 10

struct page {
    uint64_t number, size;
};

/* InstanceId.1 … InstanceId.100 */
static bool is_instance_id(const char *name, struct error **err)
{
    uint64_t n;

    return strncmp(name, "InstanceId.", 11) == 0 && name[11] != '0' &&
           parameter_integer(name, name + 11, 1, INSTANCE_IDS_MOST, &n, err) == 0;
}

static bool is_known(const void *userdata, const char *name)
{
    static const char *const known[] = {"Action", "PageNumber", "PageSize", "ZoneId", "ClusterId"};

    return text_index(known, ELEMENTSOF(known), name) >= 0 || parameter_is_common(name) ||
           is_instance_id(name, NULL);
}

static int read_number(const struct parameters *p, const char *name, uint64_t most, uint64_t *ret,
                       struct error **err)
{
    const char *value = parameters_get(p, name);

    return value ? parameter_integer(name, value, 1, most, ret, err) : 0;
}

static int read_page(const struct parameters *p, struct page *ret, struct error **err)
{
    int r;

    *ret = (struct page){1, PAGE_SIZE_DEFAULT};
    r = read_number(p, "PageNumber", INT32_MAX, &ret->number, err);
    return r < 0 ? r : read_number(p, "PageSize", PAGE_SIZE_MOST, &ret->size, err);
}

static const char *text_of(json_object *instance, const char *key)
{
    const char *text = NULL;

    json_get_string(instance, key, &text);
    return text ? text : "";
}

/* No id: every instance. An instance is meant by what StopInstance would find it by. */
static bool is_wanted(const struct parameters *p, json_object *instance)
{
    bool any = true;

    for (size_t i = 0; i < p->n; i++) {
        const char *id = p->items[i].value;

        if (!is_instance_id(p->items[i].name, NULL) || !is_set(id))
            continue;
        any = false;
        if (text_equal(id, text_of(instance, "instanceId")) ||
            text_equal(id, text_of(instance, "name")) ||
            text_equal_case(id, text_of(instance, "uuid")))
            return true;
    }
    return any;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(text_of(*(json_object *const *)a, "InstanceId"),
                  text_of(*(json_object *const *)b, "InstanceId"));
}

/* Of one instance, as the answer has it; NULL when out of memory. */
static json_object *make_status(json_object *instance)
{
    _cleanup_(json) json_object *status = json_object_new_object();

    if (!status || json_add_string(status, "InstanceId", text_of(instance, "instanceId")) < 0 ||
        json_add_string(status, "Status", text_of(instance, "state")) < 0)
        return NULL;
    return take(status);
}

static int gather(struct exchange *x, json_object *slice)
{
    if (!x->gathered.list)
        x->gathered.list = json_object_new_array();
    if (!x->gathered.list)
        return -ENOMEM;
    for (size_t i = 0; i < json_object_array_length(slice); i++) {
        json_object *instance = json_object_array_get_idx(slice, i);

        if (is_wanted(&x->parameters, instance) &&
            json_append(x->gathered.list, make_status(instance)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int fill_page(json_object *body, const struct page *page, json_object *wanted)
{
    json_object *statuses = json_object_new_object(), *list = json_object_new_array();
    uint64_t n = json_object_array_length(wanted), first = (page->number - 1) * page->size;
    int r = json_add(body, "InstanceStatuses", statuses);

    if (r < 0) {
        json_object_put(list);
        return r;
    }
    r = json_add(statuses, "InstanceStatus", list);
    for (uint64_t i = first; r == 0 && i < n && i < first + page->size; i++)
        r = json_append(list, json_object_get(json_object_array_get_idx(wanted, i)));
    return r;
}

/* NULL when out of memory. */
static json_object *make_body(const struct exchange *x, const struct page *page)
{
    _cleanup_(json) json_object *body = json_object_new_object();
    json_object *wanted = x->gathered.list;

    json_object_array_sort(wanted, compare_ids);
    if (!body || json_add_string(body, "RequestId", x->request_id) < 0 ||
        json_add_number(body, "TotalCount", json_object_array_length(wanted)) < 0 ||
        json_add_number(body, "PageNumber", page->number) < 0 ||
        json_add_number(body, "PageSize", page->size) < 0 || fill_page(body, page, wanted) < 0)
        return NULL;
    return take(body);
}

static void finish(struct exchange *x)
{
    struct page page;

    if (read_page(&x->parameters, &page, NULL) == 0)
        respond_object(x, make_body(x, &page));
}

void describe_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    struct page page;

    if (x->malformed)
        respond_error(x, x->malformed);
    else if (urlencoded_check_names(&x->parameters, is_known, NULL, &err) < 0 ||
             read_page(&x->parameters, &page, &err) < 0)
        respond_error(x, err);
    else
        instances_ask(x, gather, finish);
}
