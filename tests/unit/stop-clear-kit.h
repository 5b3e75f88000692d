/* stop-clear-kit.h - a stop that owes its local disks a clear, and what their helpers say */
#ifndef STOPD_TESTS_STOP_CLEAR_KIT_H
#define STOPD_TESTS_STOP_CLEAR_KIT_H

#include "base/json.h"
#include "stop-kit.h"

/* Failed tries of a disk until it is left to an operator. */
#define TRIES 8

static const char *const serials[] = {"S4EWNX0R", "S4EWNX1R", "S4EWNX2R"};

/* --- Stops that owe a clear ------------------------------------------------------------------ */

static inline void add_disk(struct stop *s, size_t i)
{
    struct planned_disk *d = disk_plan_add(&s->op->disks);
    char text[32];

    assert_non_null(d);
    snprintf(text, sizeof(text), "vd%c", (char)('b' + i));
    (void)text_replace(&d->target, text);
    snprintf(text, sizeof(text), "/dev/nvme%zun1", i);
    (void)text_replace(&d->device, text);
    d->kind = DISK_BLOCK;
    d->bytes = 1 << 20;
    d->identity = json_object_new_object();
    json_object_object_add(d->identity, "serial", json_object_new_string(serials[i]));
    json_object_object_add(d->identity, "devno", json_object_new_string("259:0"));
}

static inline struct stop *owing(struct stop *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_disk(s, i);
    (void)text_replace(&s->op->disks_at_acceptance, "vda\t/dev/root\n"
                                                    "vdb\t/dev/nvme0n1\n"
                                                    "vdc\t/dev/nvme1n1\n"
                                                    "vdd\t/dev/nvme2n1\n");
    return s;
}

/* An I1's stop: accepted, the button taken. */
static inline struct stop *an_i1_stop(size_t n)
{
    struct stop *s = admitted(owing(a_stop(.grace = seconds(60)), n));

    button_accepted(s);
    return s;
}

/* … and off. */
static inline struct stop *a_clear(size_t n)
{
    struct stop *s = an_i1_stop(n);

    seen_off(s, END_SHUTDOWN);
    return s;
}

/* The disks of an instance that went off by itself. */
static inline struct stop *a_clear_of_kept_disks(size_t n)
{
    struct stop *s = owing(a_stop(.without_processes = true), n);

    s->op->action = ACTION_CLEAR;
    s->op->stage = STAGE_CLEARING;
    return s;
}

/* --- What helpers say ------------------------------------------------------------------------ */

#define says(s, what, ...) happens(s, .kind = what, .news = &(struct disk_news){__VA_ARGS__})

static inline void cleared(struct stop *s, size_t disk)
{
    says(s, IN_DISK_CLEARED, .index = disk);
}

static inline void failed(struct stop *s, size_t disk)
{
    says(s, IN_DISK_FAILED, .index = disk, .message = "an I/O error");
}

static inline void failed_for_good(struct stop *s, size_t disk)
{
    says(s, IN_DISK_FAILED, .index = disk, .message = "it is another disk", .is_final = true);
}

static inline void nobodys(struct stop *s, size_t disk, unsigned spread)
{
    says(s, IN_DISK_FAILED, .index = disk, .message = "libvirt is away", .is_nobodys = true,
         .spread = spread);
}

static inline void retried(struct stop *s)
{
    happens(s, .kind = IN_RETRY, .principal = "root");
}

static inline const struct planned_disk *disk(const struct stop *s, size_t i)
{
    return &s->op->disks.items[i];
}

#define assert_disk(s, i, expected) \
    assert_string_equal(disk_state_to_string(disk(s, i)->state), disk_state_to_string(expected))

/* A look with a definition that has these disks. */
static inline void seen_with(struct stop *s, const struct sighting *seen, struct disk *disks,
                             size_t n)
{
    const struct instance definition = {.disks = disks, .n_disks = n};

    s->wanted &= ~(unsigned)EFFECT_LOOK;
    happens(s, .kind = operation_weigh(s->op, seen), .sighting = seen, .definition = &definition);
}

#endif
