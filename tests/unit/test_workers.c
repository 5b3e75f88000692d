/* Calls that hang hold nobody else up: contract section 2, hypervisor.workers and its time-outs. */
#include "engine/call-queue.h"
#include "engine/workers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DEADLINE_SEC 30
#define CALLS_MOST 64

/* A hypervisor on which acts hang until they are let go, and questions are answered at once. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool holds[CALL_KIND_MAX];
    unsigned inside[CALL_KIND_MAX], most_inside[CALL_KIND_MAX];
    struct call *done[CALLS_MOST];
    size_t n_done;
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int pass(enum call_kind kind)
{
    pthread_mutex_lock(&scene.lock);
    if (++scene.inside[kind] > scene.most_inside[kind])
        scene.most_inside[kind] = scene.inside[kind];
    pthread_cond_broadcast(&scene.changed);
    while (scene.holds[kind])
        pthread_cond_wait(&scene.changed, &scene.lock);
    scene.inside[kind]--;
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.lock);
    return 0;
}

static int scripted_look(struct hypervisor *h, const uuid_t domain,
                         const struct incarnation *remembered, struct sighting *ret,
                         struct error **err)
{
    return pass(CALL_LOOK);
}

static int scripted_press(struct hypervisor *h, const uuid_t domain,
                          const struct incarnation *meant, enum button button,
                          const struct lifecycle *seen, struct press *ret, struct error **err)
{
    return pass(CALL_PRESS);
}

static int scripted_cut(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                        bool only_crashed, struct error **err)
{
    return pass(CALL_CUT);
}

static const struct hypervisor_ops scripted_ops = {
    .name = "scripted",
    .look = scripted_look,
    .press_button = scripted_press,
    .cut_power = scripted_cut,
};
static struct hypervisor scripted = {.ops = &scripted_ops};

static void on_done(void *userdata, struct call *c)
{
    pthread_mutex_lock(&scene.lock);
    assert_true(scene.n_done < CALLS_MOST);
    scene.done[scene.n_done++] = c;
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.lock);
}

static struct timespec deadline(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_SEC;
    return until;
}

/* What has come of the call with this id, late or not; waits for it. */
static struct call *result_of(uint64_t id, bool is_late)
{
    struct timespec until = deadline();
    struct call *found = NULL;
    int r = 0;

    pthread_mutex_lock(&scene.lock);
    for (;;) {
        for (size_t i = 0; i < scene.n_done; i++)
            if (scene.done[i]->id == id && scene.done[i]->is_late == is_late)
                found = scene.done[i];
        if (found || r != 0)
            break;
        r = pthread_cond_timedwait(&scene.changed, &scene.lock, &until);
    }
    pthread_mutex_unlock(&scene.lock);
    if (!found)
        fail_msg("call %d did not come back", (int)id);
    return found;
}

static void wait_inside(enum call_kind kind, unsigned n)
{
    struct timespec until = deadline();
    int r = 0;

    pthread_mutex_lock(&scene.lock);
    while (scene.inside[kind] < n && r == 0)
        r = pthread_cond_timedwait(&scene.changed, &scene.lock, &until);
    pthread_mutex_unlock(&scene.lock);
    assert_int_equal(r, 0);
}

static void wait_until_left(enum call_kind kind)
{
    struct timespec until = deadline();
    int r = 0;

    pthread_mutex_lock(&scene.lock);
    while (scene.inside[kind] > 0 && r == 0)
        r = pthread_cond_timedwait(&scene.changed, &scene.lock, &until);
    pthread_mutex_unlock(&scene.lock);
    assert_int_equal(r, 0);
}

static size_t n_done(void)
{
    size_t n;

    pthread_mutex_lock(&scene.lock);
    n = scene.n_done;
    pthread_mutex_unlock(&scene.lock);
    return n;
}

static void hold(enum call_kind kind, bool holds)
{
    pthread_mutex_lock(&scene.lock);
    scene.holds[kind] = holds;
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.lock);
}

static struct call *some_call(enum call_kind kind, uint64_t id, unsigned char domain)
{
    struct call *c = call_new(kind);

    assert_non_null(c);
    c->id = id;
    c->timeout = 30 * USEC_PER_SEC;
    c->domain[0] = domain;
    return c;
}

static void start(struct workers *w, enum call_kind kind, uint64_t id, unsigned char domain)
{
    workers_start(w, some_call(kind, id, domain));
}

static void start_many(struct workers *w, enum call_kind kind, unsigned n, uint64_t first_id)
{
    for (unsigned i = 0; i < n; i++)
        start(w, kind, first_id + i, (unsigned char)(first_id + i));
}

static struct workers *some_workers(unsigned n)
{
    struct workers *w = NULL;

    assert_int_equal(workers_new(&scripted, n, on_done, NULL, &w, NULL), 0);
    return w;
}

/* Their time is up. */
static void time_passes(struct workers *w)
{
    workers_expire(w, moment_now().monotonic + 31 * USEC_PER_SEC);
}

static int clear_scene(void **state)
{
    for (size_t i = 0; i < scene.n_done; i++)
        call_free(scene.done[i]);
    scene.n_done = 0;
    for (size_t i = 0; i < CALL_KIND_MAX; i++)
        scene.most_inside[i] = 0;
    return 0;
}

static void end(struct workers *w)
{
    hold(CALL_CUT, false);
    hold(CALL_PRESS, false);
    assert_true(workers_free(w, DEADLINE_SEC * USEC_PER_SEC));
}

static void stuck_power_cuts_leave_buttons_and_questions_through(void **state)
{
    static const unsigned sizes[] = {3, 4, 8};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        struct workers *w = some_workers(sizes[i]);

        hold(CALL_CUT, true);
        start_many(w, CALL_CUT, 20, 100);
        wait_inside(CALL_CUT, 1);
        start(w, CALL_PRESS, 1, 1);
        start(w, CALL_LOOK, 2, 2);
        result_of(1, false);
        result_of(2, false);
        end(w);
        clear_scene(state);
    }
}

static void stuck_acts_of_any_kind_leave_a_share_for_asking(void **state)
{
    static const unsigned sizes[] = {2, 3, 8, 32};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        struct workers *w = some_workers(sizes[i]);

        hold(CALL_PRESS, true);
        start_many(w, CALL_PRESS, 40, 100);
        wait_inside(CALL_PRESS, 1);
        start(w, CALL_LOOK, 1, 1);
        result_of(1, false);
        end(w);
        assert_in_range(scene.most_inside[CALL_PRESS], 1, sizes[i] - 1);
        clear_scene(state);
    }
}

/* A turn's calls come in one piece, and each worker that can be had is at one of them. */
static void calls_that_come_together_are_made_side_by_side(void **state)
{
    struct workers *w = some_workers(8);
    struct call *first = NULL;

    hold(CALL_LOOK, true);
    start_many(w, CALL_LOOK, 8, 100);
    wait_inside(CALL_LOOK, 8);
    hold(CALL_LOOK, false);
    for (unsigned i = 0; i < 8; i++)
        result_of(100 + i, false); /* all are awake, and fall asleep again */
    hold(CALL_PRESS, true);
    hold(CALL_LOOK, true);
    for (unsigned i = 0; i < 10; i++) {
        struct call *c = some_call(i < 8 ? CALL_PRESS : CALL_LOOK, i + 1, (unsigned char)i);

        c->next = first;
        first = c;
    }
    workers_start(w, first);
    wait_inside(CALL_PRESS, 6);
    wait_inside(CALL_LOOK, 2);
    hold(CALL_LOOK, false);
    hold(CALL_PRESS, false);
    for (unsigned i = 0; i < 10; i++)
        assert_false(result_of(i + 1, false)->stuck);
    end(w);
    assert_int_equal(scene.most_inside[CALL_PRESS], 6);
}

static void whoever_hangs_is_refused_among_those_that_come_together(void **state)
{
    struct workers *w = some_workers(4);
    struct call *first;

    hold(CALL_PRESS, true);
    start(w, CALL_PRESS, 1, 1);
    wait_inside(CALL_PRESS, 1);
    time_passes(w);
    first = some_call(CALL_LOOK, 2, 2);
    first->next = some_call(CALL_PRESS, 3, 1);
    first->next->next = some_call(CALL_LOOK, 4, 4);
    workers_start(w, first);
    assert_true(result_of(3, false)->is_unmade);
    assert_false(result_of(2, false)->is_unmade);
    assert_false(result_of(4, false)->is_unmade);
    end(w);
}

static void calls_wait_in_the_order_in_which_they_came(void **state)
{
    static const enum call_kind kinds[] = {CALL_PRESS, CALL_CUT,  CALL_LOOK,
                                           CALL_CUT,   CALL_LOOK, CALL_WAKE};
    static const bool all[CALL_CLASS_MAX] = {true, true, true},
                      no_cuts[CALL_CLASS_MAX] = {true, true, false},
                      asks[CALL_CLASS_MAX] = {true, false, false};
    static const struct {
        const bool *may;
        uint64_t id;
    } taken[] = {{asks, 3}, {no_cuts, 1}, {all, 2}, {no_cuts, 5}, {asks, 0}, {all, 4}, {all, 6}};
    struct call_queue q;

    call_queue_init(&q);
    for (uint64_t i = 0; i < ELEMENTSOF(kinds); i++)
        call_queue_add(&q, some_call(kinds[i], i + 1, 1));
    for (size_t i = 0; i < ELEMENTSOF(taken); i++) {
        struct call *c = call_queue_take(&q, taken[i].may);

        assert_int_equal(c ? c->id : 0, taken[i].id);
        call_free(c);
    }
    assert_true(call_queue_is_empty(&q));
    call_queue_add(&q, some_call(CALL_LOOK, 7, 1));
    call_free(call_queue_take(&q, all));
    assert_true(call_queue_is_empty(&q));
}

static void a_call_that_hangs_is_written_off_and_its_worker_replaced(void **state)
{
    struct workers *w = some_workers(2);

    hold(CALL_CUT, true);
    start(w, CALL_CUT, 1, 1);
    wait_inside(CALL_CUT, 1);
    time_passes(w);
    assert_true(result_of(1, false)->stuck);
    assert_int_equal(result_of(1, false)->error->code, ERROR_UNKNOWN);
    start(w, CALL_PRESS, 2, 2);
    assert_false(result_of(2, false)->stuck);
    end(w);
}

/* A power cut or a button may have its effect at any later time: then there is something to see. */
static void an_act_that_comes_back_late_is_told(void **state)
{
    struct workers *w = some_workers(2);

    hold(CALL_PRESS, true);
    start(w, CALL_PRESS, 1, 7);
    wait_inside(CALL_PRESS, 1);
    time_passes(w);
    assert_true(result_of(1, false)->stuck);
    hold(CALL_PRESS, false);
    assert_int_equal(result_of(1, true)->domain[0], 7);
    end(w);
}

static void beside_one_that_hangs_no_other_of_its_kind_is_made(void **state)
{
    struct workers *w = some_workers(4);
    struct call *acpi;

    hold(CALL_PRESS, true);
    acpi = call_new(CALL_PRESS);
    assert_non_null(acpi);
    start(w, CALL_PRESS, 1, 1);
    wait_inside(CALL_PRESS, 1);
    time_passes(w);
    start(w, CALL_PRESS, 2, 1);
    assert_int_equal(result_of(2, false)->error->code, ERROR_UNKNOWN);
    /* Another button is another call: an agent that hangs leaves ACPI to try. */
    acpi->id = 3;
    acpi->timeout = 30 * USEC_PER_SEC;
    acpi->domain[0] = 1;
    acpi->button = BUTTON_AGENT;
    workers_start(w, acpi);
    wait_inside(CALL_PRESS, 2);
    end(w);
}

/* The pool shrinks then; a worker for asking is left. */
static void past_the_bound_of_the_written_off_questions_still_pass(void **state)
{
    struct workers *w = some_workers(2);

    hold(CALL_CUT, true);
    for (unsigned i = 0; i < workers_most_calls(2) - 1; i++) {
        start(w, CALL_CUT, 100 + i, (unsigned char)(100 + i));
        wait_inside(CALL_CUT, i + 1);
        time_passes(w);
    }
    start(w, CALL_CUT, 200, 200);
    start(w, CALL_LOOK, 1, 1);
    assert_false(result_of(1, false)->stuck);
    assert_int_equal(scene.most_inside[CALL_CUT], workers_most_calls(2) - 1);
    end(w);
}

/* All hang, and may for good: what waits behind them is no more certain than what hangs. */
static void what_no_worker_is_left_for_is_unknown_when_its_time_is_up(void **state)
{
    struct workers *w = some_workers(2);

    hold(CALL_LOOK, true);
    for (unsigned i = 0; i < workers_most_calls(2); i++) {
        start(w, CALL_LOOK, 100 + i, (unsigned char)(100 + i));
        wait_inside(CALL_LOOK, i + 1);
        time_passes(w);
    }
    start(w, CALL_LOOK, 1, 1);
    start(w, CALL_CUT, 2, 2);
    workers_expire(w, moment_now().monotonic);
    assert_int_equal(n_done(), workers_most_calls(2));
    time_passes(w);
    assert_int_equal(result_of(1, false)->error->code, ERROR_UNKNOWN);
    assert_true(result_of(2, false)->is_unmade);
    hold(CALL_LOOK, false);
    start(w, CALL_LOOK, 3, 3);
    assert_int_equal(result_of(3, false)->result, 0);
    end(w);
}

static void who_is_gone_is_told_nothing(void **state)
{
    struct workers *w = some_workers(2);
    size_t n;

    hold(CALL_CUT, true);
    start(w, CALL_CUT, 1, 1);
    wait_inside(CALL_CUT, 1);
    assert_false(workers_free(w, USEC_PER_MSEC));
    n = n_done();
    hold(CALL_CUT, false);
    /* The last thread frees the pool; a leak or a touch of it would be seen by the sanitizers. */
    wait_until_left(CALL_CUT);
    assert_int_equal(n_done(), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stuck_power_cuts_leave_buttons_and_questions_through,
                                  clear_scene),
        cmocka_unit_test_teardown(stuck_acts_of_any_kind_leave_a_share_for_asking, clear_scene),
        cmocka_unit_test_teardown(calls_that_come_together_are_made_side_by_side, clear_scene),
        cmocka_unit_test_teardown(whoever_hangs_is_refused_among_those_that_come_together,
                                  clear_scene),
        cmocka_unit_test(calls_wait_in_the_order_in_which_they_came),
        cmocka_unit_test_teardown(a_call_that_hangs_is_written_off_and_its_worker_replaced,
                                  clear_scene),
        cmocka_unit_test_teardown(an_act_that_comes_back_late_is_told, clear_scene),
        cmocka_unit_test_teardown(beside_one_that_hangs_no_other_of_its_kind_is_made, clear_scene),
        cmocka_unit_test_teardown(past_the_bound_of_the_written_off_questions_still_pass,
                                  clear_scene),
        cmocka_unit_test_teardown(what_no_worker_is_left_for_is_unknown_when_its_time_is_up,
                                  clear_scene),
        cmocka_unit_test_teardown(who_is_gone_is_told_nothing, clear_scene),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
