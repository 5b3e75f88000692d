/* test_engine_interlock.c - a reboot interlock that comes after the stop that it was for */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine-calls-kit.h"

static bool journal_fails;
static bool has_local_disk; /* the guest that is found */

int __real_journal_begin(struct journal *j, struct error **err);
int __wrap_journal_begin(struct journal *j, struct error **err);

int __wrap_journal_begin(struct journal *j, struct error **err)
{
    return journal_fails ? error_set(err, ERROR_JOURNAL, "it is away")
                         : __real_journal_begin(j, err);
}

static int set_up_at_hand(void **state)
{
    journal_fails = has_local_disk = false;
    return set_up(state);
}

static const struct lifecycle its_own = {LIFECYCLE_DESTROY, LIFECYCLE_RESTART},
                              locked = {LIFECYCLE_DESTROY, LIFECYCLE_DESTROY};

/* The look that is out shows it running, with these lifecycle actions. */
static void shown(struct life *l, const uuid_t domain, struct lifecycle lifecycle)
{
    struct call *c = take_out(l, CALL_LOOK);

    fill_running(&c->sighting, domain);
    c->sighting.lifecycle = lifecycle;
    answered(l, c);
}

/* Which has to be cleared. */
static void add_local_disk(struct instance *i)
{
    assert_int_equal(text_replace(&i->type, "ecs.i1.xlarge"), 0);
    assert_int_equal(instance_add_disk(i, "vdb", "/dev/nvme0n1", DISK_BLOCK), 0);
}

static void attach_showing(struct life *l, const uuid_t domain, struct lifecycle lifecycle)
{
    struct call *c;
    struct instance *i = instance_new();

    engine_turn(l->engine);
    c = take_out(l, CALL_CONNECT);
    c->has_processes = true;
    fill_running(listed(c), domain);
    c->list.items[0].lifecycle = lifecycle;
    uuid_copy(i->uuid, domain);
    assert_int_equal(text_replace(&i->name, "vm1") + text_replace(&i->id, "i-1"), 0);
    if (has_local_disk)
        add_local_disk(i);
    c->list.items[0].instance = i;
    answered(l, c);
}

/* Its button is out. */
static struct operation *a_stop_that_presses(struct life *l, uuid_t domain)
{
    struct error *err = NULL;
    struct operation *op;

    uuid_generate_random(domain);
    op = put_stop(l, 1, domain, METHOD_ACPI);
    assert_success(life_try_start(l, &err), err);
    attach_showing(l, domain, its_own);
    shown(l, domain, its_own);
    return op;
}

/* The button hangs. */
static struct call *hanging_button(struct life *l, const uuid_t domain)
{
    struct call *c = take_out(l, CALL_PRESS);

    assert_true(c->interlock);
    written_off(l, c, domain);
    return c;
}

static void cancelled(struct life *l, const char *operation)
{
    struct reply reply;

    ask_cancel(l, operation, &reply);
    engine_turn(l->engine);
    assert_int_equal(reply.code, ERROR_NONE);
}

/* What goes out puts back the guest's own actions, and succeeds. */
static void put_back(struct life *l)
{
    struct call *c = take_out(l, CALL_RESTORE);

    assert_int_equal(c->former.on_poweroff, its_own.on_poweroff);
    assert_int_equal(c->former.on_reboot, its_own.on_reboot);
    assert_true(incarnation_equal(&c->meant, &the_run));
    answered(l, c);
}

/* A stop that was cancelled while its button hung, and has put all back. The button. */
static struct call *a_stop_that_left_a_button(struct life *l, uuid_t domain)
{
    struct operation *op;
    struct call *button;

    op = a_stop_that_presses(l, domain);
    button = hanging_button(l, domain);
    cancelled(l, op->request_id);
    operation_free(op);
    put_back(l);
    assert_int_equal(engine_unfinished(l->engine), 0);
    shown(l, domain, its_own);
    assert_null(l->calls);
    return button;
}

static void comes_late(struct life *l, struct call *button)
{
    button->is_late = true;
    answered(l, button);
}

/* What another hand makes of the actions from now on is its own: no button is out. */
static void owes_nothing(struct life *l, const uuid_t domain)
{
    do
        shown(l, domain, its_own);
    while (is_out(l, CALL_LOOK));
    assert_null(l->calls);
    engine_take_hint(l->engine, domain);
    engine_turn(l->engine);
    shown(l, domain, locked);
    assert_null(l->calls);
}

/* DESIGN, the ladder: put back if the stop fails or is cancelled. */
static void an_interlock_that_comes_late_is_put_back(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct call *button = a_stop_that_left_a_button(l, domain);

    comes_late(l, button);
    shown(l, domain, locked);
    put_back(l);
    owes_nothing(l, domain);
}

static void a_button_that_was_never_sent_leaves_no_debt(void **state)
{
    struct life *l = *state;
    struct operation *op;
    struct call *look;
    uuid_t domain;

    op = a_stop_that_presses(l, domain);
    answered(l, take_out(l, CALL_PRESS));
    engine_take_hint(l->engine, domain);
    engine_turn(l->engine);
    look = take_out(l, CALL_LOOK);
    l->now += op->resend;
    engine_turn(l->engine); /* pressed again, as soon as the look is back */
    assert_null(l->calls);
    cancelled(l, op->request_id);
    operation_free(op);
    fill_running(&look->sighting, domain);
    look->sighting.lifecycle = locked;
    answered(l, look);
    put_back(l);
    owes_nothing(l, domain);
}

static void what_cannot_be_put_back_is_tried_again_in_time(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct call *c, *button = a_stop_that_left_a_button(l, domain);

    comes_late(l, button);
    shown(l, domain, locked);
    for (unsigned i = 0; i < 8; i++) {
        usec_t failed_at = l->now;

        c = take_out(l, CALL_RESTORE);
        c->result = error_set(&c->error, ERROR_UNKNOWN, "no");
        answered(l, c);
        assert_null(l->calls);
        while (!is_out(l, CALL_LOOK) && l->now < failed_at + 100 * USEC_PER_SEC) {
            l->now = engine_next_turn(l->engine);
            engine_turn(l->engine);
        }
        assert_in_range(l->now - failed_at, USEC_PER_SEC, 60 * USEC_PER_SEC);
        shown(l, domain, locked);
    }
    put_back(l);
}

static void it_is_put_back_after_a_restart_too(void **state)
{
    struct life *l = *state;
    struct error *err = NULL;
    uuid_t domain;

    call_free(a_stop_that_left_a_button(l, domain));
    engine_free(take(l->engine));
    assert_success(life_try_start(l, &err), err);
    attach_showing(l, domain, locked);
    put_back(l);
    shown(l, domain, its_own);
    /* It may be sent yet, and nobody will tell. */
    l->now += 300 * USEC_PER_SEC;
    engine_turn(l->engine);
    {
        struct call *c = take_out(l, CALL_GLANCE);

        fill_running(listed(c), domain);
        answered(l, c);
    }
    shown(l, domain, locked);
    put_back(l);
}

static void another_run_owes_nothing(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct call *c;

    call_free(a_stop_that_left_a_button(l, domain));
    engine_take_hint(l->engine, domain);
    engine_turn(l->engine);
    c = take_out(l, CALL_LOOK);
    fill_running(&c->sighting, domain);
    c->sighting.incarnation.start_time++;
    c->sighting.lifecycle = locked;
    answered(l, c);
    assert_null(l->calls);
}

/* … which is not held up, and does not take a late interlock for the guest's own wish. */
static void the_next_stop_takes_the_debt_over(void **state)
{
    struct life *l = *state;
    struct reply reply;
    uuid_t domain;
    struct call *button = a_stop_that_left_a_button(l, domain);

    ask_stop(l, "next", &reply);
    engine_turn(l->engine);
    assert_int_equal(reply.code, ERROR_NONE);
    shown(l, domain, locked);
    {
        struct call *c = take_out(l, CALL_PRESS);

        assert_true(c->interlock);
        answered(l, c);
    }
    cancelled(l, reply.request_id);
    put_back(l);
    shown(l, domain, its_own);
    comes_late(l, button);
    shown(l, domain, locked);
    put_back(l);
}

/* Its own result is the last that comes. */
static void a_button_that_overtakes_the_restoring_call_is_put_back(void **state)
{
    struct life *l = *state;
    struct operation *op;
    struct call *button, *restoring;
    uuid_t domain;

    op = a_stop_that_presses(l, domain);
    button = hanging_button(l, domain);
    cancelled(l, op->request_id);
    operation_free(op);
    restoring = take_out(l, CALL_RESTORE);
    comes_late(l, button);
    answered(l, restoring);
    assert_int_equal(engine_unfinished(l->engine), 0);
    shown(l, domain, locked);
    put_back(l);
    owes_nothing(l, domain);
}

/* What it has seen is older than what the button has done. */
static void a_look_that_began_before_a_button_came_back_ends_no_debt(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct call *look, *button = a_stop_that_left_a_button(l, domain);

    engine_take_hint(l->engine, domain);
    engine_turn(l->engine);
    look = take_out(l, CALL_LOOK);
    comes_late(l, button);
    fill_running(&look->sighting, domain);
    look->sighting.lifecycle = its_own;
    answered(l, look);
    shown(l, domain, locked);
    put_back(l);
    owes_nothing(l, domain);
}

static void neither_does_a_list_that_did(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct call *list, *button = a_stop_that_left_a_button(l, domain);

    engine_take_lost(l->engine, "gone");
    engine_turn(l->engine);
    l->now += 10 * USEC_PER_SEC;
    engine_turn(l->engine);
    list = take_out(l, CALL_CONNECT);
    comes_late(l, button);
    list->has_processes = true;
    fill_running(listed(list), domain);
    list->list.items[0].lifecycle = its_own;
    answered(l, list);
    shown(l, domain, locked);
    put_back(l);
    owes_nothing(l, domain);
}

/* The button is refused; is that all that comes of it? What is left when the stop is over. */
static void refused(struct life *l, uuid_t domain, bool is_over)
{
    struct operation *op;
    struct call *button;

    op = a_stop_that_presses(l, domain);
    button = take_out(l, CALL_PRESS);
    button->press.is_over = is_over;
    button->result = error_set(&button->error, ERROR_UNKNOWN, "no");
    answered(l, button);
    cancelled(l, op->request_id);
    operation_free(op);
    put_back(l);
}

static void a_button_that_was_refused_for_good_leaves_no_debt(void **state)
{
    uuid_t domain;

    refused(*state, domain, true);
    owes_nothing(*state, domain);
}

static void a_button_whose_answer_is_lost_may_come_yet(void **state)
{
    struct life *l = *state;
    uuid_t domain;

    refused(l, domain, false);
    shown(l, domain, its_own);
    engine_take_hint(l->engine, domain);
    engine_turn(l->engine);
    shown(l, domain, locked);
    put_back(l);
}

/* The helpers' last job. */
static struct wipe_job *job;

static void take_job(struct life *l, struct wipe_job *j)
{
    wipe_job_free(job);
    job = j;
}

static void end_jobs(struct life *l, const uuid_t domain)
{
}

static void leave_jobs(struct life *l)
{
    wipe_job_free(take(job));
}

static const struct life_helpers helpers = {
    .start = take_job, .end = end_jobs, .leave = leave_jobs};

/* For the next turn. */
static void disk_is_identified(struct life *l)
{
    struct wipe_report *r = wipe_report_new(WIPE_REPORT_IDENTIFIED, job);
    struct planned_disk *d = disk_plan_add(&r->plan);

    assert_int_equal(text_replace(&d->target, "vdb"), 0);
    assert_int_equal(text_replace(&d->device, "/dev/nvme0n1"), 0);
    d->identity = json_object_new_object();
    engine_take_report(l->engine, r);
}

/* The stop takes the debt over as it is by then, in the turn in which it is accepted. */
static void a_button_that_comes_back_as_a_stop_is_accepted_is_counted(void **state)
{
    struct life *l = *state;
    struct reply reply;
    struct call *button;
    uuid_t domain;

    has_local_disk = true;
    l->helpers = &helpers;
    button = a_stop_that_left_a_button(l, domain);
    ask_stop_with(l, 1, "again", "ConfirmStop", "true", &reply);
    engine_turn(l->engine);
    assert_false(reply.is_there);
    disk_is_identified(l);
    comes_late(l, button);
    assert_string_equal(reply.message, "");
    assert_true(reply.is_there);
    cancelled(l, reply.request_id);
    while (is_out(l, CALL_LOOK))
        shown(l, domain, its_own);
    put_back(l);
    owes_nothing(l, domain);
}

/* --- … and a journal that is away ------------------------------------------------------------- */

/* A stop that has pressed once, and looks. */
static struct operation *a_stop_that_looks(struct life *l, uuid_t domain)
{
    struct operation *op;

    op = a_stop_that_presses(l, domain);
    answered(l, take_out(l, CALL_PRESS));
    engine_take_hint(l->engine, domain);
    engine_turn(l->engine);
    return op;
}

/* The stop presses again, is cancelled, and has put all back. */
static void ends_without_a_debt(struct life *l, const uuid_t domain, struct operation *op)
{
    while (is_out(l, CALL_LOOK))
        shown(l, domain, locked);
    answered(l, take_out(l, CALL_PRESS));
    cancelled(l, op->request_id);
    operation_free(op);
    if (is_out(l, CALL_LOOK)) /* which the lost turn has caused */
        shown(l, domain, locked);
    put_back(l);
    owes_nothing(l, domain);
}

static void a_button_that_waits_as_its_turn_is_lost_leaves_no_debt(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct operation *op = a_stop_that_looks(l, domain);
    struct reply reply;

    l->now += op->resend;
    engine_turn(l->engine); /* pressed again, as soon as the look is back */
    journal_fails = true;
    ask_cancel(l, op->request_id, &reply);
    engine_turn(l->engine);
    assert_int_equal(reply.code, ERROR_UNAVAILABLE);
    journal_fails = false;
    l->now += USEC_PER_SEC;
    engine_turn(l->engine);
    ends_without_a_debt(l, domain, op);
}

static void a_button_that_waits_as_anothers_turn_is_lost_leaves_no_debt(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct operation *op = a_stop_that_looks(l, domain);

    l->now += op->resend;
    engine_turn(l->engine);
    journal_fails = true;
    l->now += 61 * USEC_PER_SEC; /* what is to be forgotten is */
    engine_turn(l->engine);
    journal_fails = false;
    l->now += USEC_PER_SEC;
    engine_turn(l->engine);
    ends_without_a_debt(l, domain, op);
}

static void a_button_that_comes_back_as_its_turn_is_lost_leaves_no_debt(void **state)
{
    struct life *l = *state;
    struct operation *op;
    struct call *button;
    uuid_t domain;

    op = a_stop_that_presses(l, domain);
    button = hanging_button(l, domain);
    journal_fails = true;
    comes_late(l, button);
    journal_fails = false;
    l->now += 2 * op->resend;
    engine_turn(l->engine);
    ends_without_a_debt(l, domain, op);
}

static void a_debts_button_that_comes_back_as_its_turn_is_lost_is_counted(void **state)
{
    struct life *l = *state;
    uuid_t domain;
    struct call *button = a_stop_that_left_a_button(l, domain);

    journal_fails = true;
    comes_late(l, button);
    journal_fails = false;
    l->now += USEC_PER_SEC;
    engine_turn(l->engine);
    shown(l, domain, locked);
    put_back(l);
    owes_nothing(l, domain);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, set_up_at_hand, tear_down)
    const struct CMUnitTest tests[] = {
        RULE(an_interlock_that_comes_late_is_put_back),
        RULE(a_button_that_was_never_sent_leaves_no_debt),
        RULE(what_cannot_be_put_back_is_tried_again_in_time),
        RULE(it_is_put_back_after_a_restart_too),
        RULE(another_run_owes_nothing),
        RULE(the_next_stop_takes_the_debt_over),
        RULE(a_button_that_overtakes_the_restoring_call_is_put_back),
        RULE(a_look_that_began_before_a_button_came_back_ends_no_debt),
        RULE(neither_does_a_list_that_did),
        RULE(a_button_that_was_refused_for_good_leaves_no_debt),
        RULE(a_button_whose_answer_is_lost_may_come_yet),
        RULE(a_button_that_comes_back_as_a_stop_is_accepted_is_counted),
        RULE(a_button_that_waits_as_its_turn_is_lost_leaves_no_debt),
        RULE(a_button_that_waits_as_anothers_turn_is_lost_leaves_no_debt),
        RULE(a_button_that_comes_back_as_its_turn_is_lost_leaves_no_debt),
        RULE(a_debts_button_that_comes_back_as_its_turn_is_lost_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
