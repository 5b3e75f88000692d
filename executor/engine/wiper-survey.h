/* wiper-survey.h - which disks every domain names, read anew; and calls that are not waited for too
 * long
 *
 * A call to the hypervisor may hang. Here each has a thread to itself, and whoever asked waits for
 * it only as long as he likes. A survey is shared by all who want one of about the same time. */
#ifndef STOPD_ENGINE_WIPER_SURVEY_H
#define STOPD_ENGINE_WIPER_SURVEY_H

#include "engine/disk-node.h"
#include "stopd/hypervisor.h"

/* What a domain's disk names: its source, of its backing chain or its mirror, a pool's volume. */
struct named_disk {
    const struct sighting *domain;
    const char *target, *source;
    struct disk_node node; /* DISK_OTHER: there is nothing under that path now */
};

/* A disk that somebody wants to himself. */
struct wanted_disk {
    const char *device;
    struct disk_node node;
    struct pci_addresses controllers; /* that it hangs on */
};
/* Looks where the path leads now. 0 or a negative errno; device is not copied. */
int wanted_disk_find(const char *device, struct wanted_disk *ret);

/* A volume whose path the hypervisor was asked for, once for all who name it. */
struct found_volume {
    const char *pool, *volume;
    char *path;          /* NULL: it is nothing of this host, or … */
    struct error *error; /* … it cannot be told */
};

/* A disk that names such a volume: which disk of this host that is, nobody knows. */
struct untold_disk {
    const struct sighting *domain;
    const char *target;
    const struct found_volume *volume;
};

/* Does not change once it is given out. */
struct survey {
    unsigned references; /* guarded by the surveyor's lock */
    usec_t began;        /* monotonic */
    struct sightings domains;
    struct named_disk *disks; /* with a source on this host, of all that could be read */
    size_t n;
    struct found_volume *volumes;
    size_t n_volumes;
    struct untold_disk *untold;
    size_t n_untold;
};

struct surveyor;
int surveyor_new(struct hypervisor *h, struct surveyor **ret, struct error **err);
/* False: calls are still out after so long, and the hypervisor has to outlive them. */
bool surveyor_free(struct surveyor *s, usec_t patience);

/* The newest survey, if it began at `since` or later; else one is begun, and waited for at most so
 * long. ERROR_UNKNOWN: the hypervisor cannot tell. */
int surveyor_take(struct surveyor *s, usec_t since, usec_t patience, const struct survey **ret,
                  struct error **err);
/* The same without waiting. NULL: there is none yet. */
const struct survey *surveyor_peek(struct surveyor *s, usec_t since);
void surveyor_give_back(struct surveyor *s, const struct survey *v);

/* One look at one domain. ERROR_UNKNOWN where it takes longer than patience. */
int surveyor_look(struct surveyor *s, const uuid_t domain, const struct incarnation *remembered,
                  usec_t patience, struct sighting *ret, struct error **err);

/* --- What a survey says ---------------------------------------------------------------------- */

/* NULL: there is no such domain. */
const struct sighting *survey_find(const struct survey *v, const uuid_t domain);
/* ERROR_UNKNOWN names a domain, other than this one, whose disks or passed-through devices could
 * not be read or told. */
int survey_is_whole(const struct survey *v, const uuid_t domain, struct error **err);
/* Another domain has a disk that shares bytes with this one, or passes through a PCI device that it
 * hangs on. ERROR_CONFLICT names it. */
int survey_check_others(const struct survey *v, const uuid_t domain, const struct wanted_disk *disk,
                        struct error **err);

#endif
