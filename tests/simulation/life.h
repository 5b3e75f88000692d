/* life.h - one life of a host: its world, its stopd, what is asked of it, and what may not happen
 *
 * The files of the simulator share this. Time is virtual and only goes on; the monotonic clock that
 * the engine sees begins anew with each boot of the host. */
#ifndef STOPD_SIMULATION_LIFE_H
#define STOPD_SIMULATION_LIFE_H

#include "drivers/hypervisor/simulated.h"
#include "engine/engine.h"
#include "simulation/dice.h"
#include "simulation/fate.h"
#include "simulation/witness.h"

#define LIFE_DOMAINS_MOST WITNESS_DOMAINS
#define DEVICES_MOST 10
#define AIM_ECHOES 3

/* A call on its way. Its effect and its answer are two moments. */
struct flight {
    struct call *call;
    uint64_t number;  /* see fate_number() */
    uint64_t session; /* of the connection that it began on */
    usec_t effect_at; /* NEVER: it has had its effect, or will have none */
    usec_t result_at; /* NEVER: it hangs for good */
    usec_t stuck_at;  /* when it is written off */
    enum call_fault fault;
    bool is_written_off; /* nobody waits for it any more */
    bool has_taken_effect;
    bool is_orphan; /* whoever made it is dead */
    bool outlives_connection;
    usec_t started_at;
    bool follows_look; /* it began as one came in */
    /* What it has seen of each domain, by its place in the world; version 0: nothing */
    struct glimpse {
        unsigned version, run;
        unsigned later_run; /* a look has told that this one has followed the one meant */
        bool is_saved;
        bool is_defined;
        bool shows_run; /* and not only that something is there */
        bool is_up;     /* it is there */
        bool is_crashed;
        bool is_off;      /* by the hypervisor's word */
        bool goes_on;     /* a look has told that it was saved or migrated */
        bool is_arriving; /* its guest is not here yet */
        bool is_dark;     /* whether it runs, or as what process, could not be told */
        char id[WITNESS_ID];
    } glimpses[LIFE_DOMAINS_MOST];
    struct flight *next;
};

struct hint_in_flight {
    uuid_t domain;
    usec_t at;
    struct hint_in_flight *next;
};

/* How rough this life is; chosen at its beginning. Percentages unless said otherwise. */
struct temper {
    unsigned slow_calls, hung_calls, failing_calls, lost_answers;
    unsigned lost_hints, doubled_hints, late_hints;
    unsigned commit_failures, sink_troubles, reading_failures;
    unsigned weather, commands; /* how many */
    bool has_crashes, has_host_reboots, has_identity_changes, has_parallel_bound;
    bool is_forgetful; /* journal.retain is short */
    bool has_local_storage;
    bool has_bad_disks;
    bool has_dead_disks; /* some of which never clear */
    bool has_operator;   /* who wants things of the sinks */
    bool is_aimed;       /* things befall guests just as their stops get somewhere */
    bool is_crowded;     /* four guests with local disks, one turn at a time */
    usec_t turn_most;    /* the longest that a turn of the engine takes; 0: none takes any time */
};

/* What is wrong with the journal, see journal-faults.c. */
enum journal_fault {
    JOURNAL_FINE,
    JOURNAL_NO_BEGIN,
    JOURNAL_WRITE_FAILS,
    JOURNAL_COMMIT_FAILS,
    JOURNAL_IN_DOUBT, /* the commit's outcome is not known */
    JOURNAL_FULL,     /* the reserve is spent piece by piece */
};

struct life {
    uint64_t seed;
    bool is_told; /* --trace */
    struct dice dice, uuid_dice;
    const struct fates *only; /* what may happen in it; NULL: whatever comes */
    struct fates happened;
    unsigned n_fates[FATE_MAX][LIFE_DOMAINS_MOST + 1][FATE_SORTS];
    struct temper temper;
    char *broken; /* the first rule that was broken, and how */

    usec_t now; /* since the life began */
    usec_t booted_at;
    int64_t clock_error; /* of the real-time clock */
    bool is_quiet;       /* the world is well behaved from now on */

    struct simulated *world;
    struct simulated_domain *struck;                    /* by the latest stroke of weather */
    struct simulated_domain *guests[LIFE_DOMAINS_MOST]; /* NULL: left out */
    unsigned n_guests;
    struct flight *flights;
    const struct flight *executing; /* whose effect it is that is happening */
    struct aim {                    /* at the stop of each guest, see aim.c */
        enum stage stage;
        uint64_t number;
        usec_t at;                 /* NEVER: nothing befalls it */
        uint64_t echoed;           /* the number of the stroke that echoes … */
        usec_t echoes[AIM_ECHOES]; /* … at these times; NEVER: not, or not again */
    } aims[LIFE_DOMAINS_MOST];
    struct hint_in_flight *hints;
    struct wiping *wipings;           /* helpers at work, see wiping.c */
    unsigned exchanges[DEVICES_MOST]; /* of the device of this number, see devices.c */
    bool has_lost_hints, has_misjudged, has_crash;
    usec_t available_at, lost_at; /* the hypervisor: up again; the engine is told that it is lost */
    usec_t arrived_at;            /* a migration's end */

    struct journal *journal;
    enum journal_fault journal_fault;
    usec_t journal_well_at, readable_at;

    struct engine *engine; /* NULL: stopd is not running */
    struct engine_settings settings;
    unsigned parallel_most; /* that stop.parallel has ever been; 0: it was without bound */
    bool is_dying;      /* stopd has been killed in the middle of a turn: nothing it does counts */
    unsigned countdown; /* points until then; 0: none planned */
    usec_t restart_at;
    bool has_arrivals;

    struct sinks *sinks;
    struct witness witness;
    usec_t next_command, next_weather;
    unsigned commands_left, weather_left;
    bool is_ending; /* stopd goes properly: whoever waits is answered early */
    unsigned requests_out;
    usec_t last_turn, turn_ends;
    unsigned spins; /* turns without time going on */
    usec_t rush_until;
    unsigned rush; /* calls since ten seconds before that */
};

static inline void earlier(usec_t *due, usec_t candidate)
{
    if (candidate < *due)
        *due = candidate;
}

/* Lives one life, in which only this may happen (NULL: whatever comes). False: a rule was broken;
 * life->broken says which. life_clear() is owed. */
bool life_run(struct life *life, uint64_t seed, const struct fates *only, bool is_told);
void life_clear(struct life *life);

/* A line of the story, if anybody wants to hear it. */
#define tell(life, ...)                      \
    do {                                     \
        if ((life)->is_told)                 \
            story_line((life), __VA_ARGS__); \
    } while (0)
void story_line(const struct life *life, const char *format, ...) _printf_(2, 3);
/* The first time counts. rule: of the contract's section 4, such as "4.1 consent". */
void rule_broken(struct life *life, const char *rule, const char *format, ...) _printf_(3, 4);
const char *domain_word(const struct simulated_domain *d);

/* --- host.c: what the engine is given to live on -------------------------------------------- */
struct moment host_now(void *userdata);
void host_start_engine(struct life *life);
/* stopd goes, in the middle of whatever it does, or properly. */
void host_end_engine(struct life *life, bool properly);
void host_turn(struct life *life);
/* Carries out what is due of calls and hints; host_next() is the time of the next. */
void host_advance(struct life *life);
usec_t host_next(const struct life *life);
/* One step of the running stopd that a crash can come before. False: it has come. */
bool host_point(struct life *life, const char *before);
/* Something has happened upon which stopd may die, some steps later. */
void host_consider_crash(struct life *life, uint64_t number);

/* --- host-calls.c --- */
void host_start_call(void *userdata, struct call *c);
void host_advance_calls(struct life *life);
usec_t host_next_call(const struct life *life);
bool host_has_flight(const struct life *life, const uuid_t domain);
/* stopd is dead: what it had sent may still be carried out, the rest is not. */
void host_orphan_calls(struct life *life);
void host_forget_calls(struct life *life);

/* --- wiping.c: who identifies and clears disks ---------------------------------------------- */
void wiping_start(void *userdata, struct wipe_job *job);
void wiping_end(void *userdata, const uuid_t domain);
json_object *wiping_sign(void *userdata, json_object *certificate);
/* Is this disk at a helper already? How many are? */
bool wiping_has_job(const struct life *life, const struct wipe_job *job);
unsigned wiping_clears(const struct life *life);
void wiping_advance(struct life *life);
usec_t wiping_next(const struct life *life);
void wiping_forget(struct life *life);

/* --- asks.c: what is asked of stopd --------------------------------------------------------- */
void ask_something(struct life *life);
/* A stop of it, or of another by a token that is known; a power cut of it; a clear of its kept
 * disks; a word about its stop (false: there is none). */
void ask_stop(struct life *life, struct simulated_domain *d);
void ask_force(struct life *life, struct simulated_domain *d);
void ask_clear(struct life *life, struct simulated_domain *d);
bool ask_about(struct life *life, const struct simulated_domain *d, enum request_kind kind);

/* --- cast.c: who lives in the world --------------------------------------------------------- */
void cast_create(struct life *life);
/* Any of them; NULL: one that was left out. */
struct simulated_domain *cast_any(struct life *life);
/* Expired, or in arrears. */
void cast_account(struct life *life, struct instance *n);
/* Other manners, at random. */
void cast_manners(struct life *life, struct simulated_domain *d);
/* Is it of a family whose local disks are cleared? */
bool cast_is_cleared(const struct instance *i);
/* Is it one that is cleared? Neither the system's disk is nor one that was attached later. */
bool cast_is_local_disk(const struct disk *disk);

/* --- weather.c: what happens to the world --------------------------------------------------- */
void weather_change(struct life *life);
void weather_calm(struct life *life);
/* What is due by the clock: the hypervisor is up again, a migration arrives. */
void weather_advance(struct life *life);
usec_t weather_next(const struct life *life);
void weather_lose_hypervisor(struct life *life, usec_t away);
/* What befalls a domain. False: it cannot in this state. */
bool weather_start(struct life *life, struct simulated_domain *d);
bool weather_start_briefly(struct life *life, struct simulated_domain *d);
bool weather_run_briefly(struct life *life, struct simulated_domain *d);
bool weather_lock(struct life *life, struct simulated_domain *d);
bool weather_misjudge(struct life *life, struct simulated_domain *d);
bool weather_attach_disk_and_end(struct life *life, struct simulated_domain *d);
bool weather_exchange_disk(struct life *life, struct simulated_domain *d);

/* --- devices.c: what stands behind the paths of local disks ---------------------------------- */
#define DEVICE_SERIAL 24
struct device {
    char serial[DEVICE_SERIAL];
    uint64_t bytes;
    bool is_dead; /* no clear of it ever succeeds */
};
/* As it is now. */
struct device devices_find(const struct life *life, const char *path);
void devices_exchange(struct life *life, const char *path);

/* --- aim.c: what befalls a guest just as its stop has got somewhere -------------------------- */
/* Some seconds from now, at one that is in no stop. */
void aim_at_kept_disks(struct life *life, const struct simulated_domain *d);
/* After each turn. */
void aim_watch(struct life *life);
void aim_advance(struct life *life);
usec_t aim_next(const struct life *life);

/* --- journal-faults.c --- */
void journal_faults_attend(struct life *life); /* NULL: to none */
/* What a crash makes of a commit that was in doubt. */
void journal_faults_crash(struct life *life);
/* Nothing new is to be taken: room is kept for what is under way. */
bool journal_faults_is_on_reserve(void);
void journal_wipe(struct journal *j);

/* --- readings.c --- */
void readings_attend(struct life *life); /* NULL: to none */

#endif
