/* test_wipe_ladder.c - which rung is taken, and that of a subsystem only where it is all this
 * instance's */
#include "test_wipe_kit.h"

#include "base/json.h"
#include "wipe/ladder.h"
#include "wipe/tenancy.h"

#define MINE "nqn.2019-08.org.example:mine"

/* A device of which only the offers matter, and its neighbours. */
struct fake {
    struct storage_device base;
    struct storage_offer offers[CLEAR_METHOD_MAX];
    struct storage_neighbours neighbours;
    unsigned nsid;
    bool is_taken; /* a claim finds somebody else there */
};

static int fake_offer(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                      struct error **err)
{
    *ret = ((struct fake *)d)->offers[method];
    return 0;
}

static int fake_identify(struct storage_device *d, struct storage_identity *ret, struct error **err)
{
    *ret = (struct storage_identity){0};
    identity_set(ret, IDENTITY_NSID, "%u", ((struct fake *)d)->nsid);
    return 0;
}

static int fake_neighbours(struct storage_device *d, struct storage_neighbours *ret,
                           struct error **err)
{
    *ret = ((struct fake *)d)->neighbours;
    return 0;
}

static int fake_claim(struct storage_device *d, struct error **err)
{
    return ((struct fake *)d)->is_taken ? error_set(err, ERROR_CONFLICT, "taken") : 0;
}

static void fake_close(struct storage_device *d)
{
    free(d->path);
    free(d);
}

static const struct storage_ops fake_ops = {
    .name = "fake",
    .identify = fake_identify,
    .offer = fake_offer,
    .neighbours = fake_neighbours,
    .claim = fake_claim,
    .close = fake_close,
};

static struct fake *fake_new(const char *path, unsigned nsid)
{
    struct fake *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->base =
        (struct storage_device){.ops = &fake_ops, .path = strdup(path), .look_fd = -1, .fd = -1};
    f->nsid = nsid;
    snprintf(f->neighbours.subsystem, sizeof(f->neighbours.subsystem), MINE);
    return f;
}

static void offers(struct fake *f, enum clear_method method, enum clear_level level,
                   enum storage_reach reach)
{
    f->offers[method] = (struct storage_offer){
        .is_available = true, .level = level, .reach = reach, .why = "it says so"};
}

/* --- The ladder ------------------------------------------------------------------------------ */

static struct ladder survey(struct fake *f, const char *methods, enum clear_level level,
                            enum wipe_verify verify, const char *why_not_alone)
{
    struct wipe_request r;
    struct ladder l;

    wipe_request_init(&r);
    assert_int_equal(wipe_request_set_methods(&r, methods, NULL), 0);
    r.level = level;
    r.verify = verify;
    assert_int_equal(ladder_survey(&f->base, &r, why_not_alone, &l, NULL), 0);
    return l;
}

#define ALL                                                                              \
    "nvme-sanitize-crypto,nvme-sanitize-block,nvme-format-crypto,nvme-format-user-data," \
    "write-zeroes,overwrite,discard"

/* A drive that can do everything. */
static struct fake *able(void)
{
    struct fake *f = fake_new("/dev/nvme0n1", 1);

    offers(f, CLEAR_NVME_SANITIZE_CRYPTO, LEVEL_PURGE, REACH_SUBSYSTEM);
    offers(f, CLEAR_NVME_SANITIZE_BLOCK, LEVEL_PURGE, REACH_SUBSYSTEM);
    offers(f, CLEAR_NVME_FORMAT_CRYPTO, LEVEL_CLEAR, REACH_DEVICE);
    offers(f, CLEAR_NVME_FORMAT_USER_DATA, LEVEL_CLEAR, REACH_DEVICE);
    offers(f, CLEAR_WRITE_ZEROES, LEVEL_CLEAR, REACH_SPAN);
    offers(f, CLEAR_OVERWRITE, LEVEL_CLEAR, REACH_SPAN);
    offers(f, CLEAR_DISCARD, LEVEL_NONE, REACH_SPAN);
    return f;
}

static void assert_takes(struct ladder l, enum clear_method method)
{
    const struct rung *r = ladder_best(&l);

    assert_non_null(r);
    assert_string_equal(clear_method_to_string(r->method), clear_method_to_string(method));
}

static void the_best_that_there_is(void **state)
{
    struct fake *f = able();

    assert_takes(survey(f, ALL, LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, ""), CLEAR_NVME_SANITIZE_CRYPTO);
    assert_takes(survey(f, "overwrite,write-zeroes", LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, ""),
                 CLEAR_OVERWRITE);
    f->offers[CLEAR_NVME_FORMAT_CRYPTO].is_available = false;
    assert_takes(
        survey(f, "nvme-format-crypto,nvme-format-user-data", LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, ""),
        CLEAR_NVME_FORMAT_USER_DATA);
    fake_close(&f->base);
}

static void a_ladder_without_an_open_rung_says_why(void **state)
{
    struct fake *f = able();
    struct ladder l;
    char why[512], cut[20];

    snprintf(f->offers[CLEAR_NVME_FORMAT_CRYPTO].why, 192, "there is none");
    f->offers[CLEAR_NVME_FORMAT_CRYPTO].is_available = false;
    l = survey(f, "write-zeroes,nvme-format-crypto,overwrite", LEVEL_PURGE, WIPE_VERIFY_SAMPLE, "");
    assert_null(ladder_best(&l));
    ladder_say_closed(&l, why, sizeof(why));
    assert_string_equal(why, "write-zeroes, overwrite: it does not reach level purge; "
                             "nvme-format-crypto: there is none");
    ladder_say_closed(&l, cut, sizeof(cut));
    assert_string_equal(cut, "write-zeroes, overw");
    fake_close(&f->base);
}

static void what_reaches_others_is_passed_over(void **state)
{
    struct fake *f = able();

    assert_takes(
        survey(f, ALL, LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, "namespace 2 is not this instance's"),
        CLEAR_NVME_FORMAT_CRYPTO);
    /* FNA bit 0 or 1. */
    f->offers[CLEAR_NVME_FORMAT_CRYPTO].reach = f->offers[CLEAR_NVME_FORMAT_USER_DATA].reach =
        REACH_SUBSYSTEM;
    assert_takes(
        survey(f, ALL, LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, "namespace 2 is not this instance's"),
        CLEAR_WRITE_ZEROES);
    fake_close(&f->base);
}

static void purge_is_never_met_by_less(void **state)
{
    struct fake *f = able();
    struct ladder l;

    assert_takes(survey(f, ALL, LEVEL_PURGE, WIPE_VERIFY_SAMPLE, ""), CLEAR_NVME_SANITIZE_CRYPTO);
    l = survey(f, "nvme-format-crypto,nvme-format-user-data,write-zeroes,overwrite,discard",
               LEVEL_PURGE, WIPE_VERIFY_FULL, "");
    assert_null(ladder_best(&l));
    l = survey(f, ALL, LEVEL_PURGE, WIPE_VERIFY_SAMPLE, "namespace 2 is not this instance's");
    assert_null(ladder_best(&l));
    fake_close(&f->base);
}

static void a_discard_is_never_taken_unverified(void **state)
{
    struct fake *f = able();
    struct ladder l = survey(f, "discard", LEVEL_CLEAR, WIPE_VERIFY_NONE, "");

    assert_null(ladder_best(&l));
    assert_takes(survey(f, "discard", LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, ""), CLEAR_DISCARD);
    fake_close(&f->base);
}

static void what_was_tried_is_not_taken_again(void **state)
{
    struct fake *f = able();
    struct ladder l = survey(f, "write-zeroes,overwrite", LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, "");

    assert_takes(l, CLEAR_WRITE_ZEROES);
    ladder_close(ladder_find(&l, CLEAR_WRITE_ZEROES), "byte 12 is not zero");
    assert_takes(l, CLEAR_OVERWRITE);
    ladder_close(ladder_find(&l, CLEAR_OVERWRITE), "it failed");
    assert_null(ladder_best(&l));
    fake_close(&f->base);
}

static void every_better_one_has_its_reason(void **state)
{
    struct fake *f = able();
    struct ladder l;
    _cleanup_(json) json_object *passed = NULL;

    f->offers[CLEAR_NVME_FORMAT_CRYPTO].is_available = false;
    l = survey(f, ALL, LEVEL_CLEAR, WIPE_VERIFY_SAMPLE, "namespace 2 is not this instance's");
    passed = ladder_passed_over(&l, ladder_best(&l));
    assert_int_equal(json_object_array_length(passed), 3);
    for (size_t i = 0; i < 3; i++) {
        const char *reason = NULL;

        json_get_string(json_object_array_get_idx(passed, i), "reason", &reason);
        assert_true(is_set(reason));
    }
    fake_close(&f->base);
}

/* --- Tenancy --------------------------------------------------------------------------------- */

struct fixture {
    struct scratch *scratch;
    char proc[128], sys[128];
    struct wipe_request request;
    struct wipe w;
};

/* What opening a companion's path gives: the fake that it names. */
static struct fake *openable[4];

static int open_fake(const char *path, struct storage_device **ret, struct error **err)
{
    for (size_t i = 0; i < ELEMENTSOF(openable); i++)
        if (openable[i] && text_equal(openable[i]->base.path, path)) {
            *ret = &openable[i]->base;
            openable[i] = NULL;
            return 0;
        }
    return error_set(err, ERROR_IO, "no %s", path);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char number[32];
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    plant_proc(f->scratch);
    if (device_of_scratch(f->scratch, number))
        plant_block(f->scratch, "devices/root", number);
    snprintf(f->proc, sizeof(f->proc), "%s/proc", f->scratch->folder);
    snprintf(f->sys, sizeof(f->sys), "%s/sys", f->scratch->folder);
    wipe_request_init(&f->request);
    wipe_list_add(&f->request.allow_devices, "/dev/nvme*n*");
    f->w = (struct wipe){.request = &f->request,
                         .open_device = open_fake,
                         .device = &able()->base,
                         .scene = {.proc = f->proc, .sys = f->sys}};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    tenancy_clear(&f->w);
    storage_close(f->w.device);
    wipe_request_clear(&f->request);
    for (size_t i = 0; i < ELEMENTSOF(openable); i++)
        if (openable[i])
            fake_close(&take(openable[i])->base);
    free(f);
    return scratch_teardown(&scratch);
}

static void neighbours_are(struct fixture *f, size_t n, ...)
{
    va_list ap;

    va_start(ap, n);
    for (size_t i = 0; i < n; i++)
        f->w.neighbours.nsids[f->w.neighbours.n++] = va_arg(ap, unsigned);
    va_end(ap);
    snprintf(f->w.neighbours.subsystem, sizeof(f->w.neighbours.subsystem), MINE);
}

static struct fake *companion(struct fixture *f, size_t i, const char *path, unsigned nsid)
{
    openable[i] = fake_new(path, nsid);
    assert_int_equal(wipe_list_add(&f->request.companions, path), 0);
    return openable[i];
}

static const char *why_not(struct fixture *f)
{
    struct error *error = NULL;

    if (tenancy_survey(&f->w, &error) < 0)
        fail_msg("%s", error_message(error));
    return f->w.tenancy.why_not;
}

static void alone(void **state)
{
    neighbours_are(*state, 0);
    assert_string_equal(why_not(*state), "");
}

static void not_alone(void **state)
{
    neighbours_are(*state, 1, 2u);
    assert_non_null(strstr(why_not(*state), "namespace 2"));
}

static void not_known(void **state)
{
    struct fixture *f = *state;

    neighbours_are(f, 0);
    snprintf(f->w.neighbours.unknown, sizeof(f->w.neighbours.unknown), "it does not say");
    assert_string_equal(why_not(f), "it does not say");
}

static void all_are_companions(void **state)
{
    neighbours_are(*state, 2, 2u, 3u);
    companion(*state, 0, "/dev/nvme0n2", 2);
    companion(*state, 1, "/dev/nvme0n3", 3);
    assert_string_equal(why_not(*state), "");
}

static void one_is_no_companion(void **state)
{
    neighbours_are(*state, 2, 2u, 3u);
    companion(*state, 0, "/dev/nvme0n2", 2);
    assert_non_null(strstr(why_not(*state), "namespace 3"));
}

/* The same namespace id in another subsystem is another namespace. */
static void a_companion_elsewhere_does_not_count(void **state)
{
    struct fake *c;

    neighbours_are(*state, 1, 2u);
    c = companion(*state, 0, "/dev/nvme1n2", 2);
    snprintf(c->neighbours.subsystem, sizeof(c->neighbours.subsystem),
             "nqn.2019-08.org.example:other");
    assert_non_null(strstr(why_not(*state), "namespace 2"));
}

static void a_companion_must_be_allowed_too(void **state)
{
    neighbours_are(*state, 1, 2u);
    companion(*state, 0, "/dev/sdb", 2);
    assert_non_null(strstr(why_not(*state), "not among the devices"));
}

static void a_companion_is_claimed_with_the_device(void **state)
{
    struct fixture *f = *state;

    neighbours_are(f, 1, 2u);
    companion(f, 0, "/dev/nvme0n2", 2);
    assert_string_equal(why_not(f), "");
    assert_int_equal(tenancy_claim(&f->w, NULL), 0);
    assert_true(f->w.tenancy.is_claimed);
}

static void a_companion_that_somebody_has(void **state)
{
    struct fixture *f = *state;

    neighbours_are(f, 1, 2u);
    companion(f, 0, "/dev/nvme0n2", 2)->is_taken = true;
    assert_string_equal(why_not(f), "");
    assert_true(tenancy_claim(&f->w, NULL) < 0);
    assert_false(f->w.tenancy.is_claimed);
}

#define TENANCY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest ladder[] = {
        cmocka_unit_test(the_best_that_there_is),
        cmocka_unit_test(a_ladder_without_an_open_rung_says_why),
        cmocka_unit_test(what_reaches_others_is_passed_over),
        cmocka_unit_test(purge_is_never_met_by_less),
        cmocka_unit_test(a_discard_is_never_taken_unverified),
        cmocka_unit_test(what_was_tried_is_not_taken_again),
        cmocka_unit_test(every_better_one_has_its_reason),
    };
    static const struct CMUnitTest tenancy[] = {
        TENANCY_TEST(alone),
        TENANCY_TEST(not_alone),
        TENANCY_TEST(not_known),
        TENANCY_TEST(all_are_companions),
        TENANCY_TEST(one_is_no_companion),
        TENANCY_TEST(a_companion_elsewhere_does_not_count),
        TENANCY_TEST(a_companion_must_be_allowed_too),
        TENANCY_TEST(a_companion_is_claimed_with_the_device),
        TENANCY_TEST(a_companion_that_somebody_has),
    };
    int failed = cmocka_run_group_tests_name("ladder", ladder, NULL, NULL);

    if (geteuid() != 0) {
        print_message("skipped: tenancy, whose guards need CAP_SYS_PTRACE\n");
        return failed;
    }
    return failed + cmocka_run_group_tests_name("tenancy", tenancy, NULL, NULL);
}
