/* disks.h - the local disks that a stop owes a clear: which they are, and how far each is
 *
 * Pure values. Which devices stand behind them only a helper can tell; what it told is kept here as
 * it came. */
#ifndef STOPD_CORE_DISKS_H
#define STOPD_CORE_DISKS_H

#include "stopd/instance.h"

#include <json-c/json.h>

enum disk_state {
    DISK_WAITING,     /* for its turn, for the guest's end, or for the next try */
    DISK_CLEARING,    /* a helper has it */
    DISK_VERIFYING,   /* the same; what was cleared is read */
    DISK_CLEARED,     /* verified, with a certificate */
    DISK_QUARANTINED, /* no further try by itself: an operator has to look, and to say retry */
    DISK_STATE_MAX,
};
DECLARE_ENUM_WORDS(enum disk_state,
                   disk_state); /* waiting clearing verifying cleared quarantined */

/* One local disk of an instance. Pointers are its own. */
struct planned_disk {
    char *target; /* vdb */
    char *device; /* the path that the domain names */
    enum disk_source kind;
    json_object *identity;        /* as the helper took it at acceptance: an object of texts (see
                                     wipe-protocol.h) */
    char boot_id[UUID_TEXT_SIZE]; /* of the boot in which it was; "": not known */
    char *born; /* of a file: when it was made, by its file system; NULL: that does not say */
    uint64_t bytes;

    enum disk_state state;
    char *method;                     /* the one at work, or that did it */
    uint64_t done;                    /* bytes of the clear, and … */
    uint64_t verified;                /* … of its verification */
    uint64_t mib_per_s, seconds_left; /* of this moment */
    json_object *resume; /* the helper's word on where to go on; NULL: from the beginning */
    unsigned tries;      /* that failed */
    unsigned waits;      /* of late that failed for what is nobody's doing; not journalled */
    char *problem;       /* of the last try, or NULL */
    usec_t next_try;     /* monotonic, not journalled: WAITING for it */
};

struct disk_plan {
    struct planned_disk *items;
    size_t n;
};

void planned_disk_clear(struct planned_disk *d);
void disk_plan_clear(struct disk_plan *p);
int disk_plan_copy(struct disk_plan *to, const struct disk_plan *from); /* 0 or -ENOMEM */
/* An all-empty element to fill in; NULL when out of memory. */
struct planned_disk *disk_plan_add(struct disk_plan *p);
bool disk_plan_is_cleared(const struct disk_plan *p); /* every one of it; true of an empty plan */

/* Which of an instance's disks may be local: those that <local-disk> names, else all that have a
 * source on this host. must: the metadata names it, so that a device which may not be cleared is an
 * error, and not simply another disk. */
struct disk_candidate {
    const struct disk *disk;
    const struct local_disk *named; /* NULL: not named */
};
/* ERROR_DISK_STATUS names a local-disk that is not among the instance's disks, or what cannot be
 * identified (passed-through NVMe). The caller frees *ret; its pointers are the instance's. */
int disk_candidates(const struct instance *i, struct disk_candidate **ret, size_t *n,
                    struct error **err);
/* Every disk of the definition that may be local, "target<TAB>source" a line. NULL: out of memory.
 */
char *disks_snapshot(const struct instance *i);
/* Does the definition name a disk that a snapshot of it does not? */
bool disks_differ(const struct instance *i, const char *snapshot);

/* Is the device what the metadata says (serial, eui64, nguid, wwn, where given)? ERROR_DISK_STATUS
 * names the disk and what differs. */
int disk_matches_metadata(const struct local_disk *named, json_object *identity,
                          struct error **err);

/* Are the disks of `now` what they were then? Those that only one of the two has are not compared.
 * ERROR_DISK_STATUS names the disk and what differs. */
int disk_plan_compare(const struct disk_plan *then, const struct disk_plan *now,
                      struct error **err);

/* What a later look has to find again: everything by which the device is told from others. Numbers
 * that change with a reboot are left out where it has a name of its own; a file's has none, and it
 * is for the caller to tell it by boot_id and born after one. NULL when out of memory.
 */
json_object *planned_disk_expectation(const struct planned_disk *d);

/* An element of the contract's storage[]; and the same with what the journal needs beside it. */
json_object *planned_disk_to_json(const struct planned_disk *d, bool for_journal);
int planned_disk_from_json(json_object *o, struct planned_disk *ret); /* 0 or -EINVAL, -ENOMEM */

#endif
