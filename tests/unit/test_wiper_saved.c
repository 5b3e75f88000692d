/* test_wiper_saved.c - another domain's saved image cannot be read: any disk may be in it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

static void that_forbids_the_claim(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);

    kit_domain(k, OTHER)->state = DOMAIN_OFF;
    kit_domain(k, OTHER)->is_saved = true;
    kit_domain(k, OTHER)->save_is_untold = true;
    fails_uncounted(k, kit_clear(k), "which disks the saved image of domain guest1 names");
    assert_false(kit_exists(k, "request"));
    tell(k, kit_domain(k, OTHER)->save_is_untold = false);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(that_forbids_the_claim, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests_name("wiper: saved images", tests, NULL, NULL);
}
