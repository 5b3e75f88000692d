/* test_wiper_passthrough.c - another domain, off now, passes through what the disk hangs on */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

#include <glob.h>

/* A disk of this machine that hangs on a PCI device, which helpers that are scripts do not open. */
static void on_pci_disk(void **state, struct kit **ret, char address[static PCI_ADDRESS_SIZE])
{
    struct kit *k = with_script(state, A_CLEAR);
    struct pci_addresses found = {0};
    char device[160] = "";
    glob_t disks = {0};

    glob("/sys/block/*", 0, NULL, &disks);
    for (size_t i = 0; i < disks.gl_pathc && found.n == 0; i++) {
        struct disk_node node;

        snprintf(device, sizeof(device), "/dev/%s", strrchr(disks.gl_pathv[i], '/') + 1);
        if (disk_node_of(device, &node) == 0 && node.kind == DISK_BLOCK)
            assert_int_equal(disk_node_controllers(&node, &found), 0);
    }
    globfree(&disks);
    if (found.n == 0) {
        print_message("skipped: no disk of this machine hangs on a PCI device\n");
        skip();
    }
    memcpy(address, found.items[0], PCI_ADDRESS_SIZE);
    snprintf(k->device, sizeof(k->device), "%s", device);
    snprintf(kit_domain(k, OWN)->disk, 160, "%s", device);
    kit_domain(k, OTHER)->state = DOMAIN_OFF;
    *ret = k;
}

static void that_forbids_the_claim(void **state)
{
    struct kit *k;
    char address[PCI_ADDRESS_SIZE];

    on_pci_disk(state, &k, address);
    kit_domain(k, OTHER)->pci = address;
    fails_counted(k, kit_clear(k), "which domain guest1 passes through");
    assert_false(kit_exists(k, "request"));
    tell(k, kit_domain(k, OTHER)->pci = "ffff:65:00.0");
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void one_that_comes_by_it_ends_the_clear(void **state)
{
    struct kit *k;
    char address[PCI_ADDRESS_SIZE];
    uint64_t job;

    on_pci_disk(state, &k, address);
    kit_script(k, "helper", "listen; claimed; method; hangs\n");
    job = kit_clear(k);
    await(k, kit_exists(k, "request"));
    tell(k, kit_domain(k, OTHER)->pci = address);
    fails_uncounted(k, job, "stopped half-way");
}

/* Unknown is not "not passed through". */
static void an_address_that_cannot_be_told_forbids_the_claim(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);

    kit_domain(k, OTHER)->state = DOMAIN_OFF;
    kit_domain(k, OTHER)->pci = "";
    fails_uncounted(k, kit_clear(k), "which PCI device domain guest1 passes through");
    assert_false(kit_exists(k, "request"));
    /* What the instance itself has is no other's. */
    tell(k, kit_domain(k, OTHER)->pci = NULL; kit_domain(k, OWN)->pci = "");
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void the_helper_is_told(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    _cleanup_(freep) char *request = NULL;

    kit_domain(k, OTHER)->state = DOMAIN_OFF;
    kit_domain(k, OTHER)->pci = "0000:65:00.0";
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    request = scratch_read(kit_path(k, "request"), NULL);
    assert_non_null(strstr(request, "{\"domain\":\"guest1\",\"pci\":\"0000:65:00.0\"}"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(that_forbids_the_claim),
        TEST(one_that_comes_by_it_ends_the_clear),
        TEST(an_address_that_cannot_be_told_forbids_the_claim),
        TEST(the_helper_is_told),
    };

    return cmocka_run_group_tests_name("wiper: passed-through controllers", tests, NULL, NULL);
}
