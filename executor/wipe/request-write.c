/* request-write.c - the request as its sender writes it */
#include "base/json.h"
#include "stopd/wipe-protocol.h"

#include <errno.h>

static int add_list(json_object *o, const char *name, const struct wipe_list *l)
{
    json_object *array;

    if (l->n == 0)
        return 0;
    array = json_object_new_array_ext((int)l->n);
    if (json_add(o, name, array) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++)
        if (json_append(array, json_object_new_string(l->items[i])) < 0)
            return -ENOMEM;
    return 0;
}

static int add_identity(json_object *o, const struct identity_expected *expected)
{
    json_object *identity = json_object_new_object();

    if (json_add(o, "identity", identity) < 0)
        return -ENOMEM;
    for (int key = 0; key < IDENTITY_KEY_MAX; key++)
        if (expected->value[key] &&
            json_add_string(identity, identity_key_to_string((enum identity_key)key),
                            expected->value[key]) < 0)
            return -ENOMEM;
    return 0;
}

static int add_methods(json_object *o, const struct wipe_request *r)
{
    json_object *methods = json_object_new_array();

    if (json_add(o, "methods", methods) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_methods; i++)
        if (json_append(methods, json_object_new_string(clear_method_to_string(r->methods[i]))) < 0)
            return -ENOMEM;
    return 0;
}

static int add_allow(json_object *o, const struct wipe_request *r)
{
    json_object *allow = json_object_new_object();

    if (json_add(o, "allow", allow) < 0 || add_list(allow, "devices", &r->allow_devices) < 0 ||
        add_list(allow, "files", &r->allow_files) < 0)
        return -ENOMEM;
    return 0;
}

static int add_others(json_object *o, const struct wipe_request *r)
{
    json_object *others = json_object_new_array();

    if (json_add(o, "others", others) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_others; i++) {
        json_object *other = json_object_new_object();
        const struct wipe_other *each = &r->others[i];

        if (json_append(others, other) < 0 || json_add_string(other, "domain", each->domain) < 0 ||
            json_add_string(other, each->source ? "source" : "pci",
                            each->source ? each->source : each->pci) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_labels(json_object *o, const struct wipe_request *r)
{
    const struct {
        const char *name, *value;
    } labels[] = {{"requestId", r->request_id}, {"instanceId", r->instance_id},
                  {"target", r->target}, {"operator", r->operator}, {"host", r->host}};

    for (size_t i = 0; i < ELEMENTSOF(labels); i++)
        if (labels[i].value && json_add_string(o, labels[i].name, labels[i].value) < 0)
            return -ENOMEM;
    return 0;
}

json_object *wipe_request_to_json(const struct wipe_request *r)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_number(o, "version", WIPE_PROTOCOL_VERSION) < 0 ||
        json_add_string(o, "verb", wipe_verb_to_string(r->verb)) < 0 ||
        json_add_string(o, "device", r->device) < 0 ||
        (r->kind != STORAGE_KIND_MAX &&
         json_add_string(o, "kind", storage_kind_to_string(r->kind)) < 0) ||
        add_identity(o, &r->identity) < 0 || add_methods(o, r) < 0 ||
        json_add_string(o, "level", clear_level_to_string(r->level)) < 0 ||
        json_add_string(o, "verify", wipe_verify_to_string(r->verify)) < 0 ||
        json_add_number(o, "maxMibPerS", r->max_mib_per_s) < 0 || add_allow(o, r) < 0 ||
        add_others(o, r) < 0 || add_list(o, "companions", &r->companions) < 0 ||
        (r->resume.is_present && json_add(o, "resume", wipe_resume_to_json(&r->resume)) < 0) ||
        add_labels(o, r) < 0)
        return NULL;
    return take(o);
}
