/* route.c - which handler a path and a method lead to, and who may take that way */
#include "api/route.h"

#include "api/headers.h"
#include "api/respond.h"
#include "api/urlencoded.h"

#include <errno.h>
#include <string.h>

#define LOOK (VERB_GET | VERB_HEAD)

/* HEAD / is none: with the query of a command it would be one without its answer. */
static const struct route routes[] = {
    {"/", VERB_GET | VERB_POST, RIGHT_READ, ecs_handle},
    {"/v1/instances", LOOK, RIGHT_READ, instances_handle},
    {"/v1/instances/{}", LOOK, RIGHT_READ, instance_handle},
    {"/v1/operations", LOOK, RIGHT_READ, operations_handle},
    {"/v1/operations/{}", LOOK, RIGHT_READ, operation_handle},
    {"/v1/operations/{}/cancel", VERB_POST, RIGHT_CHANGE, cancel_handle},
    {"/v1/operations/{}/retry", VERB_POST, RIGHT_CHANGE, retry_handle},
    {"/v1/instances/{}/clear", VERB_POST, RIGHT_CHANGE, clear_handle},
    {"/v1/certificates/{}", LOOK, RIGHT_READ, certificates_handle},
    {"/v1/events", LOOK, RIGHT_READ, events_handle},
    {"/v1/sinks", LOOK, RIGHT_READ, sinks_handle},
    {"/v1/sinks/{}/replay", VERB_POST, RIGHT_CHANGE, sink_replay_handle},
    {"/v1/sinks/{}/dead-letters", LOOK, RIGHT_READ, letters_handle},
    {"/v1/sinks/{}/dead-letters/{}/replay", VERB_POST, RIGHT_CHANGE, letters_replay_handle},
    {"/v1/sinks/{}/dead-letters/{}/drop", VERB_POST, RIGHT_CHANGE, letters_drop_handle},
    {"/livez", LOOK, RIGHT_NONE, livez_handle},
    {"/readyz", LOOK, RIGHT_NONE, readyz_handle},
    {"/metrics", LOOK, RIGHT_READ, metrics_handle},
};

_Static_assert(ELEMENTSOF(routes) <= METRICS_ROUTES_MOST, "metrics.h has room for each route");

const struct route *routes_all(size_t *n)
{
    *n = ELEMENTSOF(routes);
    return routes;
}

#define HOLES_MOST 2

struct holes {
    const char *segment[HOLES_MOST];
    size_t size[HOLES_MOST];
    size_t n;
};

/* On success *ret is what stands for each {} of the pattern. */
static bool matches(const char *pattern, const char *path, struct holes *ret)
{
    ret->n = 0;
    while (*pattern) {
        size_t size = strcspn(path, "/");

        if (strncmp(pattern, "{}", 2) != 0) {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        if (size == 0)
            return false;
        ret->segment[ret->n] = path;
        ret->size[ret->n++] = size;
        pattern += strlen("{}");
        path += size;
    }
    return *path == '\0';
}

/* -EINVAL where a segment cannot be decoded: nothing has that name. */
static int find_route(struct exchange *x)
{
    char **const arguments[HOLES_MOST] = {&x->argument, &x->second_argument};
    struct holes holes = {0};
    int r = 0;

    for (size_t i = 0; i < ELEMENTSOF(routes) && !x->route; i++)
        if (matches(routes[i].pattern, x->path, &holes))
            x->route = &routes[i];
    for (size_t i = 0; x->route && r == 0 && i < holes.n; i++)
        r = urlencoded_decode(holes.segment[i], holes.size[i], false, arguments[i]);
    return r;
}

static const char *allow(unsigned verbs)
{
    static const char *const lists[] = {
        [VERB_GET | VERB_HEAD] = "GET, HEAD",
        [VERB_GET | VERB_POST] = "GET, POST",
        [VERB_POST] = "POST",
        [VERB_GET | VERB_HEAD | VERB_POST] = "GET, HEAD, POST",
    };

    return lists[verbs];
}

static void identify(struct exchange *x)
{
    struct caller *caller = &x->connection->caller;
    struct api *a = x->listener->api;

    pthread_mutex_lock(&a->lock);
    x->right = access_of(&a->access, caller);
    pthread_mutex_unlock(&a->lock);
    memcpy(x->principal.name, caller->name, sizeof(x->principal.name));
    x->principal.may_change = x->right == RIGHT_CHANGE;
    x->principal.is_local_root = caller->is_local_root;
}

void route_dispatch(struct exchange *x)
{
    int r = find_route(x);
    unsigned verbs = x->route ? x->route->verbs : LOOK | VERB_POST;

    identify(x);
    if (x->body_size > BODY_MOST) {
        respond_code(x, ERROR_REQUEST_TOO_LARGE, NULL);
    } else if (!(verbs & x->verb)) {
        x->allow = allow(verbs);
        respond_code(x, ERROR_METHOD, NULL);
    } else if (headers_are_cross_site(x)) {
        respond_code(x, ERROR_FORBIDDEN, "A page of another site must not call this.");
    } else if (x->connection->caller.kind == CALLER_LOOPBACK && !headers_host_is_local(x)) {
        respond_code(x, ERROR_FORBIDDEN,
                     "Host must be localhost or an address: a name can be another site's.");
    } else if (x->right < (x->route ? x->route->right : RIGHT_READ)) {
        respond_code(x, ERROR_FORBIDDEN, NULL);
    } else if (!x->route) {
        respond_code(x, ERROR_ACTION_NOT_FOUND, NULL);
    } else if (r < 0) {
        respond_code(x, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_INVALID_PARAMETER,
                     r == -ENOMEM ? NULL : "The path is not valid percent-encoded UTF-8 text.");
    } else if (x->verb != VERB_POST && x->body_size > 0) {
        respond_code(x, ERROR_INVALID_PARAMETER, "Only a POST request may have a body.");
    } else {
        x->route->handle(x);
    }
}
