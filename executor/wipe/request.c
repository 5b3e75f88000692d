/* request.c - what a clear is asked to be: defaults, the sense of it as a whole, ownership */
#include "stopd/wipe-protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum wipe_verb, wipe_verb, WIPE_VERB_MAX, "identify", "plan", "clear");
DEFINE_ENUM_WORDS(enum wipe_verify, wipe_verify, WIPE_VERIFY_MAX, "sample", "full", "none");
DEFINE_ENUM_WORDS(enum wipe_stage, wipe_stage, WIPE_STAGE_MAX, "command", "clearing", "zeroing",
                  "verifying");

static const enum clear_method default_methods[] = {
    CLEAR_NVME_FORMAT_CRYPTO, CLEAR_NVME_FORMAT_USER_DATA, CLEAR_WRITE_ZEROES, CLEAR_OVERWRITE};

void wipe_request_init(struct wipe_request *r)
{
    *r = (struct wipe_request){
        .verb = WIPE_VERB_MAX,
        .kind = STORAGE_KIND_MAX,
        .n_methods = ELEMENTSOF(default_methods),
        .level = LEVEL_CLEAR,
        .verify = WIPE_VERIFY_SAMPLE,
    };
    memcpy(r->methods, default_methods, sizeof(default_methods));
}

static void list_clear(struct wipe_list *l)
{
    while (l->n > 0)
        free(l->items[--l->n]);
    free(take(l->items));
}

void wipe_request_clear(struct wipe_request *r)
{
    free(r->device);
    identity_expected_clear(&r->identity);
    list_clear(&r->allow_devices);
    list_clear(&r->allow_files);
    list_clear(&r->companions);
    while (r->n_others > 0) {
        r->n_others--;
        free(r->others[r->n_others].domain);
        free(r->others[r->n_others].source);
    }
    free(r->others);
    json_object_put(r->resume.steps);
    free(r->request_id);
    free(r->instance_id);
    free(r->target);
    free(r->operator);
    free(r->host);
    wipe_request_init(r);
}

int wipe_list_add(struct wipe_list *l, const char *item)
{
    char **items = reallocarray(l->items, l->n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    l->items = items;
    items[l->n] = strdup(item);
    if (!items[l->n])
        return -ENOMEM;
    l->n++;
    return 0;
}

/* Grown by doubling: a host may have thousands of disks. */
static int add_other(struct wipe_request *r, const struct wipe_other *other)
{
    if ((r->n_others & (r->n_others - 1)) == 0) {
        size_t room = r->n_others ? 2 * r->n_others : 1;
        struct wipe_other *others = reallocarray(r->others, room, sizeof(*others));

        if (!others)
            return -ENOMEM;
        r->others = others;
    }
    r->others[r->n_others++] = *other;
    return 0;
}

int wipe_request_add_other(struct wipe_request *r, const char *domain, const char *source)
{
    _cleanup_(freep) char *d = strdup(domain), *s = strdup(source);

    if (!d || !s || add_other(r, &(struct wipe_other){.domain = d, .source = s}) < 0)
        return -ENOMEM;
    d = s = NULL;
    return 0;
}

int wipe_request_add_other_pci(struct wipe_request *r, const char *domain, const char *address)
{
    _cleanup_(freep) char *d = strdup(domain);
    struct wipe_other other = {.domain = d};

    snprintf(other.pci, sizeof(other.pci), "%s", address);
    if (!d || add_other(r, &other) < 0)
        return -ENOMEM;
    d = NULL;
    return 0;
}

int wipe_request_add_method(struct wipe_request *r, enum clear_method method, struct error **err)
{
    for (size_t i = 0; i < r->n_methods; i++)
        if (r->methods[i] == method)
            return error_set(err, ERROR_USAGE, "the method %s is listed twice",
                             clear_method_to_string(method));
    r->methods[r->n_methods++] = method;
    return 0;
}

int wipe_request_set_methods(struct wipe_request *r, const char *list, struct error **err)
{
    _cleanup_(freep) char *copy = strdup(list);
    char *rest = copy, *word;
    enum clear_method method;
    int result;

    if (!copy)
        return error_no_memory(err);
    r->n_methods = 0;
    while ((word = strsep(&rest, ","))) {
        word += strspn(word, " \t");
        word[strcspn(word, " \t")] = '\0';
        if (clear_method_from_string(word, &method) < 0)
            return error_set(err, ERROR_USAGE, "'%s' is no method of clearing", word);
        result = wipe_request_add_method(r, method, err);
        if (result < 0)
            return result;
    }
    return 0;
}

int wipe_request_set_identity(struct wipe_request *r, const char *key, const char *value,
                              struct error **err)
{
    enum identity_key k;

    if (identity_key_from_string(key, &k) < 0)
        return error_set(err, ERROR_USAGE, "'%s' is no key of an identity", key);
    if (!is_set(value))
        return error_set(err, ERROR_USAGE, "the identity's %s is empty", key);
    if (r->identity.value[k])
        return error_set(err, ERROR_USAGE, "the identity's %s is given twice", key);
    if (text_replace(&r->identity.value[k], value) < 0)
        return error_no_memory(err);
    return 0;
}

int wipe_request_check(const struct wipe_request *r, struct error **err)
{
    if (r->verb == WIPE_VERB_MAX)
        return error_set(err, ERROR_USAGE, "there is no verb");
    if (!is_set(r->device))
        return error_set(err, ERROR_USAGE, "there is no device");
    if (r->device[0] != '/')
        return error_set(err, ERROR_USAGE, "the device '%s' is not an absolute path", r->device);
    if (r->verb == WIPE_IDENTIFY)
        return 0;
    if (r->n_methods == 0)
        return error_set(err, ERROR_USAGE, "the ladder has no method");
    if (r->level == LEVEL_PURGE && r->verify == WIPE_VERIFY_NONE)
        return error_set(err, ERROR_USAGE, "level purge is not to be had without verification");
    if (r->verb == WIPE_CLEAR && !identity_is_enough(&r->identity))
        return error_set(
            err, ERROR_USAGE,
            "a clear needs to be told what the device is: at least one of serial, eui64, "
            "nguid, uuid, wwn, size, or device and inode");
    return 0;
}
