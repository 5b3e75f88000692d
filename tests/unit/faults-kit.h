/* faults-kit.h - a life that is lived again and again, and each time fails at the next place
 *
 * Include it once in a program, whose memory is the linker's to wrap (see memory-faults.h). With
 * STOPD_LONG no place is left out. */
#ifndef STOPD_TESTS_FAULTS_KIT_H
#define STOPD_TESTS_FAULTS_KIT_H

#define TEST_HAS_FAULTS

#include "fault-vfs.h"
#include "engine-kit.h"
#include "memory-faults.h"
#include "stopd/log.h"

#define WHOLE_STOP "Running→Stopping Stopping→Stopped"

static void engine_calm(void)
{
    memory.is_calm = true;
    fault.active = false;
}

static bool disk_fails;

static void engine_rough(void)
{
    memory.is_calm = false;
    fault.active = disk_fails;
}

/* What fails in a life. */
struct trouble {
    enum { TROUBLE_MEMORY, TROUBLE_DISK } kind;
    enum memory_of of;
    enum fault_kind how;
    bool for_good; /* from the Nth on until the trouble is over */
};

static void begin_trouble(const struct trouble *t, long n)
{
    disk_fails = t->kind == TROUBLE_DISK;
    if (disk_fails)
        fault_arm(n, t->how, t->for_good);
    else
        memory_arm(t->of, n, t->for_good);
    engine_rough();
}

/* Whether any was met. */
static bool end_trouble(const struct trouble *t)
{
    memory_disarm();
    disk_fails = false;
    engine_rough();
    return t->kind == TROUBLE_DISK ? fault.failed : memory.failed;
}

/* All the ways in which each loop is run. */
static const struct trouble troubles[] = {
    {TROUBLE_MEMORY, MEMORY_OURS, 0, false},    {TROUBLE_MEMORY, MEMORY_OURS, 0, true},
    {TROUBLE_MEMORY, MEMORY_SQLITE, 0, false},  {TROUBLE_MEMORY, MEMORY_SQLITE, 0, true},
    {TROUBLE_DISK, 0, FAULT_FULL, false},       {TROUBLE_DISK, 0, FAULT_FULL, true},
    {TROUBLE_DISK, 0, FAULT_BROKEN, false},     {TROUBLE_DISK, 0, FAULT_BROKEN, true},
    {TROUBLE_DISK, 0, FAULT_UNREADABLE, false}, {TROUBLE_DISK, 0, FAULT_UNREADABLE, true},
};

static void no_journal(struct scratch *s)
{
    static const char *const names[] = {"stopd.db", "stopd.db-wal", "stopd.db-shm"};
    char name[128];

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        snprintf(name, sizeof(name), "%s/%s", s->folder, names[i]);
        unlink(name);
    }
}

/* In memory where that is possible: a folder's sync is real, and there are thousands. */
static inline int setup(void **state)
{
    if (scratch_setup(state) < 0)
        return -1;
    (void)scratch_mount(*state, "size=64m");
    return 0;
}

/* How many places there are. SQLite has very many that are alike: some are left out. */
static inline long loop_over(struct scratch *s, const struct trouble *t, long stride_in_sqlite,
                             bool (*live)(struct scratch *, const struct trouble *, long))
{
    bool in_sqlite = t->kind == TROUBLE_MEMORY && t->of == MEMORY_SQLITE;
    bool skips = in_sqlite && !is_set(getenv("STOPD_LONG"));
    long n = 1;

    while (live(s, t, n))
        n += skips ? stride_in_sqlite : 1;
    return n;
}

static inline void loop_over_all(struct scratch *s, const struct trouble *all, size_t n_all,
                                 long stride_in_sqlite,
                                 bool (*live)(struct scratch *, const struct trouble *, long))
{
    for (size_t i = 0; i < n_all; i++)
        print_message("trouble %zu: %ld places\n", i,
                      loop_over(s, &all[i], stride_in_sqlite, live));
}

/* stopd has died and starts: at once, or, after it has said why not, once the trouble is over.
 * Returns whether any was met. */
static inline bool start_in_trouble(struct life *l, const struct trouble *t, long n)
{
    struct error *err = NULL;
    bool met;
    int r;

    begin_trouble(t, n);
    r = life_try_start(l, &err);
    met = end_trouble(t);
    if (r == 0)
        return met;
    assert_true(met);
    assert_true(is_set(error_message(err)));
    /* Or somebody would delete from the journal what it says is damaged. */
    if (t->kind == TROUBLE_MEMORY && error_code_of(err) != ERROR_NO_MEMORY)
        fail_msg("failure %ld is taken for another one: %s", n, error_message(err));
    error_free(take(err));
    life_start(l);
    return met;
}

/* For what is read from documents: each of their members too. */
static inline void loop_over_starts(struct scratch *s,
                                    bool (*live)(struct scratch *, const struct trouble *, long))
{
    static const struct trouble members[] = {{TROUBLE_MEMORY, MEMORY_MEMBERS, 0, false},
                                             {TROUBLE_MEMORY, MEMORY_MEMBERS, 0, true}};

    loop_over_all(s, members, ELEMENTSOF(members), 1, live);
    loop_over_all(s, troubles, ELEMENTSOF(troubles), 5, live);
}

#endif
