/* request-json.c - the request as it comes in on descriptor 0
 *
 * Theory of operation. The request is a table of members: a name, a reader, a writer. Reading takes
 * every member of the object and looks for its name in the table; what is not there is an error,
 * because a guard that its sender has misspelt would otherwise silently not be there. Null counts
 * as absent. The sender is the daemon, but nothing here trusts it: sizes, depth and types are all
 * bounded. */
#include "base/json.h"
#include "stopd/wipe-protocol.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Deep enough for every request there is; a deeper one is no request. */
#define REQUEST_DEPTH 12

static int read_text(json_object *value, const char *what, char **ret, struct error **err)
{
    const char *text = json_object_get_string(value);

    if (!json_object_is_type(value, json_type_string))
        return error_set(err, ERROR_USAGE, "%s is not text", what);
    /* A NUL inside would end the path that we look at before the one that was meant. */
    if (strlen(text) != (size_t)json_object_get_string_len(value))
        return error_set(err, ERROR_USAGE, "%s has a NUL in it", what);
    if (text_replace(ret, text) < 0)
        return error_no_memory(err);
    return 0;
}

/* One of an enum's words. */
#define DEFINE_WORD_READER(type, name)                                                           \
    static int read_##name(json_object *value, const char *what, type *ret, struct error **err)  \
    {                                                                                            \
        const char *word =                                                                       \
            json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL; \
        if (name##_from_string(word, ret) < 0)                                                   \
            return error_set(err, ERROR_USAGE, "%s is none of the known words", what);           \
        return 0;                                                                                \
    }                                                                                            \
    struct base_swallow_semicolon
DEFINE_WORD_READER(enum wipe_verb, wipe_verb);
DEFINE_WORD_READER(enum wipe_verify, wipe_verify);
DEFINE_WORD_READER(enum storage_kind, storage_kind);
DEFINE_WORD_READER(enum clear_level, clear_level);
DEFINE_WORD_READER(enum clear_method, clear_method);

static int read_number(json_object *value, const char *what, uint64_t *ret, struct error **err)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return error_set(err, ERROR_USAGE, "%s is no whole number of at least 0", what);
    *ret = json_object_get_uint64(value);
    return 0;
}

static int read_list(json_object *value, const char *what, struct wipe_list *ret,
                     struct error **err)
{
    if (!json_object_is_type(value, json_type_array))
        return error_set(err, ERROR_USAGE, "%s is no list", what);
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        _cleanup_(freep) char *item = NULL;
        int r = read_text(json_object_array_get_idx(value, i), what, &item, err);

        if (r < 0)
            return r;
        if (!*item)
            return error_set(err, ERROR_USAGE, "%s has an empty item", what);
        if (wipe_list_add(ret, item) < 0)
            return error_no_memory(err);
    }
    return 0;
}

/* --- The members ----------------------------------------------------------------------------- */

static int read_version(json_object *value, struct wipe_request *r, struct error **err)
{
    uint64_t version = 0;

    if (read_number(value, "version", &version, err) < 0)
        return -EINVAL;
    if (version != WIPE_PROTOCOL_VERSION)
        return error_set(err, ERROR_USAGE, "version %" PRIu64 " of the protocol is not spoken here",
                         version);
    return 0;
}

static int read_verb(json_object *value, struct wipe_request *r, struct error **err)
{
    return read_wipe_verb(value, "verb", &r->verb, err);
}

static int read_device(json_object *value, struct wipe_request *r, struct error **err)
{
    return read_text(value, "device", &r->device, err);
}

static int read_kind(json_object *value, struct wipe_request *r, struct error **err)
{
    return read_storage_kind(value, "kind", &r->kind, err);
}

static int read_identity(json_object *value, struct wipe_request *r, struct error **err)
{
    if (!json_object_is_type(value, json_type_object))
        return error_set(err, ERROR_USAGE, "identity is no object");
    json_object_object_foreach(value, key, member)
    {
        _cleanup_(freep) char *text = NULL;
        int result;

        if (!member)
            continue;
        if (json_object_is_type(member, json_type_int))
            text = strdup(json_object_get_string(member));
        else if ((result = read_text(member, key, &text, err)) < 0)
            return result;
        if (!text)
            return error_no_memory(err);
        result = wipe_request_set_identity(r, key, text, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int read_methods(json_object *value, struct wipe_request *r, struct error **err)
{
    if (!json_object_is_type(value, json_type_array))
        return error_set(err, ERROR_USAGE, "methods is no list");
    r->n_methods = 0;
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        enum clear_method method;
        int result =
            read_clear_method(json_object_array_get_idx(value, i), "methods", &method, err);

        if (result >= 0)
            result = wipe_request_add_method(r, method, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int read_level(json_object *value, struct wipe_request *r, struct error **err)
{
    enum clear_level level;
    int result = read_clear_level(value, "level", &level, err);

    if (result < 0)
        return result;
    if (level == LEVEL_NONE)
        return error_set(err, ERROR_USAGE, "level is clear or purge");
    r->level = level;
    return 0;
}

static int read_verify(json_object *value, struct wipe_request *r, struct error **err)
{
    return read_wipe_verify(value, "verify", &r->verify, err);
}

static int read_bound(json_object *value, struct wipe_request *r, struct error **err)
{
    int result = read_number(value, "maxMibPerS", &r->max_mib_per_s, err);

    if (result >= 0 && r->max_mib_per_s > WIPE_MIB_PER_S_MAX)
        return error_set(err, ERROR_USAGE, "maxMibPerS is too large");
    return result;
}

static int read_allow(json_object *value, struct wipe_request *r, struct error **err)
{
    if (!json_object_is_type(value, json_type_object))
        return error_set(err, ERROR_USAGE, "allow is no object");
    json_object_object_foreach(value, key, member)
    {
        int result;

        if (text_equal(key, "devices"))
            result = read_list(member, "allow.devices", &r->allow_devices, err);
        else if (text_equal(key, "files"))
            result = read_list(member, "allow.files", &r->allow_files, err);
        else
            result = error_set(err, ERROR_USAGE, "'%s' is no member of allow", key);
        if (result < 0)
            return result;
    }
    return 0;
}

static int read_other_pci(const char *domain, const char *address, struct wipe_request *r,
                          struct error **err)
{
    if (!pci_address_is_valid(address))
        return error_set(err, ERROR_USAGE, "'%s' is no PCI address", address);
    return wipe_request_add_other_pci(r, domain, address) < 0 ? error_no_memory(err) : 0;
}

static int read_other(json_object *value, struct wipe_request *r, struct error **err)
{
    const char *domain = NULL, *source = NULL, *pci = NULL;

    if (json_get_string(value, "domain", &domain) < 0 || !is_set(domain) ||
        json_object_object_length(value) != 2 ||
        (json_get_string(value, "source", &source) < 0 &&
         json_get_string(value, "pci", &pci) < 0) ||
        is_set(source) == is_set(pci))
        return error_set(err, ERROR_USAGE,
                         "an item of others is not {domain, source} or {domain, pci}");
    if (pci)
        return read_other_pci(domain, pci, r, err);
    return wipe_request_add_other(r, domain, source) < 0 ? error_no_memory(err) : 0;
}

static int read_others(json_object *value, struct wipe_request *r, struct error **err)
{
    if (!json_object_is_type(value, json_type_array))
        return error_set(err, ERROR_USAGE, "others is no list");
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        int result = read_other(json_object_array_get_idx(value, i), r, err);

        if (result < 0)
            return result;
    }
    return 0;
}

static int read_companions(json_object *value, struct wipe_request *r, struct error **err)
{
    return read_list(value, "companions", &r->companions, err);
}

static int read_resume(json_object *value, struct wipe_request *r, struct error **err)
{
    return wipe_resume_from_json(value, &r->resume, err);
}

#define DEFINE_LABEL_READER(name, word)                                                    \
    static int read_##name(json_object *value, struct wipe_request *r, struct error **err) \
    {                                                                                      \
        return read_text(value, word, &r->name, err);                                      \
    }                                                                                      \
    struct base_swallow_semicolon
DEFINE_LABEL_READER(request_id, "requestId");
DEFINE_LABEL_READER(instance_id, "instanceId");
DEFINE_LABEL_READER(target, "target");
DEFINE_LABEL_READER(operator, "operator");
DEFINE_LABEL_READER(host, "host");

static const struct {
    const char *name;
    int (*read)(json_object *value, struct wipe_request *r, struct error **err);
} members[] = {
    {"version", read_version},
    {"verb", read_verb},
    {"device", read_device},
    {"kind", read_kind},
    {"identity", read_identity},
    {"methods", read_methods},
    {"level", read_level},
    {"verify", read_verify},
    {"maxMibPerS", read_bound},
    {"allow", read_allow},
    {"others", read_others},
    {"companions", read_companions},
    {"resume", read_resume},
    {"requestId", read_request_id},
    {"instanceId", read_instance_id},
    {"target", read_target},
    {"operator", read_operator},
    {"host", read_host},
};

static int read_member(const char *name, json_object *value, struct wipe_request *r,
                       struct error **err)
{
    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (text_equal(members[i].name, name))
            return value ? members[i].read(value, r, err) : 0;
    return error_set(err, ERROR_USAGE, "'%s' is no member of a request", name);
}

static void tokener_cleanup(json_tokener **t)
{
    if (*t)
        json_tokener_free(*t);
}

static bool is_space(char c)
{
    return c && strchr(" \t\r\n", c);
}

/* Exactly one JSON object, in UTF-8, and white space. */
static int look_at_whole(const char *text, size_t n, size_t *ret_end, struct error **err)
{
    _cleanup_(tokener) json_tokener *t = json_tokener_new_ex(REQUEST_DEPTH);
    _cleanup_(json) json_object *value = NULL;
    size_t used;

    if (n > WIPE_REQUEST_MAX)
        return error_set(err, ERROR_USAGE, "the request is larger than %zu bytes",
                         WIPE_REQUEST_MAX);
    if (!t)
        return error_no_memory(err);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    value = json_tokener_parse_ex(t, text, (int)n);
    if (!value)
        return error_set(err, ERROR_USAGE, "the request is no JSON object: %s",
                         json_tokener_error_desc(json_tokener_get_error(t)));
    *ret_end = used = json_tokener_get_parse_end(t);
    while (used < n && is_space(text[used]))
        used++;
    if (used != n || !json_object_is_type(value, json_type_object))
        return error_set(err, ERROR_USAGE, "the request is not one JSON object");
    return 0;
}

/* That parser keeps the last of two members of one name, and may leave out one that it has no
 * memory for: a guard would not be there, in silence. */
static int parse_whole(const char *text, size_t n, json_object **ret, struct error **err)
{
    size_t begin = 0, end = 0;
    int r = look_at_whole(text, n, &end, err);

    if (r < 0)
        return r;
    while (is_space(text[begin]))
        begin++;
    r = json_parse_object(text + begin, end - begin, ret);
    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r < 0)
        return error_set(err, ERROR_USAGE, "a member of the request is there twice");
    return 0;
}

int wipe_request_parse(const char *text, size_t n, struct wipe_request *ret, struct error **err)
{
    _cleanup_(json) json_object *object = NULL;
    int r = parse_whole(text, n, &object, err);

    if (r < 0)
        return r;
    json_object_object_foreach(object, name, value)
    {
        r = read_member(name, value, ret, err);
        if (r < 0)
            return r;
    }
    if (!json_object_object_get_ex(object, "version", NULL))
        return error_set(err, ERROR_USAGE, "the request does not say its version");
    return wipe_request_check(ret, err);
}
