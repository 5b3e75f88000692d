/* wipe.h - one clear, from the request to the certificate */
#ifndef STOPD_WIPE_WIPE_H
#define STOPD_WIPE_WIPE_H

#include "wipe/guard.h"
#include "wipe/ladder.h"
#include "wipe/meter.h"
#include "wipe/report.h"

/* Opens a device; the programs' mains say which (a test's may lie). */
typedef int (*wipe_opener)(const char *path, struct storage_device **ret, struct error **err);

/* What was read, and what it says. */
struct verification {
    enum wipe_verify mode;
    uint64_t blocks_read, bytes_read;
    uint64_t samples;  /* random blocks among them; 0 where everything was read */
    uint64_t canaries; /* placed, and gone */
    uint64_t edges;    /* of spans, both sides */
    uint64_t places;   /* of partitions and their tables */
    bool no_signature; /* libblkid finds none */
    usec_t duration;
};

/* The rest of the device's NVM subsystem; see tenancy.h. */
struct companion;
struct tenancy {
    struct companion **companions;
    size_t n;
    char why_not[768];
    bool is_claimed, is_denied;
};

struct wipe {
    const struct wipe_request *request;
    wipe_opener open_device;
    struct report *report;
    struct storage_device *device;
    struct storage_identity identity; /* as it was before the claim; it may not change after */
    struct storage_facts facts;
    struct scene scene;
    struct storage_neighbours neighbours;
    struct tenancy tenancy;
    struct ladder ladder;
    struct meter meter;
    struct wipe_resume state;
    struct verification verification;
    struct refusal refusal;      /* set when a guard ended it */
    bool is_touched;             /* something was written, or might have been */
    bool has_lied;               /* the last failure was of belief */
    usec_t look_took, looked_at; /* the last look of the guards */
    /* Where partitions were before the clear: their tables may be gone, but not what they pointed
     * to. */
    uint64_t *places;
    size_t n_places;
};

/* Does what the request asks and says all of it. The return value is the program's exit status. */
int wipe_run(const struct wipe_request *request, wipe_opener open_device, struct report *report);

/* Is it an error after which no other method is tried: a guard's, or nobody listens? */
bool wipe_is_final(const struct wipe *w, const struct error *error);
/* Are there intruders, and is it still the same device? Asked before anything is destroyed. */
int wipe_look(struct wipe *w, struct error **err);
/* The same, where the last look is long enough ago. */
int wipe_look_now_and_then(struct wipe *w, struct error **err);
/* How long work goes on between two looks: long against what a look takes. */
usec_t wipe_look_interval(const struct wipe *w);

#endif
