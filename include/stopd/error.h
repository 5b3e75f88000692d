/* error.h - one object for what went wrong, with context added on the way up
 *
 * A function that can fail takes a last argument struct error **err and returns 0, or a negative
 * errno with *err set; err may be NULL where nobody asks. The library returns, the program's top
 * says it once. An error belongs to one thread at a time. */
#ifndef STOPD_ERROR_H
#define STOPD_ERROR_H

#include "stopd/base.h"

enum error_code {
    ERROR_NONE,
#define ERROR(name, errnum, http, exit, code, message) ERROR_##name,
#include "stopd/error-list.h"
#undef ERROR
    ERROR_MAX,
};

struct error {
    enum error_code code;
    char *message; /* without a full stop's worth of punctuation rules: a sentence or a clause */
};

/* Sets *err (which must be NULL before) and returns the code's negative errno. An empty or NULL
 * format means the table's own Message. Never fails: out of memory gives the NO_MEMORY error. */
int error_set(struct error **err, enum error_code code, const char *format, ...) _printf_(3, 4);
/* The same with ": " and strerror(errnum) behind it. */
int error_set_errno(struct error **err, enum error_code code, int errnum, const char *format, ...)
    _printf_(4, 5);
int error_no_memory(struct error **err);
/* Puts "format: " before the message of *err, if there is one. Returns the negative errno of *err.
 */
int error_context(struct error **err, const char *format, ...) _printf_(2, 3);
/* Moves *from into *to (or frees it where to is NULL). Returns the negative errno. */
int error_move(struct error **to, struct error **from);
void error_free(struct error *e);
DEFINE_CLEANUP(struct error *, error_free);

/* What an error is to the outside; message never NULL. */
const char *error_message(const struct error *e);
enum error_code error_code_of(const struct error *e); /* ERROR_INTERNAL for NULL */

/* The table. */
const char *error_name(enum error_code code); /* "GRACE_OVER", for the journal; NULL out of range */
int error_from_name(const char *name, enum error_code *ret);
int error_errno(enum error_code code);       /* positive */
int error_http_status(enum error_code code); /* 200 for ERROR_NONE */
int error_exit_status(enum error_code code);
const char *error_public_code(enum error_code code);
const char *error_public_message(enum error_code code);
/* The exit status for a Code as an answer carries it, with the HTTP status where the Code is not
 * known. */
int error_exit_status_of_answer(const char *public_code, int http_status);

#endif
