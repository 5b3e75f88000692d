/* markers.h - what is owed a clear, in files that outlive the daemon
 *
 * One small file for each disk, in a folder beside the journal. It is durable before anything is
 * claimed, and stays until nothing is owed any more, so that libvirt's hook (contrib/hooks/qemu)
 * can keep every domain off the disk while the daemon is down. */
#ifndef STOPD_ENGINE_MARKERS_H
#define STOPD_ENGINE_MARKERS_H

#include "engine/disk-node.h"
#include "stopd/error.h"

struct marker {
    uuid_t domain;
    char request_id[UUID_TEXT_SIZE];
    char *instance_id;
    char *target, *device; /* as the domain names them */
    enum disk_source kind;
    json_object
        *identity; /* as taken at acceptance; numbers that pass with a boot are those of … */
    char boot_id[UUID_TEXT_SIZE];     /* … this boot; "": of none that is known */
    struct pci_addresses controllers; /* that it hangs on */
};
void marker_clear(struct marker *m);
static inline void
marker_cleanup(struct marker *m) /* for _cleanup_(marker) struct marker m = {0} */
{
    marker_clear(m);
}

/* Looks the disk up, and takes over where it is in this boot, as far as it is there at all. 0 or
 * -ENOMEM. */
int marker_locate(struct marker *m);
/* Where it is now; see disk_node_find(). */
int marker_find(const struct marker *m, struct disk_node *ret);

json_object *marker_to_json(const struct marker *m);      /* NULL: out of memory */
int marker_from_json(json_object *o, struct marker *ret); /* 0 or -EINVAL, -ENOMEM */

/* Makes the folder where it is missing, its parent must be there; in one that is there, removes
 * what a crash left half written. Before anybody writes to it. */
int markers_make_folder(const char *folder, struct error **err);

/* Durable when it returns 0; in the place of an older one of the same disk of the same domain.
 * ERROR_NO_ROOM: the disk is full, of blocks. */
int marker_write(const char *folder, const struct marker *m, struct error **err);

struct marker_list {
    struct marker *items;
    size_t n;
};
void marker_list_clear(struct marker_list *l);
/* All of them; none where there is no folder. One that cannot be read is an error that names it. */
int markers_read(const char *folder, struct marker_list *ret, struct error **err);

/* The name of its file, which is told to is_over() below. */
#define MARKER_NAME_SIZE 256
int marker_name(const uuid_t domain, const char *target, char ret[static MARKER_NAME_SIZE],
                struct error **err);

/* Removes those that are over, durably. One that is gone already is none; files of other kinds
 * are let alone. */
int markers_remove(const char *folder,
                   bool (*is_over)(void *userdata, const uuid_t domain, const char *name),
                   void *userdata, struct error **err);

/* At the start, before anything is claimed: removes those whose debt is settled. One that cannot be
 * read is told of (the error names it) and stays, for nobody knows what it stands for. */
struct marker_reconciler {
    bool (*is_owed)(void *userdata, const struct marker *m);
    void (*unreadable)(void *userdata, const struct error *why);
    void *userdata;
};
int markers_reconcile(const char *folder, const struct marker_reconciler *r, struct error **err);

#endif
