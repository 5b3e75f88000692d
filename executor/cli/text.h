/* text.h - what a person reads: text that cannot harm a terminal, times, tables */
#ifndef STOPD_CLI_TEXT_H
#define STOPD_CLI_TEXT_H

#include "stopd/base.h"

#include <stdio.h>

/* Names and sentences come from domains, and so from tenants: what is no printable character here
 * becomes '?', so that none of it can move a cursor. Returns a new text, or NULL when out of
 * memory. */
char *text_clean(const char *text);
void text_print(FILE *to, const char *text); /* the same, printed */
/* Columns that a clean text takes, and how many of its bytes fit into so many columns. */
size_t text_columns(const char *text);
size_t text_fit(const char *text, size_t columns);

#define ELAPSED_TEXT_SIZE 32
/* "3.2 s" below a minute, "4 min 05 s" below an hour, "2 h 03 min". */
const char *elapsed_to_text(usec_t elapsed, char ret[static ELAPSED_TEXT_SIZE]);
#define BYTES_TEXT_SIZE 32
/* "894.3 GiB", "512 B". */
const char *bytes_to_text(uint64_t bytes, char ret[static BYTES_TEXT_SIZE]);
/* Hundredths, rounded down, so that 100 means all of it; 0 of nothing. */
unsigned percent_of(uint64_t part, uint64_t whole);
#define LOCAL_TIME_SIZE 32
/* "2026-11-24 10:23:45", in the operator's time zone. */
const char *local_time_to_text(usec_t realtime, char ret[static LOCAL_TIME_SIZE]);

/* As strcmp(), with numbers within by their value: web2 before web10. */
int text_compare_natural(const char *a, const char *b);

/* Rows of as many cells each, printed with aligned columns. A lack of memory shows at the end. */
struct table {
    size_t columns;
    char **cells;
    size_t n;
    bool failed;
};
/* A NULL or empty cell is "-". */
void table_add(struct table *t, const char *cell);
int table_print(const struct table *t, FILE *to); /* 0 or -ENOMEM */
void table_cleanup(struct table *t);

enum color { COLOR_NONE, COLOR_GOOD, COLOR_BAD, COLOR_BUSY };
/* The escape sequence that begins a colour and the one that ends it; "" where on is false. */
const char *color_begin(bool on, enum color color);
const char *color_end(bool on);

#endif
