/* test_wiper_turns.c - what lies on one disk is cleared one after the other */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

#include <glob.h>

/* Helpers that are scripts open no device: any that is there will do. */
static struct kit *on_block_device(void **state, const char *script)
{
    struct kit *k = with_script(state, script);
    struct disk_node node;
    glob_t disks = {0};
    bool found = false;

    glob("/sys/block/*", 0, NULL, &disks);
    for (size_t i = 0; i < disks.gl_pathc && !found; i++) {
        snprintf(k->device, sizeof(k->device), "/dev/%s", strrchr(disks.gl_pathv[i], '/') + 1);
        found = disk_node_of(k->device, &node) == 0 && node.kind == DISK_BLOCK;
    }
    globfree(&disks);
    if (!found) {
        print_message("skipped: there is no block device here\n");
        skip();
    }
    snprintf(kit_domain(k, OWN)->disk, 160, "%s", k->device);
    return k;
}

/* The first to come waits a while for the other, who says so if he is there. */
#define MEETS                                                                   \
    "listen; mkdir busy 2>/dev/null || { touch met; claimed; exit 71; }\n"      \
    "for i in 1 2 3 4 5 6 7 8 9 10; do [ -e met ] && break; sleep 0.02; done\n" \
    "claimed; method; progress clearing 4096 4096; cleared; verified; rmdir busy; certificate\n"

static void one_after_the_other(void **state)
{
    struct kit *k = on_block_device(state, MEETS);
    uint64_t jobs[4];

    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        jobs[i] = kit_clear(k);
    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        await_report(k, jobs[i], WIPE_REPORT_CLEARED);
    assert_false(kit_exists(k, "met"));
}

/* Whatever is to end while it waits ends at once, though the one before it does not. */
static void who_waits_can_be_ended(void **state)
{
    struct kit *k = on_block_device(state, "listen; claimed; hangs_for_good\n");
    struct wipe_job *other = kit_clear_job(k);
    uint64_t first, second = k->last_job;
    uuid_t domain;

    uuid_parse(OTHER, other->domain);
    first = kit_clear(k);
    await(k, kit_exists(k, "request"));
    wiper_start(k->wiper, other);
    uuid_parse(OTHER, domain);
    wiper_end(k->wiper, domain);
    fails_uncounted(k, second, "nothing is owed any more");
    assert_true(kit_goes_on(k, first));
}

static void who_waits_does_not_hold_up_the_end(void **state)
{
    struct kit *k = on_block_device(state, "listen; claimed; touch at-work; hangs\n");
    uint64_t jobs[3];

    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        jobs[i] = kit_clear(k);
    await(k, kit_exists(k, "at-work"));
    kit_stop(k);
    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        fails_uncounted(k, jobs[i], "stopd is going down");
}

/* Files are not one disk for lying on one file system. */
static void files_go_side_by_side(void **state)
{
    struct kit *k =
        with_script(state, "listen; touch here.$$; while [ $(ls here.* | wc -l) -lt 2 ]; "
                           "do sleep 0.02; done; claimed; method; progress clearing 4096 "
                           "4096; cleared; verified; certificate\n");
    uint64_t jobs[2] = {kit_clear(k), 0};

    jobs[1] = kit_clear(k);
    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        await_report(k, jobs[i], WIPE_REPORT_CLEARED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(one_after_the_other),
        TEST(who_waits_can_be_ended),
        TEST(who_waits_does_not_hold_up_the_end),
        TEST(files_go_side_by_side),
    };

    return cmocka_run_group_tests_name("wiper: turns", tests, NULL, NULL);
}
