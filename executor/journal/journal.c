/* journal.c - opening the journal, and one transaction for each turn of the loop
 *
 * Theory of operation. There is one writer, which claims the journal's place before it touches the
 * file, and there are readers with connections of their own; the write-ahead log lets them not wait
 * for each other. With synchronous=FULL the log is on the disk before COMMIT returns, and before any
 * reader can see what was committed: what a sink has been handed cannot be taken back.
 *
 * A COMMIT that fails is of one of two kinds. Where the log could not be written, for want of room
 * above all, its last frame, the one that makes a transaction valid, is not there: nothing was
 * written. Where anything failed behind that frame, the fsync above all, the frame may or may not
 * reach the disk: after a crash the transaction may be there. In this process it is not; the next
 * commit overwrites that frame, and with it the doubt. So a caller that is told ERROR_INTERNAL can
 * go on from what it had before, and must only not promise that nothing happened.
 *
 * A transaction in which one write failed must not be committed by a caller that overlooks it: SQLite
 * takes back some failed statements and, on a full disk, sometimes the whole transaction. So the
 * journal remembers a failure until the transaction is over.
 */
#include "journal/private.h"
#include "journal/place.h"

#include <string.h>
#include <unistd.h>

/* Past this many pages in the log they are moved to the file, at the end of a commit: about 4 MiB. */
#define CHECKPOINT_PAGES "1000"
/* A log that one long reader made large is cut back to this. */
#define LOG_SIZE_LIMIT "16777216"

static int set_up(struct database *d, bool in_memory, bool *fresh, struct error **err)
{
    int64_t faults;
    int r;

    if (sqlite3_db_readonly(d->sqlite, "main") == 1)
        return error_set(err, ERROR_JOURNAL,
                         "the journal %s cannot be written; look at its owner and mode and at how "
                         "its file system is mounted",
                         d->path);
    r = database_execute(d, in_memory ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL",
                         err);
    if (r >= 0)
        r = database_execute(d,
                             "PRAGMA journal_mode = WAL;"
                             "PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES ";"
                             "PRAGMA journal_size_limit = " LOG_SIZE_LIMIT ";"
                             "PRAGMA foreign_keys = ON",
                             err);
    if (r >= 0)
        r = schema_prepare(d, fresh, err);
    /* Damage is better met now than in the middle of a stop. */
    if (r >= 0 && !*fresh)
        r = check_pages(d, err);
    return r;
}
