/* test_engine_faults.c - memory that runs out and a disk that fails, at every single place
 *
 * Theory of operation. A life is lived again and again: in the Nth one the Nth request for memory
 * fails, or the Nth call that changes the journal's file or reads it, until a life sees no failure.
 * After each, what was promised holds: the command was refused and nothing of it is there, or it
 * was accepted and is durable; and the engine goes on. Whatever leaks is found by the address
 * sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "faults-kit.h"

/* stopd is up, and knows of nothing yet. */
static void a_new_life(struct scratch *s, struct life *l, unsigned guests)
{
    no_journal(s);
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    for (unsigned i = 2; i <= guests; i++)
        world_add(l, i);
    life_start(l);
}

/* It knows the guest, and nothing was asked yet. */
static void a_life(struct scratch *s, struct life *l)
{
    a_new_life(s, l, 1);
    life_until(l, engine_is_attached(l->engine));
    life_turn(l);
}

static bool is_stopped(const struct life *l)
{
    return l->guest->state == DOMAIN_OFF && engine_unfinished(l->engine) == 0;
}

/* The command again, without trouble, and what then has to be: one stop, told once, by the button.
 */
static void assert_goes_on(struct life *l, const char *promised)
{
    struct history h;
    struct reply again;

    if (promised || l->guest->state != DOMAIN_OFF) {
        do {
            life_until(l, engine_is_attached(l->engine));
            ask_stop(l, "once", &again);
            life_until(l, again.is_there);
            assert_true(again.has_answer);
            if (again.code == ERROR_UNAVAILABLE || again.code == ERROR_INSTANCE_STATUS)
                life_step(l, l->now + USEC_PER_SEC);
        } while (again.code == ERROR_UNAVAILABLE ||
                 (again.code == ERROR_INSTANCE_STATUS && !promised));
        if (again.code != ERROR_NONE)
            fail_msg("%s: %s", error_name(again.code), again.message);
        if (promised)
            assert_string_equal(again.request_id, promised);
    }
    life_until(l, is_stopped(l));
    read_history(l->path, &h);
    assert_string_equal(h.text, WHOLE_STOP);
    assert_int_equal(count_operations(l->path), 1);
    assert_false(l->cut);
}

/* --- Accepting -------------------------------------------------------------------------------- */

/* The turn that takes a command meets the trouble. */
static bool accept_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met, accepted, unknown;

    a_life(s, &l);
    ask_stop(&l, "once", &reply);
    begin_trouble(t, n);
    engine_turn(l.engine);
    met = end_trouble(t);
    assert_true(reply.is_there);
    /* No answer, or one without the memory for it: whoever asked is told that nothing is known. */
    accepted = reply.has_answer && reply.code == ERROR_NONE;
    unknown = !reply.has_answer || reply.code == ERROR_INTERNAL;
    if (accepted) {
        assert_true(has_operation(l.path, reply.request_id));
        assert_int_equal(engine_unfinished(l.engine), 1);
    } else if (!unknown) {
        assert_int_equal(count_operations(l.path), 0);
        assert_int_equal(engine_unfinished(l.engine), 0);
        assert_int_equal(error_http_status(reply.code), 503);
    }
    make_calls(&l);
    assert_goes_on(&l, accepted ? reply.request_id : NULL);
    life_end(&l);
    return met;
}

static void a_command_is_refused_or_durable(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 1, accept_in_trouble);
}

/* --- Stopping --------------------------------------------------------------------------------- */

/* The trouble is met at any time from the command to the end. */
static bool stop_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    usec_t begun;
    bool met;

    a_life(s, &l);
    ask_stop(&l, "once", &reply);
    begun = l.now;
    begin_trouble(t, n);
    do
        life_step(&l, begun + 5 * USEC_PER_SEC);
    while (l.now < begun + 5 * USEC_PER_SEC);
    met = end_trouble(t);
    assert_true(reply.is_there);
    assert_goes_on(&l, reply.has_answer && reply.code == ERROR_NONE ? reply.request_id : NULL);
    life_end(&l);
    return met;
}

static void a_stop_goes_on(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 7, stop_in_trouble);
}

/* --- Recovering ------------------------------------------------------------------------------- */

/* stopd starts on a journal with a stop under way. */
static bool recover_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met;

    a_life(s, &l);
    ask_stop(&l, "once", &reply);
    life_until(&l, l.guest->buttons > 0);
    assert_int_equal(reply.code, ERROR_NONE);
    life_die(&l);
    met = start_in_trouble(&l, t, n);
    assert_int_equal(engine_unfinished(l.engine), 1);
    assert_goes_on(&l, reply.request_id);
    life_end(&l);
    return met;
}

static void a_recovery_fails_as_a_whole_or_not_at_all(void **state)
{
    loop_over_starts(*state, recover_in_trouble);
}

/* --- The first picture ------------------------------------------------------------------------ */

static int count_row(void *userdata, const struct reported *r)
{
    ++*(unsigned *)userdata;
    return 0;
}

static unsigned count_reported(struct life *l)
{
    struct error *err = NULL;
    unsigned n = 0;

    engine_calm();
    assert_success(journal_load_reported(l->journal, count_row, &n, &err), err);
    engine_rough();
    return n;
}

/* The trouble is met while it is taken; stopd dies as soon as any of it is in the journal. */
static bool take_picture_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct simulated_domain *hidden;
    struct history h;
    struct life l;
    usec_t until;
    bool met;

    a_new_life(s, &l, 2);
    hidden = l.guest->next;
    hidden->manners.hides_process = true;
    until = l.now + 5 * USEC_PER_SEC;
    begin_trouble(t, n);
    while (l.now < until && count_reported(&l) == 0)
        life_step(&l, until);
    met = end_trouble(t);
    life_until(&l, count_reported(&l) > 0);
    life_die(&l);
    hidden->manners.hides_process = false;
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    for (until = l.now + 60 * USEC_PER_SEC; l.now < until;)
        life_step(&l, until);
    read_history(l.path, &h);
    assert_string_equal(h.text, "");
    life_end(&l);
    return met;
}

/* Contract 4.7: what was there before stopd was has not been started. */
static void a_first_picture_is_taken_down_in_silence(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, take_picture_in_trouble);
}

/* --- Tables that cannot grow ------------------------------------------------------------------ */

#define MANY 60 /* a table of json-c's begins with room for 42 */

/* All are stopped at once; whatever was accepted can be named from then on. */
static bool accept_many_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    static struct reply accepted[MANY], cancelled[MANY];
    struct life l;
    bool met;

    a_new_life(s, &l, MANY);
    begin_trouble(t, n);
    life_until(&l, engine_is_attached(l.engine) && count_reported(&l) == MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char token[16];

        snprintf(token, sizeof(token), "once-%u", i);
        ask_stop_of(&l, i + 1, token, &accepted[i]);
    }
    engine_turn(l.engine);
    met = end_trouble(t);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(accepted[i].is_there);
        if (accepted[i].code == ERROR_NONE)
            ask_cancel(&l, accepted[i].request_id, &cancelled[i]);
        else
            assert_int_equal(error_http_status(accepted[i].code), 503);
    }
    engine_turn(l.engine);
    for (unsigned i = 0; i < MANY; i++)
        if (accepted[i].code == ERROR_NONE && cancelled[i].code != ERROR_NONE)
            fail_msg("failure %ld: stop %u is not found: %s", n, i, cancelled[i].message);
    make_calls(&l);
    life_end(&l);
    return met;
}

static void whatever_is_accepted_is_found(void **state)
{
    static const struct trouble tables = {TROUBLE_MEMORY, MEMORY_TABLES, 0, false};

    print_message("%ld places\n", loop_over(*state, &tables, 1, accept_many_in_trouble));
}

/* Contract 4.2: a look that has no memory to spare shows the same disks, and others as others. */
static void want_of_memory_is_no_other_disk(void **state)
{
    struct disk vdb = {.target = (char *)"vdb", .source = (char *)"/dev/nvme0n1"};
    const struct instance i = {.disks = &vdb, .n_disks = 1};

    for (long n = 1; n < 4; n++) {
        bool differ, differ_not;

        memory_arm(MEMORY_OURS, n, true);
        differ = disks_differ(&i, "vdb\t/dev/nvme1n1\n");
        differ_not = !disks_differ(&i, "vda\t/dev/root\nvdb\t/dev/nvme0n1\n");
        memory_disarm();
        assert_true(differ);
        assert_true(differ_not);
    }
}

/* A line lost to lack of memory is only a line: the one that it was to follow stays. */
static void want_of_memory_costs_a_line_and_no_other(void **state)
{
    for (long n = 1; n < 4; n++) {
        _cleanup_(operation_free) struct operation *op = operation_new();

        assert_non_null(op);
        operation_note(op, 1, false, "button", "acpi");
        operation_note(op, 2, true, "button again", "acpi, pressed %u times", 2u);
        memory_arm(MEMORY_OURS, n, true);
        operation_note(op, 3, true, "button again", "acpi, pressed %u times", 3u);
        memory_disarm();
        assert_int_equal(op->timeline.n, 2);
        assert_string_equal(op->timeline.items[1].what, "button again");
        assert_string_equal(op->timeline.items[1].detail,
                            memory.failed ? "acpi, pressed 2 times" : "acpi, pressed 3 times");
        assert_int_equal(op->timeline.items[1].at, memory.failed ? 2 : 3);
        operation_note(op, 4, true, "button again", NULL);
        operation_note(op, 5, false, "off", "guest shut down");
        assert_int_equal(op->timeline.n, 3);
        assert_null(op->timeline.items[1].detail);
        assert_string_equal(op->timeline.items[2].what, "off");
        assert_string_equal(op->timeline.items[2].detail, "guest shut down");
        assert_string_equal(op->timeline.items[0].detail, "acpi");
    }
}

/* It is the loss that counts, not its sentence. */
static void a_loss_that_there_is_no_memory_to_tell_is_a_loss(void **state)
{
    struct life l;

    a_life(*state, &l);
    memory_arm(MEMORY_OURS, 1, true);
    engine_take_lost(l.engine, "the daemon has ended");
    memory_disarm();
    assert_true(memory.failed);
    assert_true(engine_next_turn(l.engine) <= l.now);
    engine_turn(l.engine);
    assert_false(engine_is_attached(l.engine));
    life_until(&l, engine_is_attached(l.engine));
    life_end(&l);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_command_is_refused_or_durable),
        RULE(a_stop_goes_on),
        RULE(a_recovery_fails_as_a_whole_or_not_at_all),
        RULE(a_first_picture_is_taken_down_in_silence),
        RULE(whatever_is_accepted_is_found),
        RULE(a_loss_that_there_is_no_memory_to_tell_is_a_loss),
        cmocka_unit_test(want_of_memory_costs_a_line_and_no_other),
        cmocka_unit_test(want_of_memory_is_no_other_disk),
    };

    log_set_level((enum log_level) - 1);
    memory_install();
    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
