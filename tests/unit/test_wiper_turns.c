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

/* Whose turn it is not gives the place back, and comes again. */
static void one_after_the_other(void **state)
{
    struct kit *k = on_block_device(
        state, "listen; claimed; touch working; waits_for go; cleared; verified; certificate\n");
    uint64_t first = kit_clear(k), second;

    await(k, kit_exists(k, "working"));
    second = kit_clear(k);
    fails_uncounted(k, second, "another clear is at work on the disk that");
    assert_true(kit_goes_on(k, first));
    kit_touch(k, "go");
    await_report(k, first, WIPE_REPORT_CLEARED);
    /* The first has still to leave when it has reported. */
    do {
        second = kit_clear(k);
        await(k, kit_is_over(k, second));
    } while (kit_find(k, second, WIPE_REPORT_FAILED) && k->n_reports < REPORTS_MAX / 2);
    assert_non_null(kit_find(k, second, WIPE_REPORT_CLEARED));
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
        TEST(files_go_side_by_side),
    };

    return cmocka_run_group_tests_name("wiper: turns", tests, NULL, NULL);
}
