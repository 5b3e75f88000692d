/* question.h - one question to the engine: what holds the client's connection until it is answered
 *
 * Two hold it, the exchange and the engine's request, on two threads; the last frees it. */
#ifndef STOPD_API_QUESTION_H
#define STOPD_API_QUESTION_H

#include "engine/request.h"

#include <microhttpd.h>

struct question;
/* For a connection that is suspended, and is resumed with the answer; r is what will be posted, and
 * brings the answer to the question. NULL when out of memory. */
struct question *question_new(struct MHD_Connection *http, struct request *r);
/* Answers it in the engine's place, if that has not; from any thread. */
void question_interrupt(struct question *q);
/* Once the connection is resumed: the answer, never NULL, good until the question is dropped. */
const struct answer *question_answer(const struct question *q);
void question_drop(struct question *q);
DEFINE_CLEANUP(struct question *, question_drop);

#endif
