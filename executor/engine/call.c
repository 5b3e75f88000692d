/* call.c - one call to the hypervisor, made where it may block */
#include "engine/call.h"

DEFINE_ENUM_WORDS(enum call_kind, call_kind, CALL_KIND_MAX, "connect", "look", "glance", "wake",
                  "press", "restore", "cut");

struct call *call_new(enum call_kind kind)
{
    struct call *c = calloc(1, sizeof(*c));

    if (c)
        c->kind = kind;
    return c;
}

void call_free(struct call *c)
{
    if (!c)
        return;
    error_free(c->error);
    sightings_clear(&c->list);
    sighting_clear(&c->sighting);
    free(c);
}

static int connect_and_list(struct call *c, struct hypervisor *h)
{
    int r = h->ops->connect(h, &c->has_processes, &c->error);

    return r < 0 ? r : h->ops->list(h, &c->list, &c->error);
}

bool call_acts(const struct call *c)
{
    return c->kind == CALL_WAKE || c->kind == CALL_PRESS || c->kind == CALL_RESTORE ||
           c->kind == CALL_CUT;
}

static bool is_held_back(struct call *c, struct hypervisor *h)
{
    if (!c->heeds_lock || !h->ops->check_lock)
        return false;
    c->result = h->ops->check_lock(h, c->domain, &c->error);
    c->press.is_over = c->result < 0;
    return c->press.is_over;
}

void call_execute(struct call *c, struct hypervisor *h)
{
    if (is_held_back(c, h))
        return;
    switch (c->kind) {
    case CALL_CONNECT:
        c->result = connect_and_list(c, h);
        break;
    case CALL_LOOK:
        c->result =
            h->ops->look(h, c->domain, c->meant.pid ? &c->meant : NULL, &c->sighting, &c->error);
        break;
    case CALL_GLANCE:
        c->result = h->ops->glance(h, &c->list, &c->error);
        break;
    case CALL_WAKE:
        c->result = h->ops->wake(h, c->domain, &c->meant, &c->error);
        break;
    case CALL_PRESS:
        c->result = h->ops->press_button(h, c->domain, &c->meant, c->button,
                                         c->interlock ? &c->former : NULL, &c->press, &c->error);
        break;
    case CALL_RESTORE:
        c->result = h->ops->restore(h, c->domain, &c->meant, &c->former, &c->error);
        break;
    case CALL_CUT:
        c->result = h->ops->cut_power(h, c->domain, &c->meant, c->only_crashed, &c->error);
        break;
    case CALL_KIND_MAX:
        break;
    }
}
