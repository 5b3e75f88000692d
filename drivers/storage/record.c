/* record.c - the commands that a device was given, for the certificate
 *
 * A clear may send a hundred thousand of one command; they are one record as long as each goes on
 * where the last one ended. The first failure is always kept, for it is what explains a setback. */
#include "stopd/storage.h"

static bool goes_on(const struct storage_command *last, const struct storage_command *c)
{
    return text_equal(last->name, c->name) && last->status == c->status && last->nsid == c->nsid &&
           last->cdw10 == c->cdw10 && last->cdw11 == c->cdw11 && c->span.length > 0 &&
           last->span.offset + last->span.length == c->span.offset;
}

void storage_record_command(struct storage_record *r, const struct storage_command *c)
{
    struct storage_command *last = r->n > 0 ? &r->commands[r->n - 1] : NULL;

    if (last && goes_on(last, c)) {
        last->span.length += c->span.length;
        last->count++;
        return;
    }
    if (r->n == STORAGE_COMMANDS_MAX) {
        if (c->status == 0 || last->status != 0)
            return;
        r->n--;
    }
    r->commands[r->n] = *c;
    r->commands[r->n++].count = 1;
}
