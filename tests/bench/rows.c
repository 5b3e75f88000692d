/* rows.c - the floor of a command: commits of one row with SQLite, one after the other
 *
 * Usage: rows FOLDER N
 *
 * A new database in FOLDER, as the journal is one: write-ahead log, synchronous=FULL. Prints how
 * many commits there were in a second, and removes the database. Exit 0 says that it could be
 * measured.
 */
#include <err.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void execute(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        errx(1, "%s: %s", sql, sqlite3_errmsg(db));
}

static double measure(sqlite3 *db, unsigned long n)
{
    sqlite3_stmt *insert = NULL;
    double began;

    if (sqlite3_prepare_v2(db, "INSERT INTO row (text) VALUES ('a row')", -1, &insert, NULL) !=
        SQLITE_OK)
        errx(1, "%s", sqlite3_errmsg(db));
    began = now();
    for (unsigned long i = 0; i < n; i++) /* each is a transaction of its own */
        if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK)
            errx(1, "a row: %s", sqlite3_errmsg(db));
    began = now() - began;
    sqlite3_finalize(insert);
    return (double)n / began;
}

int main(int argc, char **argv)
{
    unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    sqlite3 *db = NULL;
    char path[4096];

    if (n == 0)
        errx(2, "usage: rows FOLDER N");
    snprintf(path, sizeof(path), "%s/rows.db", argv[1]);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        errx(1, "%s: %s", path, sqlite3_errmsg(db));
    execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                "CREATE TABLE row (number INTEGER PRIMARY KEY, text TEXT)");
    printf("%.1f\n", measure(db, n));
    sqlite3_close(db);
    unlink(path);
    return 0;
}
