/* respond.h - the answer of an exchange; one, and the last thing that a handler does */
#ifndef STOPD_API_RESPOND_H
#define STOPD_API_RESPOND_H

#include "api/exchange.h"

/* 200 with a body (taken), in the exchange's format; NULL: there was no memory for it. */
void respond_object(struct exchange *x, json_object *body);
/* The same, in JSON whatever the format: beside section 3 nothing is spoken in XML but errors. */
void respond_json(struct exchange *x, json_object *body);
/* Text of a media type. */
void respond_text(struct exchange *x, const char *type, char *text /* taken */);

/* An error in the contract's form. An empty or NULL message is the table's. */
void respond_code(struct exchange *x, enum error_code code, const char *message);
void respond_error(struct exchange *x, const struct error *e);
/* The engine's answer is an error: 1, and it is answered with it; 0: it is none. */
bool respond_failure(struct exchange *x, const struct answer *a);

/* A body that is made while it is sent; see MHD_create_response_from_callback(). */
void respond_stream(struct exchange *x, const char *type, MHD_ContentReaderCallback read,
                    void *stream, MHD_ContentReaderFreeCallback free_stream);

#endif
