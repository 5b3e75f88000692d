/* inventory.h - the picture of the domains on this host, and what is under way with each
 *
 * Filled by one full read at every attachment, kept by looks that the hypervisor's events cause.
 * The engine's thread only. */
#ifndef STOPD_ENGINE_INVENTORY_H
#define STOPD_ENGINE_INVENTORY_H

#include "engine/agenda.h"
#include "core/stop.h"
#include "engine/call.h"
#include "engine/request.h"
#include "journal/journal.h"

#include <json-c/linkhash.h>

/* What was last reported upstream of a domain. */
struct last_report {
    bool known;
    enum instance_state state;
    struct incarnation incarnation; /* of the run that it was about; pid 0: none */
    bool is_filed;                  /* off, and known to be saved to a file */
    struct interlock interlock;     /* see engine-interlock.c */
};

/* See engine-at-start.c. */
struct disks_at_start {
    char *of;               /* disks_snapshot() of the definition … */
    struct incarnation run; /* … and the run that they are of */
    struct disk_plan disks; /* empty: not known */
    bool is_wanted;
    uint64_t job;  /* that is out to identify them; 0: none */
    bool is_stale; /* it is of another run, or of other disks */
};

struct domain {
    char key[UUID_TEXT_SIZE];
    uuid_t uuid;
    uint64_t number;           /* rises in the order in which they became known */
    char *instance_id;         /* as last known; survives the definition */
    struct instance *instance; /* NULL: absent, or not read yet */
    struct instance *former;   /* what the journal remembers of it until it is read; or NULL */

    /* As last seen. Not certain: the hypervisor is away, or could not tell. */
    bool certain;
    enum domain_state seen;
    bool is_untold; /* by the last look, or the full read: its state could not be told */
    bool is_saved, in_migration;
    enum migration_way way; /* where it is in migration */
    bool is_filed;  /* saved to somebody's file, which libvirt forgets over a restart of its own */
    bool is_listed; /* by the full read that is being taken in */
    bool has_stood; /* when it was last seen up its guest had not crashed … */
    struct incarnation stood; /* … in this run; of whoever is seen off it is not kept */
    bool is_found;            /* by the first one of all: its state is taken down, not reported */
    struct incarnation incarnation;
    uint64_t look_id; /* of the call that brought this */
    struct disks_at_start at_start;

    struct last_report reported;
    uint64_t facts;       /* facts_mark() of what the journal has beside that; 0: not known */
    struct operation *op; /* unfinished, durable; or NULL */

    /* What this turn makes of it; becomes true with the commit */
    bool staged;
    struct operation *next_op;
    bool op_changed;
    struct last_report next_reported;
    bool reported_changed;
    bool forget;           /* gone from this host: the entry goes when nothing is under way */
    unsigned buttons_back; /* of those that are counted as out */
    struct domain *next_staged;

    /* What is to be done, and what is being done */
    unsigned wanted;   /* of enum effect; CLEAR and END_CLEAR are no calls and wait for none */
    uint64_t call_out; /* the id of the call that is out; 0: none */
    enum call_kind call_kind;
    usec_t next_look;        /* without an operation: look again then */
    struct agenda_entry due; /* when the clock has something to do here; see engine_set_due() */
    struct domain *next_due;
    struct agenda_entry in_line; /* waits for its turn, by its operation's place in the queue */
    usec_t look_delay;
    usec_t restore_at, restore_delay; /* without an operation: not before; 0: at once */
    bool has_counted_button;          /* what is wanted, durably: a button that is counted as out */
    uint64_t button_back_at; /* the last call's id when one came back: a later one has seen it */

    struct request *waiting; /* for the end of the operation */

    const struct debt *debt; /* of the inventory's; or NULL */

    struct domain *next_same_id; /* another domain that claims the same metadata id */
};

/* The domain whose entry in the agenda, or in the line, this is. */
#define domain_of_due(e) ((struct domain *)((char *)(e)-offsetof(struct domain, due)))
#define domain_in_line(e) ((struct domain *)((char *)(e)-offsetof(struct domain, in_line)))

/* A clear that a domain is owed by a stop of which the journal does not know. */
struct debt {
    uuid_t domain;
    char request_id[UUID_TEXT_SIZE];
    struct debt *next;
};

struct inventory {
    struct lh_table *by_uuid; /* key → struct domain, in the order in which they became known */
    struct lh_table *by_id;   /* metadata id → first claimant */
    struct lh_table *by_name;
    struct agenda agenda; /* both have room for every domain */
    struct agenda line;   /* the soft stops that wait for their turn; see engine-queue.c */
    uint64_t last_number;
    struct debt *debts;
};

int inventory_init(struct inventory *inv); /* 0 or -ENOMEM */
void inventory_clear(struct inventory *inv);

/* The entry of this domain, made where there is none. NULL when out of memory. */
struct domain *inventory_get(struct inventory *inv, const uuid_t uuid);
struct domain *inventory_find_uuid(const struct inventory *inv, const uuid_t uuid);
/* By metadata id, then name, then UUID. ERROR_INSTANCE_NOT_FOUND; ERROR_CONFLICT names both
 * claimants. Returns 0, or a negative errno with *err set; *ret is untouched then. */
int inventory_resolve(const struct inventory *inv, const char *id, struct domain **ret,
                      struct error **err);
/* One without a definition, by what the journal calls it, or by its UUID. NULL: there is none, or
 * more than one. */
struct domain *inventory_recall(const struct inventory *inv, const char *id);
/* Takes the definition (NULL: absent) and keeps the indices true. 0 or -ENOMEM. */
int inventory_define(struct inventory *inv, struct domain *d, struct instance *instance);
void inventory_remove(struct inventory *inv, struct domain *d);
/* The domain, which need not be there, is owed a clear by that. 0 or -ENOMEM. */
int inventory_note_debt(struct inventory *inv, const uuid_t domain, const char *request_id);
void inventory_forget_debt(struct inventory *inv, struct domain *d);

#define inventory_foreach(inv, d)                                                           \
    for (struct lh_entry *entry_##d = (inv)->by_uuid->head, *after_##d;                     \
         entry_##d &&                                                                       \
         ((d) = (struct domain *)lh_entry_v(entry_##d), after_##d = entry_##d->next, true); \
         entry_##d = after_##d)

/* What the outside calls it: as last known, else by the UUID, where its definition could not be
 * read yet. */
const char *domain_public_id(const struct domain *d);
/* Is it here, by the hypervisor's own word, though its definition may not have been read yet? */
bool domain_is_here(const struct domain *d);
/* What the outside is told of an instance. */
enum instance_state domain_state_of(const struct domain *d);
/* "paused", "saved" …, or NULL. */
const char *domain_detail(const struct domain *d);
/* Is it on its way to this host, and its guest not here yet? */
bool domain_is_arriving(const struct domain *d);
/* … or may it be? It cannot be told whether it comes or leaves, and no report of this run says so.
 */
bool domain_may_arrive(const struct domain *d);
/* What an event tells of its resources: the definition, or what is remembered of it; or NULL. */
const struct instance *domain_definition(const struct domain *d);
/* What the journal keeps beside the report, as text that domain_recall() reads: NULL when out of
 * memory. */
char *domain_remember(const struct domain *d, const struct last_report *report);
/* Tells such texts apart, in place of the text: there are very many domains. 0: of none (NULL). */
uint64_t facts_mark(const char *facts);
/* facts may be NULL: nothing is remembered. 0, -ENOMEM, or -EBADMSG where they are damaged. */
int domain_recall(struct domain *d, const char *facts);
/* An object of /v1/instances; NULL when out of memory. */
json_object *domain_to_json(const struct domain *d);

#endif
