/* guard.h - what forbids a clear, each on its own, naming the culprit */
#ifndef STOPD_WIPE_GUARD_H
#define STOPD_WIPE_GUARD_H

#include "stopd/wipe-protocol.h"
#include "wipe/footprint.h"

struct refusal {
    const char *guard; /* NULL: none */
    char culprit[256]; /* a process, a domain, a mount point …; "" where there is none to name */
    char message[768];
    /* Somebody only reads, and may be gone in a moment: udev, a monitoring program, another
     * stopd-wipe that looks. */
    bool may_pass;
};

/* What the guards look at. */
struct scene {
    const struct wipe_request *request;
    const struct storage_device *device;
    const struct storage_identity *identity;
    const struct storage_neighbours *neighbours; /* NULL: none to speak of */
    struct footprint footprint;
    const char *proc, *sys; /* "/proc", "/sys"; a test has its own */
};

/* When a guard is asked: before the claim only, or again and again until the end. */
enum guard_time { GUARD_BEFORE, GUARD_THROUGHOUT };

/* 0: nothing against it. 1: *ret says what. Negative: it could not be found out, which refuses as
 * well. */
struct guard {
    const char *name;
    enum guard_time when;
    int (*look)(const struct scene *s, struct refusal *ret, struct error **err);
};

/* How long to wait for what may pass: before a clear begins, and, nothing being written meanwhile,
 * in the middle of one. A newcomer gives up first. */
#define PATIENCE_BEFORE USEC_PER_SEC
#define PATIENCE_THROUGHOUT (3 * USEC_PER_SEC)

extern const struct guard guards[];
extern const size_t n_guards;

/* Asks one guard; whatever stands against a clear ends up in *ret, its doubts included. Returns
 * whether it refuses. */
bool guard_ask(const struct guard *g, const struct scene *s, struct refusal *ret);
/* Asks them in order, up to the first that refuses. */
bool guards_refuse(const struct scene *s, enum guard_time when, struct refusal *ret);

/* A pause before asking again, where *refusal may pass and time is left: empties it and returns
 * true. As long as nothing was touched, who has the device open for writing may pass as well. */
bool guards_wait(struct refusal *refusal, bool is_touched, usec_t since, usec_t patience);

/* For guards: fills *ret and returns 1. */
int refuse(struct refusal *ret, const char *culprit, const char *format, ...) _printf_(3, 4);
/* The same for a node of the footprint that is in use; what only a partition's siblings are used
 * for is a refusal of its own kind. use: "is mounted on /srv". */
int refuse_node(struct refusal *ret, const struct scene *s, const struct node *node,
                const char *culprit, const char *use);
/* Compares what a path leads to with the footprint: *node where it is one of its nodes, *is_ours
 * where it is one of them or the file itself. A path that leads nowhere is compared by its last
 * component. Negative: it cannot be told. */
int scene_resolves(const struct scene *s, const char *path, const struct node **node, bool *is_ours,
                   struct error **err);

int guard_allowed(const struct scene *s, struct refusal *ret, struct error **err);
int guard_identity(const struct scene *s, struct refusal *ret, struct error **err);
int guard_read_only(const struct scene *s, struct refusal *ret, struct error **err);
int guard_mounted(const struct scene *s, struct refusal *ret, struct error **err);
int guard_swap(const struct scene *s, struct refusal *ret, struct error **err);
int guard_root_chain(const struct scene *s, struct refusal *ret, struct error **err);
int guard_held(const struct scene *s, struct refusal *ret, struct error **err);
int guard_loop(const struct scene *s, struct refusal *ret, struct error **err);
int guard_target(const struct scene *s, struct refusal *ret, struct error **err);
int guard_open(const struct scene *s, struct refusal *ret, struct error **err);
int guard_other_domain(const struct scene *s, struct refusal *ret, struct error **err);
int guard_shared_namespace(const struct scene *s, struct refusal *ret, struct error **err);

#endif
