/* test_engine_faults_clear.c - memory that runs out and a disk that fails while an I1 is stopped
 *
 * The same loops as in test_engine_faults.c, over a life with local disks: they are identified
 * before the command is answered, cleared when the guest is off (one try fails), certified and
 * reported. Contract 4.3 holds in each: Stopped after both disks are cleared, and not before; and
 * 4.4: each clear is reported once, with its certificate in the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "faults-kit.h"
#include "helpers-kit.h"

static void an_i1_life(struct scratch *s, struct life *l)
{
    no_journal(s);
    helpers.bad_tries = 1;
    helpers.resumed = 0;
    helpers.hang = false;
    *l = (struct life){.path = scratch_path(s, "stopd.db"), .helpers = &helpers_all};
    world_make(l);
    make_i1(l->guest);
    life_start(l);
    life_until(l, engine_is_attached(l->engine) && !helpers.first);
    life_turn(l);
}

static void ask(struct life *l, struct reply *reply)
{
    ask_stop_with(l, 1, "once", "ConfirmStop", "true", reply);
}

static bool is_stopped(const struct life *l)
{
    return l->guest->state == DOMAIN_OFF && engine_unfinished(l->engine) == 0;
}

/* --- What then has to be ---------------------------------------------------------------------- */

struct account {
    uint64_t sequence;
    unsigned begun, stopped, failed;
    unsigned cleared[LOCAL_DISKS];
};

static bool is_cleared(const struct account *a)
{
    for (size_t k = 0; k < LOCAL_DISKS; k++)
        if (a->cleared[k] != 1)
            return false;
    return true;
}

static void count_disk(struct account *a, json_object *data)
{
    const char *target = NULL;
    int k;

    assert_int_equal(json_get_string(data, "target", &target), 0);
    k = text_index(local_targets, LOCAL_DISKS, target);
    assert_true(k >= 0);
    a->cleared[k]++;
}

static int count_event(void *userdata, const struct upstream_event *e)
{
    struct account *a = userdata;
    json_object *event = json_tokener_parse(e->body), *data = NULL;
    const char *to = NULL;

    assert_int_equal(e->sequence, ++a->sequence);
    assert_int_equal(json_get_object(event, "data", &data), 0);
    json_get_string(data, "to", &to);
    if (text_equal(e->type, "stopd.storage.cleared.v1"))
        count_disk(a, data);
    else if (text_equal(e->type, "stopd.storage.failed.v1"))
        a->failed++;
    else if (text_equal(to, "Stopping"))
        a->begun++;
    else if (text_equal(to, "Stopped") && ++a->stopped && !is_cleared(a))
        fail_msg("it is Stopped, and not all its disks are cleared");
    else
        assert_string_equal(to, "Stopped");
    json_object_put(event);
    return 0;
}

static size_t count_certificates(struct journal_reader *r, const char *request_id)
{
    json_object *o = NULL, *array = NULL;
    struct error *err = NULL;
    size_t n;

    assert_success(journal_read_certificates(r, request_id, &o, &err), err);
    assert_int_equal(json_get_array(o, "certificates", &array), 0);
    n = json_object_array_length(array);
    json_object_put(o);
    return n;
}

static void assert_account(struct life *l, const char *request_id)
{
    struct journal_reader *r = open_reader(l->path);
    struct account a = {0};
    struct error *err = NULL;

    assert_success(journal_read_events(r, 0, 1000, count_event, &a, &err), err);
    assert_int_equal(a.begun, 1);
    assert_int_equal(a.stopped, 1);
    assert_true(is_cleared(&a));
    assert_true(a.failed <= 1); /* that report may have met the trouble */
    assert_int_equal(count_certificates(r, request_id), LOCAL_DISKS);
    journal_reader_close(r);
    assert_int_equal(count_operations(l->path), 1);
    assert_false(l->cut);
}

/* The command again, without trouble; then its end. promised: the RequestId that was answered. */
static void assert_goes_on(struct life *l, const char *promised)
{
    struct reply again;

    do {
        life_until(l, engine_is_attached(l->engine));
        ask(l, &again);
        life_until(l, again.is_there);
        assert_true(again.has_answer);
        if (again.code != ERROR_NONE)
            life_step(l, l->now + USEC_PER_SEC);
    } while (again.code == ERROR_UNAVAILABLE || (!promised && again.code == ERROR_DISK_STATUS));
    if (again.code != ERROR_NONE)
        fail_msg("%s: %s", error_name(again.code), again.message);
    if (promised)
        assert_string_equal(again.request_id, promised);
    life_until(l, is_stopped(l));
    assert_account(l, again.request_id);
}

/* --- Accepting -------------------------------------------------------------------------------- */

/* The turns that take the command, and what its disks are, meet the trouble. */
static bool accept_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met, accepted;

    an_i1_life(s, &l);
    ask(&l, &reply);
    begin_trouble(t, n);
    for (unsigned turn = 0; turn < 5 && !reply.is_there; turn++) {
        engine_turn(l.engine);
        helpers_work(&l);
    }
    met = end_trouble(t);
    assert_true(reply.is_there);
    accepted = reply.has_answer && reply.code == ERROR_NONE;
    if (accepted) {
        assert_true(has_operation(l.path, reply.request_id));
        assert_int_equal(engine_unfinished(l.engine), 1);
    } else if (reply.has_answer && reply.code != ERROR_INTERNAL) {
        assert_int_equal(count_operations(l.path), 0);
        assert_int_equal(engine_unfinished(l.engine), 0);
        assert_int_equal(error_http_status(reply.code), 503);
    }
    assert_goes_on(&l, accepted ? reply.request_id : NULL);
    life_end(&l);
    return met;
}

static void a_command_is_refused_or_durable(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, accept_in_trouble);
}

/* --- Clearing --------------------------------------------------------------------------------- */

/* The trouble is met at any time from the guest's end to that of the stop, or for as long as the
 * first tries take. */
static bool clear_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    usec_t until;
    bool met;

    an_i1_life(s, &l);
    ask(&l, &reply);
    life_until(&l, l.guest->state == DOMAIN_OFF);
    assert_int_equal(reply.code, ERROR_NONE);
    until = l.now + 12 * USEC_PER_SEC;
    begin_trouble(t, n);
    while (l.now < until && !is_stopped(&l))
        life_step(&l, until);
    met = end_trouble(t);
    assert_goes_on(&l, reply.request_id);
    life_end(&l);
    return met;
}

static void a_clear_goes_on(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 11, clear_in_trouble);
}

/* --- Recovering ------------------------------------------------------------------------------- */

static bool has_certificate(const struct life *l)
{
    const struct operation *op = engine_find_operation(l->engine, l->guest->definition->uuid);

    return op && op->stage == STAGE_CLEARING &&
           (op->disks.items[0].state == DISK_CLEARED || op->disks.items[1].state == DISK_CLEARED);
}

/* stopd starts on a journal with one disk that is cleared and one that is not. */
static bool recover_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met;

    an_i1_life(s, &l);
    ask(&l, &reply);
    life_until(&l, has_certificate(&l));
    helpers.resumed = 0;
    life_die(&l);
    met = start_in_trouble(&l, t, n);
    assert_int_equal(engine_unfinished(l.engine), 1);
    assert_goes_on(&l, reply.request_id);
    assert_true(helpers.resumed > 0); /* nothing of the helper's word was lost */
    life_end(&l);
    return met;
}

static void a_clear_is_found_again_as_it_was(void **state)
{
    loop_over_starts(*state, recover_in_trouble);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_command_is_refused_or_durable),
        RULE(a_clear_goes_on),
        RULE(a_clear_is_found_again_as_it_was),
    };

    log_set_level((enum log_level) - 1);
    memory_install();
    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
