/* marker-keeper.h - the one thread that writes and removes markers, in the order in which it is
 * told
 *
 * A marker goes when its domain owes nothing any more *and* no helper has the disk. Any thread may
 * call these; only hold() waits. */
#ifndef STOPD_ENGINE_MARKER_KEEPER_H
#define STOPD_ENGINE_MARKER_KEEPER_H

#include "engine/markers.h"

struct marker_keeper;
struct marker_hold;

/* Makes the folder where it is missing. no_room: a marker finds none on the disk; it is to be owed
 * again when there is some. From the keeper's thread, which calls back by no means; or NULL. */
int marker_keeper_new(const char *folder, void (*no_room)(void *userdata), void *userdata,
                      struct marker_keeper **ret, struct error **err);
/* Does what it has been told, for as long as that takes, but at most patience. False: it was left
 * to itself at that. */
bool marker_keeper_free(struct marker_keeper *k, usec_t patience);

/* The domain owes this disk a clear. Takes what m holds. A marker that cannot be written is logged
 * here, and is an error of the hold. */
void marker_keeper_owe(struct marker_keeper *k, struct marker *m);
/* It owes nothing any more. */
void marker_keeper_forgive(struct marker_keeper *k, const uuid_t domain);

/* A helper is about to have the disk: returns when its marker is durable. Takes what m holds. */
int marker_keeper_hold(struct marker_keeper *k, struct marker *m, struct marker_hold **ret,
                       struct error **err);
/* The helper is gone. h may be NULL. */
void marker_keeper_release(struct marker_keeper *k, struct marker_hold *h);

#endif
