/* faulty.c - see faulty.h
 *
 * Theory of operation. Each call asks the rules of its name, in their order, what goes wrong this
 * time; the first that has its turn decides. Chance comes from the seed, so that the same calls in
 * the same order meet the same faults. The other driver's hints pass through here as well, to the
 * listener that was given to us. A delay is waited out on the caller's thread, as a hypervisor that
 * is slow would have it; of an event that is the driver's own thread, and so events are only lost.
 */
#include "drivers/hypervisor/faulty.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum place {
    PLACE_CONNECT,
    PLACE_LIST,
    PLACE_GLANCE,
    PLACE_LOOK,
    PLACE_FIND_VOLUME,
    PLACE_PRESS,
    PLACE_RESTORE,
    PLACE_WAKE,
    PLACE_CUT,
    PLACE_CHANGED,
    PLACE_MAX
};
static const char *const place_words[PLACE_MAX] = {"connect",     "list",         "glance",  "look",
                                                   "find_volume", "press_button", "restore", "wake",
                                                   "cut_power",   "changed"};

enum what { FAULT_NONE, FAULT_ERROR, FAULT_LOST, FAULT_DELAY, FAULT_HANG, FAULT_MAX };
static const char *const what_words[FAULT_MAX] = {"none", "error", "lost", "delay", "hang"};

struct rule {
    enum place place;
    enum what what;
    unsigned percent;
    uint64_t nth; /* 0: by percent */
    unsigned milliseconds;
};

struct faulty {
    struct hypervisor hypervisor;
    struct hypervisor_ops ops; /* has what the real one has */
    struct hypervisor *real;
    struct rule *rules;
    size_t n_rules;

    pthread_mutex_t lock;
    uint64_t chance;
    uint64_t calls[PLACE_MAX];
};

static struct faulty *faulty_of(struct hypervisor *h)
{
    return (struct faulty *)h;
}

/* --- The faults' words ------------------------------------------------------------------------ */

static bool read_number(const char *text, uint64_t most, uint64_t *ret)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && !*end && *ret <= most;
}

static bool read_when(char *text, struct rule *rule)
{
    size_t n = strlen(text);
    uint64_t number;

    if (text[0] == '@')
        return read_number(text + 1, UINT32_MAX, &rule->nth) && rule->nth > 0;
    if (n == 0 || text[n - 1] != '%')
        return false;
    text[n - 1] = '\0';
    if (!read_number(text, 100, &number))
        return false;
    rule->percent = (unsigned)number;
    return true;
}

static bool read_rule(char *word, struct rule *rule)
{
    char *parts[4] = {0}, *rest = word;
    uint64_t milliseconds;
    size_t n = 0;
    int place, what;

    while (rest && n < ELEMENTSOF(parts))
        parts[n++] = strsep(&rest, ":");
    if (rest || n < 3)
        return false;
    place = text_index(place_words, PLACE_MAX, parts[0]);
    what = text_index(what_words, FAULT_MAX, parts[1]);
    if (place < 0 || what <= FAULT_NONE || !read_when(parts[2], rule) ||
        (place == PLACE_CHANGED && what != FAULT_LOST) || (parts[3] && what < FAULT_DELAY))
        return false;
    rule->place = (enum place)place;
    rule->what = (enum what)what;
    milliseconds = what == FAULT_HANG ? 3600 * 1000 : 1000;
    if (parts[3] && !read_number(parts[3], UINT32_MAX, &milliseconds))
        return false;
    rule->milliseconds = (unsigned)milliseconds;
    return true;
}

static int read_word(struct faulty *f, char *word, struct error **err)
{
    _cleanup_(freep) char *kept = strdup(word);
    struct rule rule = {0}, *more;

    if (strncmp(word, "seed=", 5) == 0 && read_number(word + 5, UINT64_MAX, &f->chance))
        return 0;
    if (!read_rule(word, &rule))
        return error_set(err, ERROR_CONFIGURATION,
                         "'%s' is no fault; one is WHERE:WHAT:WHEN, such as look:error:10%% or "
                         "cut_power:delay:@3:500",
                         kept ? kept : word);
    more = reallocarray(f->rules, f->n_rules + 1, sizeof(*more));
    if (!more)
        return error_no_memory(err);
    f->rules = more;
    f->rules[f->n_rules++] = rule;
    return 0;
}

static int read_faults(struct faulty *f, const char *faults, struct error **err)
{
    _cleanup_(freep) char *text = strdup(faults);
    char *rest = text, *word;
    int r = 0;

    if (!text)
        return error_no_memory(err);
    while (r == 0 && (word = strsep(&rest, " \t")))
        if (*word)
            r = read_word(f, word, err);
    return r;
}

/* --- Their turn ------------------------------------------------------------------------------- */

/* The next number of the splitmix64 sequence. */
static uint64_t next_chance(struct faulty *f)
{
    uint64_t z = f->chance += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static struct rule turn_of(struct faulty *f, enum place place)
{
    struct rule chosen = {0};

    pthread_mutex_lock(&f->lock);
    f->calls[place]++;
    for (size_t i = 0; i < f->n_rules && chosen.what == FAULT_NONE; i++) {
        const struct rule *rule = &f->rules[i];

        if (rule->place == place &&
            (rule->nth ? rule->nth == f->calls[place] : next_chance(f) % 100 < rule->percent))
            chosen = *rule;
    }
    pthread_mutex_unlock(&f->lock);
    return chosen;
}

static int unknown(struct rule fault, struct error **err)
{
    return error_set(err, ERROR_UNKNOWN, "%s: a fault that was asked for (%s)",
                     place_words[fault.place], what_words[fault.what]);
}

static void wait_out(struct rule fault)
{
    struct timespec rest = {.tv_sec = fault.milliseconds / 1000,
                            .tv_nsec = fault.milliseconds % 1000 * 1000000L};

    if (fault.what != FAULT_DELAY && fault.what != FAULT_HANG)
        return;
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
}

/* Makes the call, with whatever is wrong with it this time. What an answer that is lost has brought
 * is cleared by `forget`. */
#define CALL(place, call, forget)                    \
    do {                                             \
        struct faulty *f = faulty_of(h);             \
        const struct rule fault = turn_of(f, place); \
        int r;                                       \
                                                     \
        if (fault.what == FAULT_ERROR)               \
            return unknown(fault, err);              \
        wait_out(fault);                             \
        r = f->real->ops->call;                      \
        if (fault.what != FAULT_LOST || r < 0)       \
            return r;                                \
        forget;                                      \
        return unknown(fault, err);                  \
    } while (0)

static int faulty_connect(struct hypervisor *h, bool *has_processes, struct error **err)
{
    CALL(PLACE_CONNECT, connect(f->real, has_processes, err), (void)0);
}

static int faulty_list(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    CALL(PLACE_LIST, list(f->real, ret, err), sightings_clear(ret));
}

static int faulty_glance(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    CALL(PLACE_GLANCE, glance(f->real, ret, err), sightings_clear(ret));
}

static int faulty_look(struct hypervisor *h, const uuid_t domain,
                       const struct incarnation *remembered, struct sighting *ret,
                       struct error **err)
{
    CALL(PLACE_LOOK, look(f->real, domain, remembered, ret, err), sighting_clear(ret));
}

/* A part of the act that follows, whose faults are drawn then. */
static int faulty_check_lock(struct hypervisor *h, const uuid_t domain, struct error **err)
{
    struct faulty *f = faulty_of(h);

    return f->real->ops->check_lock(f->real, domain, err);
}

static bool faulty_is_alive(struct hypervisor *h, const struct incarnation *who)
{
    struct faulty *f = faulty_of(h);

    return f->real->ops->is_alive(f->real, who);
}

static int faulty_find_volume(struct hypervisor *h, const char *pool, const char *volume,
                              char **ret, struct error **err)
{
    CALL(PLACE_FIND_VOLUME, find_volume(f->real, pool, volume, ret, err), free(take(*ret)));
}

static int faulty_press(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                        enum button button, const struct lifecycle *seen, struct press *ret,
                        struct error **err)
{
    CALL(PLACE_PRESS, press_button(f->real, domain, meant, button, seen, ret, err),
         ret->is_over = false);
}

static int faulty_restore(struct hypervisor *h, const uuid_t domain,
                          const struct incarnation *meant, const struct lifecycle *former,
                          struct error **err)
{
    CALL(PLACE_RESTORE, restore(f->real, domain, meant, former, err), (void)0);
}

static int faulty_wake(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                       struct error **err)
{
    CALL(PLACE_WAKE, wake(f->real, domain, meant, err), (void)0);
}

static int faulty_cut(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                      bool only_crashed, struct error **err)
{
    CALL(PLACE_CUT, cut_power(f->real, domain, meant, only_crashed, err), (void)0);
}

static void on_changed(void *userdata, const uuid_t domain)
{
    struct faulty *f = userdata;
    const struct hypervisor_listener *listener = &f->hypervisor.listener;

    if (turn_of(f, PLACE_CHANGED).what != FAULT_LOST)
        listener->changed(listener->userdata, domain);
}

static void on_lost(void *userdata, const char *why)
{
    const struct hypervisor_listener *listener = &((struct faulty *)userdata)->hypervisor.listener;

    listener->lost(listener->userdata, why);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void faulty_free(struct hypervisor *h)
{
    struct faulty *f = faulty_of(h);

    f->real->ops->free(f->real);
    pthread_mutex_destroy(&f->lock);
    free(f->rules);
    free(f);
}

int hypervisor_faulty_new(const char *faults, struct hypervisor *real, struct hypervisor **ret,
                          struct error **err)
{
    static const struct hypervisor_ops ops = {
        .name = "faulty",
        .connect = faulty_connect,
        .list = faulty_list,
        .glance = faulty_glance,
        .look = faulty_look,
        .is_alive = faulty_is_alive,
        .check_lock = faulty_check_lock,
        .find_volume = faulty_find_volume,
        .press_button = faulty_press,
        .restore = faulty_restore,
        .wake = faulty_wake,
        .cut_power = faulty_cut,
        .free = faulty_free,
    };
    struct faulty *f = calloc(1, sizeof(*f));
    int r;

    if (!f) {
        real->ops->free(real);
        return error_no_memory(err);
    }
    f->ops = ops;
    if (!real->ops->is_alive)
        f->ops.is_alive = NULL;
    if (!real->ops->check_lock)
        f->ops.check_lock = NULL;
    if (!real->ops->find_volume)
        f->ops.find_volume = NULL;
    f->hypervisor.ops = &f->ops;
    f->real = real;
    pthread_mutex_init(&f->lock, NULL);
    r = read_faults(f, faults, err);
    if (r < 0) {
        faulty_free(&f->hypervisor);
        return r;
    }
    real->listener = (struct hypervisor_listener){on_changed, on_lost, f};
    *ret = &f->hypervisor;
    return 0;
}
