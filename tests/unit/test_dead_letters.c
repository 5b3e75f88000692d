/* test_dead_letters.c - what the journal keeps of what sinks refused, and cursors that go back */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

struct fixture {
    struct scratch *scratch;
    char path[128];
    struct journal *journal;
    struct error *err;
    uint64_t mark;
};

/* Events 1 to 6. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (scratch_setup((void **)&f->scratch) < 0)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/stopd.db", f->scratch->folder);
    f->journal = open_journal(f->path);
    begin(f->journal);
    for (uint64_t n = 1; n <= 6; n++)
        put_event(f->journal, n, NOW);
    commit(f->journal);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    journal_close(f->journal);
    scratch_teardown((void **)&f->scratch);
    free(f);
    return 0;
}

/* Each line of a test is one committed change. */
#define committed(f, call)              \
    do {                                \
        begin((f)->journal);            \
        assert_success(call, (f)->err); \
        commit((f)->journal);           \
    } while (0)

static void set_aside(struct fixture *f, const char *sink, uint64_t sequence, const char *reason)
{
    committed(f,
              journal_put_dead_letter(f->journal, sink, sequence, reason, NOW + sequence, &f->err));
}

static unsigned mark(struct fixture *f, const char *sink, uint64_t sequence, unsigned most)
{
    unsigned n = 77;

    committed(f,
              journal_mark_dead_letters(f->journal, sink, sequence, ++f->mark, most, &n, &f->err));
    return n;
}

static unsigned drop(struct fixture *f, const char *sink, uint64_t sequence, unsigned most)
{
    unsigned n = 77;

    committed(f, journal_drop_dead_letters(f->journal, sink, sequence, most, &n, &f->err));
    return n;
}

static int append(void *userdata, const struct dead_letter *letter)
{
    char id[UUID_TEXT_SIZE];

    event_id(letter->event.sequence, id);
    assert_string_equal(letter->event.id, id);
    assert_non_null(strstr(letter->event.body, id));
    assert_int_equal(letter->event.body_size, strlen(letter->event.body));
    fprintf(userdata, "%llu%s:%s ", (unsigned long long)letter->event.sequence,
            letter->mark > 0 ? "!" : "", letter->reason);
    return 0;
}

/* "SEQUENCE[!]:REASON " of each; "!": it is to be sent again. */
static void assert_letters(struct fixture *f, const char *sink, const char *expected)
{
    struct journal_reader *r = open_reader(f->path);
    _cleanup_(freep) char *text = NULL;
    struct error *err = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_success(journal_read_dead_letters(r, sink, 0, 100, append, to, &err), err);
    fclose(to);
    journal_reader_close(r);
    assert_string_equal(text, expected);
}

static void assert_cursor(struct fixture *f, const char *sink, uint64_t cursor, bool rewound)
{
    struct journal_reader *r = open_reader(f->path);
    struct error *err = NULL;
    uint64_t n = 0;
    bool is_rewound = !rewound;

    assert_int_equal(journal_read_cursor(r, sink, &n, &is_rewound, &err), 1);
    assert_int_equal(n, cursor);
    assert_int_equal(is_rewound, rewound);
    journal_reader_close(r);
}

static void a_second_refusal_is_the_same_letter(void **state)
{
    struct fixture *f = *state;

    set_aside(f, "a", 3, "no");
    set_aside(f, "b", 3, "not");
    set_aside(f, "a", 2, "no");
    set_aside(f, "a", 3, "never");
    assert_letters(f, "a", "2:no 3:never ");
    assert_letters(f, "b", "3:not ");
    assert_letters(f, "c", "");
}

static void letters_are_marked_one_or_some_of_all(void **state)
{
    struct fixture *f = *state;

    for (uint64_t n = 1; n <= 5; n++)
        set_aside(f, "a", n, "no");
    set_aside(f, "b", 1, "no");
    assert_int_equal(mark(f, "a", 4, 2), 1);
    assert_int_equal(mark(f, "a", 6, 2), 0);
    assert_int_equal(mark(f, "a", 0, 2), 2);
    assert_letters(f, "a", "1!:no 2!:no 3:no 4!:no 5:no ");
    assert_int_equal(mark(f, "a", 0, 9), 2);
    assert_int_equal(mark(f, "a", 0, 9), 0);
    assert_letters(f, "b", "1:no ");
}

static void assert_marked(struct fixture *f, uint64_t done, uint64_t last, uint64_t after,
                          unsigned limit, const char *expected)
{
    struct journal_reader *r = open_reader(f->path);
    _cleanup_(freep) char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_success(
        journal_read_marked_letters(r, "a", done, last, after, limit, append, to, &f->err), f->err);
    fclose(to);
    journal_reader_close(r);
    assert_string_equal(text, expected);
}

static void marked_letters_are_read_by_their_marks(void **state)
{
    struct fixture *f = *state;
    struct journal_reader *r;
    uint64_t last = 7;

    assert_success(journal_last_mark(f->journal, &last, &f->err), f->err);
    assert_int_equal(last, 0);
    for (uint64_t n = 1; n <= 5; n++)
        set_aside(f, "a", n, "no");
    set_aside(f, "b", 6, "no");
    mark(f, "a", 4, 1);
    mark(f, "a", 0, 2);
    mark(f, "b", 0, 1);
    assert_marked(f, 0, 9, 0, 100, "1!:no 2!:no 4!:no ");
    assert_marked(f, 0, 9, 1, 1, "2!:no ");
    assert_marked(f, 0, 1, 0, 100, "4!:no ");
    assert_marked(f, 1, 9, 0, 100, "1!:no 2!:no ");
    assert_success(journal_last_mark(f->journal, &last, &f->err), f->err);
    assert_int_equal(last, 3);
    r = open_reader(f->path);
    assert_success(journal_read_last_mark(r, "a", &last, &f->err), f->err);
    assert_int_equal(last, 2);
    assert_success(journal_read_last_mark(r, "c", &last, &f->err), f->err);
    assert_int_equal(last, 0);
    journal_reader_close(r);
}

static void a_letter_that_was_sent_again_is_gone_or_unmarked(void **state)
{
    struct fixture *f = *state;

    set_aside(f, "a", 1, "no");
    set_aside(f, "a", 2, "no");
    mark(f, "a", 0, 9);
    committed(f, journal_deliver_dead_letter(f->journal, "a", 1, &f->err));
    committed(f, journal_refuse_dead_letter(f->journal, "a", 2, "still no", NOW, &f->err));
    assert_letters(f, "a", "2:still no ");
}

/* A relay that had it in its hands does not bring it back. */
static void a_dropped_letter_does_not_come_back(void **state)
{
    struct fixture *f = *state;

    set_aside(f, "a", 1, "no");
    mark(f, "a", 1, 1);
    assert_int_equal(drop(f, "a", 1, 1), 1);
    assert_int_equal(drop(f, "a", 1, 1), 0);
    committed(f, journal_refuse_dead_letter(f->journal, "a", 1, "no", NOW, &f->err));
    assert_letters(f, "a", "");
}

static void letters_are_dropped_one_or_some_of_all(void **state)
{
    struct fixture *f = *state;

    for (uint64_t n = 1; n <= 5; n++)
        set_aside(f, "a", n, "no");
    set_aside(f, "b", 5, "no");
    assert_int_equal(drop(f, "a", 3, 1), 1);
    assert_int_equal(drop(f, "a", 0, 2), 2);
    assert_letters(f, "a", "4:no 5:no ");
    assert_int_equal(drop(f, "a", 0, 9), 2);
    assert_letters(f, "b", "5:no ");
}

/* Contract 6: kept until an operator replays or drops it; and it does not keep others. */
static void the_outbox_forgets_and_the_letter_stays(void **state)
{
    static const char *const sinks[] = {"a"};
    struct fixture *f = *state;

    set_aside(f, "a", 2, "no");
    committed(f, journal_put_cursor(f->journal, "a", 6, &f->err));
    committed(f, journal_retain(f->journal, NOW + 1, sinks, 1, 100, &f->err));
    assert_letters(f, "a", "2:no ");
    assert_int_equal(mark(f, "a", 2, 1), 1);
    assert_letters(f, "a", "2!:no ");
}

static void a_rewound_sink_keeps_what_it_is_to_get_again(void **state)
{
    static const char *const sinks[] = {"a"};
    struct fixture *f = *state;
    struct error *err = NULL;

    committed(f, journal_put_cursor(f->journal, "a", 6, &f->err));
    committed(f, journal_rewind(f->journal, "a", 2, &f->err));
    assert_cursor(f, "a", 2, true);
    begin(f->journal);
    assert_int_equal(journal_retain(f->journal, NOW + 1, sinks, 1, 100, &err), 2);
    commit(f->journal);
    committed(f, journal_put_cursor(f->journal, "a", 3, &f->err));
    assert_cursor(f, "a", 3, false);
}

static void a_rewind_takes_letters_back_that_are_sent_anyway(void **state)
{
    static const char *const sinks[] = {"a"};
    struct fixture *f = *state;

    for (uint64_t n = 1; n <= 5; n++)
        set_aside(f, "a", n, "no");
    set_aside(f, "b", 5, "no");
    committed(f, journal_put_cursor(f->journal, "a", 3, &f->err));
    committed(f, journal_retain(f->journal, NOW + 1, sinks, 1, 100, &f->err)); /* 1 to 3 */
    committed(f, journal_rewind(f->journal, "a", 1, &f->err));
    /* 2 and 3 are nowhere else. */
    assert_letters(f, "a", "1:no 2:no 3:no ");
    assert_letters(f, "b", "5:no ");
}

static int count(void *userdata, const char *sink, uint64_t n)
{
    fprintf(userdata, "%s=%llu ", sink, (unsigned long long)n);
    return 0;
}

static void letters_are_counted_and_looked_up(void **state)
{
    struct fixture *f = *state;
    _cleanup_(freep) char *text = NULL;
    struct error *err = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    set_aside(f, "b", 5, "no");
    set_aside(f, "a", 1, "no");
    set_aside(f, "a", 2, "no");
    assert_success(journal_count_dead_letters(f->journal, count, to, &err), err);
    fclose(to);
    assert_string_equal(text, "a=2 b=1 ");
    assert_int_equal(journal_has_dead_letter(f->journal, "a", 2, &err), 1);
    assert_int_equal(journal_has_dead_letter(f->journal, "a", 5, &err), 0);
}

/* A journal of before there were dead letters. */
static void an_older_journal_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;

    committed(f, journal_put_cursor(f->journal, "a", 4, &f->err));
    journal_close(f->journal);
    by_hand(f->path, "DROP TABLE dead_letter; ALTER TABLE cursor DROP COLUMN rewound;"
                     "DROP INDEX operation_ended_of_instance; DROP INDEX operation_ended_in_state;"
                     "CREATE INDEX operation_of_instance ON operation (instance_id, number);"
                     "CREATE INDEX operation_in_state ON operation (state, number);"
                     "ALTER TABLE heartbeat DROP COLUMN ahead;"
                     "ALTER TABLE heartbeat DROP COLUMN ahead_left;"
                     "PRAGMA user_version = 2");
    f->journal = open_journal(f->path);
    assert_cursor(f, "a", 4, false);
    set_aside(f, "a", 2, "no");
    assert_letters(f, "a", "2:no ");
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_second_refusal_is_the_same_letter),
        RULE(letters_are_marked_one_or_some_of_all),
        RULE(marked_letters_are_read_by_their_marks),
        RULE(a_letter_that_was_sent_again_is_gone_or_unmarked),
        RULE(a_dropped_letter_does_not_come_back),
        RULE(letters_are_dropped_one_or_some_of_all),
        RULE(the_outbox_forgets_and_the_letter_stays),
        RULE(a_rewound_sink_keeps_what_it_is_to_get_again),
        RULE(a_rewind_takes_letters_back_that_are_sent_anyway),
        RULE(letters_are_counted_and_looked_up),
        RULE(an_older_journal_is_brought_up_to_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
