/* describe.c - DescribeInstanceStatus: which instance is in which state, a page at a time
 *
 * Theory of operation. The engine tells of every instance there is; which of them are asked for, in
 * which order they stand and which page they make is decided here. The order is the ids', so that a
 * caller who turns the pages while instances come and go sees each that stays.
 */
#include "api/route.h"

#include "api/respond.h"
#include "api/urlencoded.h"
#include "base/json.h"

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
    return strcmp(text_of(*(json_object *const *)a, "instanceId"),
                  text_of(*(json_object *const *)b, "instanceId"));
}

/* The wanted ones, sorted; NULL when out of memory. */
static json_object *select_wanted(const struct parameters *p, json_object *instances)
{
    _cleanup_(json) json_object *wanted = json_object_new_array();

    if (!wanted)
        return NULL;
    for (size_t i = 0; i < json_object_array_length(instances); i++) {
        json_object *instance = json_object_array_get_idx(instances, i);

        if (is_wanted(p, instance) && json_append(wanted, json_object_get(instance)) < 0)
            return NULL;
    }
    json_object_array_sort(wanted, compare_ids);
    return take(wanted);
}

static int add_status(json_object *list, json_object *instance)
{
    json_object *status = json_object_new_object();

    if (!status || json_append(list, status) < 0)
        return -1;
    return json_add_string(status, "InstanceId", text_of(instance, "instanceId")) |
           json_add_string(status, "Status", text_of(instance, "state"));
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
        r = add_status(list, json_object_array_get_idx(wanted, i));
    return r;
}

/* NULL when out of memory. */
static json_object *make_body(const struct exchange *x, const struct page *page,
                              json_object *instances)
{
    _cleanup_(json) json_object *body = json_object_new_object();
    _cleanup_(json) json_object *wanted = select_wanted(&x->parameters, instances);

    if (!body || !wanted || json_add_string(body, "RequestId", x->request_id) < 0 ||
        json_add_number(body, "TotalCount", json_object_array_length(wanted)) < 0 ||
        json_add_number(body, "PageNumber", page->number) < 0 ||
        json_add_number(body, "PageSize", page->size) < 0 || fill_page(body, page, wanted) < 0)
        return NULL;
    return take(body);
}

static void answered(struct exchange *x, const struct answer *a)
{
    json_object *instances;
    struct page page;

    if (respond_failure(x, a))
        return;
    if (json_get_array(a->body, "instances", &instances) < 0)
        respond_code(x, ERROR_INTERNAL, "The list of instances could not be read.");
    else if (read_page(&x->parameters, &page, NULL) == 0)
        respond_object(x, make_body(x, &page, instances));
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
        exchange_ask_or_fail(x, exchange_request(x, REQUEST_INSTANCES), answered);
}
