/* wipe-protocol.h - what stopd and stopd-wipe say to each other on file descriptors 0 and 1
 *
 * One request comes in: a JSON object, ended by a newline or the end of the input, at most
 * WIPE_REQUEST_MAX bytes. JSON objects go out, one a line, each with an "event"; the last one is
 * "identity", "plan", "certificate" or "error", and the exit status says the same (below). A member
 * that is not in this list is an error: a misspelt guard is never passed over in silence. The
 * command line of stopd-wipe fills in the same struct.
 *
 * The request:
 *   version      1
 *   verb         "identify": what is this device? It may be in use. "plan": what would a clear do?
 *                Nothing is changed. "clear"
 *   device       a path; links are resolved
 *   kind         "block" or "file"; absent: either
 *   identity     {size, serial, model, firmware, nsid, eui64, nguid, uuid, wwn, devno, device,
 *                inode, partition, volume}: what is given has to match; text or numbers. A clear
 *                needs one that tells devices apart
 *   methods      the ladder, best first; absent: local_storage.methods' default
 *   level        "clear" or "purge"; verify: "sample", "full" or "none"; maxMibPerS: 0 is no bound
 *   allow        {devices: [GLOB…], files: [GLOB…]}: what may ever be cleared; absent: nothing
 *   others       [{domain, source}…]: disks that other domains name, running or only defined; and
 *                [{domain, pci}…]: PCI devices that they pass through ("0000:01:00.0")
 *   companions   [PATH…]: other disks of this same instance. A method that reaches all of an NVM
 *                subsystem is open only where every namespace of it is the device or one of these
 *   resume       the last "resume" that came out for this clear, as it was; absent: from the
 *                beginning. Never one from before the instance last ran
 *   requestId, instanceId, target, operator, host     for the certificate, as they are
 *
 * The lines:
 *   identity     {driver, device, identity, facts}
 *   plan         {driver, device, identity, guards [{guard, outcome, culprit, message}], method,
 *                passedOver…, verify}
 *   claimed      {driver, device, identity}. From here on the disk may be changed
 *   method       {method, level, technique, why, passedOver [{method, reason}], resumedAt}
 *   progress     {phase: clearing or verifying, method, done, total, durable, mibPerS, secondsLeft,
 *                resume}. At least every second while the device answers. resume is in it where it
 *                changed: store it before you count on it
 *   setback      {method, reason: failed or lied, message}: the next of the ladder is tried
 *   cleared      {method, bytes, milliseconds}: the device says that it is done. Believed only when
 *                verified
 *   verified     {verify, bytesRead, milliseconds}
 *   certificate  {certificate: {…}}, not signed
 *   error        {outcome, guard, culprit, message, durable}. outcome refused: nothing was touched;
 *                stopped: a guard stopped it half-way, go on later with resume; failed: no method
 *                of the ladder did it, and the next request has no resume; usage: the request makes
 *                no sense
 */
#ifndef STOPD_WIPE_PROTOCOL_H
#define STOPD_WIPE_PROTOCOL_H

#include "stopd/pci.h"
#include "stopd/storage.h"

#include <json-c/json.h>

#define WIPE_PROTOCOL_VERSION 1
#define WIPE_REQUEST_MAX ((size_t)1 << 20)
#define WIPE_MIB_PER_S_MAX ((uint64_t)1 << 30)

/* Exit statuses of stopd-wipe. */
enum {
    WIPE_EXIT_DONE = 0,
    WIPE_EXIT_USAGE = 64,
    WIPE_EXIT_NOT_CLEARED = 71,
    WIPE_EXIT_REFUSED = 76
};

enum wipe_verb { WIPE_IDENTIFY, WIPE_PLAN, WIPE_CLEAR, WIPE_VERB_MAX };
enum wipe_verify { WIPE_VERIFY_SAMPLE, WIPE_VERIFY_FULL, WIPE_VERIFY_NONE, WIPE_VERIFY_MAX };
DECLARE_ENUM_WORDS(enum wipe_verb, wipe_verb);
DECLARE_ENUM_WORDS(enum wipe_verify, wipe_verify);

/* --- The request ----------------------------------------------------------------------------- */

struct wipe_list {
    char **items;
    size_t n;
};

struct wipe_other {
    char *domain, *source; /* a path; or, where that is NULL: */
    char pci[PCI_ADDRESS_SIZE];
};

/* How far a clear has come; see enum's words for where it goes on. */
enum wipe_stage {
    WIPE_STAGE_COMMAND,  /* a command for the whole device was, or was about to be, sent */
    WIPE_STAGE_CLEARING, /* span by span; below durable it is done */
    WIPE_STAGE_ZEROING,  /* the command was carried out and seen to have worked; zeros up to durable
                          */
    WIPE_STAGE_VERIFYING,
    WIPE_STAGE_MAX
};
DECLARE_ENUM_WORDS(enum wipe_stage, wipe_stage);

#define WIPE_SEED_SIZE 33 /* 128 bits in hexadecimal */

struct wipe_resume {
    bool is_present;
    uint64_t size; /* of the device; another size: it is not that device, begin anew */
    enum clear_method method;
    enum wipe_stage stage;
    uint64_t durable;
    char seed[WIPE_SEED_SIZE]; /* of the canaries and the sample */
    usec_t started_at;         /* of the first run */
    uint64_t runs;             /* before this one */
    json_object
        *steps; /* what the certificate will tell of earlier runs, and which methods have failed */
};

struct wipe_request {
    enum wipe_verb verb;
    char *device;
    enum storage_kind kind; /* STORAGE_KIND_MAX: either */
    struct identity_expected identity;
    enum clear_method methods[CLEAR_METHOD_MAX];
    size_t n_methods;
    enum clear_level level;
    enum wipe_verify verify;
    uint64_t max_mib_per_s;
    struct wipe_list allow_devices, allow_files, companions;
    struct wipe_other *others;
    size_t n_others;
    struct wipe_resume resume;
    char *request_id, *instance_id, *target, *operator, * host;
};

/* The defaults of the protocol; the ladder is local_storage.methods' default. */
void wipe_request_init(struct wipe_request *r);
void wipe_request_clear(struct wipe_request *r);
/* Does it make sense as a whole? ERROR_USAGE says what does not. Both parsers end with it. */
int wipe_request_check(const struct wipe_request *r, struct error **err);
int wipe_request_parse(const char *text, size_t n, struct wipe_request *ret, struct error **err);
/* NULL: out of memory. */
json_object *wipe_request_to_json(const struct wipe_request *r);

int wipe_list_add(struct wipe_list *l, const char *item); /* 0 or -ENOMEM */
int wipe_request_add_other(struct wipe_request *r, const char *domain,
                           const char *source); /* the same */
int wipe_request_add_other_pci(struct wipe_request *r, const char *domain,
                               const char *address); /* the same */
/* At the lower end of the ladder; once each. */
int wipe_request_add_method(struct wipe_request *r, enum clear_method method, struct error **err);
/* A comma-separated ladder in place of the one that is there. */
int wipe_request_set_methods(struct wipe_request *r, const char *list, struct error **err);
int wipe_request_set_identity(struct wipe_request *r, const char *key, const char *value,
                              struct error **err);

json_object *wipe_resume_to_json(const struct wipe_resume *r);
int wipe_resume_from_json(json_object *object, struct wipe_resume *ret, struct error **err);

json_object *wipe_identity_to_json(const struct storage_identity *i);

/* --- The lines ------------------------------------------------------------------------------- */

enum wipe_event {
    WIPE_EVENT_IDENTITY,
    WIPE_EVENT_PLAN,
    WIPE_EVENT_CLAIMED,
    WIPE_EVENT_METHOD,
    WIPE_EVENT_PROGRESS,
    WIPE_EVENT_SETBACK,
    WIPE_EVENT_CLEARED,
    WIPE_EVENT_VERIFIED,
    WIPE_EVENT_CERTIFICATE,
    WIPE_EVENT_ERROR,
    WIPE_EVENT_MAX
};
enum wipe_outcome { WIPE_REFUSED, WIPE_STOPPED, WIPE_FAILED, WIPE_USAGE, WIPE_OUTCOME_MAX };
DECLARE_ENUM_WORDS(enum wipe_event, wipe_event);
DECLARE_ENUM_WORDS(enum wipe_outcome, wipe_outcome);

/* One line as its reader sees it: what stopd acts on by name, the whole of it in json. Strings
 * point into json; what a line does not have is NULL or 0. */
struct wipe_line {
    enum wipe_event event;
    const char *method, *phase, *reason, *guard, *culprit, *message;
    uint64_t done, total, durable, mib_per_s, seconds_left;
    enum wipe_outcome outcome; /* of an error, else WIPE_OUTCOME_MAX */
    json_object *json;
};

/* What the reason begins with by which a plan passes over a method that the device can do, and that
 * would reach namespaces which are not known to be this instance's, or are in use. */
#define WIPE_REASON_TENANCY "it would clear every namespace of the subsystem"

int wipe_line_parse(const char *text, size_t n, struct wipe_line *ret, struct error **err);
void wipe_line_clear(struct wipe_line *l);

#endif
