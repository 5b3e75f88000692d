/* test_wipe_spans.c - before each span the guards, after it a flush, and only then is it durable */
#include "test_wipe_kit.h"

#include "wipe/spans.h"

#define MIB ((uint64_t)1 << 20)
#define SIZE (70 * MIB + 4096)
#define SEED "00112233445566778899aabbccddeeff"

/* A device that writes down what is done to it. */
struct fake {
    struct storage_device base;
    struct scratch *scratch;
    struct wipe w;
    struct report report;
    unsigned looks, spans, flushes;
    uint64_t end;             /* of the last span */
    unsigned looks_at_last;   /* when the last span began */
    bool is_late;             /* a span takes very long */
    unsigned stranger_from;   /* another device from this look on; 0: never */
    unsigned no_flush_from;   /* 0: never */
    unsigned steps_in_a_span; /* how far the last one came */
};

static struct fake *of(struct storage_device *d)
{
    return (struct fake *)d;
}

static int fake_identify(struct storage_device *d, struct storage_identity *ret, struct error **err)
{
    struct fake *f = of(d);

    f->looks++;
    *ret = (struct storage_identity){0};
    identity_set(ret, IDENTITY_SERIAL,
                 f->stranger_from && f->looks >= f->stranger_from ? "STRANGER" : "OURS");
    return 0;
}

static int fake_clear(struct storage_device *d, enum clear_method method, struct storage_span span,
                      bool may_exit, const struct storage_pace *pace, struct storage_record *record,
                      struct error **err)
{
    struct fake *f = of(d);

    assert_int_equal(span.offset, f->end);
    assert_true(span.length > 0);
    /* What was said to be durable is what was flushed, and the guards were asked since. */
    assert_int_equal(f->w.state.durable, f->end);
    assert_int_equal(f->flushes, f->spans);
    assert_true(f->looks > f->looks_at_last);
    f->looks_at_last = f->looks;
    f->spans++;
    f->end += span.length;
    for (f->steps_in_a_span = 0; f->steps_in_a_span < 4; f->steps_in_a_span++) {
        int r;

        if (f->is_late)
            f->w.looked_at = 0;
        r = pace->step(pace->context, f->steps_in_a_span, 4, 1, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int fake_flush(struct storage_device *d, struct error **err)
{
    struct fake *f = of(d);

    f->flushes++;
    return f->no_flush_from && f->flushes >= f->no_flush_from
               ? error_set(err, ERROR_IO, "it cannot be flushed")
               : 0;
}

static const struct storage_ops fake_ops = {
    .name = "fake", .identify = fake_identify, .clear = fake_clear, .flush = fake_flush};

static int setup(void **state)
{
    struct fake *f = calloc(1, sizeof(*f));
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    plant_proc(f->scratch);
    plant_folder(f->scratch, "sys/block");
    f->base = (struct storage_device){
        .ops = &fake_ops, .path = (char *)"/dev/fake", .size = SIZE, .look_fd = -1, .fd = -1};
    f->report.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    f->w = (struct wipe){.device = &f->base,
                         .report = &f->report,
                         .meter = {.report = &f->report},
                         .state = {.method = CLEAR_OVERWRITE, .seed = SEED, .size = SIZE},
                         .scene = {.device = &f->base}};
    f->w.scene.proc = strdup(below(f->scratch, "proc"));
    f->w.scene.sys = strdup(below(f->scratch, "sys"));
    identity_set(&f->w.identity, IDENTITY_SERIAL, "OURS");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fake *f = *state;
    void *scratch = f->scratch;

    meter_clear(&f->w.meter);
    close(f->report.fd);
    free((void *)f->w.scene.proc);
    free((void *)f->w.scene.sys);
    free(f);
    return scratch_teardown(&scratch);
}

static int clear(struct fake *f, struct error **err)
{
    struct storage_record record = {0};

    if (geteuid() != 0) {
        print_message("skipped: needs CAP_SYS_PTRACE\n");
        skip();
    }
    return spans_clear(&f->w, CLEAR_OVERWRITE, &record, err);
}

static void all_of_it_is_cleared_and_durable(void **state)
{
    struct fake *f = *state;
    _cleanup_(error_free) struct error *error = NULL;

    if (clear(f, &error) < 0)
        fail_msg("%s", error_message(error));
    assert_int_equal(f->end, SIZE);
    assert_int_equal(f->w.state.durable, SIZE);
    assert_true(f->spans > 1);
    assert_int_equal(f->flushes, f->spans);
}

static void it_goes_on_where_it_was(void **state)
{
    struct fake *f = *state;

    f->end = f->w.state.durable = 20 * MIB;
    assert_int_equal(clear(f, NULL), 0);
    assert_int_equal(f->end, SIZE);
}

static void what_is_not_flushed_is_not_durable(void **state)
{
    struct fake *f = *state;

    f->no_flush_from = 2;
    assert_true(clear(f, NULL) < 0);
    assert_int_equal(f->spans, 2);
    assert_true(f->w.state.durable > 0 && f->w.state.durable < f->end);
}

static void a_span_that_takes_long_is_looked_into(void **state)
{
    struct fake *f = *state;

    f->is_late = true;
    assert_int_equal(clear(f, NULL), 0);
    assert_true(f->looks >= 5 * f->spans);
}

static void an_intruder_in_the_middle_of_a_span_ends_it(void **state)
{
    struct fake *f = *state;
    _cleanup_(error_free) struct error *error = NULL;

    f->is_late = true;
    f->stranger_from = 3; /* the first look is before the span */
    assert_true(clear(f, &error) < 0);
    assert_string_equal(f->w.refusal.guard, "identity");
    assert_int_equal(f->spans, 1);
    assert_int_equal(f->steps_in_a_span, 1);
    assert_int_equal(f->w.state.durable, 0);
}

#define SPANS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SPANS_TEST(all_of_it_is_cleared_and_durable),
        SPANS_TEST(it_goes_on_where_it_was),
        SPANS_TEST(what_is_not_flushed_is_not_durable),
        SPANS_TEST(a_span_that_takes_long_is_looked_into),
        SPANS_TEST(an_intruder_in_the_middle_of_a_span_ends_it),
    };

    return cmocka_run_group_tests_name("spans", tests, NULL, NULL);
}
