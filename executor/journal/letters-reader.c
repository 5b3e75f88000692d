/* letters-reader.c - dead letters, for those who list or send them */
#include "journal/private.h"

/* sequence, id, instance_id, type, body, at, reason, mark */
static int letter_of_row(sqlite3_stmt *q, struct dead_letter *ret, struct error **err)
{
    struct dead_letter letter = {.reason = column_text(q, 6, NULL)};
    int r = event_of_row(q, &letter.event, err);

    if (r < 0)
        return error_context(err, "a dead letter");
    if (!letter.reason || !column_number(q, 5, &letter.at) || !column_number(q, 7, &letter.mark))
        return row_damaged(q, err, "dead letter", letter.event.id);
    *ret = letter;
    return 0;
}

static int read_letters(struct journal_reader *reader, sqlite3_stmt *q,
                        int (*each)(void *userdata, const struct dead_letter *letter),
                        void *userdata, struct error **err)
{
    struct dead_letter letter;
    int r;

    while ((r = database_next(&reader->database, q, err)) > 0) {
        r = letter_of_row(q, &letter, err);
        if (r < 0)
            return r;
        r = each(userdata, &letter);
        if (r != 0)
            return each_ended(r, err);
    }
    return r;
}

#define SELECT_LETTER \
    "SELECT sequence, id, instance_id, type, body, at, reason, mark FROM dead_letter "

int journal_read_dead_letters(struct journal_reader *reader, const char *sink, uint64_t after,
                              unsigned limit,
                              int (*each)(void *userdata, const struct dead_letter *letter),
                              void *userdata, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database,
                           SELECT_LETTER "WHERE sink = ?1 AND sequence > ?2"
                                         " ORDER BY sequence LIMIT ?3",
                           VALUES(text(sink), number(after), number(limit)), &q, err);

    return r < 0 ? r : read_letters(reader, q, each, userdata, err);
}

int journal_read_marked_letters(struct journal_reader *reader, const char *sink, uint64_t done,
                                uint64_t last, uint64_t after, unsigned limit,
                                int (*each)(void *userdata, const struct dead_letter *letter),
                                void *userdata, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    /* "mark > 0" is what its index goes by. */
    int r = database_query(
        &reader->database,
        SELECT_LETTER "WHERE sink = ?1 AND sequence > ?2 AND mark > 0 AND mark > ?4 AND"
                      " mark <= ?5 ORDER BY sequence LIMIT ?3",
        VALUES(text(sink), number(after), number(limit), number(done), number(last)), &q, err);

    return r < 0 ? r : read_letters(reader, q, each, userdata, err);
}

int journal_read_last_mark(struct journal_reader *reader, const char *sink, uint64_t *ret,
                           struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database,
                           "SELECT max(mark) FROM dead_letter WHERE sink = ?1 AND mark > 0",
                           VALUES(text(sink)), &q, err);

    *ret = 0;
    if (r >= 0)
        r = database_next(&reader->database, q, err);
    if (r < 0)
        return r;
    column_number(q, 0, ret); /* NULL where there is none */
    return 0;
}
