/* test_storage_transfer.c - many reads and writes in flight */
#include "test_wipe_kit.h"

#include "drivers/storage/transfer.h"

#define MIB ((uint64_t)1 << 20)
#define SIZE (5 * MIB + 3 * 4096)

struct fixture {
    struct scratch *scratch;
    int fd;
    /* Spans to be read or written, and what came of them. */
    uint64_t at, end, step;
    uint64_t seen, bytes;
    unsigned char looked_at[SIZE / 4096]; /* how often, each block */
    bool is_wrong;
    uint64_t fail_next_at, fail_look_at; /* 0: never */
    /* Steps of a pace. */
    uint64_t paced, last_done;
    uint64_t fail_pace_at;
};

/* Each 4 KiB block holds its own number. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    f->fd = open(scratch_path(f->scratch, "device"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (uint64_t at = 0; at < SIZE; at += 4096) {
        uint64_t block[512];

        for (size_t i = 0; i < ELEMENTSOF(block); i++)
            block[i] = at / 4096 + 1;
        if (pwrite(f->fd, block, sizeof(block), (off_t)at) != sizeof(block))
            return -1;
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    close(f->fd);
    free(f);
    return scratch_teardown(&scratch);
}

/* Unbuffered, where the file system of the scratch folder has that. */
static void go_direct(struct fixture *f)
{
    if (fcntl(f->fd, F_SETFL, O_RDWR | O_DIRECT) < 0)
        print_message("without O_DIRECT: %s\n", strerror(errno));
}

static int next_span(void *context, struct storage_span *ret, struct error **err)
{
    struct fixture *f = context;

    if (f->fail_next_at && f->at >= f->fail_next_at)
        return error_set(err, ERROR_UNREACHABLE, "nobody listens");
    if (f->at >= f->end)
        return 0;
    *ret = (struct storage_span){f->at, f->step < SIZE - f->at ? f->step : SIZE - f->at};
    f->at += f->step;
    return 1;
}

static int look_at_span(void *context, uint64_t offset, const void *data, size_t n,
                        struct error **err)
{
    struct fixture *f = context;
    uint64_t number;

    for (size_t at = 0; at < n; at += 4096) {
        memcpy(&number, (const char *)data + at, sizeof(number));
        f->is_wrong = f->is_wrong || number != (offset + at) / 4096 + 1;
        if (offset + at < SIZE)
            f->looked_at[(offset + at) / 4096]++;
    }
    f->seen++;
    f->bytes += n;
    if (f->fail_look_at && offset >= f->fail_look_at)
        return error_set(err, ERROR_IO, "not what it should be");
    return 0;
}

static int read_all(struct fixture *f, size_t piece, struct error **err)
{
    struct storage_reading reading = {
        .piece = piece, .next = next_span, .look = look_at_span, .context = f};

    f->end = SIZE;
    f->step = piece;
    return transfer_read(f->fd, SIZE, &reading, err);
}

static void every_byte_is_looked_at_once(void **state)
{
    struct fixture *f = *state;

    go_direct(f);
    for (size_t piece = 4096; piece <= MIB; piece *= 4) {
        f->at = f->bytes = f->seen = 0;
        memset(f->looked_at, 0, sizeof(f->looked_at));
        assert_int_equal(read_all(f, piece, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(f->looked_at); i++)
            assert_int_equal(f->looked_at[i], 1);
        assert_int_equal(f->bytes, SIZE);
        assert_int_equal(f->seen, (SIZE + piece - 1) / piece);
        assert_false(f->is_wrong);
    }
}

static void the_end_may_lie_anywhere(void **state)
{
    struct fixture *f = *state;
    struct storage_reading reading = {
        .piece = 4096, .next = next_span, .look = look_at_span, .context = f};

    assert_int_equal(ftruncate(f->fd, 10000), 0);
    go_direct(f);
    f->at = 8192;
    f->end = 8193;
    f->step = 10000 - 8192;
    assert_int_equal(transfer_read(f->fd, 10000, &reading, NULL), 0);
    assert_int_equal(f->bytes, 10000 - 8192);
}

static void what_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    _cleanup_(error_free) struct error *error = NULL;

    assert_int_equal(ftruncate(f->fd, 2 * MIB), 0);
    assert_true(read_all(f, 65536, &error) < 0);
    assert_non_null(strstr(error_message(error), "byte 2097152"));
}

static void who_looks_can_end_it(void **state)
{
    struct fixture *f = *state;
    _cleanup_(error_free) struct error *error = NULL;

    f->fail_look_at = MIB;
    assert_true(read_all(f, 4096, &error) < 0);
    assert_string_equal(error_message(error), "not what it should be");
    assert_true(f->bytes < SIZE);
}

static void who_says_what_to_read_can_end_it(void **state)
{
    struct fixture *f = *state;
    _cleanup_(error_free) struct error *error = NULL;

    f->fail_next_at = MIB;
    assert_true(read_all(f, 65536, &error) < 0);
    assert_int_equal(error_code_of(error), ERROR_UNREACHABLE);
    assert_true(f->bytes <= MIB);
}

/* --- Writing --------------------------------------------------------------------------------- */

static void fill_with_place(void *context, uint64_t offset, void *data, size_t n)
{
    uint64_t number = ~offset;

    for (size_t at = 0; at < n; at += sizeof(number))
        memcpy((char *)data + at, &number, sizeof(number));
}

static void note_written(void *context, uint64_t offset)
{
    struct fixture *f = context;

    assert_true(offset % f->step == 0 && offset < f->at);
    f->looked_at[offset / 4096]++;
    f->seen++;
}

static int next_of_every_other(void *context, struct storage_span *ret, struct error **err)
{
    struct fixture *f = context;

    if (f->at >= SIZE)
        return 0;
    *ret = (struct storage_span){f->at, 4096};
    f->at += 8192;
    return 1;
}

static void what_is_written_goes_where_it_should_and_nowhere_else(void **state)
{
    struct fixture *f = *state;
    struct storage_writing writing = {.piece = 4096,
                                      .next = next_of_every_other,
                                      .fill = fill_with_place,
                                      .written = note_written,
                                      .context = f};

    go_direct(f);
    f->step = 8192;
    assert_int_equal(transfer_write(f->fd, SIZE, &writing, NULL), 0);
    fcntl(f->fd, F_SETFL, O_RDWR);
    for (uint64_t at = 0; at < SIZE; at += 4096) {
        uint64_t block[512];
        bool is_ours = at % 8192 == 0;

        assert_int_equal(pread(f->fd, block, sizeof(block), (off_t)at), sizeof(block));
        for (size_t i = 0; i < ELEMENTSOF(block); i++)
            assert_true(block[i] == (is_ours ? ~at : at / 4096 + 1));
        assert_int_equal(f->looked_at[at / 4096], is_ours);
    }
}

static void what_was_not_written_is_not_said_to_be(void **state)
{
    struct fixture *f = *state;
    _cleanup_(error_free) struct error *error = NULL;
    _cleanup_(close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct storage_writing writing = {.piece = 4096,
                                      .next = next_of_every_other,
                                      .fill = fill_with_place,
                                      .written = note_written,
                                      .context = f};

    f->step = 8192;
    assert_true(transfer_write(fd, SIZE, &writing, &error) < 0);
    assert_non_null(strstr(error_message(error), "No space left"));
    assert_int_equal(f->seen, 0);
}

static int count_pace(void *context, uint64_t done, uint64_t total, uint64_t next,
                      struct error **err)
{
    struct fixture *f = context;

    assert_true(done >= f->last_done && done <= f->paced);
    f->last_done = done;
    if (f->fail_pace_at && done >= f->fail_pace_at)
        return error_set(err, ERROR_UNREACHABLE, "nobody listens");
    f->paced += next;
    return 0;
}

static void assert_zeros(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t at = 0; at < SIZE; at += 4096) {
        uint64_t block[512];
        bool is_inside = at >= from && at < to;

        assert_int_equal(pread(f->fd, block, sizeof(block), (off_t)at), sizeof(block));
        for (size_t i = 0; i < ELEMENTSOF(block); i++)
            assert_int_equal(block[i], is_inside ? 0 : at / 4096 + 1);
    }
}

static void zeros_go_where_they_should_and_nowhere_else(void **state)
{
    struct fixture *f = *state;
    struct storage_span span = {MIB + 4096, 3 * MIB + 8192};
    struct storage_pace pace = {count_pace, f};

    go_direct(f);
    assert_int_equal(transfer_zero(f->fd, span, &pace, NULL), 0);
    assert_int_equal(f->paced, span.length);
    assert_int_equal(f->last_done, span.length);
    fcntl(f->fd, F_SETFL, O_RDWR);
    assert_zeros(f, span.offset, span.offset + span.length);
}

static void nothing_is_an_easy_span(void **state)
{
    struct fixture *f = *state;
    struct storage_pace pace = {count_pace, f};

    assert_int_equal(transfer_zero(f->fd, (struct storage_span){MIB, 0}, &pace, NULL), 0);
    assert_zeros(f, 0, 0);
}

static void who_paces_can_end_it(void **state)
{
    struct fixture *f = *state;
    struct storage_pace pace = {count_pace, f};
    _cleanup_(error_free) struct error *error = NULL;

    f->fail_pace_at = 2 * MIB;
    assert_true(transfer_zero(f->fd, (struct storage_span){0, SIZE}, &pace, &error) < 0);
    assert_int_equal(error_code_of(error), ERROR_UNREACHABLE);
    assert_zeros(f, 0, f->paced); /* what was begun is also over */
}

static void a_write_that_fails_says_where(void **state)
{
    struct fixture *f = *state;
    struct storage_pace pace = {count_pace, f};
    _cleanup_(error_free) struct error *error = NULL;
    _cleanup_(close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    assert_true(transfer_zero(fd, (struct storage_span){0, 4 * MIB}, &pace, &error) < 0);
    assert_non_null(strstr(error_message(error), "writing at byte 0: No space left"));
}

#define TRANSFER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TRANSFER_TEST(every_byte_is_looked_at_once),
        TRANSFER_TEST(the_end_may_lie_anywhere),
        TRANSFER_TEST(what_is_not_there_is_an_error),
        TRANSFER_TEST(who_looks_can_end_it),
        TRANSFER_TEST(who_says_what_to_read_can_end_it),
        TRANSFER_TEST(what_is_written_goes_where_it_should_and_nowhere_else),
        TRANSFER_TEST(what_was_not_written_is_not_said_to_be),
        TRANSFER_TEST(zeros_go_where_they_should_and_nowhere_else),
        TRANSFER_TEST(nothing_is_an_easy_span),
        TRANSFER_TEST(who_paces_can_end_it),
        TRANSFER_TEST(a_write_that_fails_says_where),
    };

    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
