/* wiper-config.c - local_storage.*, copied: what a job goes by from its beginning to its end */
#include "engine/wiper-internal.h"

#define CALL_TIMEOUT (30 * USEC_PER_SEC)
#define LOOK_EVERY (10 * USEC_PER_SEC)
#define STOP_PATIENCE (3 * USEC_PER_SEC)

static void list_clear(struct wipe_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
}

void wiper_config_free(struct wiper_config *c)
{
    if (!c)
        return;
    free(c->helper);
    list_clear(&c->devices);
    list_clear(&c->files);
    free(c->methods);
    free(c->host_id);
    free(c);
}

static int copy_list(struct wipe_list *to, const char *const *items, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = wipe_list_add(to, items[i]);
    return r;
}

static usec_t or_else(usec_t value, usec_t otherwise)
{
    return value ? value : otherwise;
}

int wiper_config_new(const struct wiper_settings *s, struct wiper_config **ret, struct error **err)
{
    _cleanup_(wiper_config_free) struct wiper_config *c = calloc(1, sizeof(*c));

    if (!c || text_replace(&c->helper, s->helper) < 0 ||
        copy_list(&c->devices, s->devices, s->n_devices) < 0 ||
        copy_list(&c->files, s->files, s->n_files) < 0 ||
        text_replace(&c->methods, s->methods) < 0 || text_replace(&c->host_id, s->host_id) < 0)
        return error_no_memory(err);
    if (clear_level_from_string(s->level, &c->level) < 0)
        return error_set(err, ERROR_CONFIGURATION, "local_storage.level: '%s' is no level",
                         s->level);
    if (wipe_verify_from_string(s->verify, &c->verify) < 0)
        return error_set(err, ERROR_CONFIGURATION, "local_storage.verify: '%s' is no way to verify",
                         s->verify);
    c->references = 1;
    c->max_mib_per_s = s->max_mib_per_s;
    c->identify_timeout = s->identify_timeout;
    c->silence = s->silence;
    c->call_timeout = or_else(s->call_timeout, CALL_TIMEOUT);
    c->look_every = or_else(s->look_every, LOOK_EVERY);
    c->stop_patience = or_else(s->stop_patience, STOP_PATIENCE);
    *ret = take(c);
    return 0;
}
